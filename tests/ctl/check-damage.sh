#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Every kind of damage is found, named, and left alone; pages are counted one
# by one, with the first of them listed.
. "${srcdir:-.}/functions.sh"

# damaged KIND PAGE: one page of that kind of damage, and no other.
damaged ()
{
    fresh_state fill
    "$tool" damage "$dir/state" "$1" web1 "$2"
    check 1
    says out '^web1 .* 1$'
    says out "^  damaged pages: $2\$"
    says out '^web2 .* 0$'
    says out '^all .* 1$'
    says err '1 damaged page'
    says err 'swapoff and mkswap'
}
damaged data 1        # stored as it is
damaged data 500      # compressed
damaged header 503
damaged word 505
damaged outside 506   # stored as it is
damaged fill 507

# Many, in all volumes: all are counted, the first are listed in order.
fresh_state fill
for i in 19 18 17 16 15 14 13 12 11 10; do
    "$tool" damage "$dir/state" data web1 $((i * 50))
done
"$tool" damage "$dir/state" data web2 0
check 1
says out '^  damaged pages: 500 550 600 650 700 750 800 850 \.\.\.$'
says out '^web1 .* 10$'
says out '^web2 .* 1$'
says out '^  damaged pages: 0$'
says out '^all .* 11$'

# What a server would refuse: the same words as the server's.
refused ()
{
    check 1
    says err "$1"
    says err 'move it away to start empty'
    [ ! -s "$dir/out" ] || fail "prints results of what it could not adopt"
}
fresh_state fill
"$tool" damage "$dir/state" frame web1 1000
refused 'names a frame that is not there'
fresh_state fill
"$tool" damage "$dir/state" super web1 0
refused 'superblock is damaged'
fresh_state fill
"$tool" damage "$dir/state" version web1 99
refused 'another version of vmswap'
fresh_state fill
truncate -s -1M "$dir/state/pool.vmswap"
refused 'cut short'
fresh_state fill
printf 'something else' | dd of="$dir/state/pool.vmswap" conv=notrunc 2>/dev/null
printf 'something else' |
    dd of="$dir/state/pool.vmswap" conv=notrunc bs=4096 seek=1 2>/dev/null
refused 'or it is something else'

# The data gone, as after a copy that was broken off: all blobs are damaged.
fresh_state fill
size=$(stat -c %s "$dir/state/pool.vmswap")
truncate -s 66M "$dir/state/pool.vmswap"
truncate -s "$size" "$dir/state/pool.vmswap"
check 1
says out '^web1 .* 1200$'
