#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A socket that the next server has no use for is closed, although the keeper
# held it: one of a guest that is not listed any more, or that has another path
# now.  Who waits there is refused, who comes later finds nobody.  Not so
# sockets that only change their guest, nor what somebody else has made in their
# place; and a guest that is connected goes on, wherever its socket is.
TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"

mkdir "$dir/state"
start_keeper

# serve NAME=SOCKET...: guests, and where they are.
serve ()
{
    for guest; do
        set -- "$@" "guest=${guest%=*},size=64M,region=1M,ivshmem=$dir/${guest#*=}"
        shift
    done
    start_nbdkit pool=64M "state=$dir/state" "keeper=$dir/keeper" "$@"
}

# holds N: the keeper has so many sockets, beside its own and the server's.
holds ()
{
    n=$(find "/proc/$keeper/fd" -lname 'socket:*' | wc -l)
    [ "$n" -eq $(($1 + 2)) ]
}

# said N PATTERN: so many lines of the log.
said ()
{
    [ "$(errors_in_log "warning: .*$2")" -eq "$1" ] || fail "not $1 lines: $2"
}

# come SOCKET: a QEMU that waits there; its pid is $late.
come ()
{
    "$programs/guest" "$dir/$1" </dev/null >"$dir/late.log" 2>&1 \
        3>&- 4>&- 5<&- 6<&- &
    late=$!
    client_pids="$client_pids $late"
    poll 20 queued "$1" || fail "nobody came to $1"
}
# The listener, and who is not accepted yet, have the name that it was made with.
queued () { [ "$(grep -c -F "$dir/$1." /proc/net/unix)" -eq 2 ]; }

# leaves STATUS: the one that came.
leaves ()
{
    poll 20 is_gone $late || fail "who came waits for ever"
    status=0
    wait $late || status=$?
    [ $status -eq "$1" ] || fail "status $status: $(cat "$dir/late.log")"
}

# is_nowhere SOCKET: who connects is told so at once.
is_nowhere ()
{
    [ ! -e "$dir/$1" ] || fail "the file $1 is there still"
    status=0
    timeout 20 "$programs/guest" "$dir/$1" </dev/null >"$dir/refused.log" 2>&1 \
        || status=$?
    [ $status -eq 3 ] || fail "$1: status $status: $(cat "$dir/refused.log")"
}

works ()
{
    start_guest 2 "$dir/$1"
    [ "$answer" = ok ] || fail "$1: no region: $answer"
    ask 2 write 7 77 ok
    ask 2 detach ok
    end_guest 2
}

serve web1=one web2=two web3=three
holds 3 || fail "the keeper has not three sockets"
start_guest 1 "$dir/one"
ask 1 write 1 11 ok
crash_nbdkit

# One has gone, and one has moved.
come two
serve web1=uno web3=three
leaves 3
grep -q -x 'Device or resource busy' "$dir/late.log" || fail "it was not told"
is_nowhere two
is_nowhere one
said 1 "$dir/two was the socket of 'web2', which no guest= .*: it is closed"
said 1 "guest=web1: its socket was $dir/one, and is $dir/uno now"
holds 3 || fail "the keeper has a socket of before"
ask 1 read 1 11
ask 1 write 2 12 ok
works three

# The same again: nothing to say.
stop_nbdkit
serve web1=uno web3=three
said 0 'socket'
ask 1 read 2 12

# Another name, and the same socket, spelled in another way.
crash_nbdkit
come three
serve web1=uno "web4=./three"
leaves 0
said 0 'socket'
holds 3 || fail "the keeper has a socket under two names"
works three
ask 1 write 3 13 ok

# Two take the place of each other.
crash_nbdkit
serve web1=three web4=uno
said 0 'socket'
works uno
ask 1 read 3 13

# What somebody else has made there stays.
crash_nbdkit
rm "$dir/uno"
"$nbdkit" -f -U "$dir/uno" null 2>"$dir/other.log" 3>&- 4>&- 5<&- 6<&- &
client_pids="$client_pids $!"
poll 20 test -S "$dir/uno" || fail "no other server"
inode=$(stat -c %i "$dir/uno")
serve web1=three
said 1 "$dir/uno was the socket of 'web4'"
[ "$(stat -c %i "$dir/uno")" = "$inode" ] || fail "another server's socket was removed"
holds 2 || fail "the keeper has a socket of before"
ask 1 read 3 13
stop_nbdkit

# No guest is left that could have one.
start_nbdkit pool=64M "state=$dir/state" "keeper=$dir/keeper" guest=web1,size=64M
said 1 "$dir/three was the socket of 'web1'"
is_nowhere three
holds 0 || fail "the keeper has a socket of before"
end_guest 1
stop_nbdkit
kill $keeper
