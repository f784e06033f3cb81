#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Without keeper=, a guest that shares memory with the server waits for ever when
# that is restarted: the log says so at the start, in one line, and vmswapctl doctor
# says what to do, before and after it has happened.  With keeper=, or without such
# guests, there is nothing to say.
TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"
requires jq --version

mkdir "$dir/state"
serve ()
{
    start_nbdkit pool=64M "state=$dir/state" "control=$dir/control" \
        guest=nbd,size=64M "$@"
}
doctor ()
{
    status=0
    "$VMSWAPCTL" doctor --control "$dir/control" >"$dir/doctor.log" 2>&1 \
        || status=$?
    [ $status -le 1 ] || fail "doctor: $(cat "$dir/doctor.log")"
}
warnings ()
{
    errors_in_log "warning: guest=$1: ivshmem= without keeper=.*keeper=PATH and state=DIR"
}
is_warned ()
{
    [ "$(warnings "$1")" -eq 1 ]
}
stop_and_expect () # stop_and_expect WARNINGS
{
    stop_nbdkit
    [ "$(warnings '.*')" -eq "$1" ] || fail "not $1 warnings about the keeper"
}
hinted ()
{
    doctor
    grep -q '^server: there is no keeper=, and 2 guests have ivshmem=: when the server ends, guests that share memory with it wait for ever$' \
        "$dir/doctor.log" || fail "no hint: $(cat "$dir/doctor.log")"
    for words in 'enable --now vmswap-keep.service' \
        'keeper=/run/vmswap-keep/socket' 'end its QEMU and start it anew'; do
        grep -q "^    fix: .*$words" "$dir/doctor.log" \
            || fail "the fix does not say $words"
    done
}

set -- "guest=web1,size=64M,ivshmem=$dir/web1,region=1M" \
    "guest=web2,size=64M,ivshmem=$dir/web2,region=1M"
serve "$@"
poll 20 is_warned 'web1 [(]and 1 more[)]' || fail "no warning at the start"
hinted
start_guest 1 "$dir/web1"
ask 1 write 5 55 ok
ask 1 drain ok

# The next server has the pages; the guest does not get to them.
stop_and_expect 1
serve "$@"
poll 20 is_warned 'web1 [(]and 1 more[)]' || fail "no warning at the second start"
hinted
stored=$("$VMSWAPCTL" json --control "$dir/control" \
    | jq '.guests[] | select (.name == "web1").stored_pages')
[ "$stored" -gt 0 ] || fail "the page is gone"
ask 1 state '2 0' # QUIESCED, as the first server left it
end_guest 1
stop_and_expect 1

# One guest, and no state= either.
start_nbdkit pool=64M "control=$dir/control" "$1"
poll 20 is_warned web1 || fail "no warning about one guest"
doctor
grep -q '^server: there is no keeper=, and 1 guest has ivshmem=' "$dir/doctor.log" \
    || fail "one guest: $(cat "$dir/doctor.log")"
stop_nbdkit

# Nothing to say.
serve
doctor
! grep -q keeper "$dir/doctor.log" || fail "no guest has ivshmem="
stop_and_expect 0
start_keeper
serve "keeper=$dir/keeper" "$@"
doctor
! grep -q keeper "$dir/doctor.log" || fail "there is a keeper"
stop_and_expect 0
kill $keeper
