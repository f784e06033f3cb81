#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The same as server-killed.sh for a guest that swaps through vmswap-nbd.

MODE=nbd
. "${srcdir:=$(dirname "$0")}/server-killed.sh"
