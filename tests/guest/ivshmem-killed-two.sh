#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Two guests, of two kernels, swap on one server that is killed under both of them,
# and started again; then one stops swapping, under load, while servers go on being
# killed.  No page is bad in either, and swapoff ends.
#
#   KILLS=N (default 8)

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"
. "$srcdir/keeper-test.sh"

kernel=6.1 kills=${KILLS:-8}
mode_image
kept_serve web1 web2
mode_boot g web1
kernel=6.12
mode_image
mode_boot h web2
mode_swapon g
mode_swapon h

# both COMMAND: in both at once, with kills as long as both are at it.
both ()
{
  send g "$1"
  send h "$1"
  kill_while g h
  checked g 600 "$1"
  checked h 600 "$1"
}

web1_is_empty () { [ "$(export_held_bytes web1)" -le $((mib / 4)) ]; }

guest_run g 30 "hog a start 21"
guest_run h 30 "hog a start 22"
both "hog a fill $fill_mib"
both "hog a verify"
while [ $killed -lt "$kills" ]; do
  both "hog a verify"
done
killed_both=$killed

# swapoff, of a workload that fits into memory but was pushed out.
guest_run g 60 "hog a quit"
guest_run g 60 "hog a start 8 && hog b start 9"
hog_run g 200 "a fill 64"
hog_run g 200 "b fill 160"
guest_run g 60 "hog b quit"
guest_run g 60 "awk '/^.dev/ { print \"used_kib=\" \$4 }' /proc/swaps"
used_kib=$(guest_value g used_kib)
[ "$used_kib" -ge 16384 ] || fail "only $used_kib KiB are swapped"
hog_run g 60 "a churn on"
hog_run h 60 "a churn on"
server_kill
send g "vmswap-setup undo"
off=$sent
# What it is to bring back is nowhere else: it waits.
wait_for 60 "guest g begins to stop swapping" guest_said g "^vmswap-run: $off\$"
kill_guests=g
some_moment
! answered || fail "swapoff was done without a server"
server_again
kills=$((killed + 3))
kill_while g
guest_wait g 300 "$off" "vmswap-setup undo"
killed_off=$((killed - killed_both))
hog_run g 300 "a churn off"
hog_run h 300 "a churn off"
guest_run g 60 "! grep -q '^.dev' /proc/swaps"
hog_run g 300 "a verify"
hog_run h 600 "a verify"
wait_for 60 "the guest that swaps no more holds nothing" web1_is_empty
guest_run g 60 "hog a quit"
guest_run h 60 "hog a quit"
guest_run h 120 "vmswap-setup undo"
wait_for 60 "the pool is empty after swapoff" export_is_empty
guest_reboot g
guest_reboot h
echo "vmswap-verdict: mode=ivshmem kernels=6.1,6.12 kills=$killed_both" \
     "kills_around_swapoff=$killed_off slowest_restart_ms=$slowest" \
     "longest_stall_ms=$longest bad_pages=0"
