#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Whatever a guest writes into its region, rings, or says on its socket, the
# server serves on, its other guests' pages are right, the pool is sound, and no
# memory or descriptor is left behind.  (HOSTILE_MS: for how long, each way.)
TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"

seed=${SEED:-$$}
ms=${HOSTILE_MS:-1500}
echo "SEED=$seed"
mkdir "$dir/state"
start_nbdkit pool=64M "state=$dir/state" group=all dedup=always \
    "guest=bad,size=64G,quota=16M,ivshmem=$dir/bad,region=2M" \
    "guest=good,size=256M,reserve=24M,ivshmem=$dir/good,region=2M"

descriptors ()
{
    # shellcheck disable=SC2012 # numbers
    ls "/proc/$nbdkit_pid/fd" | wc -l
}

memory ()
{
    awk '/^RssAnon/ { print $2 }' "/proc/$nbdkit_pid/status"
}

# Once around, so that everything there is has been there once.
"$programs/hostile" "$dir/bad" comings 200 "$seed" || fail "comings"
start_guest 1 "$dir/good"
end_guest 1
quiet ()
{
    [ "$(descriptors)" -eq "$before" ]
}
no_region ()
{
    # shellcheck disable=SC2010 # links
    ! ls -l "/proc/$nbdkit_pid/fd" | grep -q vmswap-region
}
poll 30 no_region || fail "regions stay"
before=$(descriptors)
memory_before=$(memory)

for how in lies scribble flood garbage comings block; do
    "$programs/hostile" "$dir/bad" $how "$ms" "$seed" >"$dir/$how.log" 2>&1 &
    bad=$!
    client_pids="$client_pids $bad"
    "$programs/torture" "$dir/good" "seed=$seed" "ms=$ms" threads=2 \
        pages=1000 || fail "$how: a good guest's pages are wrong"
    status=0
    wait $bad || status=$?
    [ $status -eq 0 ] || fail "$how ended with $status"
    ! is_gone "$nbdkit_pid" || fail "$how: the server died"
    # Another, that is killed in the middle.
    status=0
    "$programs/hostile" "$dir/bad" $how 60000 "$seed" 300 \
        >"$dir/$how.log" 2>&1 || status=$?
    [ $status -gt 128 ] || fail "$how, to be killed, ended with $status"
done
poll 30 quiet || fail "descriptors: $(descriptors) instead of $before"
grown=$(($(memory) - memory_before))
echo "private memory grew by $grown KiB"
[ $grown -lt 2000 ] || fail "memory grew by $grown KiB"

start_guest 1 "$dir/bad"
[ "$answer" = ok ] || fail "the export of the bad guest is gone: $answer"
ask 1 free 0 $((16 << 20)) ok
ask 1 drain ok
ask 1 write 5 55 ok
ask 1 drain ok
ask 1 read 5 55
end_guest 1
stop_nbdkit
"$VMSWAPCTL" check "$dir/state" || fail "the pool is not sound"
