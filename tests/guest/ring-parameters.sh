#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A parameter of the module that is out of range is refused, when it is loaded and
# while it runs, and the kernel's log names the range.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/ring-host-test.sh"

kernel=${KERNEL:-6.12}
ring_host_start r 8 512
ring_boot g r "$kernel"
for setting in spin_us=1001 spin_us=-1 detach_seconds=86401 \
               detach_seconds=17179870 detach_seconds=x; do
  guest_run g 30 "! modprobe vmswap_ivshmem $setting 2>/dev/null"
done
guest_run g 60 "modprobe vmswap_ivshmem spin_us=1000 detach_seconds=86400"
guest_run g 10 "cd /sys/module/vmswap_ivshmem/parameters; cat spin_us detach_seconds"
[ "$(tr '\n' ' ' <"$dir/g.reply")" = '1000 86400 ' ] ||
  fail "they are $(cat "$dir/g.reply")"
for name in spin_us detach_seconds; do
  grep -q "vmswap_ivshmem: $name is a number from 0 to [18][0-9]*" \
    "$dir/g.console" || fail "no word about the range of $name"
  guest_run g 10 "! echo 86401 >$name && echo 5 >$name && [ \$(cat $name) = 5 ]"
done
guest_run g 30 "cd /; rmmod vmswap_ivshmem"
guest_reboot g
echo "vmswap-verdict: kernel=$kernel refused=7"
