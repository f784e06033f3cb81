#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A host that lies does no harm to the guest's kernel: lies about what the driver
# can see through, or need not believe, cost not even a page; the others end the
# session with a reason, I/O fails, and the module unloads and loads again.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/ring-host-test.sh"

kernel=${KERNEL:-6.12}
guest_append=$kernel_checks
ring_host_start r 8 512
ring_boot g r "$kernel"
guest_run g 60 "vmswap-setup ivshmem"
guest_run g 30 "hog a start 51"
guest_run g 300 "hog a fill 240"

# Lies that cost nothing.
survived=0
for lie in 'completes 1' 'completes 2' 'pages 1' 'pages 2' 'geometry 1' \
           'events 1' 'sequence 1' 'sequence 2' 'interrupts 1'; do
  # shellcheck disable=SC2086
  ring_host r set $lie
  guest_run g 600 "hog a verify"
  [ "$(guest_value g bad_pages)" = 0 ] || fail "$lie: $(cat "$dir/g.reply")"
  ring_becomes g state live "$lie"
  ring_host r set "${lie% *}" 0
  survived=$((survived + 1))
done
say "$survived lies cost nothing"
guest_run g 60 "hog a quit"
guest_run g 60 "vmswap-setup undo"
guest_reboot g

# Lies that end the session: the host is a new one each time.
guest_expects_end ()
{
  for words in 'I/O error' 'rror on swap-device'; do
    guest_expects g "$words"
  done
}
ended=0
for lie in 'tail 1' 'tail 2' 'dead 1' 'dead 5' 'generation 1' 'session 1'; do
  end_process "$(cat "$dir/r.pid")"
  rm -f "$dir"/r.*
  ring_host_start r 8 512
  ring_boot g r "$kernel"
  guest_expects_end
  guest_run g 60 "vmswap-setup ivshmem"
  if [ "$lie" = 'generation 1' ]; then ring_host r set geometry 1; fi
  # shellcheck disable=SC2086
  ring_host r set $lie
  ring_becomes g state dead "$lie"
  guest_run g 60 "! dd if=/dev/vmswap0 of=/dev/null bs=4096 count=1 \
iflag=direct 2>/dev/null"
  guest_run g 60 "swapoff /dev/vmswap0 && rmmod vmswap_ivshmem"
  ring_host r set "${lie% *}" 0
  ring_host r set geometry 0
  # DEAD for BROKEN is over when a driver starts anew.
  if [ "$lie" = 'dead 1' ]; then
    guest_run g 60 "vmswap-setup ivshmem"
    ring_becomes g state live "after $lie"
  fi
  guest_reboot g
  ended=$((ended + 1))
done
echo "vmswap-verdict: kernel=$kernel survived=$survived ended=$ended"
