#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The server is killed, at random moments, while a guest swaps, and started
# again on the same state=: the guest waits, and goes on without a bad page.
#
#   KILLS=N (default 6); MODE=scsi|blk|nbd; KERNEL=6.1|6.12; SIGNAL=9|TERM

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"

mode=${MODE:-scsi} kernel=${KERNEL:-6.1}
kills=${KILLS:-6} signal=${SIGNAL:-9}
[ -w /dev/shm ] || skip "no tmpfs at /dev/shm"
state=$(mktemp -d /dev/shm/vmswap-guest-XXXXXX)
trap 'clean_status=$?; set +e; rm -rf "$state"; (exit $clean_status); clean_up' EXIT

serve ()
{
  mode_server "$plugin" pool=256M guest=web1,size=512M "state=$state"
}

# On the same address.
serve_again ()
{
  rm -f "$dir/s.sock" "$dir/s.pid"
  mode_server_again "$plugin" pool=256M guest=web1,size=512M "state=$state"
}

# A moment between 0.1 and 1.6 s, for the server to be anywhere.
some_moment ()
{
  sleep "$(awk "BEGIN { srand ($1); print 0.1 + 1.5 * rand () }")"
}

killed=0
slowest=0
# Kills and restarts the server until the guest has answered.
kill_while ()
{
  guest_send g "$1"
  while ! grep -q "^vmswap-done: $sent " "$dir/g.out"; do
    [ $killed -lt "$kills" ] || break
    some_moment "$((killed + $$))"
    kill -"$signal" "$(cat "$dir/s.pid")"
    wait "$(cat "$dir/s.pid")" 2>/dev/null || :
    killed=$((killed + 1))
    down=$(date +%s%N)
    serve_again
    down=$((($(date +%s%N) - down) / 1000000))
    [ $down -le $slowest ] || slowest=$down
  done
  guest_wait g 600 "$sent" "$1"
}

mode_image
serve
mode_boot g web1
mode_swapon g web1
guest_run g 30 "hog a start 31"
kill_while "hog a fill $fill_mib"
round=0
while [ $killed -lt "$kills" ] || [ $round -lt 2 ]; do
  kill_while "hog a verify"
  [ "$(guest_value g bad_pages)" = 0 ] || fail "$(cat "$dir/g.reply")"
  round=$((round + 1))
done
guest_run g 60 "hog a quit"
guest_run g 30 "counters $(mode_device)"
out=$(($(guest_value g swapped_out_pages) / 256))
[ $out -ge $ram_mib ] || fail "the guest swapped out only $out MiB"
guest_run g 120 "vmswap-setup undo"
wait_for 60 "the pool is empty after swapoff" export_is_empty
guest_reboot g
if [ "$mode" = nbd ]; then
  again=$(grep -c 'vmswap-nbd: nbd0: linked again' "$dir/g.console" || :)
  [ "$again" -gt 0 ] || fail "vmswap-nbd never linked again"
  say "vmswap-nbd says $again times that it linked again, at last after" \
      "$(sed -n 's/.*linked again after //p' "$dir/g.console" | tail -n 1)"
fi
echo "vmswap-verdict: mode=$mode kernel=$kernel kills=$killed signal=$signal" \
     "slowest_restart_ms=$slowest swapped_out_mib=$out bad_pages=0"
