#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Threads with byte ranges of their own, in a pool with room for everything:
# with and without a steward, many volumes, one volume, no compression.
set -e
./model --ops 400000
./model --ops 200000 --no-steward --threads 3 --volumes 1 --size 48M
./model --ops 150000 --threads 6 --volumes 9 --size 6M
./model --ops 100000 --codec none --size 16M
./model --ops 60000 --threads 60
