#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The module unloads while its host's answer is late, and leaves nothing behind:
# a host that comes while it unloads, at any moment; one that comes when the
# removal has looked for a disk already (a copy of the source has that moment
# last for seconds); and one whose answer is a lie, so that there is no disk.
#
#   KERNEL=6.1|6.12  ROUNDS=6

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/ring-host-test.sh"

kernel=${KERNEL:-6.12} rounds=${ROUNDS:-6}
guest_append=$kernel_checks
ring_host_start r 8 512
ring_boot g r "$kernel"

# unloaded WHAT: no module, no disk, and the next one is sound.
unloaded ()
{
  guest_run g 30 "[ ! -e /sys/module/vmswap_ivshmem ] &&
[ ! -e /sys/block/vmswap0 ] && ! grep vmswap /proc/partitions"
  say "$1: nothing is left"
}

sound ()
{
  guest_run g 60 "vmswap-setup ivshmem"
  guest_run g 30 "hog a start 71"
  guest_run g 300 "hog a fill 200"
  guest_run g 300 "hog a verify"
  [ "$(guest_value g bad_pages)" = 0 ] || fail "$(cat "$dir/g.reply")"
  guest_run g 60 "hog a quit"
  guest_run g 60 "vmswap-setup undo"
  guest_run g 30 "[ ! -e /sys/module/vmswap_ivshmem ]"
}

round=0
while [ $round -lt "$rounds" ]; do
  round=$((round + 1))
  ring_host r pause on
  guest_run g 60 "modprobe vmswap_ivshmem && [ ! -e /sys/block/vmswap0 ]"
  guest_send g "rmmod vmswap_ivshmem"
  sleep "$(awk "BEGIN { srand ($round + $$); print rand () / 10 }")"
  ring_host r pause off
  guest_wait g 60 "$sent" "rmmod while the host comes"
  unloaded "round $round"
done
sound

# The session ends before it has begun.
ring_host r set tail 1
guest_run g 60 "modprobe vmswap_ivshmem && [ ! -e /sys/block/vmswap0 ]"
wait_for 30 "the driver sees that the host lies" \
  grep -q 'post_tail is not post_head after an attach' "$dir/g.console"
guest_run g 60 "rmmod vmswap_ivshmem"
ring_host r set tail 0
unloaded "the session did not begin"
guest_reboot g
end_process "$(cat "$dir/r.pid")"
rm -f "$dir"/r.* "$dir"/g.*

# The same source, but for one pause.
wide=$dir/wide
mkdir "$wide" "$wide/proto"
cp "$top_srcdir"/guest-setup/module/* "$wide"
cp "$top_srcdir"/proto/*.h "$wide/proto"
sed -i -e '/^#include <linux\/random.h>/i #include <linux/delay.h>' \
  -e '/^\tstate_set(dev, VMSWAP_REMOVED/i \
\tdev_warn(\&dev->pdev->dev, "the pause begins\\n"); msleep(4000);' \
  "$wide/session.c"
[ "$(grep -c -e 'the pause begins' -e delay.h "$wide/session.c")" = 2 ] ||
  fail "the removal has changed: where does it pause?"
make -s -C "$module_headers" "M=$wide" modules >"$dir/wide.log" 2>&1 ||
  fail "the copy was not built"
ring_host_start r 8 512
ring_host r pause on
guest_image "$kernel" \
  "$wide/vmswap_ivshmem.ko=${module_item#*=}"
# shellcheck disable=SC2046
guest_boot g $(ring_arguments "$dir/r.sock")
guest_ready g
guest_run g 60 "modprobe vmswap_ivshmem && [ ! -e /sys/block/vmswap0 ]"
guest_send g "rmmod vmswap_ivshmem"
wait_for 30 "the removal pauses" grep -q 'the pause begins' "$dir/g.console"
ring_host r pause off
guest_wait g 60 "$sent" "rmmod that pauses"
unloaded "the removal paused"
sound
guest_reboot g
echo "vmswap-verdict: kernel=$kernel rounds=$rounds bad_pages=0"
