# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2046,SC2154
# The life of a guest that swaps on vmswap, in one attach mode, on one kernel.
#
# A guest boots, is set up by vmswap-setup, fills twice its memory and
# checks it twice; gives it back, and the pool must shrink; stops swapping
# under load, and the pool must empty; swaps again, reboots with the swap in
# use, and swaps once more on what is there, without mkswap.  No page may be
# wrong, and the kernel may not complain.
#
# Sourced after functions.sh.  A mode is scsi, blk, nbd (vmswap-nbd in the guest),
# client (nbd-client in the guest) or ivshmem; see mode_boot.

ram_mib=$guest_ram
fill_mib=$((ram_mib * 2))
mib=1048576

# What the pool may hold beyond the live data and 5 %: its fixed tables, the
# segments that are open for writing and those kept ready.
pool_slack=$((4 * mib))

mode_device ()
{
  case $mode in
    scsi) echo sda ;;
    blk) echo vda ;;
    nbd | client) echo nbd0 ;;
    ivshmem) echo vmswap0 ;;
  esac
}

# The initramfs items a mode needs.
mode_image ()
{
  case $mode in
    scsi) guest_image "$kernel" ;;
    blk)
      requires udevadm
      guest_image "$kernel" "$(realpath "$(command -v udevadm)")" \
        "$(realpath "$(command -v udevadm)")=/lib/systemd/systemd-udevd" \
        "$top_srcdir/guest-setup/udev/60-vmswap.rules=/usr/lib/udev/rules.d/60-vmswap.rules"
      ;;
    nbd)
      vmswap_nbd=$top_builddir/guest-setup/vmswap-nbd
      [ -x "$vmswap_nbd" ] ||
        skip "vmswap-nbd is not built: install libnl-genl-3-dev, configure again"
      guest_image "$kernel" "$vmswap_nbd=/usr/sbin/vmswap-nbd"
      ;;
    client)
      requires nbd-client
      guest_image "$kernel" "$(command -v nbd-client)"
      ;;
    ivshmem)
      module_build "$kernel"
      guest_image "$kernel" "$module_item"
      ;;
  esac
}

# export_settings NAME SIZE: what the server is told about a guest.
export_settings ()
{
  case $mode in
    ivshmem) echo "guest=$1,size=$2,ivshmem=$dir/$1.ring,region=8M" ;;
    *) echo "guest=$1,size=$2" ;;
  esac
}

# mode_server EXPORT_ARGUMENT...: starts server "s"; sets $uri_base.
mode_server ()
{
  case $mode in
    nbd | client)
      server_start_tcp s "$@"
      address=127.0.0.1:$port
      uri_base="nbd://$address/"
      uri_end=''
      ;;
    *)
      server_start s "$@"
      address=$dir/s.sock
      uri_base='nbd+unix:///'
      uri_end="?socket=$address"
      ;;
  esac
}

# mode_server_again EXPORT_ARGUMENT...: after the server's end, where it was.
mode_server_again ()
{
  case $mode in
    nbd | client)
      server_run s -i 127.0.0.1 -p "$port" "$@" ||
        fail "nbdkit does not start again: $(tail -n 3 "$dir/s.log")"
      ;;
    *) server_start s "$@" ;;
  esac
}

export_uri () { echo "$uri_base$1$uri_end"; }

# mode_boot NAME EXPORT: boots a guest that has, or can get, this export.
mode_boot ()
{
  mode_start "$1" "$2"
  mode_ready "$1"
}

mode_start ()
{
  case $mode in
    scsi | blk)
      guest_boot "$1" $(recipe "qemu-virtio-$mode.args" "$2" "$address")
      ;;
    nbd | client)
      guest_boot "$1" -netdev user,id=net0 \
        -device virtio-net-pci,netdev=net0,romfile=
      ;;
    ivshmem) guest_boot "$1" $(ring_arguments "$dir/$2.ring") ;;
  esac
}

mode_ready ()
{
  guest_ready "$1"
  case $mode in
    nbd | client) guest_run "$1" 60 network ;;
  esac
}

# mode_swapon NAME EXPORT: sets the guest up with vmswap-setup.
mode_swapon ()
{
  case $mode in
    scsi | blk) guest_run "$1" 60 "vmswap-setup disk" ;;
    nbd | client)
      guest_run "$1" 60 "vmswap-setup nbd --once 10.0.2.2:$port $2"
      ;;
    ivshmem) guest_run "$1" 60 "vmswap-setup ivshmem" ;;
  esac
}

# The udev rule, run by the real udevd, makes the disk non-rotational.
check_udev_rule ()
{
  guest_run "$1" 30 'cat /sys/block/vda/queue/rotational'
  [ "$(cat "$dir/$1.reply")" = 1 ] ||
    fail "a virtio-blk disk is not rotational to begin with: test outdated?"
  guest_run "$1" 60 "/lib/systemd/systemd-udevd --daemon &&
udevadm trigger --action=add --subsystem-match=block &&
udevadm settle --timeout=50"
  guest_run "$1" 30 'cat /sys/block/vda/queue/rotational'
  [ "$(cat "$dir/$1.reply")" = 0 ] ||
    fail "60-vmswap.rules did not make the disk non-rotational"
}

# What the server says it holds, from the description of the export:
# "vmswap NAME SIZE: N swapped in N of RAM", sizes as nbdkit writes them.
export_held_bytes ()
{
  nbdinfo --json "$(export_uri "$1")" |
    jq -r '.exports[0].description' >"$dir/description"
  set -- $(described <"$dir/description")
  [ -n "${2:-}" ] ||
    fail "the export's description is '$(cat "$dir/description")'"
  echo "$2"
}

# Descriptions, one per line, as "SWAPPED_BYTES HELD_BYTES".
described ()
{
  sed -n -e 's/.*: empty$/0 0/p' \
    -e 's/.*: \([^ ]*\) swapped in \([^ ]*\) of RAM$/\1 \2/p' |
    numfmt --field=1,2 --from=iec
}

# Has the server's memory come down to the live data, that is: what it says it
# holds for the export, and 5 %?
pool_is_tight ()
{
  held=$(export_held_bytes web1)
  shmem=$(server_shmem s)
  seen="$((held / mib)) MiB held, $((shmem / mib)) MiB resident"
  [ "$shmem" -le $((held + held / 20 + pool_slack)) ]
}

# Nothing but the swap header, or next to nothing, is left on the server.
export_is_empty ()
{
  [ "$(export_held_bytes web1)" -le $((mib / 4)) ] && pool_is_tight
}

# hog_run NAME SECONDS COMMAND: fails the test on the first bad page.
hog_run ()
{
  guest_run "$1" "$2" "hog $3"
  bad=$(guest_value "$1" bad_pages)
  [ "$bad" = 0 ] || fail "hog $3: $bad bad pages"
}

# Adds what the kernel of this boot counted to the totals.
count ()
{
  guest_run "$1" 30 "counters $(mode_device)"
  out_pages=$((out_pages + $(guest_value "$1" swapped_out_pages)))
  in_pages=$((in_pages + $(guest_value "$1" swapped_in_pages)))
  discards=$((discards + $(guest_value "$1" discards)))
  ring_count "$1"
}

# The same for the driver of the ring, whose counters go with the module.
ring_count ()
{
  [ "$mode" = ivshmem ] || return 0
  # shellcheck disable=SC2016
  guest_run "$1" 30 'for f in posted filled requested; do
echo "$f=$(cat /sys/block/vmswap0/vmswap/writes_$f)"; done'
  for kind in posted filled requested; do
    ring_pages=$((ring_pages + $(guest_value "$1" $kind)))
  done
}

fill_and_verify ()
{
  guest_run g 60 "hog a start 7"
  hog_run g 300 "a fill $fill_mib"
  peak_shmem=$(server_shmem s)
  peak_data=$(export_data_bytes "$(export_uri web1)")
  peak_held=$(export_held_bytes web1)
  say "filled: $((peak_data / mib)) MiB of data on the server," \
      "$((peak_held / mib)) MiB held, $((peak_shmem / mib)) MiB resident"
  # One page in 16 is zero, and the guest's memory holds the rest.
  [ "$peak_data" -ge $(((fill_mib * 15 / 16 - ram_mib) * mib)) ] ||
    fail "the server has only $peak_data bytes of the guest's swap"
  hog_run g 600 "a verify"
  hog_run g 600 "a verify"
}

release_and_shrink ()
{
  guest_run g 60 "counters $(mode_device)"
  discards_before=$(guest_value g discards)
  guest_run g 60 "hog a quit"
  wait_for 60 "the pool shrinks after the workload is gone" pool_shrank
  guest_run g 60 "counters $(mode_device)"
  discards_since=$(($(guest_value g discards) - discards_before))
  if [ "$mode" = ivshmem ]; then
    [ $discards_since -eq 0 ] || fail "the guest discarded: it need not"
  else
    [ $discards_since -gt 0 ] || fail "the guest sent no discards"
  fi
  say "released: $((held / mib)) MiB held, $((shmem / mib)) MiB resident," \
      "$(($(guest_value g discards) - discards_before)) discards"
}

# The kernel discards runs of 2 MiB that are free from end to end; what little
# is still swapped, and the free pages between, stay.  Over ivshmem it tells of
# every page.
pool_shrank ()
{
  case $mode in
    ivshmem) pool_is_tight && [ "$held" -lt $((peak_held / 20)) ] ;;
    *) pool_is_tight && [ "$held" -le $((peak_held / 2)) ] ;;
  esac
}

# A workload that fits into memory, but was pushed out, is checked and
# rewritten while swapoff brings it back.
swapoff_under_load ()
{
  guest_run g 60 "hog a start 8 && hog b start 9"
  hog_run g 200 "a fill 64"
  hog_run g 200 "b fill 160"
  guest_run g 60 "hog b quit"
  guest_run g 60 "awk '/^.dev/ { print \"used_kib=\" \$4 }' /proc/swaps"
  used_kib=$(guest_value g used_kib)
  [ "$used_kib" -ge 16384 ] ||
    fail "only $used_kib KiB are swapped: nothing to bring back"
  hog_run g 60 "a churn on"
  ring_count g
  guest_run g 300 "vmswap-setup undo"
  hog_run g 300 "a churn off"
  guest_run g 60 "! grep -q '^.dev' /proc/swaps"
  hog_run g 300 "a verify"
  guest_run g 60 "hog a quit"
  wait_for 60 "the pool is empty after swapoff" export_is_empty
  say "swapoff under load: $((used_kib / 1024)) MiB brought back," \
      "$((shmem / mib)) MiB resident"
}

# The guest dies with its swap in use; the next boot swaps without mkswap.
reboot_and_swap ()
{
  mode_swapon g web1
  guest_run g 60 "hog a start 10"
  hog_run g 300 "a fill 200"
  count g
  guest_reboot g
  stale=$(export_held_bytes web1)
  [ "$stale" -gt 0 ] || fail "nothing was swapped when the guest rebooted"
  mode_boot g web1
  mode_swapon g web1
  wait_for 60 "swapon drops what the last boot left behind" export_is_empty
  guest_run g 60 "hog a start 11"
  hog_run g 300 "a fill 200"
  hog_run g 300 "a verify"
  guest_run g 60 "hog a quit"
  count g
  guest_reboot g
  say "rebooted: $((stale / mib)) MiB left behind were dropped"
}

# What went over the wire, from the statistics of the server alone; over a ring,
# from those of the driver.
check_server_side ()
{
  server_stop s
  if [ "$mode" = ivshmem ]; then
    written_mib=$((ring_pages / 256))
  else
    written_mib=$(wire_mib)
  fi
  # From Linux 6.12 on, a guest counts pages of zeroes but does not send them.
  wanted_mib=$((out_pages * 8 / 2560))
  [ "${written_mib:-0}" -ge $wanted_mib ] ||
    fail "the server saw ${written_mib:-no} MiB of writes, of" \
         "$((out_pages / 256)) that the guest swapped out: $(cat "$dir/stats")"
}

wire_mib ()
{
  awk '
    /^write:/ {
      for (i = 2; i <= NF; ++i)
        if ($i ~ /^[KMGT]?i?B/ || $i ~ /^bytes/) {
          unit = $i; value = $(i - 1); break
        }
      if (unit ~ /^K/) value /= 1024
      else if (unit ~ /^G/) value *= 1024
      else if (unit ~ /^[Bb]/) value /= 1048576
      print int (value)
    }' "$dir/stats"
}

# attach_test MODE KERNEL
attach_test ()
{
  mode=$1 kernel=$2
  out_pages=0 in_pages=0 discards=0 ring_pages=0
  mode_image
  # shellcheck disable=SC2086
  mode_server --filter=stats "$plugin" pool=256M ${parameters:-} \
    "$(export_settings web1 512M)" statsfile="$dir/stats"
  mode_boot g web1
  say "guest is up: $(guest_accel), $(sed -n 's/^vmswap-ready: //p' "$dir/g.out")"
  if [ "$mode" = blk ]; then
    check_udev_rule g
  fi
  if [ "$mode" = ivshmem ]; then
    # The region is shared memory of the server's, too.
    pool_slack=$((pool_slack + 8 * mib))
  fi
  mode_swapon g web1
  guest_run g 30 "vmswap-setup status"
  cat "$dir/g.reply"
  if [ "$mode" = client ]; then
    # It knows what nbd-client cannot do.
    [ "$(grep hint "$dir/g.reply" | cut -c 1-25)" = \
      '  hint: nothing reconnects' ] ||
      fail "vmswap-setup has another opinion of nbd-client"
  else
    ! grep hint "$dir/g.reply" || fail "vmswap-setup is not content"
  fi
  mode_swapon g web1
  grep -q 'swaps already' "$dir/g.reply" ||
    fail "vmswap-setup did something the second time: $(cat "$dir/g.reply")"

  fill_and_verify
  release_and_shrink
  swapoff_under_load
  reboot_and_swap
  check_server_side
  echo "vmswap-verdict: mode=$mode kernel=$kernel" \
       "swapped_out_mib=$((out_pages / 256))" \
       "swapped_in_mib=$((in_pages / 256)) discards=$discards" \
       "server_written_mib=$written_mib bad_pages=0"
}
