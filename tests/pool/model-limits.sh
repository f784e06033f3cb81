#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Quotas and reserves that change while threads work in a pool that is full part
# of the time: nobody is refused below his reserve, or for a quota that he has
# not reached.
set -e
. "${srcdir:-.}/model-limited.sh"
limits --ops 250000
limits --ops 150000 --no-steward --threads 2 --volumes 4
limits --ops 100000 --codec none --volumes 3 --threads 6
