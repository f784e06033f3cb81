#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A page whose bytes in host memory have changed is never returned: the read
# fails with EIO and a message, again and again, while all others go on; when
# it is written or trimmed the export is whole again.
. "${srcdir:-.}/functions.sh"
requires_nbdsh

start_nbdkit pool=64M guest=g,size=16M
SERVER=$nbdkit_pid LOG=$dir/nbdkit.log nbdsh_to "$(export_uri g)" <<'PY'
import os
import random
import sys

random.seed (3)
def text (i):
    return (b"%08d swapped out and in again " % i * 200)[:4096]
pages = {i: random.randbytes (4096) if i % 2 else text (i)
         for i in range (1, 65)}
for i, data in pages.items ():
    h.pwrite (data, i * 4096)

def damage (what):
    """Flips a bit in every copy that the server's shared mappings hold."""
    found = 0
    with open ("/proc/%s/maps" % os.environ["SERVER"]) as maps, \
         open ("/proc/%s/mem" % os.environ["SERVER"], "r+b", 0) as mem:
        for line in maps:
            span, mode = line.split ()[:2]
            if mode != "rw-s":
                continue
            start, end = (int (x, 16) for x in span.split ("-"))
            for at in range (start, end, 1 << 20):
                mem.seek (at)
                # What is searched for may cross the border of a piece.
                chunk = mem.read (min ((1 << 20) + 4096, end - at))
                i = chunk.find (what, 0, (1 << 20) + len (what) - 1)
                if i >= 0:
                    mem.seek (at + i + 7)
                    mem.write (bytes ([what[7] ^ 1]))
                    found += 1
    return found

try:
    # Incompressible, so stored as it is; and a piece of a compressed one.
    assert damage (pages[33][1000:1032]) == 1, "page 33 is not in the arena"
    assert damage (b"12 swapped out and in") == 1, "page 12 is not there"
except PermissionError as e:
    print ("cannot write to the memory of the server:", e)
    sys.exit (77)

def refused (call, *args):
    try:
        call (*args)
    except nbd.Error as e:
        assert e.errno == "EIO", e
        return
    assert False, "damaged data was returned"

for i in range (5):
    refused (h.pread, 4096, 33 * 4096)
    refused (h.pread, 4096, 12 * 4096)
    refused (h.pread, 512, 33 * 4096 + 2048)
    refused (h.pread, 64 << 10, 25 * 4096)
# Changing a part of it would need the rest.
refused (h.pwrite, b"x" * 512, 33 * 4096)
refused (h.pread, 4096, 33 * 4096)
for i, data in pages.items ():
    if i not in (12, 33):
        assert h.pread (4096, i * 4096) == data, i
h.pwrite (pages[33], 33 * 4096)
h.trim (4096, 12 * 4096)
assert h.pread (4096, 33 * 4096) == pages[33]
assert h.pread (4096, 12 * 4096) == bytes (4096)
PY
n=$(errors_in_log "export 'g': cannot (read|write) at offset [0-9]+: a page failed its check")
[ "$n" -ge 1 ] || fail "no message"
[ "$n" -le 3 ] || fail "$n messages"
stop_nbdkit
