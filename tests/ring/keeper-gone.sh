#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A keeper that ends is noticed at once: in the log, by doctor and in the
# figures; a QEMU that connects meanwhile is served, with a warning.  A keeper
# that is started in its place is given everything: guests of before and of
# meanwhile then outlive a server that is killed, and their sockets, too.
TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"
requires jq --version

mkdir "$dir/state"
kill_keeper ()
{
    kill -9 $keeper
    wait $keeper 2>/dev/null || :
}

serve ()
{
    start_nbdkit pool=64M "state=$dir/state" "keeper=$dir/keeper" \
        "control=$dir/control" \
        "guest=web1,size=64M,ivshmem=$dir/web1,region=1M" \
        "guest=web2,size=64M,ivshmem=$dir/web2,region=1M" \
        "guest=web3,size=64M,ivshmem=$dir/web3,region=1M"
}

# said N PATTERN: these lines are in the log, so many times.
said () { [ "$(errors_in_log "$2")" -eq "$1" ]; }

# sees GONE: 0 or 1, in all views.
sees ()
{
    "$VMSWAPCTL" json --control "$dir/control" >"$dir/json"
    [ "$(jq .pool.keeper_gone "$dir/json")" = "$1" ] || return 1
    n=$(jq '[.hints[] | select (.kind == "keeper-gone")] | length' "$dir/json")
    [ "$n" = "$1" ] || fail "$n hints with keeper_gone $1"
    "$VMSWAPCTL" metrics --control "$dir/control" | grep -q "^vmswap_pool_keeper_gone $1$" \
        || fail "the metrics know another figure"
    doctor=0
    "$VMSWAPCTL" doctor --control "$dir/control" >"$dir/doctor" || doctor=$?
    n=$(grep -c 'fix: start vmswap-keep again' "$dir/doctor") || :
    [ "$n" = "$1" ] || fail "doctor: $(cat "$dir/doctor")"
    [ "$1" = 0 ] || [ "$doctor" = 1 ] || fail "doctor: status $doctor"
}

start_keeper
serve
start_guest 1 "$dir/web1"
ask 1 write 1 11 ok
sees 0 || fail "the keeper is gone from the start"

# Nothing happens but its end.
kill_keeper
poll 5 said 1 "keeper=$dir/keeper is gone .*start vmswap-keep there again" \
    || fail "nobody noticed"
sees 1 || fail "no figure, no hint"
ask 1 write 2 12 ok
ask 1 drain ok
start_guest 2 "$dir/web2"
[ "$answer" = ok ] || fail "a QEMU was refused: $answer"
said 1 "warning: guest=web2: its region is served and not kept" || fail "no warning"
ask 2 write 1 21 ok
ask 2 read 1 21

start_keeper
poll 20 said 1 "keeper=$dir/keeper is there again" || fail "the next keeper is not found"
sees 0 || fail "the hint stays"
# It takes sockets that nobody is connected to, as well.
said 1 'keeper=.* is gone' || fail "said again and again"
ask 1 write 3 13 ok
ask 2 write 2 22 ok
crash_nbdkit
"$programs/torture" "$dir/web3" ms=100 sessions=0 >"$dir/web3.log" 2>&1 \
    3>&- 4>&- 5<&- 6<&- &
late=$!
client_pids="$client_pids $late"
ask 1 write 4 14 ok
serve
for page in 1 2 3 4; do ask 1 read $page 1$page; done
for page in 1 2; do ask 2 read $page 2$page; done
wait $late || fail "the socket of web3 went with the first keeper"

# Again, with regions that this server has only taken over; and one of them ends
# before the next keeper comes.
kill_keeper
poll 5 said 1 'keeper=.* is gone' || fail "the next server does not notice"
end_guest 2
free_again ()
{
    [ "$("$VMSWAPCTL" json --control "$dir/control" |
        jq '.guests[] | select (.name == "web2").in_use')" = 0 ]
}
poll 20 free_again || fail "web2 is not given up"
start_keeper
poll 20 said 1 'keeper=.* is there again' || fail "the second keeper is not found"
ask 1 write 5 15 ok
stop_nbdkit
ask 1 state '2 0'
serve
for page in 1 2 3 4 5; do ask 1 read $page 1$page; done
start_guest 2 "$dir/web2"
[ "$answer" = ok ] || fail "no region for the next QEMU of web2: $answer"
for page in 1 2; do ask 2 read $page 2$page; done

# One that does not answer is as one that is gone.
kill -STOP $keeper
end_guest 2
poll 20 said 1 'keeper=.* is gone' || fail "a keeper that hangs is waited for"
start_guest 2 "$dir/web2"
ask 2 write 3 23 ok
kill -CONT $keeper
poll 30 said 1 'keeper=.* is there again' || fail "the keeper is not found again"
crash_nbdkit
serve
ask 1 read 1 11
ask 2 read 3 23

end_guest 1
end_guest 2
# It ends with the keeper gone, and soon.
kill_keeper
stop_nbdkit
