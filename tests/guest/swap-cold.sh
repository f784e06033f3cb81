#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A guest swaps while all that it writes becomes cold at once, at full speed.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"

# shellcheck disable=SC2034 # attach_test takes it
parameters='cold=0 cold-cpu=100 cold-level=1'
attach_test scsi 6.1
