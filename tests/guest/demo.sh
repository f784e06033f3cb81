#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck disable=SC2046,SC2059
# The demonstration: three real guests, each attached in another way, swap at
# the same time on one pool, and check every byte.  Shows it live and ends with
# a table.  Exit status 0: no page was wrong, and every guest really swapped
# and gave its memory back.
#
# Beside the files of functions.sh, $dir/NAME.sent is the command a guest is
# at, and NAME.peak what its export held at most: "SWAPPED_BYTES HELD_BYTES".

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"

guests='scsi blk nbd'
pool=${VMSWAP_DEMO_POOL:-512M}
kernel=${VMSWAP_DEMO_KERNEL:-6.1}
min_swapped_mib=64

words ()
{
  case $1 in
    scsi) echo 'virtio-scsi disk' ;;
    blk) echo 'virtio-blk disk' ;;
    nbd) echo 'NBD in the guest' ;;
  esac
}

ratio () { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", b ? a / b : 0 }'; }

# Sends a command to every guest at once; all_wait waits for all of them.
all_send ()
{
  for mode in $guests; do
    guest_send "$mode" "$1"
    echo "$sent" >"$dir/$mode.sent"
  done
}

all_wait ()
{
  for mode in $guests; do
    guest_wait "$mode" "$1" "$(cat "$dir/$mode.sent")" "$2"
  done
}

all_done ()
{
  for mode in $guests; do
    guest_said "$mode" "^vmswap-done: $(cat "$dir/$mode.sent") " || return 1
  done
}

# The last that a guest said about its memory: used MiB, swapped MiB.
live_values ()
{
  sed -n 's/^.*vmswap-live: used_mib=\([0-9]*\) swapped_mib=\([0-9]*\).*/\1 \2/p' \
      "$dir/$1.console" | tail -n 1
}

# What the server holds for an export: "SWAPPED_BYTES HELD_BYTES"; keeps the
# peak.
look_at_export ()
{
  nbdinfo --json "$(export_uri "$1")" | jq -r '.exports[0].description' |
    described >"$dir/$1.now"
  read -r now_swapped now_held <"$dir/$1.now"
  read -r peak_swapped peak_held <"$dir/$1.peak"
  if [ "$now_held" -gt "$peak_held" ]; then
    cp "$dir/$1.now" "$dir/$1.peak"
  fi
}

# One look at everything; sets $picture.
look ()
{
  picture=$(printf '%3d s ' $(($(date +%s) - started_at)))
  all_held=0 all_swapped=0
  for mode in $guests; do
    look_at_export "$mode"
    all_held=$((all_held + now_held))
    all_swapped=$((all_swapped + now_swapped))
    set -- $(live_values "$mode")
    picture="$picture $(printf '%s %3d+%-3d' "$mode" "${1:-0}" "${2:-0}")"
  done
  resident=$(server_shmem s)
  if [ "$resident" -gt "$pool_peak" ]; then
    pool_peak=$resident
  fi
  picture="$picture | $((all_swapped / mib)) MiB in a pool of"
  picture="$picture $((resident / mib)) MiB"
  if [ $all_held -ge $mib ]; then
    picture="$picture: $(ratio $all_swapped $all_held)x"
  fi
}

# Shows the picture; is there nothing left to see?
show ()
{
  look
  if [ -t 1 ]; then
    printf '\r\033[K%s' "$picture"
  else
    echo "$picture"
  fi
  all_done || { sleep 0.9; return 1; }
}

# One line of the table; adds to $bad_pages and $idle.
table_row ()
{
  bad=$(guest_value "$1" bad_pages)
  # What the guest freed last is discarded in the background.
  wait_for 60 "guest $1 trims what it freed" guest_trimmed "$1"
  out=$(($(guest_value "$1" swapped_out_pages) / 256))
  in=$(($(guest_value "$1" swapped_in_pages) / 256))
  read -r peak_swapped peak_held <"$dir/$1.peak"
  printf "$row" "$(words "$1")" "$out MiB" "$in MiB" "$trims" "$bad" \
    "$((peak_held / mib)) MiB" "$(ratio "$peak_swapped" "$peak_held")"
  bad_pages=$((bad_pages + bad))
  if [ $out -lt $min_swapped_mib ]; then
    idle="$idle $1"
  fi
}

guest_trimmed ()
{
  guest_run "$1" 30 "counters $(mode=$1; mode_device)"
  trims=$(guest_value "$1" discards)
  [ "$trims" -gt 1 ]
}

pool_emptied ()
{
  left=$(server_shmem s)
  seen="$((left / mib)) MiB resident"
  [ "$left" -le $((pool_peak / 50)) ]
}

# ---

vmswap_nbd=$top_builddir/guest-setup/vmswap-nbd
[ -x "$vmswap_nbd" ] ||
  fail "vmswap-nbd is not built: install libnl-genl-3-dev, configure again"
guest_image "$kernel" "$vmswap_nbd=/usr/sbin/vmswap-nbd"
server_start_tcp s "$plugin" pool="$pool" guest=scsi,size=1G \
  guest=blk,size=1G guest=nbd,size=1G
address=127.0.0.1:$port
uri_base=nbd://$address/ uri_end=''

echo "nbdkit vmswap pool=$pool serves on $address.  Three guests of" \
     "$guest_ram MiB boot (Linux $kernel, QEMU $(guest_accel))."
for mode in $guests; do
  mode_start "$mode" "$mode"
  echo '0 0' >"$dir/$mode.peak"
done
for mode in $guests; do
  mode_ready "$mode"
  mode_swapon "$mode" "$mode"
  guest_run "$mode" 30 'live on'
done
echo "Each fills $fill_mib MiB with pages of known content, checks all of them" \
     "twice, rewrites some, and gives everything back."
echo "(MiB used + swapped in each guest)"

started_at=$(date +%s)
pool_peak=0
# Every guest has pages of its own: one that reads another's would notice.
for mode in $guests; do
  seed=$((${seed:-40} + 1))
  guest_run "$mode" 30 "hog a start $seed"
done
all_send "hog a fill $fill_mib && hog a verify && hog a verify && hog a quit"
wait_for 900 "the guests finish" show
if [ -t 1 ]; then echo; fi

bad_pages=0 idle=''
row='%-24s %12s %11s %6s %10s %9s %6s\n'
all_wait 60 "the workload"
{
  printf "$row" 'attach mode' 'swapped out' 'swapped in' trims 'bad pages' \
    pool ratio
  for mode in $guests; do
    table_row "$mode"
  done
} >"$dir/table"
echo
cat "$dir/table"

all_send "live off; vmswap-setup undo"
all_wait 120 "swapoff"
wait_for 60 "the pool empties after swapoff" pool_emptied
echo
echo "The pool held $((pool_peak / mib)) MiB of host memory at most, and holds" \
     "$((left / mib)) MiB after swapoff in all guests."

[ $bad_pages -eq 0 ] || fail "$bad_pages pages were wrong"
[ -z "$idle" ] || fail "less than $min_swapped_mib MiB were swapped by$idle"
