#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Every fault in this attach mode: does the guest see what docs/FAULTS.md says?

FAULTS=blk
. "${srcdir:=$(dirname "$0")}/faults.sh"
