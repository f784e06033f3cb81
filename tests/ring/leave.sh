#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Whatever a guest has left in its region, the next QEMU of that guest gets its own
# soon: posts that are stuck, a post_head that went back behind what the server had
# done early, and more frees of the whole device than could be done in a minute.
. "${srcdir:-.}/functions.sh"

# next_guest WHAT
next_guest ()
{
    timeout 20 "$programs/guest" "$dir/web1" </dev/null >"$dir/next.log" 2>&1 \
        || fail "$1: no region for the next QEMU: $(cat "$dir/next.log")"
    [ "$(cat "$dir/next.log")" = ok ] || fail "$1: $(cat "$dir/next.log")"
}

start_nbdkit pool=16M "guest=web1,size=256M,quota=5M,ivshmem=$dir/web1,region=1M" \
    dedup=off
timeout 60 "$programs/stuck" "$dir/web1" back || fail back
next_guest back
stop_nbdkit
start_nbdkit pool=16M "guest=web1,size=256M,quota=5M,ivshmem=$dir/web1,region=1M" \
    dedup=off
timeout 60 "$programs/stuck" "$dir/web1" gone "$nbdkit_pid" || fail gone
kill -CONT "$nbdkit_pid"
next_guest gone
stop_nbdkit

start_nbdkit pool=512M "guest=web1,size=256G,ivshmem=$dir/web1,region=256M"
start_guest 1 "$dir/web1"
ask 1 write 7 71 ok
ask 1 all_free 67108864 ok
end_guest 1
next_guest frees
stop_nbdkit
