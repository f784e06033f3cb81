#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Volumes whose pages are alike, inside one volume, one group, and two groups;
# model-short: with fingerprints of which most collide, so that pages are told
# apart by nothing but the comparison of all their bytes.
set -e

./model --ops 150000 --same 400 --sharing always --size 16M
./model --ops 150000 --same 400 --sharing always --groups 1 --volumes 3 \
  --size 16M
./model --ops 150000 --same 2000 --groups 2 --volumes 4 --size 16M
./model --ops 100000 --same 100 --sharing always --groups 1 --full \
  --size 40M --pool 16M
./model --ops 100000 --same 400 --sharing always --groups 1 --no-steward \
  --codec none --size 8M
./model-short --ops 60000 --same 50 --sharing always --groups 1 --size 8M
./model-short --ops 60000 --same 50 --sharing always --groups 1 --full \
  --size 40M --pool 16M
