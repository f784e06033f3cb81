#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A blank export is a swap area: the tools that know swap areas agree, the
# UUID depends on the name alone, and a wiped export gets its header back.
. "${srcdir:-.}/functions.sh"
requires nbdcopy --version
requires blkid --version
requires_nbdsh

# pull NAME: a copy of the export, in $dir/image.
pull ()
{
    rm -f "$dir/image"
    nbdcopy "$(export_uri "$1")" "$dir/image"
}

field ()
{
    blkid -p -o value -s "$1" "$dir/image"
}

start_nbdkit pool=64M guest=web1,size=64M guest=web2,size=64M \
    guest=least,size=40K
pull web1
blkid -p "$dir/image"
[ "$(field TYPE)" = swap ] || fail "blkid sees no swap"
[ "$(field VERSION)" = 1 ] || fail "blkid sees another version"
[ "$(field LABEL)" = vmswap ] || fail "blkid sees another label"
uuid=$(field UUID)
echo "$uuid" | grep -q -E '^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$' \
    || fail "the UUID $uuid does not have the form of version 5"
if command -v file >/dev/null; then
    file "$dir/image" | grep -q 'Linux swap file, 4k page size, little endian, version 1, size 16383 pages, 323 bad pages' \
        || fail "file says: $(file "$dir/image")"
fi
if command -v swaplabel >/dev/null; then
    swaplabel "$dir/image" | grep -q "UUID:  *$uuid" || fail "swaplabel"
fi
# What mkswap writes is the same, byte for byte, but for the bad pages.
if command -v mkswap >/dev/null; then
    truncate -s 64M "$dir/reference"
    mkswap -L vmswap -U "$uuid" "$dir/reference" >"$dir/mkswap.log" 2>&1
    python3 - "$dir/image" "$dir/reference" <<'PY' || fail "mkswap differs"
import struct, sys
ours, theirs = (open (name, "rb").read () for name in sys.argv[1:])
n, = struct.unpack_from ("<I", ours, 1032)
bad = struct.unpack_from ("<637I", ours, 1536)
assert ours[:1032] == theirs[:1032] and ours[1036:1536] == theirs[1036:1536]
assert ours[4084:] == theirs[4084:]
pages = len (ours) // 4096
assert n == 323 and not any (bad[n:]) and len (set (bad[:n])) == n
assert all (0 < page < pages for page in bad[:n])
# What blkid 2.38 reads of a blank disk and of a swap area.
probed = [*range (1, 129), 256, 512, 1024, pages - 386,
          *range (pages - 128, pages)]
assert set (probed) <= set (bad[:n]), "blkid reads more"
PY
fi
pull web2
[ "$(field UUID)" != "$uuid" ] || fail "two names, one UUID"
pull least
[ "$(field TYPE)" = swap ] || fail "the smallest export is no swap"

# Whoever wipes the export gets a header again with the next first connection,
# and nobody who has stored something loses it.
nbdsh_to "$(export_uri web1)" <<'PY'
h.trim (h.get_size (), 0)
assert h.pread (4096, 0) == bytes (4096), "wiped"
import os
again = nbd.NBD ()
again.connect_uri (h.get_uri ())
assert again.pread (4096, 0) == bytes (4096), "not while it is connected"
PY
has_header ()
{
    pull web1
    [ "$(field UUID)" = "$uuid" ]
}
# First is who comes when the server has seen that the others are gone.
poll 30 has_header || fail "no header after a wipe"
nbdsh -u "$(export_uri web1)" -c '
h.trim (h.get_size (), 0)
h.pwrite (b"x" * 4096, 8192)'
pull web1
nbdsh -u "$(export_uri web1)" -c '
assert h.pread (4096, 0) == bytes (4096), "page 0 was overwritten"
assert h.pread (4096, 8192) == b"x" * 4096, "data was lost"'
stop_nbdkit

# The UUID survives the server; an export opened by name has the same one.
start_nbdkit pool=64M size=64M
pull web1
[ "$(field UUID)" = "$uuid" ] || fail "another UUID after a restart"
stop_nbdkit

start_nbdkit pool=64M size=64M swap-header=no
nbdsh_to "$uri" <<'PY'
assert h.pread (4096, 0) == bytes (4096), "a header against swap-header=no"
PY
stop_nbdkit
