#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A guest that swaps on a ring outlives its host's ends: killed 20 times under
# load, stopped and called back, away for longer than it is believed to live.
# Nothing fails meanwhile, no page is bad; and the device grows.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/ring-host-test.sh"

kills=${KILLS:-20} kernel=${KERNEL:-6.1}
guest_append=$kernel_checks
ring_host_start r 8 512
ring_boot g r "$kernel"
guest_run g 60 "vmswap-setup ivshmem"
guest_run g 30 "hog a start 41"

done_kills=0
# Kills until the guest has answered.
kill_while ()
{
  guest_send g "$1"
  while ! guest_said g "^vmswap-done: $sent "; do
    if [ $done_kills -lt "$kills" ]; then
      ring_host r kill
      done_kills=$((done_kills + 1))
    fi
    sleep "$(awk "BEGIN { srand ($done_kills + $$); print 0.1 + rand () }")"
  done
  guest_wait g 600 "$sent" "$1"
  [ "$(guest_value g bad_pages)" = 0 ] || fail "$(cat "$dir/g.reply")"
}
kill_while "hog a fill 320"
while [ $done_kills -lt "$kills" ]; do
  kill_while "hog a verify"
done
ring_value g resyncs
[ "$value" -ge 2 ] || fail "the guest resynced only $value times"
resyncs=$value

# waits COMMAND...: the host is kept away, or QUIESCED, under load, and back.
waits ()
{
  guest_send g "hog a verify"
  load=$sent
  ring_host r "$@"
  wait_for 30 "the guest sees '$*'" grep -q -e "$gone" "$dir/g.console"
  ! grep -q "^vmswap-done: $load " "$dir/g.out" ||
    fail "the guest did not need its host"
}
gone='the host stops for a while'
waits set quiesce 1
sleep 2
ring_host r peek
case $answer in
  *guest_state=3*host_state=2*) ;;
  *) fail "no QUIESCED guest: $answer" ;;
esac
before=$answer
sleep 1
ring_host r peek
[ "$(echo "$before" | sed 's/ complete_head.*//')" = \
  "$(echo "$answer" | sed 's/ complete_head.*//')" ] ||
  fail "a QUIESCED guest published: $before, $answer"
ring_host r set quiesce 0
guest_wait g 300 "$load" "hog a verify"
[ "$(guest_value g bad_pages)" = 0 ] || fail "$(cat "$dir/g.reply")"

gone='the host has not answered for'
waits pause on
# Hundredths of a second that both CPUs of the guest have run.
guest_spent () { awk '{ print $14 + $15 }' "/proc/$(cat "$dir/g.pid")/stat"; }
spent=$(guest_spent)
sleep 3
spent=$(($(guest_spent) - spent))
[ "$spent" -lt 200 ] || fail "the guest spins while its host is away: $spent"
ring_host r pause off
guest_wait g 300 "$load" "hog a verify"
[ "$(guest_value g bad_pages)" = 0 ] || fail "$(cat "$dir/g.reply")"

ring_host r grow 1024
# shellcheck disable=SC2016
guest_run g 30 'for i in 1 2 3 4 5 6 7 8 9; do
s=$(cat /sys/block/vmswap0/size); [ $s = 2097152 ] && break; sleep 1; done;
echo size=$s'
[ "$(guest_value g size)" = 2097152 ] || fail "the device did not grow"

guest_run g 60 "hog a quit"
guest_run g 60 "vmswap-setup undo"
ring_host r held
[ "${answer#pages=}" -le 64 ] || fail "the pool still holds $answer"
guest_reboot g
echo "vmswap-verdict: kernel=$kernel kills=$done_kills resyncs=$resyncs" \
     "bad_pages=0"
