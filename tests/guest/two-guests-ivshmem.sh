#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Two guests, of two kernels, swap at once, each on a region of its own: neither
# sees a page of the other.  One is killed in mid-flight: the other does not
# notice, and the next guest on that region swaps as if nothing had been.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"

mode=ivshmem kernel=6.1
guest_append=$kernel_checks
mode_server "$plugin" pool=384M "$(export_settings web1 512M)" \
  "$(export_settings web2 512M)"
mode_image
mode_boot g web1
kernel=6.12
mode_image
mode_boot h web2
for guest in g h; do
  mode_swapon $guest
done

# both SECONDS G_COMMAND H_COMMAND: at the same time; no bad page in either.
both ()
{
  guest_send g "$2"
  sent_g=$sent
  guest_send h "$3"
  sent_h=$sent
  guest_wait g "$1" "$sent_g" "$2"
  guest_wait h "$1" "$sent_h" "$3"
  for guest in g h; do
    [ "$(guest_value $guest bad_pages || :)" = "${4-0}" ] ||
      fail "guest $guest: $(cat "$dir/$guest.reply")"
  done
}

# The same pages in both, but for the seed that makes them.
both 30 "hog a start 21" "hog a start 22" ""
both 300 "hog a fill 320" "hog a fill 320"
both 600 "hog a verify" "hog a verify"

# In mid-flight: while it writes and reads as fast as it can.
guest_send g "hog a verify"
guest_send h "hog a churn on"
guest_wait h 60 "$sent" "hog a churn on"
sleep 1
kill -9 "$(cat "$dir/g.pid")"
wait "$(cat "$dir/g.pid")" 2>/dev/null || :
rm -f "$dir/g.in"
held_after=$(export_held_bytes web1)
[ "$held_after" -gt 0 ] || fail "what the guest had swapped out is gone"
kernel=6.1
mode_image
mode_boot g web1
mode_swapon g
guest_run g 30 "hog a start 23"
hog_run g 300 "a fill 320"
hog_run g 600 "a verify"
hog_run h 300 "a churn off"
hog_run h 600 "a verify"
for guest in g h; do
  guest_run $guest 60 "hog a quit"
  guest_run $guest 30 "counters vmswap0"
  [ $(($(guest_value $guest swapped_out_pages) / 256)) -ge 160 ] ||
    fail "guest $guest swapped out too little"
  guest_run $guest 120 "vmswap-setup undo"
  guest_reboot $guest
done
wait_for 60 "the pool is empty after swapoff" export_is_empty
echo "vmswap-verdict: mode=ivshmem kernels=6.1,6.12 killed=1 bad_pages=0"
