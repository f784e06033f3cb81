#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Pages that nobody reads become cold and read as what was written; those that
# are read become warm, and cold again; the counters are what a shadow counts.
# With state= cold pages outlive the server, however it ends, and one with
# cold=off serves them, too.
TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"
requires_nbdsh

state=$dir/state
mkdir "$state"
cat >"$dir/shadow.py" <<'PY'
import json, os, random, socket, time

PAGE = 4096
FIRST = 16 # no page before it is written
N = 2048

def page_of (i, version=0):
    """LZ4 does next to nothing for it, zstd takes half away."""
    return random.Random (i + version * N).randbytes (PAGE // 2).hex ().encode ()

def look ():
    with socket.socket (socket.AF_UNIX) as control:
        control.connect (os.environ["CONTROL"])
        control.sendall (b"GET /json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = control.makefile ("rb").read ()
    now = json.loads (answer.split (b"\r\n\r\n", 1)[1])
    return now["guests"][0], now["pool"]

SAME = "cold_pages", "cold_bytes", "stored_pages", "blob_bytes"

def figures ():
    """There is one guest, and nothing is shared: what it has is what the pool has,
    unless a page moves between the two looks."""
    end = time.monotonic () + 120
    while True:
        guest, pool = look ()
        if all (guest[name] == pool[name] for name in SAME):
            return pool
        assert time.monotonic () < end, (guest, pool)

def until (what):
    end = time.monotonic () + 120
    while True:
        pool = figures ()
        if what (pool):
            return pool
        assert time.monotonic () < end, pool
        time.sleep (0.05)

def all_cold (pool, n):
    return (pool["cold_pages"] == n and pool["stored_pages"] == n and
            pool["compressed_pages"] == pool["raw_pages"] == 0 and
            pool["blob_bytes"] == pool["cold_bytes"])

def check (h, n=N, version=lambda i: 0):
    for at in range (0, n, 64):
        data = h.pread (64 * PAGE, (FIRST + at) * PAGE)
        for i in range (64):
            assert data[i * PAGE:(i + 1) * PAGE] == page_of (at + i, version (at + i)), at + i
PY
CONTROL=$dir/control
export CONTROL

# serve PARAMETER...
serve ()
{
    start_nbdkit pool=64M "state=$state" "registry=$dir/reg" "control=$CONTROL" \
        guest=web1,size=64M swap-header=no "$@"
}
# shadow <SCRIPT: connected to web1
shadow ()
{
    cat "$dir/shadow.py" - >"$dir/script.py"
    nbdsh_to "$(export_uri web1)" <"$dir/script.py"
}

for compressor in lz4 none; do
    rm -rf "$state/pool.vmswap" "$dir/reg"
    serve cold=0 cold-cpu=100 compressor=$compressor
    shadow <<'PY' || fail "cold=0, $compressor"
for i in range (N):
    h.pwrite (page_of (i), (FIRST + i) * PAGE)
hot = figures ()["blob_bytes"]
pool = until (lambda pool: all_cold (pool, N))
assert pool["cooled_pages"] == N, pool
assert pool["warmed_pages"] == 0 and pool["cold_cpu_seconds"] > 0, pool
# Two digits to a byte, so half; and headers.
assert N * PAGE // 2 < pool["cold_bytes"] < N * PAGE * 6 // 10, pool
assert abs (pool["compression_ratio"] - N * PAGE / pool["data_bytes"]) < 0.001, pool

# Four pages of a group that is read are warm, and no others.
warmed = 0
for group in range (0, N // 4, 37):
    i = 4 * group + group % 4
    assert h.pread (PAGE, (FIRST + i) * PAGE) == page_of (i), i
    warmed += 4
    pool = until (lambda pool: pool["warmed_pages"] >= warmed)
    assert pool["warmed_pages"] == warmed, (warmed, pool)
pool = until (lambda pool: all_cold (pool, N))
assert pool["cooled_pages"] == N + warmed, pool
check (h)

# Everything is cold again; then part of a page, a page, a group, and more are
# written and discarded.
pool = until (lambda pool: all_cold (pool, N))
assert pool["cooled_pages"] == N + pool["warmed_pages"], pool
h.pwrite (page_of (0)[:512], FIRST * PAGE)
h.pwrite (page_of (5, 1), (FIRST + 5) * PAGE)
for i in range (8, 12):
    h.pwrite (page_of (i, 1), (FIRST + i) * PAGE)
h.trim (64 * PAGE, (FIRST + N - 64) * PAGE)
h.trim (PAGE, (FIRST + N - 65) * PAGE)
pool = until (lambda pool: all_cold (pool, N - 65))
before = pool["cold_bytes"]
h.trim (63 * PAGE, (FIRST + N - 128) * PAGE)
pool = until (lambda pool: all_cold (pool, N - 128) and pool["cold_bytes"] < before)
check (h, N - 128, lambda i: int (i == 5 or 8 <= i < 12))
assert h.pread (128 * PAGE, (FIRST + N - 128) * PAGE) == bytes (128 * PAGE)
until (lambda pool: all_cold (pool, N - 128))
PY
    crash_nbdkit
    "$VMSWAPCTL" check "$state" >"$dir/check.log" || fail "the image is not sound"
    grep -q -E '^web1 +64M +0 +1920 +0 +0 ' "$dir/check.log" || fail "counts of check"

    # Whoever serves it, and however often it is read.
    serve cold=off compressor=lz4
    shadow <<'PY' || fail "cold=off"
for i in range (2):
    check (h, N - 128, lambda i: int (i == 5 or 8 <= i < 12))
pool = figures ()
assert all_cold (pool, N - 128), pool
assert pool["cooled_pages"] == pool["warmed_pages"] == pool["cold_cpu_seconds"] == 0, pool
# What is written stays as it is; the rest of its group can still be read.
h.pwrite (page_of (100, 1), (FIRST + 100) * PAGE)
h.trim (PAGE, (FIRST + 101) * PAGE)
pool = figures ()
assert pool["cold_pages"] == N - 130 and pool["stored_pages"] == N - 129, pool
assert h.pread (4 * PAGE, (FIRST + 100) * PAGE) == (
    page_of (100, 1) + bytes (PAGE) + page_of (102) + page_of (103))
PY
    stop_nbdkit
    "$VMSWAPCTL" check "$state" >"$dir/check.log" || fail "not sound with cold=off"

    # And again: what was torn is made anew, or found whole.
    serve cold=0 cold-cpu=100 cold-level=1
    shadow <<'PY' || fail "cold=0 again"
h.pwrite (page_of (101), (FIRST + 101) * PAGE)
check (h, N - 128, lambda i: int (i == 5 or 8 <= i < 12 or i == 100))
until (lambda pool: all_cold (pool, N - 128))
PY
    stop_nbdkit
    "$VMSWAPCTL" check "$state" >"$dir/check.log" || fail "not sound at the end"
done
