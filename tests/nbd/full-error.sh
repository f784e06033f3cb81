#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A full pool refuses writes with ENOSPC and one message per second, keeps
# every page that it acknowledged, and takes writes again after a trim.
. "${srcdir:-.}/functions.sh"
requires_nbdsh

for compressor in lz4 none; do
    start_nbdkit pool=16M size=64M compressor=$compressor
    nbdsh_to "$(export_uri web1)" <<'PY'
import os
import random
random.seed (7)
pages = {}

def fill (start):
    for page in range (start, 16384):
        data = random.randbytes (4096)
        try:
            h.pwrite (data, page * 4096)
        except nbd.Error as e:
            assert e.errno == "ENOSPC", e
            return page
        pages[page] = data
    assert False, "64 MiB of noise went into a pool of 16 MiB"

def check ():
    for page, data in pages.items ():
        assert h.pread (4096, page * 4096) == data, page

full = fill (1)
assert full > 2048, "less than half of the pool could be used: %d" % full
check ()
# What it held before stays when a page cannot be replaced; reads, maps,
# flushes and trims go on.
assert h.pread (4096, full * 4096) == bytes (4096)
refused = 0
for i in range (2000):
    page = random.choice (list (pages)) if i % 2 else full + i
    data = random.randbytes (4096)
    try:
        h.pwrite (data, page * 4096)
        pages[page] = data
    except nbd.Error as e:
        assert e.errno == "ENOSPC", e
        refused += 1
assert refused >= 100, refused
check ()
h.flush ()
# What Linux discards: a cluster of 2 MiB.
h.trim (2 << 20, 2 << 20)
for page in range (512, 1024):
    del pages[page]
assert h.pread (2 << 20, 2 << 20) == bytes (2 << 20)
again = 0
for page in range (512, 1024):
    data = random.randbytes (4096)
    try:
        h.pwrite (data, page * 4096)
        pages[page] = data
        again += 1
    except nbd.Error as e:
        assert e.errno == "ENOSPC", e
assert again >= 250, "after a trim of 512 pages %d fit" % again
check ()
h.trim (h.get_size (), 0)
pages.clear ()
fill (1)
check ()
PY
    n=$(errors_in_log "export 'web1': no room to write: the pool is full .pool=16M.")
    [ "$n" -ge 1 ] || fail "no message that names export, pool and cure"
    [ "$n" -le 20 ] || fail "$n messages: the limit does not work"
    grep -q 'more like this before' "$dir/nbdkit.log" \
        || [ "$n" -eq 1 ] || fail "suppressed messages are not counted"
    stop_nbdkit
done
