#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A server that is killed while it greets a QEMU, at whatever step, leaves
# nothing that waits: the next server refuses that QEMU, tells a
# guest that has the region already that it is dead, says so, and gives the
# next QEMU a region.  A QEMU that was greeted goes on through all that.
TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"
requires strace -f -o /dev/null true

mkdir "$dir/state"
start_keeper

serve ()
{
    start_nbdkit pool=64M "state=$dir/state" "keeper=$dir/keeper" \
        "guest=web1,size=64M,ivshmem=$dir/web1,region=1M" \
        "guest=web2,size=64M,ivshmem=$dir/web2,region=1M"
}

# All threads of the server are traced.
is_traced ()
{
    ! grep -q '^TracerPid:[[:space:]]*0$' "/proc/$nbdkit_pid/task/"*/status
}

# kill_at N: the server will be killed when a thread of it is about to send its
# Nth message from now on.
kill_at ()
{
    strace -f -p "$nbdkit_pid" -o "$dir/strace" -e trace=sendmsg \
        -e "inject=sendmsg:signal=KILL:when=$1" >"$dir/strace.log" 2>&1 \
        3>&- 4>&- 5<&- 6<&- &
    client_pids="$client_pids $!"
    poll 30 is_traced || fail "no way to trace the server"
}

serve
start_guest 2 "$dir/web2"
[ "$answer" = ok ] || fail "no region: $answer"

# Message 1 goes to the keeper, 2 to 6 to the QEMU, 7 to the keeper.
for n in 1 2 3 4 5 6 7; do
    ask 2 write $n $n$n ok
    kill_at $n
    "$programs/guest" "$dir/web1" </dev/null >"$dir/web1.$n.log" 2>&1 \
        3>&- 4>&- 5<&- 6<&- &
    client=$!
    client_pids="$client_pids $client"
    poll 30 is_gone "$nbdkit_pid" || fail "message $n was never sent"
    wait "$nbdkit_pid" 2>/dev/null || :
    serve
    poll 20 is_gone $client || fail "$n: a QEMU that was greeted in part waits"
    status=0
    wait $client || status=$?
    case $n in
    7) # It waits for a session, for 10 seconds.
        grep -q -x 'Protocol error' "$dir/web1.$n.log" \
            || fail "its region is not dead: $(cat "$dir/web1.$n.log")"
        ;;
    *)
        [ $status -eq 3 ] || fail "$n: $(cat "$dir/web1.$n.log")"
        # QEMU 7.2 wants a word of refusal.
        [ "$n" -eq 1 ] || grep -q -x 'Device or resource busy' "$dir/web1.$n.log" \
            || fail "$n: it was not refused: $(cat "$dir/web1.$n.log")"
        ;;
    esac
    # Before the first message nobody had the region, not even the keeper.
    said=$(errors_in_log "warning: guest=web1: the last server ended while it gave")
    [ "$said" -eq $((n > 1)) ] || fail "$n: $said lines about it"
    [ "$(errors_in_log "guest=web2")" -eq 0 ] || fail "$n: a word about web2"
    ask 2 read $n $n$n

    start_guest 1 "$dir/web1"
    [ "$answer" = ok ] || fail "$n: no region for the next QEMU: $answer"
    ask 1 write 100 $n ok
    ask 1 read 100 $n
    end_guest 1
done
end_guest 2
stop_nbdkit
kill $keeper
