#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Pages that went with a server are missed by the next one: they read as
# errors, never as zeroes, until the guest gives them up.

TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"
requires_nbdsh
requires blkid --version

. "${srcdir:-.}/lost.sh"

# --- An entry comes with the first write, and not before.

serve size=64M
web1 'h.pread (4096, 0)'
[ -z "$(entry)" ] || fail "an entry for a read"
[ "$(stat -c %a "$reg")" = 700 ] || fail "others can read the folder"
[ "$(stat -c %s "$reg/registry")" = 524800 ] || fail "its size"
web1 'h.pwrite (b"x" * 4096, 8 << 20)'
entry | grep -q ' size=67108864 .* header=server ' || fail "$(entry)"
crash_nbdkit

# Pages that are there are not lost.
serve size=64M
[ "$(errors_in_log lost)" = 0 ] || fail "lost after a crash"
web1 'assert h.pread (4096, 8 << 20) == b"x" * 4096
assert h.pread (4096, 9 << 20) == zero'
crash_nbdkit

# --- The state is gone.

rm "$state/pool.vmswap"
serve size=64M
[ "$(errors_in_log "warning: export 'web1': the pages that it held")" = 1 ] \
    || fail "no warning"
nbdinfo --list "nbd+unix:///?socket=$dir/sock" \
    | grep -q 'description: vmswap web1 64M: what it held is lost' \
    || fail "the listing does not say it"
web1 '
assert lost (8 << 20) and lost (9 << 20) and lost ((8 << 20) + 512, 512)
# Nobody takes it for a hole.
holes = []
def note (context, offset, entries, err):
    while entries:
        holes.append ((offset, entries[0], entries[1]))
        offset += entries[0]
        entries = entries[2:]
' -c '' 2>/dev/null || fail "reads of what was lost"
nbdsh -c "h.add_meta_context ('base:allocation')" -u "$(export_uri web1)" -c '
got = []
h.block_status (16 << 20, 8 << 20, lambda c, o, e, err: got.extend (e))
assert got == [16 << 20, 0], got' || fail "what was lost looks like a hole"

# A guest that boots sees what the disk is, and nothing that looks broken where
# its tools look.
web1 '
image = bytearray (h.get_size ())
pages = len (image) // 4096
for page in [*range (129), 256, 512, 1024, pages - 386,
             *range (pages - 128, pages)]:
    image[page * 4096:page * 4096 + 4096] = h.pread (4096, page * 4096)
open ("'"$dir/image"'", "wb").write (image)'
[ "$(blkid -p -o value -s LABEL "$dir/image")" = vmswap ] || fail "no label"

# Writing mends what is written; zeroes are written, too.  A part of a lost
# page cannot be.
web1 '
h.pwrite (b"y" * 8192, 16 << 20)
h.zero (8192, 17 << 20)
h.pwrite (zero, 18 << 20)
assert h.pread (8192, 16 << 20) == b"y" * 8192 and lost ((16 << 20) + 8192)
assert h.pread (8192, 17 << 20) == bytes (8192) and lost ((17 << 20) - 4096)
assert h.pread (4096, 18 << 20) == zero and lost (19 << 20)
for call in (lambda: h.pwrite (b"z" * 512, 20 << 20),
             lambda: h.zero (512, 20 << 20)):
    try:
        call ()
        assert False, "half of a lost page was written"
    except nbd.Error as e:
        assert e.errno == "EIO", e
h.trim (4096, 30 << 20)'
crash_nbdkit

# The next server on the same state knows as much as this one did.
serve size=64M
web1 'assert h.pread (8192, 16 << 20) == b"y" * 8192
assert h.pread (8192, 17 << 20) == bytes (8192)
assert lost (8 << 20) and lost (20 << 20)'
stop_nbdkit

# And when that is gone, too, so is the rest.
rm "$state/pool.vmswap"
serve size=64M
web1 'assert lost (16 << 20) and lost (8 << 20)'

# --- The ways out.  mkswap:

header ()
{
    rm -f "$dir/new"
    truncate -s 64M "$dir/new"
    mkswap -U "$1" "$dir/new" >/dev/null 2>&1
}

uuid=$(blkid -p -o value -s UUID "$dir/image")
header "$uuid"
web1 'h.pwrite (open ("'"$dir/new"'", "rb").read (4096), 0)
assert lost (8 << 20), "the same UUID (a guest that woke up) is no new area"'
header 01234567-89ab-cdef-0123-456789abcdef
web1 'h.pwrite (open ("'"$dir/new"'", "rb").read (4096), 0)
assert h.pread (4096, 8 << 20) == zero, "a new swap area is not lost"
h.pwrite (b"m" * 4096, 8 << 20)'
entry | grep -q ' header=guest ' || fail "the header is the guest's now"
crash_nbdkit

# A guest's own header names no bad pages: all of it is lost, and a fresh
# header is there.
rm "$state/pool.vmswap"
serve size=64M
web1 'assert lost (4096) and lost (8 << 20) and lost (h.get_size () - 4096)
assert h.pread (4096, 0)[4086:] == b"SWAPSPACE2"'

# A discard of the whole disk, in order and from both ends:
web1 '
for offset in range (4096, 60 << 20, 4096 * 1000):
    assert lost (offset)
    h.trim (min (4096 * 1000, (60 << 20) - offset), offset)
    assert h.pread (4096, offset) == zero
assert lost (60 << 20)
h.trim (h.get_size () - (60 << 20), 60 << 20)
assert h.pread (4096, 60 << 20) == zero
h.trim (4096, 0)'
# It goes once the server has seen that the client is gone.
no_entry ()
{
    [ -z "$(entry)" ]
}
poll 30 no_entry || fail "the entry of an empty export stays"
stop_nbdkit
rm "$state/pool.vmswap"
serve size=64M
[ "$(errors_in_log lost)" = 0 ] || fail "an empty export was lost"
web1 'assert h.pread (4096, 8 << 20) == zero'
stop_nbdkit

# --- An older pool comes back: it is not what the guest wrote last.

serve size=64M
web1 'h.pwrite (b"old" + bytes (4093), 8 << 20)'
stop_nbdkit
mv "$state/pool.vmswap" "$state/old"
serve size=64M
web1 'h.pwrite (b"new" + bytes (4093), 8 << 20)'
stop_nbdkit
mv "$state/old" "$state/pool.vmswap"
status=0
"$nbdkit" -f -U "$dir/other" "$plugin" pool=64M size=64M "registry=$reg" \
    "state=$state" --run true >"$dir/out" 2>&1 || status=$?
[ $status -eq 1 ] || fail "an old pool is served"
grep -q "state= holds pages of it, but the registry knows" \
    "$dir/out" || fail "$(cat "$dir/out")"
rm "$state/pool.vmswap" "$reg/registry"

# --- Without state=, every end of a server loses pages; with guest=, as well.

start_nbdkit pool=64M "registry=$reg" guest=web1,size=64M guest=web2,size=64M
web1 'h.pwrite (b"x" * 4096, 8 << 20)'
stop_nbdkit
start_nbdkit pool=64M "registry=$reg" guest=web1,size=128M guest=web2,size=64M
web1 'assert lost (8 << 20) and h.get_size () == 128 << 20'
nbdsh -u "$(export_uri web2)" -c 'h.pread (4096, 8 << 20)' || fail "web2"
stop_nbdkit
start_nbdkit pool=64M "registry=$reg" guest=web2,size=64M
[ "$(errors_in_log "pages of 'web1' are lost, and no guest= lists it")" = 1 ] \
    || fail "not a word about web1"
stop_nbdkit
start_nbdkit pool=64M size=32M "registry=$reg"
web1 'assert lost (8 << 20) and h.get_size () == 64 << 20'

# --- One server at a time; damage; a full disk.

# refused PATTERN ARG...
refused ()
{
    pattern=$1
    shift
    status=0
    "$nbdkit" -f -U "$dir/other" "$plugin" pool=64M "$@" --run true \
        >"$dir/out" 2>&1 || status=$?
    [ "$status" -eq 1 ] || fail "$pattern: exit $status"
    [ "$(grep -c error: "$dir/out")" -eq 1 ] || fail "$(cat "$dir/out")"
    grep -q "$pattern" "$dir/out" || fail "$(cat "$dir/out")"
}

refused 'in use by another server: give each its own' "registry=$reg"
stop_nbdkit
cp "$reg/registry" "$dir/good"
for at in 0 520 700 1023 1024; do
    cp "$dir/good" "$reg/registry"
    printf 'X' | dd of="$reg/registry" bs=1 seek=$at conv=notrunc 2>/dev/null
    cp "$reg/registry" "$dir/bad"
    refused damaged "registry=$reg"
    cmp -s "$reg/registry" "$dir/bad" || fail "a damaged registry was changed"
done
head -c 5000 "$dir/good" >"$reg/registry"
refused 'damaged, or of another version' "registry=$reg"
sed 's/^vmswap-registry 1/vmswap-registry 2/' "$dir/good" >"$reg/registry"
refused 'damaged, or of another version' "registry=$reg"
cp "$dir/good" "$reg/registry"

mkdir "$dir/small"
if mount -t tmpfs -o size=300k none "$dir/small" 2>/dev/null; then
    status=0
    (refused 'No space left.*half a MiB' "registry=$dir/small/r") || status=1
    [ ! -e "$dir/small/r/registry" ] || status=1
    umount "$dir/small"
    [ $status -eq 0 ] || exit 1
fi

# Names of all kinds come back.
start_nbdkit pool=64M size=1M "registry=$reg"
for name in 'a"b' 'live size=1' ' "' "$(printf '%0127d' 7)"; do
    NAME=$name SOCK=$dir/sock nbdsh -c 'import os
h.set_export_name (os.environ["NAME"])
h.connect_unix (os.environ["SOCK"])
h.pwrite (b"n" * 4096, 8192)' || fail "'$name'"
done
stop_nbdkit
start_nbdkit pool=64M size=1M "registry=$reg"
for name in 'a"b' 'live size=1' ' "' "$(printf '%0127d' 7)"; do
    [ "$(grep -c -F "export '$name': the pages" "$dir/nbdkit.log")" = 1 ] \
        || fail "'$name' is forgotten"
done
stop_nbdkit
