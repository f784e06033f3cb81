#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# With state=, what was stored is there after a clean stop and after kill -9;
# what cannot be adopted is refused in one line and left alone.

TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"

requires nbdcopy --version
state=$dir/state
mkdir "$state"

# refused PATTERN ARG...: nbdkit ends with exit 1 and one error line.
refused ()
{
    pattern=$1
    shift
    status=0
    "$nbdkit" -f -U "$dir/other" "$plugin" "$@" registry=none --run true \
        >"$dir/out" 2>&1 || status=$?
    [ "$status" -eq 1 ] || fail "$*: exit $status"
    [ "$(grep -c error: "$dir/out")" -eq 1 ] || fail "$*: $(cat "$dir/out")"
    grep -q "$pattern" "$dir/out" || fail "$*: $(cat "$dir/out")"
}

# Real bytes of all kinds, of 16 MiB.
dd if=/dev/urandom of="$dir/image" bs=64k count=128 2>/dev/null
cat "$plugin" "$plugin" "$plugin" "$plugin" >>"$dir/image"
truncate -s 16M "$dir/image"

start_nbdkit pool=64M size=16M "state=$state"
nbdcopy "$dir/image" "$(export_uri web1)"
[ "$(stat -c %a "$state/pool.vmswap")" = 600 ] || fail "others can read it"
refused 'in use by another server' pool=64M "state=$state"
stop_nbdkit

start_nbdkit pool=64M size=16M "state=$state"
nbdcopy "$(export_uri web1)" "$dir/back"
cmp "$dir/image" "$dir/back" || fail "after a clean stop"
crash_nbdkit

# Other guests beside it, and another compressor.
start_nbdkit pool=128M "state=$state" compressor=none guest=web1,size=16M \
             guest=web2,size=16M
nbdcopy "$(export_uri web1)" "$dir/back"
cmp "$dir/image" "$dir/back" || fail "after kill -9"
nbdcopy "$dir/image" "$(export_uri web2)"
crash_nbdkit

# A guest that is not listed keeps its pages, and the server says so.
start_nbdkit pool=64M "state=$state" guest=web2,size=16M
grep -q "warning: state= holds pages of 'web1'" "$dir/nbdkit.log" \
    || fail "no warning"
nbdcopy "$(export_uri web2)" "$dir/back"
cmp "$dir/image" "$dir/back" || fail "the second guest"
stop_nbdkit
start_nbdkit pool=64M "state=$state" size=16M
nbdcopy "$(export_uri web1)" "$dir/back"
cmp "$dir/image" "$dir/back" || fail "after it was not listed"
stop_nbdkit

# A guest's disk may grow between two runs.
start_nbdkit pool=64M "state=$state" guest=web1,size=32M
nbdcopy "$(export_uri web1)" "$dir/back"
[ "$(stat -c %s "$dir/back")" -eq 33554432 ] || fail "it did not grow"
cmp -n 16777216 "$dir/image" "$dir/back" || fail "after it grew"
cmp -n 16777216 "$dir/back" /dev/zero 16777216 || fail "what was added"
stop_nbdkit
start_nbdkit pool=64M "state=$state" guest=web1,size=16M
stop_nbdkit

# Or shrink, and what it never used then does no harm to anybody.
start_nbdkit pool=64M "state=$state" guest=web1,size=16M guest=big,size=3T
nbdsh -u "$(export_uri big)" -c 'h.pwrite (b"b" * 4096, 5 << 38)
h.pwrite (b"b" * 4096, 7 << 30)
h.trim (4096, 5 << 38)
h.trim (4096, 7 << 30)
h.pwrite (b"b" * 4096, 1 << 20)'
crash_nbdkit
start_nbdkit pool=64M "state=$state" guest=web1,size=16M guest=big,size=1G
crash_nbdkit
start_nbdkit pool=64M "state=$state" guest=web1,size=16M guest=big,size=1G
nbdsh -u "$(export_uri big)" -c 'assert h.pread (4096, 1 << 20) == b"b" * 4096
h.trim (1 << 30, 0)'
nbdcopy "$(export_uri web1)" "$dir/back"
cmp "$dir/image" "$dir/back" || fail "after another guest shrank"
stop_nbdkit

# What cannot be.
refused 'give the size it has, or a larger one' pool=64M "state=$state" \
    guest=web1,size=8M
before=$(cksum <"$state/pool.vmswap")
refused 'holds more than pool= allows' pool=16M "state=$state"
[ "$before" = "$(cksum <"$state/pool.vmswap")" ] || fail "the file was changed"
refused 'at most 256 MiB' pool=257M "state=$state"
refused 'is not on tmpfs' pool=64M state=/
refused 'make it a directory' pool=64M "state=$state/none"
refused 'make it a directory' pool=64M "state=$state/pool.vmswap"
refused 'state= is empty' pool=64M state=
[ ! -e /pool.vmswap ] || fail "a refused directory was written to"
mkdir "$dir/small"
if mount -t tmpfs -o size=20M none "$dir/small" 2>/dev/null; then
    status=0
    (refused 'holds at most 20 MiB' pool=64M "state=$dir/small") || status=1
    umount "$dir/small"
    [ $status -eq 0 ] || exit 1
fi

# Damage, each to a copy: refused, and the file stays what it was.
good=$state/good
mv "$state/pool.vmswap" "$good"
damaged ()
{
    before=$(cksum <"$state/pool.vmswap")
    refused "$1" pool=64M "state=$state"
    [ "$before" = "$(cksum <"$state/pool.vmswap")" ] \
        || fail "$1: the file was changed"
}
cp --sparse=always "$good" "$state/pool.vmswap"
truncate -s 20M "$state/pool.vmswap"
damaged 'it is cut short'
cp --sparse=always "$good" "$state/pool.vmswap"
dd if=/dev/zero of="$state/pool.vmswap" bs=8192 count=1 conv=notrunc 2>/dev/null
damaged 'its superblock is damaged'
cp --sparse=always "$good" "$state/pool.vmswap"
printf 'xx' | dd of="$state/pool.vmswap" bs=1 seek=40 conv=notrunc 2>/dev/null
printf 'xx' | dd of="$state/pool.vmswap" bs=1 seek=4136 conv=notrunc 2>/dev/null
damaged 'its superblock is damaged'
cp --sparse=always "$good" "$state/pool.vmswap"
printf '\007' | dd of="$state/pool.vmswap" bs=1 seek=8192 conv=notrunc 2>/dev/null
damaged 'entry 0 of its volumes: its state makes no sense'
cp --sparse=always "$good" "$state/pool.vmswap"
printf '\377' | dd of="$state/pool.vmswap" bs=1 seek=8211 conv=notrunc 2>/dev/null
damaged 'entry 0 of its volumes: its page table names a frame'
cp --sparse=always "$good" "$state/pool.vmswap"
printf '\000\020\000\000' \
    | dd of="$state/pool.vmswap" bs=1 seek=8200 conv=notrunc 2>/dev/null
damaged 'entry 0 of its volumes: its page table goes beyond its size'
echo "this is no image" >"$state/pool.vmswap"
damaged 'its superblock is damaged'

# One damaged slot is no harm.
cp --sparse=always "$good" "$state/pool.vmswap"
printf 'xx' | dd of="$state/pool.vmswap" bs=1 seek=40 conv=notrunc 2>/dev/null
start_nbdkit pool=64M "state=$state" size=16M
nbdcopy "$(export_uri web1)" "$dir/back"
cmp "$dir/image" "$dir/back" || fail "with one superblock"
stop_nbdkit
