#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Two guests swap at once, on two exports of one pool: neither sees a page of
# the other, and each gets its memory back.  The second has a virtio-blk disk
# and no udev: vmswap-setup alone makes it non-rotational.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"

mode=scsi kernel=6.1
mode_image
mode_server "$plugin" pool=256M guest=web1,size=512M guest=web2,size=512M
mode_boot g web1
# shellcheck disable=SC2046
guest_boot h $(recipe qemu-virtio-blk.args web2 "$address")
guest_ready h
for guest in g h; do
  guest_run $guest 60 "vmswap-setup disk"
done
guest_run h 30 'vmswap-setup status'
! grep hint "$dir/h.reply" || fail "vmswap-setup is not content"

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
both 300 "hog a fill 240" "hog a fill 240"
say "filled: $(nbdinfo --json "$(export_uri web1)" | jq -r '.exports[0].description')," \
    "$(nbdinfo --json "$(export_uri web2)" | jq -r '.exports[0].description')"
both 600 "hog a verify" "hog a verify"
both 600 "hog a verify" "hog a verify"
both 60 "hog a quit" "hog a quit" ""
both 30 "counters sda" "counters vda" ""
swapped=
for guest in g h; do
  out=$(($(guest_value $guest swapped_out_pages) / 256))
  [ $out -ge 64 ] || fail "guest $guest swapped out only $out MiB"
  [ "$(guest_value $guest discards)" -gt 1 ] ||
    fail "guest $guest sent no discards"
  swapped="$swapped${swapped:+,}$out"
done
both 120 "vmswap-setup undo" "vmswap-setup undo" ""
wait_for 60 "the pool is empty after swapoff" export_is_empty
guest_reboot g
guest_reboot h
echo "vmswap-verdict: mode=scsi+blk kernel=$kernel swapped_out_mib=$swapped" \
     "bad_pages=0"
