#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The same as ivshmem-killed.sh for Linux 6.12.

KERNEL=6.12
. "${srcdir:=$(dirname "$0")}/ivshmem-killed.sh"
