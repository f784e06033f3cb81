#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A guest that swaps on a ring neither suspends to memory nor hibernates: it says
# why, and swaps on.  When nothing is on the disk it suspends, wakes up, and swaps
# on it again.
#
#   KERNEL=6.1|6.12  ROUNDS=5

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"

mode=ivshmem kernel=${KERNEL:-6.12} rounds=${ROUNDS:-5}
guest_append=$kernel_checks
mode_server "$plugin" pool=256M "$(export_settings web1 512M)"
mode_image
# shellcheck disable=SC2046
guest_boot g $(ring_arguments "$dir/web1.ring") \
  -global PIIX4_PM.disable_s3=0 -global PIIX4_PM.disable_s4=0 \
  -qmp "unix:$dir/g.qmp,server=on,wait=off"
guest_ready g
guest_run g 30 "grep -q mem /sys/power/state" || skip "kernel $kernel cannot suspend"

# swapped: twice what the guest has, right.
swapped ()
{
  guest_run g 30 "hog a start 81"
  hog_run g 300 "a fill 200"
  hog_run g 300 "a verify"
  guest_run g 60 "hog a quit"
}

# refused HOW: the system does not go to sleep.
refused ()
{
  guest_run g 120 "! echo $1 >/sys/power/state"
  said=$((said + 1))
  [ "$(grep -c 'can neither suspend nor hibernate while vmswap0' "$dir/g.console")" \
    -eq $said ] || fail "$1: the driver does not say why"
  guest_run g 30 "cat /sys/block/vmswap0/vmswap/state"
  [ "$(cat "$dir/g.reply")" = live ] || fail "$1: $(cat "$dir/g.reply")"
}

said=0
guest_run g 60 "vmswap-setup ivshmem"
guest_run g 30 "hog b start 82"
hog_run g 300 "b fill 240"
refused mem
guest_run g 30 "if grep -q disk /sys/power/state; then echo disks=1; fi"
hibernates=$(guest_value g disks)
if [ "$hibernates" = 1 ]; then
  guest_run g 30 "echo shutdown >/sys/power/disk"
  refused disk
fi
hog_run g 300 "b verify"
guest_run g 60 "hog b quit"

guest_run g 60 "swapoff /dev/vmswap0"
round=0
while [ $round -lt "$rounds" ]; do
  round=$((round + 1))
  guest_send g "echo mem >/sys/power/state"
  "$srcdir/guest-qmp.py" "$dir/g.qmp" wake >"$dir/qmp.log" 2>&1 ||
    fail "$(cat "$dir/qmp.log")"
  guest_wait g 120 "$sent" "the guest wakes up"
done
guest_run g 30 "cat /sys/block/vmswap0/vmswap/state"
[ "$(cat "$dir/g.reply")" = live ] || fail "after $rounds sleeps: $(cat "$dir/g.reply")"
guest_run g 60 "swapon /dev/vmswap0"
swapped
guest_reboot g
server_stop s
echo "vmswap-verdict: mode=ivshmem kernel=$kernel refused=$said slept=$rounds bad_pages=0"
