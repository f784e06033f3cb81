#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The device of a ring goes while the guest swaps on it as fast as it can: its
# driver is unbound, or the device is unplugged, with the server alive or killed (and
# no keeper).  That ends, no page is bad (those that were out are errors), and the
# kernel stays sound: bound anew, the device is swapped on again; and so it is by
# the next guest.
#
#   KERNEL=6.1|6.12

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"

mode=ivshmem kernel=${KERNEL:-6.1}
# Neither programs nor this guest's shell are swapped: they must outlive the device.
guest_append="$kernel_checks VMSWAP_CALM=1 rootfstype=ramfs"
# busybox' swapon knows no priorities.
requires swapon
module_build "$kernel"
guest_image "$kernel" "$module_item" "$(command -v swapon)=/usr/sbin/swapon"
serve ()
{
  rm -f "$dir/s.sock" "$dir/s.pid"
  mode_server "$plugin" pool=256M "$(export_settings web1 512M)"
}

# A guest that swaps on vmswap0.
boot ()
{
  guest_boot g -qmp "unix:$dir/g.qmp,server=on,wait=off" \
    -chardev "socket,path=$dir/web1.ring,id=ring1" \
    -device ivshmem-doorbell,chardev=ring1,vectors=1,id=vmswap1
  guest_ready g
  for words in 'rror on swap-device' 'I/O error'; do
    guest_expects g "$words"
  done
  guest_run g 60 "vmswap-setup ivshmem"
  guest_run g 60 "hog a start 61"
  guest_run g 60 "hog a mercy on"
  hog_run g 300 "a fill $fill_mib"
  hog_run g 60 "a churn on"
}

qmp () { "$srcdir/guest-qmp.py" "$dir/g.qmp" "$@" >"$dir/qmp.log" 2>&1; }

# gone: what was swapped out is lost, and nothing else is wrong.  Sets $lost.
gone ()
{
  hog_run g 300 "a churn off"
  # What is in memory cannot be swapped out any more: a part of it makes room for
  # those that are to be read.
  hog_run g 60 "a keep $((fill_mib * 3 / 4))"
  hog_run g 600 "a check"
  lost=$(guest_value g bus_errors)
  [ "$lost" -ge 4096 ] || fail "only $lost pages were out"
  hog_run g 60 "a keep 16"
  hog_run g 60 "a rewrite"
  hog_run g 60 "a check"
  guest_run g 60 "hog a quit"
  guest_run g 60 "! [ -e /dev/vmswap0 ]"
}

# again NAME: it can be swapped on the next device; the old one counts as swap to
# the kernel for as long as it runs.
again ()
{
  guest_run g 60 "until [ -b /dev/$1 ]; do sleep 0.1; done"
  guest_run g 60 "mkswap /dev/$1 && /usr/sbin/swapon -d -p 200 /dev/$1"
  guest_run g 60 "hog b start 62"
  hog_run g 300 "b fill 240"
  hog_run g 300 "b verify"
  guest_run g 60 "hog b quit"
  guest_run g 60 "swapoff /dev/$1"
}

serve
boot
driver=/sys/bus/pci/drivers/vmswap_ivshmem
guest_run g 120 "cd $driver && slot=\$(echo 0000:*) && echo \$slot >unbind; cd /"
gone
say "unbound: $lost pages were lost"
unbound=$lost
guest_run g 60 "echo \$slot >$driver/bind"
again vmswap1
guest_reboot g

boot
qmp unplug vmswap1 || fail "$(cat "$dir/qmp.log")"
gone
say "unplugged: $lost pages were lost"
unplugged=$lost
guest_reboot g

# The server is killed, and nobody has kept the region: the guest waits.
boot
guest_run g 10 "echo 1 >/sys/module/vmswap_ivshmem/parameters/detach_seconds"
kill -9 "$(cat "$dir/s.pid")"
wait "$(cat "$dir/s.pid")" 2>/dev/null || :
wait_for 60 "the guest sees that its host is away" \
  grep -q 'the host has not answered for' "$dir/g.console"
serve
qmp unplug vmswap1 || fail "$(cat "$dir/qmp.log")"
gone
say "the server was killed: $lost pages were lost"
guest_reboot g
# QEMU 7.2, without KVM, does not outlive a second device: the guest is restarted.
boot
hog_run g 300 "a churn off"
hog_run g 600 "a verify"
[ "$(guest_value g bus_errors)" = 0 ] || fail "$(cat "$dir/g.reply")"
guest_run g 60 "hog a quit"
guest_reboot g
echo "vmswap-verdict: mode=ivshmem kernel=$kernel lost_unbound=$unbound" \
     "lost_unplugged=$unplugged lost_killed=$lost bad_pages=0"
