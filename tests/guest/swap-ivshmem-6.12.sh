#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A guest swaps on a region that it shares with the server (Linux 6.12); what it
# frees is gone from the pool page by page, without a discard.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"

# The kernel's own checks of memory, as far as a stock kernel has them.
guest_append='slub_debug=FZPU init_on_free=1'
attach_test ivshmem 6.12
