#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A guest that posts one page after another to a server that sleeps rings it for
# some of them only, and all are done soon.  In the smallest region, too, where
# there are few slots.
. "${srcdir:-.}/functions.sh"

for region in 1M 32M; do
    start_nbdkit pool=64M "guest=web1,size=64M,region=$region,ivshmem=$dir/web1"
    "$programs/bells" "$dir/web1" >"$dir/bells.log" \
        || fail "$region: $(cat "$dir/bells.log")"
    stop_nbdkit
    cat "$dir/bells.log"
    read -r _ posts rings <"$dir/bells.log"
    [ $((rings * 2)) -lt "$posts" ] \
        || fail "$region: the guest rang $rings times for $posts posts"
done
