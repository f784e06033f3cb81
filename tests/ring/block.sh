#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A QEMU that makes the eventfds it shares with the server block holds up nobody:
# other guests are served, the server ends when it is told to, and the next one
# that takes the region over from the keeper starts and serves.
TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"

seed=${SEED:-$$}
echo "SEED=$seed"
mkdir "$dir/state"
start_keeper

serve ()
{
    start_nbdkit pool=64M "state=$dir/state" "keeper=$dir/keeper" \
        "guest=bad,size=64M,ivshmem=$dir/bad,region=2M" \
        "guest=good,size=64M,ivshmem=$dir/good,region=2M"
}

good_is_served ()
{
    timeout 60 "$programs/torture" "$dir/good" "seed=$seed" ms=500 threads=2 \
        pages=500 || fail "a good guest, $1"
}

told () { grep -q "guest=bad: its QEMU makes interrupts block" "$dir/nbdkit.log"; }

serve
"$programs/hostile" "$dir/bad" block 120000 "$seed" >"$dir/block.log" 2>&1 &
bad=$!
client_pids="$client_pids $bad"
poll 30 told || fail "nobody says what the QEMU does"
good_is_served "beside it"
stop_nbdkit
! is_gone $bad || fail "the bad guest ended: $(cat "$dir/block.log")"

serve
good_is_served "after a restart"
crash_nbdkit
serve
good_is_served "after a kill"

kill $bad
wait $bad || :
good_is_served "when it has gone"
stop_nbdkit
kill $keeper
wait $keeper || :
