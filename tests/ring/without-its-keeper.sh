#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A server without the keeper of the last one cannot have its sockets, and says
# who holds them and what to do; either cure works.  Of a control socket, which no
# keeper holds, nothing is said about one.
TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"

mkdir "$dir/state"
set -- pool=64M "state=$dir/state" "guest=web1,size=64M,region=1M,ivshmem=$dir/web1"
refused ()
{
    ! timeout 30 "$nbdkit" -U - "$plugin" registry=none "$@" --run true \
        >"$dir/out.log" 2>&1 || fail "a second server there"
}
start_keeper
start_nbdkit "$@" "keeper=$dir/keeper"
stop_nbdkit
refused "$@"
for words in "$dir/web1: another server listens there, or vmswap-keep holds" \
    'give keeper=PATH of that vmswap-keep, or end it'; do
    grep -q -F "$words" "$dir/out.log" || fail "it does not say $words"
done

start_nbdkit "$@" "keeper=$dir/keeper" "control=$dir/control"
start_guest 1 "$dir/web1"
[ "$answer" = ok ] || fail "no region with the keeper: $answer"
end_guest 1
refused pool=64M "control=$dir/control"
grep -q 'another server listens there: stop that first, or give' "$dir/out.log" \
    || fail "no word about the control socket"
! grep -q vmswap-keep "$dir/out.log" || fail "no keeper holds a control socket"
stop_nbdkit

kill $keeper
wait $keeper 2>/dev/null || :
start_nbdkit "$@"
start_guest 1 "$dir/web1"
[ "$answer" = ok ] || fail "no region without the keeper: $answer"
end_guest 1
stop_nbdkit
