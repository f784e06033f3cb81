#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A guest swaps on a virtio-blk disk that udev made non-rotational.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"

attach_test blk 6.1
