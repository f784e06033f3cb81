#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A guest swaps on an export that nbd-client attached over TCP, inside it.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"

attach_test client 6.1
