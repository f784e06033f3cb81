# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154
# Rows in which memory runs out, goes bad or is lost, each with a guest of its
# own.

# The guest writes what does not compress until its kernel complains, with the
# kernel's eagerness such that it begins to swap long before memory is short:
# when the pool takes no more there is memory left for the pages that stay.
#
# The nbd driver says something of each of thousands of requests that fail, and
# the console is slow: only what is more urgent goes there meanwhile.
fill_up ()
{
  guest_run g 30 'dmesg -n 3'
  guest_run g 30 'sysctl -q -w vm.min_free_kbytes=12000
vm.watermark_scale_factor=1000 vm.swappiness=200'
  guest_run g 30 'hog a mix random'
  errors_mark
  hog_run g 300 'a grow 400'
  # The kernel goes on trying to swap out, at the cost of whoever needs memory.
  guest_run g 180 'sysctl -q -w vm.min_free_kbytes=1500
vm.watermark_scale_factor=10'
  [ "$(errors_count 'Write-error on swap-device')" -gt "$write_mark" ] ||
    fail "the guest logged no write error: the pool took everything"
  hog_run g 600 'a check'
  guest_run g 30 'dmesg -n 6'
}

pool_has_room () { [ "$(export_held_bytes web1)" -le $((40 * mib)) ]; }

row_full ()
{
  pool=80M patience_s=60
  state_make
  serve
  guest_begin
  fill_up
  grep -q 'the pool is full' "$dir/s.log" || fail "the pool was never full"
  guest_run g 60 'hog a keep 16'
  wait_for 60 "the pool has room again" pool_has_room
}

# The host has less memory than pool= allows.
row_nomem ()
{
  pool=300M patience_s=60
  state_make small
  serve
  fallocate -l 230M "$state/pool/ballast"
  guest_begin
  fill_up
  grep -q 'the host has no memory' "$dir/s.log" ||
    fail "the host always had memory"
  rm "$state/pool/ballast"
}

# A bit in every 200th stored page, and a guest that reads no page but those it
# needs.
row_bits ()
{
  begin $fault_mib
  guest_run g 30 'sysctl -q -w vm.page-cluster=0'
  flip_bits
}

# The same in a guest that reads up to eight pages with one request, which is
# the default: a request that covers a damaged page fails as a whole.
row_bits_ahead ()
{
  begin $fault_mib
  flip_bits
}

flip_bits ()
{
  errors_mark
  "$srcdir/faults/flip-bits.py" "$state/pool/pool.vmswap" web1 200 \
    >"$dir/flipped"
  say "bits: $(cat "$dir/flipped")"
  flipped=$(sed 's/flipped=\([0-9]*\).*/\1/' "$dir/flipped")
}

check_bits ()
{
  [ "$lost" -gt $((flipped / 2)) ] ||
    fail "of $flipped damaged pages only $lost were noticed"
  [ "$lost" -le "$flipped" ] ||
    fail "$flipped pages were damaged, $lost could not be read"
}

check_bits_ahead ()
{
  [ "$lost" -gt $((flipped / 2)) ] ||
    fail "of $flipped damaged pages only $lost were noticed"
  [ "$lost" -le $((flipped * 8)) ] ||
    fail "$flipped pages were damaged, $lost could not be read"
}

# A host that reboots under a guest that goes on, elsewhere: the pool is gone,
# the registry is not.
row_reboot ()
{
  begin $lost_mib
  errors_mark
  traffic_on
  server_kill
  rm -f "$state"/pool/*
  serve
  traffic_off
}

# The next boot of the guest swaps on what is there.
check_reboot ()
{
  [ $works = yes ] || fail "no swap on an export that was lost"
  guest_reboot g
  guest_begin
  errors_mark
  hog_run g 300 "a fill $fault_mib"
  hog_run g 600 'a verify'
  [ "$(errors_count "$device_messages")" -eq 0 ] ||
    fail "a guest that was booted anew sees errors"
}

row_truncated ()
{
  begin $lost_mib
  errors_mark
  traffic_on
  server_kill
  truncate -s 64M "$state/pool/pool.vmswap"
  serve_refused s "$server_address" pool.vmswap
  outage 4
  mv "$state/pool/pool.vmswap" "$state/pool/damaged"
  serve
  traffic_off
}

check_truncated ()
{
  [ "$(stat -c %s "$state/pool/damaged")" -eq $((64 * mib)) ] ||
    fail "the server touched a file that it refused"
}

# The disk that the registry is on is full.
row_registry ()
{
  pool=256M patience_s=60
  state_make small
  fallocate -l 2M "$state/registry/ballast"
  serve_refused s "$server_address" "$state/registry"
  rm "$state/registry/ballast"
  serve
  guest_begin
  fallocate -l 1M "$state/registry/ballast" || :
  cat /dev/zero >>"$state/registry/ballast" 2>/dev/null || :
  errors_mark
  hog_run g 300 "a fill $fault_mib"
  traffic_on
  server_kill
  serve
  traffic_off
}
