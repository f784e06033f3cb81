#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A guest swaps on a region that it shares with the server (Linux 6.12); what it
# frees is gone from the pool page by page, without a discard.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"

guest_append=$kernel_checks
attach_test ivshmem 6.12
