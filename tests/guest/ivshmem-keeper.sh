#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The keeper is killed while a guest swaps, and another one started in its place;
# then the server is killed: the guest goes on without a bad page.  Another guest,
# which boots while there is no keeper, does so, too.
#
#   KERNEL=6.1|6.12

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"
. "$srcdir/keeper-test.sh"

kernel=${KERNEL:-6.12}

# server_said PATTERN: this server.
server_said () { grep -q "$1" "$dir/s.log"; }

mode_image
kept_serve web1 web2
mode_start g web1
mode_ready g
mode_swapon g
guest_run g 30 "hog a start 41"
hog_run g 300 "a fill $fill_mib"
keeper_kill
wait_for 10 "the server notices" server_said 'keeper=.* is gone'
hog_run g 300 "a verify"
mode_start h web2
mode_ready h
mode_swapon h
guest_run h 30 "hog a start 42"
hog_run h 300 "a fill $fill_mib"
server_said 'guest=web2: its region is served and not kept' ||
  fail "no warning about web2"
keeper_start
wait_for 10 "the next keeper has all" server_said 'keeper=.* is there again'
send g "hog a verify"
send h "hog a verify"
kill_guests="g h"
wait_for 60 "both are served" all_served
server_kill
server_again
checked g 600 "hog a verify"
checked h 600 "hog a verify"
for guest in g h; do
  ring_value $guest resyncs
  [ "$value" -ge 1 ] || fail "$guest has not noticed the next server"
  guest_run $guest 60 "hog a quit"
  guest_run $guest 120 "vmswap-setup undo"
  guest_reboot $guest
done
echo "vmswap-verdict: mode=ivshmem kernel=$kernel keepers=2 restart_ms=$slowest" \
     "longest_stall_ms=$longest bad_pages=0"
