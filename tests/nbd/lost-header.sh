#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Whose the swap header is, and the pages that it reserves, decides whether they
# can be lost.  Whatever happens to a server, what a client wrote there never
# reads as zeroes, and what it never wrote can be read.

TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"
requires_nbdsh

. "${srcdir:-.}/lost.sh"

# The server dies, and with it the pool; ARG...: of the next one.
lose ()
{
    crash_nbdkit
    rm "$state/pool.vmswap"
    serve "$@"
}

fresh () { rm -rf "$reg" "$state/pool.vmswap"; }

# First writes of many connections at once, one of them to a reserved page.
for parallel in no yes; do
    for round in 1 2 3 4 5; do
        fresh
        serve size=64M parallel=$parallel
        URI=$(export_uri web1) nbdsh -c - <<'PY' || fail "clients"
import os, threading
conns = []
for i in range (8):
    c = nbd.NBD ()
    c.connect_uri (os.environ["URI"])
    conns.append (c)
barrier = threading.Barrier (8)
def write (i):
    barrier.wait ()
    conns[i].pwrite (b"DATA" * 1024, 4096 if i == 1 else (8 + i) << 20)
threads = [threading.Thread (target=write, args=(i,)) for i in range (8)]
for t in threads: t.start ()
for t in threads: t.join ()
os._exit (0)
PY
        entry | grep -q header=guest || fail "parallel=$parallel: $(entry)"
        lose size=64M
        web1 'assert lost (4096), "what a client wrote reads as something else"'
        crash_nbdkit
    done
done

# The header is trimmed away, and one page is stored.
fresh
serve size=64M
web1 'h.pwrite (data, 9 << 20); h.trim (4096, 9 << 20)'
web1 'h.trim (4096, 0); h.pwrite (data, 8 << 20)'
[ -n "$(entry)" ] || fail "no entry, and a page is stored"
lose size=64M
web1 'assert lost (8 << 20)'

# Page 0 of a lost export is trimmed; the guest had owned what was reserved.
fresh
crash_nbdkit
serve size=64M
web1 'h.pwrite (data, 4096)'
lose size=64M
web1 'assert lost (4096); h.trim (4096, 0)'
web1 'h.pwrite (data, 8 << 20)'
entry | grep -q header=guest || fail "page 1 is taken for the server's"
lose size=64M
web1 'assert lost (4096)'

# An export that was only looked at, through a restart and a resize.
fresh
crash_nbdkit
serve guest=web1,size=64M
web1 'h.pread (4096, 0)'
stop_nbdkit
serve guest=web1,size=64M
[ -z "$(entry)" ] || fail "an entry for a header"
stop_nbdkit
serve guest=web1,size=64M
web1 'h.pwrite (data, 8 << 20)'
stop_nbdkit
serve guest=web1,size=64M
entry | grep -q header=server || fail "a restart made it the guest's"
lose guest=web1,size=64M
web1 'assert h.pread (4096, 4096) == zero and lost (8 << 20)'

# It is discarded, shrunk, written and restarted.
web1 'h.trim (h.get_size (), 0)'
stop_nbdkit
serve guest=web1,size=32M
web1 'h.pwrite (data, 8 << 20)'
stop_nbdkit
serve guest=web1,size=32M
web1 'assert h.pread (4096, 8 << 20) == data'

# Lost, shrunk, and grown again: it was as large as that before.
fresh
crash_nbdkit
serve guest=web1,size=64M
web1 'h.pwrite (data, 60 << 20)'
lose guest=web1,size=32M
web1 'h.pwrite (data, 8 << 20)'
stop_nbdkit
serve guest=web1,size=64M
web1 'assert lost (60 << 20) and h.pread (4096, 8 << 20) == data'

# A life without the registry: the server does not guess which pages are the
# last.
lose guest=web1,size=32M
stop_nbdkit
rm "$state/pool.vmswap"
start_nbdkit pool=64M "state=$state" registry=none guest=web1,size=32M
web1 'h.pwrite (data, 4096)'
stop_nbdkit
status=0
"$nbdkit" -f -U "$dir/other" "$plugin" pool=64M guest=web1,size=32M \
    "registry=$reg" "state=$state" --run true >"$dir/out" 2>&1 || status=$?
[ $status -eq 1 ] || fail "it guesses"
grep -q 'the registry knows of pages in another pool' "$dir/out" \
    || fail "$(cat "$dir/out")"
start_nbdkit pool=64M "state=$state" registry=none guest=web1,size=32M
web1 'assert h.pread (4096, 4096) == data'
stop_nbdkit

# Two lines of one name were never written by a server.
fresh
serve size=64M
web1 'h.pwrite (data, 8 << 20)'
stop_nbdkit
python3 - "$reg/registry" <<'PY'
import sys
with open (sys.argv[1], "r+b") as f:
    f.seek (512)
    line = f.read (512)
    f.seek (512 * 3)
    f.write (line)
PY
status=0
"$nbdkit" -f -U "$dir/other" "$plugin" pool=64M "registry=$reg" \
    "state=$state" --run true >"$dir/out" 2>&1 || status=$?
[ $status -eq 1 ] || fail "two lines of one name are taken"
grep -q 'line 4 is damaged' "$dir/out" || fail "$(cat "$dir/out")"
