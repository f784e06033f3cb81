#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Every fault in one attach mode or another: does the guest see what
# docs/FAULTS.md says?

FAULTS='blk:stopped,second,hostile,cut,full,bits,truncated,reboot
scsi:killed,registry tls:tls nbd:paused'
. "${srcdir:=$(dirname "$0")}/faults.sh"
