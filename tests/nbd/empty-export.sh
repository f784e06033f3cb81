#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Every request works on an export that nobody has written to, however small
# or large it is, with and without a swap header.
. "${srcdir:-.}/functions.sh"
requires nbdinfo --version
requires_nbdsh

for header in no yes; do
    for size in 40K 44K 4M 128M 1T 16T; do
        start_nbdkit pool=64M size=$size swap-header=$header
        nbdinfo "$uri" >"$dir/info.log"
        nbdinfo --map "$uri" >"$dir/map.log"
        nbdinfo --map --totals "$uri" >"$dir/totals.log"
        case $header in
        no) grep -q 'hole,zero' "$dir/map.log" || fail "$size: no hole"
            ! grep -q data "$dir/map.log" || fail "$size: data in nothing" ;;
        yes) head -n 1 "$dir/map.log" | grep -q -E '^ *0 +4096 +0 +data' \
                 || fail "$size: no header page" ;;
        esac

        HEADER=$header nbdsh_to "$uri" <<'PY'
import os
import struct
h.set_strict_mode (0)
size = h.get_size ()
base = 4096 if os.environ["HEADER"] == "yes" else 0

def zeroes (count, offset):
    assert h.pread (count, offset) == bytes (count), (count, offset)

zeroes (4096, base)
zeroes (1, size - 1)
zeroes (4096, size - 4096)
zeroes (min (1 << 20, size - base), base)
h.trim (4096, base)
h.trim (1, size - 1)
h.zero (4096, base)
h.zero (4096, base, nbd.CMD_FLAG_NO_HOLE)
h.zero (4096, base, nbd.CMD_FLAG_FAST_ZERO)
h.zero (1, size - 1)
h.cache (4096, base)
h.flush ()
h.trim (min (size - base, 1 << 31), base)
zeroes (4096, base)
# A request that leaves the export.
for what in (lambda: h.pread (2, size - 1), lambda: h.pread (1, size),
             lambda: h.pwrite (b"12", size - 1), lambda: h.trim (2, size - 1)):
    try:
        what ()
        assert False, "beyond the end"
    except nbd.Error as e:
        assert e.errno in ("EINVAL", "ENOSPC"), e.errno
PY
        # At any size, two opens in a row say the same.
        nbdinfo --map "$uri" >"$dir/map2.log"
        stop_nbdkit
    done
done
