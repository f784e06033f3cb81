#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A pool that is full loses nothing: the guest's writes go as requests, the host
# takes those it has room for, the others stay in the guest's memory; frees still
# come through, and make room.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/ring-host-test.sh"

kernel=${KERNEL:-6.1}
guest_append=$kernel_checks
ring_host_start r 8 512
ring_boot g r "$kernel"
for words in 'rror on swap-device' 'I/O error' 'critical space allocation'; do
  guest_expects g "$words"
done
guest_run g 60 "vmswap-setup ivshmem"
guest_run g 30 "hog a start 61"
guest_run g 300 "hog a fill 180"
ring_host r held
held=${answer#pages=}
[ "$held" -ge 4096 ] || fail "only $held pages were swapped out"
# Room for 300 more, fewer than there are slots.
ring_host r set limit $((held + 300))
ring_becomes g host_full 1
guest_run g 600 "hog a verify"
[ "$(guest_value g bad_pages)" = 0 ] || fail "$(cat "$dir/g.reply")"
guest_run g 600 "hog a pageout"
guest_run g 600 "hog a verify"
[ "$(guest_value g bad_pages)" = 0 ] || fail "$(cat "$dir/g.reply")"
ring_value g writes_requested
requested=$value
[ "$requested" -gt 0 ] || fail "no write was sent as a request"
ring_value g writes_refused
refused=$value
ring_host r held
[ "${answer#pages=}" -le $((held + 300)) ] || fail "more than the limit: $answer"
# Frees make room.
guest_run g 60 "hog a keep 40"
ring_becomes g host_full 0
guest_run g 600 "hog a verify"
[ "$(guest_value g bad_pages)" = 0 ] || fail "$(cat "$dir/g.reply")"
guest_run g 60 "hog a quit"
ring_host r set limit 0
# Who takes the device away while posts wait for room is told so.
guest_run g 60 "swapoff /dev/vmswap0"
ring_host r pause on
guest_run g 60 "dd if=/dev/urandom of=/dev/vmswap0 bs=4096 count=64 oflag=direct"
ring_host r set limit 1
ring_host r pause off
ring_becomes g host_full 1
guest_send g "rmmod vmswap_ivshmem"
wait_for 30 "the driver says what it waits for" \
  grep -q 'the device goes when the host has room' "$dir/g.console"
ring_host r set limit 0
guest_wait g 60 "$sent" "rmmod, once there is room"
guest_run g 60 "vmswap-setup undo"
guest_reboot g
echo "vmswap-verdict: kernel=$kernel requested=$requested refused=$refused" \
     "bad_pages=0"
