#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# nbdcopy in and out, over several connections: what comes out is what went in,
# holes stay holes.
. "${srcdir:-.}/functions.sh"
requires nbdcopy --version
requires nbdinfo --version
requires openssl version

# 24 MiB: text, noise, one repeated byte, and nothing, in odd pieces.
make_image ()
{
    {
        od -A d -t x1 "$plugin" | head -c 5000001
        openssl enc -aes-128-ctr -nosalt -K "$(printf %032d 1)" \
            -iv "$(printf %032d 0)" -in /dev/zero 2>/dev/null | head -c 7000003
        head -c 3000007 /dev/zero | tr '\0' 'A'
    } >"$dir/image"
    truncate -s 24M "$dir/image"
}

make_image
for compressor in lz4 none; do
    start_nbdkit pool=64M size=24M compressor=$compressor
    nbdcopy "$dir/image" "$uri"
    nbdcopy "$uri" "$dir/back"
    cmp "$dir/image" "$dir/back" || fail "$compressor: other data came back"

    # The last 8 MiB and a bit are one hole.
    nbdinfo --map "$uri" >"$dir/map.log"
    tail -n 1 "$dir/map.log" \
        | awk '{ exit !($2 > 8388608 && $3 == 3) }' \
        || fail "no hole at the end"

    # Over existing data: nothing of the old may shine through.
    head -c 24M /dev/zero | tr '\0' 'B' >"$dir/other"
    nbdcopy "$dir/other" "$uri"
    nbdcopy --destination-is-zero "$dir/other" "$uri"
    nbdcopy --synchronous "$uri" "$dir/back"
    cmp "$dir/other" "$dir/back" || fail "$compressor: old data came back"
    nbdcopy --allocated "$dir/image" "$uri"
    nbdcopy --no-extents --requests=1 "$uri" "$dir/back"
    cmp "$dir/image" "$dir/back" || fail "$compressor: other data came back"
    stop_nbdkit
done
