#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# qemu-img and qemu-io work on an export: map, compare, convert both ways,
# write and discard.
. "${srcdir:-.}/functions.sh"
requires qemu-img --version
requires qemu-io --version
requires jq --version

start_nbdkit pool=64M size=32M swap-header=no

# Empty first.
qemu-img map --output=json -f raw "$uri" >"$dir/map.log"
jq -e 'length == 1 and .[0].zero and (.[0].data | not)' "$dir/map.log" \
    >/dev/null || fail "an empty export maps as: $(cat "$dir/map.log")"

# A qcow2 image with a pattern here and there, 1 MiB of it each.
qemu-img create -q -f qcow2 "$dir/image" 32M
qemu-io -f qcow2 -c 'write -q -P 17 0 1M' -c 'write -q -P 34 5M 1M' \
    -c 'write -q -P 51 31M 1M' "$dir/image"
qemu-img convert -n -f qcow2 -O raw "$dir/image" "$uri"
qemu-img compare -f qcow2 -F raw "$dir/image" "$uri" \
    || fail "converted in, it differs"
qemu-img map --output=json -f raw "$uri" >"$dir/map.log"
jq -e '[.[] | select (.data) | [.start, .length]]
       == [[0, 1048576], [5242880, 1048576], [32505856, 1048576]]' \
    "$dir/map.log" >/dev/null || fail "maps as: $(cat "$dir/map.log")"
qemu-img convert -f raw -O qcow2 "$uri" "$dir/back"
qemu-img compare -f qcow2 -F qcow2 "$dir/image" "$dir/back" \
    || fail "converted out, it differs"

# Reads and writes that are no pages, zeroes with and without unmap, discard.
qemu-io -f raw -d unmap -c 'write -q -P 68 1536 3k' -c 'write -qz 8k 8k' \
    -c 'write -quz 16k 8k' -c 'discard -q 5M 512k' "$uri"
qemu-io -f raw -c 'read -q -P 17 0 1536' -c 'read -q -P 68 1536 3k' \
    -c 'read -q -P 17 4608 3584' -c 'read -q -P 0 8k 16k' \
    -c 'read -q -P 17 24k 1000k' -c 'read -q -P 0 5M 512k' \
    -c 'read -q -P 34 5632k 512k' -c 'read -q -P 51 31M 1M' "$uri" \
    >"$dir/io.log" 2>&1
if grep -q -i -e fail -e error "$dir/io.log"; then
    fail "qemu-io: $(cat "$dir/io.log")"
fi
if qemu-img compare -q -f qcow2 -F raw "$dir/image" "$uri"; then
    fail "what was changed compares equal"
fi
stop_nbdkit
