#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# With keeper= and state=, a guest goes on while its server is killed, or told to
# end, and started again (RESTARTS times, default 24), in the middle of its
# posts and requests: nothing that was posted is lost, nothing reads wrong.
TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"

seed=${SEED:-$$}
restarts=${RESTARTS:-24}
echo "SEED=$seed"
mkdir "$dir/state"
start_keeper

serve ()
{
    start_nbdkit pool=64M "state=$dir/state" "keeper=$dir/keeper" \
        "guest=web1,size=64M,ivshmem=$dir/web1,region=1M" \
        "guest=web2,size=64M,ivshmem=$dir/web2,region=1M" "$@"
}

serve
"$programs/restart" "$dir/web1" "$restarts" "$seed" >"$dir/restart.log" 2>&1 &
client=$!
client_pids="$client_pids $client"
start_guest 1 "$dir/web2"
ask 1 write 1 41 ok

# It is served, by the server of now: its posts go on.
progress ()
{
    is_gone $client && return 0
    now=$("$VMSWAPCTL" json --control "$dir/control" 2>/dev/null \
        | jq '.guests[] | select (.name == "web1").ring_posts')
    [ "${now:-0}" -gt 200 ]
}
requires jq --version
stop_nbdkit
serve "control=$dir/control"
n=1
while ! is_gone $client; do
    poll 60 progress || fail "the guest stands still after $n restarts"
    if [ $((n % 6)) -eq 0 ]; then
        stop_nbdkit
    else
        crash_nbdkit
    fi
    # Somebody wants to connect meanwhile, and has to wait.
    n=$((n + 1))
    serve "control=$dir/control"
done
wait $client || fail "pages are wrong after $n restarts"
cat "$dir/restart.log"
ask 1 read 1 41
ask 1 write 2 42 ok
crash_nbdkit
serve
ask 1 read 2 42

# A guest that reboots while there is no server: what it had posted is there.
crash_nbdkit
ask 1 write 5 45 ok
ask 1 fill 6 77 ok
tell 1 reboot 100
[ "$answer" != ok ] || fail "a session without a server"
serve
ask 1 reboot 10000 ok
ask 1 read 5 45
ask 1 word 6 77

# A guest that holds nothing gets no swap header from the next server.
ask 1 free 0 16384 ok
ask 1 drain ok
crash_nbdkit
serve
ask 1 read 0 zeroes

# Another server cannot have the keeper.
! timeout 30 "$nbdkit" -U - "$plugin" pool=64M registry=none \
    "state=$dir" "keeper=$dir/keeper" --run true >"$dir/out.log" 2>&1 \
    || fail "two servers on one keeper"
grep -q 'another server uses it' "$dir/out.log" || fail "no word about it"

# A QEMU that ends while there is no server: what it posted is there.
ask 1 write 3 43 ok
crash_nbdkit
ask 1 write 4 44 ok
end_guest 1
serve
start_again ()
{
    start_guest 1 "$dir/web2"
    [ "$answer" = ok ] || { end_guest 1; return 1; }
}
poll 30 start_again || fail "no region for the next QEMU"
ask 1 read 3 43
ask 1 read 4 44

# One that connects while there is no server waits for it.
end_guest 1
crash_nbdkit
"$programs/torture" "$dir/web2" ms=100 sessions=0 >"$dir/late.log" 2>&1 \
    3>&- 5<&- &
late=$!
client_pids="$client_pids $late"
serve
wait $late || fail "a QEMU that came before the server"

# The pages are gone, and not the region.
start_guest 1 "$dir/web1"
ask 1 write 5 45 ok
ask 1 drain ok
crash_nbdkit
rm -f "$dir/state/pool.vmswap"
serve
dead ()
{
    tell 1 state
    [ "${answer%% *}" = 3 ]
}
poll 30 dead || fail "a guest without its pages is served on: $answer"
end_guest 1
stop_nbdkit
kill $keeper
