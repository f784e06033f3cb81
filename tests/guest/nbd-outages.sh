#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A guest that swaps through vmswap-nbd gets over what may happen to its link: a
# server that is away for a while, one that comes back with another size, a
# vmswap-nbd that was killed, and orders to cut what it swaps on.  And giving up
# is possible.
#
#   KERNEL=6.1|6.12; AWAY=SECONDS (default 20)

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"

mode=nbd kernel=${KERNEL:-6.1}
away=${AWAY:-20}
[ -w /dev/shm ] || skip "no tmpfs at /dev/shm"
state=$(mktemp -d /dev/shm/vmswap-guest-XXXXXX)
trap 'clean_status=$?; set +e; rm -rf "$state"; (exit $clean_status); clean_up' EXIT

serve_again ()
{
  rm -f "$dir/s.pid"
  mode_server_again "$plugin" pool=256M guest=web1,size=512M \
    guest=web2,size=64M "state=$state"
}

kill_server ()
{
  kill -9 "$(cat "$dir/s.pid")"
  wait "$(cat "$dir/s.pid")" 2>/dev/null || :
}

# The keeper has said it, on the guest's console.
keeper_said () { grep -q "vmswap-nbd: nbd0: .*$1" "$dir/g.console"; }

# How often it has linked again.
linked () { grep -c 'vmswap-nbd: nbd0: linked again' "$dir/g.console" || :; }
linked_more_than () { [ "$(linked)" -gt "$1" ]; }

# Begins to read back what is swapped; after one answer, so that it is under way.
verify_start ()
{
  guest_send g "hog a verify"
}

verify_wait ()
{
  guest_wait g 600 "$sent" "$1"
  [ "$(guest_value g bad_pages)" = 0 ] || fail "$1: $(cat "$dir/g.reply")"
}

mode_image
mode_server "$plugin" pool=256M guest=web1,size=512M guest=web2,size=64M \
  "state=$state"
mode_boot g web1
guest_run g 60 "vmswap-nbd --probe 10.0.2.2:$port web1"
cat "$dir/g.reply"
mode_swapon g web1
guest_run g 30 "cat /run/vmswap/keeper-nbd0"
keeper=$(cat "$dir/g.reply")
guest_run g 30 "grep -E '^Vm(Lck|RSS)' /proc/$keeper/status"
locked=$(awk '$1 == "VmLck:" { print $2 }' "$dir/g.reply")
say "vmswap-nbd has locked $locked KiB"
[ "$locked" -gt 512 ] || fail "vmswap-nbd is not locked into memory"
[ "$locked" -le 6144 ] || fail "vmswap-nbd has locked $locked KiB"
guest_run g 60 "hog a start 41"
hog_run g 300 "a fill $fill_mib"

# Nobody cuts what the guest swaps on; a second device is another matter.
guest_run g 30 "! vmswap-nbd --disconnect /dev/nbd0"
grep -q 'in use: swapoff it first' "$dir/g.reply" || fail "no word about swapoff"
guest_run g 30 "kill -TERM $keeper"
wait_for 30 "the keeper refuses to end" keeper_said 'still in use, going on'
guest_run g 60 "! vmswap-nbd 10.0.2.2:$port web1 /dev/nbd0"
grep -q 'another vmswap-nbd looks after' "$dir/g.reply" ||
  fail "two keepers: $(cat "$dir/g.reply")"
guest_run g 60 "vmswap-nbd 10.0.2.2:$port web2 /dev/nbd1"
guest_run g 60 "cat /sys/block/nbd1/backend"
grep -q "^vmswap-nbd 10.0.2.2:$port web2\$" "$dir/g.reply" || fail "no label"
guest_run g 60 "vmswap-nbd --disconnect /dev/nbd1 && ! cat /sys/block/nbd1/pid"
hog_run g 600 "a verify"

# The server is away for a while, and comes back with another size first.
before=$(linked)
verify_start
kill_server
wait_for 30 "the keeper notices" keeper_said 'the link is dead'
sleep "$away"
rm -f "$dir/s.pid"
server_run s -i 127.0.0.1 -p "$port" "$plugin" pool=64M guest=web1,size=256M ||
  fail "no other server"
wait_for 60 "the keeper refuses a smaller export" \
  keeper_said 'no link: .* has 268435456 bytes now, and had 536870912'
kill_server
serve_again
wait_for 60 "the keeper links again" linked_more_than "$before"
verify_wait "after $away s without a server"

# The keeper is killed; the next vmswap-setup takes over, with the link alive.
guest_run g 30 "kill -9 $keeper"
guest_run g 60 "vmswap-setup status"
grep -q 'hint: nothing reconnects' "$dir/g.reply" || fail "status is content"
guest_run g 60 "vmswap-setup nbd --once 10.0.2.2:$port web1"
before=$(linked)
kill_server
serve_again
wait_for 60 "the new keeper links again" linked_more_than "$before"
hog_run g 600 "a verify"

# Giving up, on a device that swaps and whose server is gone.  (It holds
# nothing: else this guest's init might be the one to lose its memory.)
guest_run g 60 "hog a quit"
guest_run g 120 "vmswap-setup undo"
guest_run g 60 "! cat /sys/block/nbd0/pid && ! cat /run/vmswap/nbd0"
guest_run g 60 "vmswap-setup nbd --once 10.0.2.2:$port web2 /dev/nbd1"
kill_server
guest_run g 60 "! vmswap-nbd --disconnect /dev/nbd1"
guest_run g 60 "vmswap-nbd --disconnect --force /dev/nbd1"
guest_run g 60 "swapoff /dev/nbd1 && ! cat /sys/block/nbd1/pid"
grep -q 'vmswap-nbd: nbd1: given up' "$dir/g.console" || fail "who gave up?"
guest_reboot g
echo "vmswap-verdict: mode=$mode kernel=$kernel away_s=$away locked_kib=$locked" \
     "linked_again=$(linked) bad_pages=0"
