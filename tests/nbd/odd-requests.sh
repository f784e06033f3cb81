#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Requests of any size and alignment, from 1 byte to 64 MiB, are served right,
# although the export advertises 512 bytes to 1 MiB.
. "${srcdir:-.}/functions.sh"
requires_nbdsh

start_nbdkit pool=256M size=80M swap-header=no
nbdsh_to "$uri" <<'PY'
import os
import random

random.seed (1)
h.set_strict_mode (0)
assert [h.get_block_size (s) for s in
        (nbd.SIZE_MINIMUM, nbd.SIZE_PREFERRED, nbd.SIZE_MAXIMUM)] \
       == [512, 4096, 1 << 20]
size = h.get_size ()
shadow = bytearray (size)

def check (count, offset):
    assert h.pread (count, offset) == shadow[offset:offset + count], \
        (count, offset)

def write (data, offset, flags = 0):
    h.pwrite (data, offset, flags)
    shadow[offset:offset + len (data)] = data

def clear (call, count, offset, flags = 0):
    call (count, offset, flags)
    shadow[offset:offset + count] = bytes (count)

# Around the edges of pages, leaves and segments; with FUA too.
for edge in (4096, 2 << 20, 1 << 20, size // 2):
    for count in (1, 2, 511, 513, 4095, 4096, 4097, 8191, 12289):
        for offset in (edge - count, edge - count // 2, edge, edge + 1):
            if offset >= 0:
                write (random.randbytes (count), offset,
                       random.choice ((0, nbd.CMD_FLAG_FUA)))
                check (count + 2, max (offset - 1, 0))
    check (64 << 10, max (edge - (32 << 10), 0))

# The largest requests that nbdkit passes on, at an odd place.
big = bytes (range (256)) * (64 << 12)
noise = random.randbytes (1 << 20)
for data in (big, noise * 64, bytes (64 << 20)):
    write (data, 4097)
    check (64 << 20, 4097)
clear (h.zero, 64 << 20, 5001)
check (64 << 20, 5001)

# Trims and zeroes that are no pages: all of the range and nothing else.
write (noise * 4, 1000)
for call in (h.trim, h.zero):
    for flags in (0,) if call == h.trim \
            else (0, nbd.CMD_FLAG_NO_HOLE, nbd.CMD_FLAG_FAST_ZERO):
        for i in range (50):
            count = random.choice ((1, 7, 4095, 4096, 5000, 100000))
            offset = random.randrange (4 << 20)
            clear (call, count, offset, flags)
            check (count + 8200, max (offset - 4100, 0))

# Anything, anywhere.
for i in range (2000):
    count = int (2 ** random.uniform (0, 18))
    offset = random.randrange (size - count)
    kind = random.randrange (6)
    if kind < 3:
        unit = random.randbytes (random.choice ((1, 64, 5000)))
        write ((unit * (count // len (unit) + 1))[:count], offset)
    elif kind == 3:
        clear (random.choice ((h.trim, h.zero)), count, offset)
    check (count, offset)
for offset in range (0, size, 16 << 20):
    check (16 << 20, offset)

# Extents agree with the data: a hole reads as zeroes, and the whole export is
# covered, once.
h2 = nbd.NBD ()
h2.add_meta_context (nbd.CONTEXT_BASE_ALLOCATION)
h2.connect_uri (h.get_uri ())
for flags in (0, nbd.CMD_FLAG_REQ_ONE):
    position = 0
    while position < size:
        entries = []
        h2.block_status (size - position, position,
                         lambda c, o, e, err: entries.extend (e), flags)
        assert flags == 0 or len (entries) == 2
        for length, kind in zip (entries[::2], entries[1::2]):
            assert kind in (0, 3), kind
            if kind == 3:
                assert not any (shadow[position:position + length]), position
            position += length
    assert position == size
PY
stop_nbdkit
