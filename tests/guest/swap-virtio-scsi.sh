#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A guest swaps on a virtio-scsi disk that QEMU attached.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"

attach_test scsi 6.1
