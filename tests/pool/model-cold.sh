#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Everything that is written becomes cold as soon as it can, and warm when it is
# read, while threads go on: with full pools, limits, pages that are alike and
# without a steward.
set -e
. "${srcdir:-.}/model-limited.sh"
./model --cold --ops 100000
./model --cold --ops 100000 --full
limits --cold --ops 100000
./model --cold --ops 100000 --hot
./model --cold --ops 50000 --no-steward --volumes 4 --size 8M
limits --cold --ops 100000 --full --same 400 --sharing always \
  --groups 2 --volumes 3 --size 16M --pool 20M
./model-short --cold --ops 40000 --same 50 --sharing always --groups 1 \
  --size 8M
