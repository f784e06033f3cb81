#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A guest swaps on an export that vmswap-nbd attached over TCP, inside it
# (Linux 6.12).

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"

attach_test nbd 6.12
