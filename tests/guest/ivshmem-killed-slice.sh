#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The same as ivshmem-killed.sh with three kills.

KILLS=3
. "${srcdir:=$(dirname "$0")}/ivshmem-killed.sh"
