#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Damages pages that a pool stores, as bad memory would.

    flip-bits.py POOL_FILE EXPORT SHARE

Flips one bit in the compressed bytes of every SHARE-th page of an export that
has any, beginning with the second, and prints "flipped=N stored=N".  The
layout is that of proto/vmswap-image.h."""

import mmap
import struct
import sys

SUPER = struct.Struct ("<8s6I7Q")
VOLUME = struct.Struct ("<IIQ8I128s")
PAGE = 4096
SEGMENT = 1 << 20
HEADER = 12
BLOB = 1


class Image:
    def __init__ (self, path):
        self.file = open (path, "r+b")
        self.map = mmap.mmap (self.file.fileno (), 0)
        slots = [SUPER.unpack_from (self.map, at) for at in (0, PAGE)]
        self.super = max ((s for s in slots if s[0] == b"VMSWAPIM"),
                          key=lambda s: s[7])
        self.volumes, self.segments, self.frames, self.data = self.super[9:13]

    def frame (self, number, kind):
        at = self.frames + number * PAGE
        return struct.unpack_from (f"<{PAGE // struct.calcsize (kind)}{kind}",
                                   self.map, at)

    def roots (self, name):
        for i in range (self.super[4]):
            at = self.volumes + i * 256
            state, _, _, *root, bytes_of_name = VOLUME.unpack_from (self.map, at)
            if state == 1 and bytes_of_name.split (b"\0")[0] == name:
                return [r for r in root if r]
        sys.exit (f"no export {name} in the image")

    def words (self, name):
        for root in self.roots (name):
            for directory in filter (None, self.frame (root, "I")):
                for leaf in filter (None, self.frame (directory, "I")):
                    yield from self.frame (leaf, "Q")


def main (path, name, share):
    image = Image (path)
    blobs = [w for w in image.words (name.encode ()) if w & 7 == BLOB]
    # The first page is the swap header.
    for word in blobs[1::int (share)]:
        segment = word >> 3 & (1 << 24) - 1
        offset = (word >> 27 & (1 << 18) - 1) * 4
        length = (word >> 45 & 4095) + 1
        at = image.data + segment * SEGMENT + offset + HEADER + length // 2
        image.map[at] ^= 0x10
    print (f"flipped={len (blobs[1::int (share)])} stored={len (blobs)}")


main (*sys.argv[1:])
