#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Quotas and reserves that change while threads work in a pool that is full part
# of the time: nobody is refused below his reserve, or for a quota that he has
# not reached.
set -e
./model --limits --ops 250000
./model --limits --ops 150000 --no-steward --threads 2 --volumes 4
./model --limits --ops 100000 --codec none --volumes 3 --threads 6
