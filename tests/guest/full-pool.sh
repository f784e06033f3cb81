#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A full pool costs a guest nothing but log lines: with werror=report its
# kernel logs write errors, keeps the pages it could not write, loses none,
# and swaps on once there is room again.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"

mode=scsi kernel=6.1
mode_image
mode_server "$plugin" pool=80M guest=web1,size=512M
mode_boot g web1
mode_swapon g web1

# The kernel begins to swap long before memory is short, so that when the pool
# is full there is memory left for the pages that stay.
guest_run g 30 'sysctl -q -w vm.min_free_kbytes=12000
vm.watermark_scale_factor=1000 vm.swappiness=200'
guest_expects g 'Write-error on swap-device'
guest_expects g 'critical space allocation error|I/O error, dev sda.* op 0x1:\(WRITE\)'
guest_run g 30 'hog a start 12 && hog a mix random'
guest_run g 300 'hog a grow 400 && sysctl -q -w
vm.min_free_kbytes=1500 vm.watermark_scale_factor=10'
written=$(($(guest_value g pages) / 256))
guest_run g 60 "counters sda"
out=$(($(guest_value g swapped_out_pages) / 256))
say "full after $written MiB: $((($(server_rss s)) / mib)) MiB resident," \
    "$out MiB swapped out"
grep -q 'Write-error on swap-device' "$dir/g.console" ||
  fail "the guest logged no write error: the pool was never full"

hog_run g 600 "a check"
hog_run g 600 "a check"
[ "$(server_shmem s)" -le $((80 * mib)) ] ||
  fail "the pool of 80 MiB holds $(server_shmem s) bytes"

pool_has_room () { pool_is_tight && [ "$held" -le $((12 * mib)) ]; }

# Room again: what the workload gives back is discarded, and writes work.
guest_run g 60 "hog a keep 4"
wait_for 60 "the pool shrinks when pages are given back" pool_has_room
errors=$(grep -c 'Write-error on swap-device' "$dir/g.console")
guest_run g 30 'hog b start 13'
hog_run g 300 "b fill 115"
hog_run g 300 "b verify"
hog_run g 300 "a verify"
guest_run g 60 "counters sda"
out_after=$(($(guest_value g swapped_out_pages) / 256))
errors_after=$(grep -c 'Write-error on swap-device' "$dir/g.console")
[ "$out_after" -gt $((out + 8)) ] ||
  fail "only $((out_after - out)) MiB were swapped out once there was room"
[ "$errors_after" -eq "$errors" ] ||
  fail "$((errors_after - errors)) write errors although there was room"
guest_run g 60 "hog a quit && hog b quit"
guest_reboot g
echo "vmswap-verdict: mode=scsi-full kernel=$kernel write_errors=$errors" \
     "swapped_out_mib=$out_after bad_pages=0"
