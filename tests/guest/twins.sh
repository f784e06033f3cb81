#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck disable=SC2046
# Two guests that were restored from one RAM image swap out the same pages.  In
# one group the pool holds little more than one guest's; without a group, and
# in two, each guest shares with itself alone.  No page is wrong: not after the
# server was killed, nor when one of the twins has overwritten all of its pages.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"
. "$srcdir/twins-common.sh"

mode=scsi kernel=6.1
guest_ram=256
# Nothing but the workload swaps: the shell that obeys stays in memory.
guest_append='VMSWAP_CALM=1 rootfstype=ramfs'
# Workload b writes what the first pages of workload a are, so that each guest
# has something to share with itself.
a_mib=100 b_mib=12
b_pages=$((b_mib * 256))
image=$dir/image
group=/sys/fs/cgroup/twin

[ -w /dev/shm ] || skip "no tmpfs at /dev/shm"
[ -x "$vmswapctl" ] || fail "$vmswapctl is not built"
state=$(mktemp -d /dev/shm/vmswap-guest-XXXXXX)
trap 'clean_status=$?; set +e; rm -rf "$state"; (exit $clean_status); clean_up' EXIT

# serve GROUP_OF_WEB1 GROUP_OF_WEB2 ARGUMENT...
serve ()
{
  serve_groups="guest=web1,size=512M$1 guest=web2,size=512M$2"
  shift 2
  serve_more=$*
  serve_it
}

serve_it ()
{
  rm -f "$dir/s.sock" "$dir/s.pid"
  # Sharing alone, however long it takes: cold pages take less with the time.
  # shellcheck disable=SC2086
  server_start s "$plugin" pool=256M dedup=auto cold=off "control=$dir/control" \
    $serve_groups $serve_more
}

# It ends without a word, and another one goes on with what it left.
kill_server ()
{
  kill -9 "$(cat "$dir/s.pid")"
  wait "$(cat "$dir/s.pid")" 2>/dev/null || :
  serve_it
}

swap_disk () { recipe qemu-virtio-scsi.args "$1" "$dir/s.sock"; }

# The guest that all others are copies of.  Its swap is not in use yet.
make_image ()
{
  serve '' ''
  guest_boot first $(swap_disk web1) $(guest_qmp first)
  guest_ready first
  guest_run first 30 "mkdir $group"
  for workload in a b; do
    # It has found its place when it answers; then it is moved.
    guest_run first 30 "hog $workload start 61 && hog $workload mix usual &&
echo \$(cat /run/hog-$workload.pid) >$group/cgroup.procs"
  done
  hog_run first 120 "a fill $a_mib"
  hog_run first 120 "b fill $b_mib"
  guest_save first "$image"
  server_stop s
  say "the image takes $(($(stat -c %s "$image") / mib)) MiB"
}

# restore RUN: both twins, NAME RUN1 and RUN2, ready to swap.
restore ()
{
  guest_restore "${1}1" "$image" $(swap_disk web1)
  guest_restore "${1}2" "$image" $(swap_disk web2)
  guest_restored "${1}1"
  guest_restored "${1}2"
  both "${1}1" "${1}2" 120 "vmswap-setup disk"
}

# both NAME NAME SECONDS COMMAND: in both guests at the same time.
both ()
{
  guest_send "$1" "$4"
  both_sent=$sent
  guest_send "$2" "$4"
  guest_wait "$1" "$3" "$both_sent" "$4"
  guest_wait "$2" "$3" "$sent" "$4"
}

# The workloads may keep so much in memory; the kernel swaps out the rest before
# this is answered.
squeeze="echo 1M >$group/memory.high"
relax="echo 32M >$group/memory.high"

# Both workloads of both twins look at each page.
check_both ()
{
  both "$1" "$2" 600 "$relax && hog a check && hog b check"
  for checked in "$1" "$2"; do
    [ "$(grep -c '\bbad_pages=0\b' "$dir/$checked.reply")" = 2 ] ||
      fail "guest $checked: $(cat "$dir/$checked.reply")"
  done
}

# Has the guest swapped out what it was to?
check_swapped ()
{
  for swapped in "$@"; do
    guest_run "$swapped" 30 "counters sda"
    out=$(($(guest_value "$swapped" swapped_out_pages) / 256))
    [ $out -ge 64 ] || fail "guest $swapped swapped out only $out MiB"
  done
}

all_is_looked_up ()
{
  figures && [ "$(pool_figure sharing_all)" = 1 ]
}

show_figures ()
{
  say "$1: $(jq -r '.pool | "used \(.used_bytes) blobs \(.blob_bytes)" +
    " stored \(.stored_pages) shared \(.shared_pages) pages"' "$dir/figures")"
}

# end_run NAME NAME: the twins and the server.
end_run ()
{
  end_process "$(cat "$dir/$1.pid")"
  end_process "$(cat "$dir/$2.pid")"
  server_stop s
}

# Does the guest share with itself, and with nobody else?  What is in b is in a,
# too.
shares_alone ()
{
  shares=$(guest_figure "$1" shared_pages)
  [ "$shares" -ge $((b_pages * 16 / 10)) ] &&
    [ "$shares" -le $((b_pages * 2)) ]
}

# No group: what the twins hold when neither knows of the other.
run_plain ()
{
  serve '' ''
  restore plain
  both plain1 plain2 300 "$squeeze"
  wait_for 60 "pages that are alike are found" all_is_looked_up
  pool_rest
  show_figures "no group"
  check_swapped plain1 plain2
  plain_used=$(pool_figure used_bytes) plain_blobs=$(pool_figure blob_bytes)
  plain_saved=$(pool_figure shared_saved_bytes)
  for export in web1 web2; do
    shares_alone $export || fail "$export alone shares $shares pages"
  done
  end_run plain1 plain2
}

# Two groups: the second twin's pages change nothing for the first.
run_apart ()
{
  serve ,group=one ,group=two
  restore apart
  guest_run apart1 300 "$squeeze"
  wait_for 60 "pages that are alike are found" all_is_looked_up
  pool_rest
  alone=$(guest_figure web1 shared_pages)
  guest_run apart2 300 "$squeeze"
  pool_rest
  show_figures "two groups"
  # What is found is all but a few in a thousand: the index forgets.
  with=$(guest_figure web1 shared_pages)
  if [ "$with" -lt "$alone" ] || [ "$with" -gt $((alone + alone / 100)) ]; then
    fail "web1 shares $with pages beside web2, alone $alone"
  fi
  for export in web1 web2; do
    shares_alone $export || fail "$export alone shares $shares pages"
  done
  [ "$(pool_figure blob_bytes)" -ge $((plain_blobs * 98 / 100)) ] ||
    fail "two groups hold less than no group"
  check_swapped apart1 apart2
  check_both apart1 apart2
  end_run apart1 apart2
}

# at_most WHAT BYTES OF: 0.55 of it.
at_most ()
{
  share=$(awk "BEGIN { printf \"%.3f\", $2 / $3 }")
  [ "$2" -le $(($3 * 55 / 100)) ] ||
    fail "in one group, $1 is $2: $share of $3"
}

# One group, through two kills of the server and a twin that changes.
run_group ()
{
  serve ,group=web ,group=web "state=$state"
  restore group
  both group1 group2 300 "$squeeze"
  wait_for 60 "pages that are alike are found" all_is_looked_up
  pool_rest
  show_figures "one group"
  check_swapped group1 group2
  at_most used_bytes "$(pool_figure used_bytes)" "$plain_used"
  used_share=$share
  at_most blob_bytes "$(pool_figure blob_bytes)" "$plain_blobs"
  blob_share=$share
  shared=$(pool_figure shared_pages) blobs=$(pool_figure blob_bytes)

  kill_server
  pool_rest
  [ "$(pool_figure shared_pages)" = "$shared" ] ||
    fail "$shared pages were shared, $(pool_figure shared_pages) after a kill"
  check_both group1 group2

  # One of them becomes another; what it shared is the other's.
  guest_run group1 600 "$relax && hog a rewrite && hog b rewrite"
  both group1 group2 300 "$squeeze"
  pool_rest
  show_figures "one of them rewritten"
  shares_alone web1 || fail "web1 shares $shares pages that nobody else has"
  saved=$(pool_figure shared_saved_bytes)
  [ "$saved" -le $((plain_saved * 105 / 100)) ] ||
    fail "sharing saves $saved bytes, of two that have nothing in common" \
         "$plain_saved"
  [ "$(pool_figure blob_bytes)" -ge $((blobs * 18 / 10)) ] ||
    fail "pages of different content are stored once"
  kill_server
  check_both group1 group2
  both group1 group2 60 "hog a quit && hog b quit && vmswap-setup undo"
  guest_reboot group1
  guest_reboot group2
  server_stop s
  "$vmswapctl" check "$state" >"$dir/check" 2>&1 ||
    fail "the image is not sound: $(cat "$dir/check")"
}

guest_image "$kernel"
make_image
run_plain
run_apart
run_group
echo "vmswap-verdict: mode=scsi kernel=$kernel swapped_out_mib=$out" \
     "group_used=$used_share group_blobs=$blob_share bad_pages=0"
