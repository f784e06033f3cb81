#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The server is killed, in the middle of its work, while a guest swaps on memory
# that both share, and started again with the same state= and keeper=: the guest
# waits, and goes on without a bad page.
#
#   KILLS=N (default 20); KERNEL=6.1|6.12

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"
. "$srcdir/keeper-test.sh"

kernel=${KERNEL:-6.1} kills=${KILLS:-20}
mode_image
kept_serve web1
mode_boot g web1
mode_swapon g
guest_run g 30 "hog a start 31"
send g "hog a fill $fill_mib"
kill_while g
checked g 600 "hog a fill $fill_mib"
round=0
while [ $killed -lt "$kills" ] || [ $round -lt 1 ]; do
  send g "hog a verify"
  kill_while g
  checked g 600 "hog a verify"
  round=$((round + 1))
done
ring_value g resyncs
resyncs=$value
[ "$resyncs" -ge $((kills / 2)) ] ||
  fail "$killed servers were killed, and the guest noticed only $resyncs"
guest_run g 60 "hog a quit"
guest_run g 30 "counters vmswap0"
out=$(($(guest_value g swapped_out_pages) / 256))
[ $out -ge $fill_mib ] || fail "the guest swapped out only $out MiB"
guest_run g 120 "vmswap-setup undo"
wait_for 60 "the pool is empty after swapoff" export_is_empty
guest_reboot g
echo "vmswap-verdict: mode=ivshmem kernel=$kernel kills=$killed" \
     "resyncs=$resyncs slowest_restart_ms=$slowest longest_stall_ms=$longest" \
     "swapped_out_mib=$out bad_pages=0"
