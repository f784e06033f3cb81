#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Threads with byte ranges of their own, in a pool that is full about half of
# the time: refused writes change nothing, and nothing else is lost.
set -e
./model --full --ops 250000
./model --full --ops 150000 --no-steward --threads 2
./model --full --ops 100000 --codec none --volumes 3 --threads 6
