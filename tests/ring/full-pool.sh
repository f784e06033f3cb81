#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A full pool, or a quota that is reached, refuses writes and loses nothing; a
# post that it refuses all the same waits, and is stored, superseded, or lost
# when its session ends, but never passed over.
. "${srcdir:-.}/functions.sh"
requires_nbdsh

seed=${SEED:-$$}
echo "SEED=$seed"
control=$dir/control

serve ()
{
    start_nbdkit pool=16M "control=$control" guest=other,size=64M \
        "guest=web1,size=256M,ivshmem=$dir/web1,region=1M$1" dedup=off
}

for limit in '' ,quota=5M; do
    serve "$limit"
    "$programs/torture" "$dir/web1" "seed=$seed" full=1 pages=20000 ms=2500 \
        sessions=1 || fail "torture $limit"
    stop_nbdkit
    for how in free discard covered reboot; do
        serve "$limit"
        timeout 60 "$programs/stuck" "$dir/web1" $how || fail "$how $limit"
        stop_nbdkit
    done
done

# Somebody else makes room.
mkfifo "$dir/in" "$dir/out"
wait_for_room ()
{
    timeout 60 "$programs/stuck" "$dir/web1" wait <"$dir/in" >"$dir/out" &
    client=$!
    client_pids="$client_pids $client"
    exec 3>"$dir/in" 4<"$dir/out"
    read -r line <&4
    [ "$line" = stuck ] || fail "it is not stuck"
}
serve ''
nbdsh -u "$(export_uri other)" -c \
    'import random; h.pwrite (random.Random (1).randbytes (2 << 20), 0)'
wait_for_room
nbdsh -u "$(export_uri other)" -c 'h.trim (2 << 20, 0)'
echo go >&3
wait "$client" || fail "room that others made"
exec 3>&- 4<&-
stop_nbdkit
serve ,quota=5M
wait_for_room
"$VMSWAPCTL" limit --control "$control" --quota 8M web1 >"$dir/limit.log" 2>&1 \
    || fail "vmswapctl limit"
echo go >&3
wait "$client" || fail "a quota that was raised"
exec 3>&- 4<&-
stop_nbdkit
