#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# -D vmswap.pool=1 prints the counters of the pool when a connection closes and
# when the server ends; without it nothing is printed.
. "${srcdir:-.}/functions.sh"
requires_nbdsh

run ()
{
    start_nbdkit pool=64M size=16M swap-header=no
    nbdsh_to "$uri" <<'PY'
for i in range (32):
    h.pwrite (b"counted!" * 512, i * 4096)
h.pwrite (bytes ([i % 251 for i in range (4096)]), 1 << 20)
h.pread (8192, 1 << 20)
PY
    stop_nbdkit
}

nbdkit_options='-v -D vmswap.pool=1'
run
grep -q -E 'pool at close: limit=67108864 ' "$dir/nbdkit.log" \
    || fail "no limit at close"
grep -q -E 'pool at close: blobs=[0-9]+ .* fill=[0-9]+ volumes=1' \
    "$dir/nbdkit.log" || fail "no gauges at close"
grep -q -E 'pool at unload: written=33 read=2 trimmed=0 refused=0 bad=0' \
    "$dir/nbdkit.log" || fail "wrong counters at unload"

nbdkit_options=-v
run
! grep -q 'pool at' "$dir/nbdkit.log" || fail "counters without the flag"
