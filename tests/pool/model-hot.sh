#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# All threads on the same few pages: no torn page, no stale one.  Once with
# more threads than the pool serves at a time.
set -e
./model --hot --ops 400000
./model --hot --ops 200000 --threads 8 --no-steward
./model --hot --ops 200000 --full --size 64M --pool 16M
./model --hot --ops 100000 --threads 60
