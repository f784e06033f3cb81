#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Random requests of odd sizes on four connections at a time against a shadow
# copy, with enough room and with a pool that is full half of the time.
# TORTURE_SECONDS: for how long; TORTURE_SEED: another sequence.
. "${srcdir:-.}/functions.sh"
: "${TORTURE:=./torture}"
[ -x "$TORTURE" ] || skip "libnbd was not there when the tests were built"

seconds=${TORTURE_SECONDS:-4}
seed=${TORTURE_SEED:-$$}
echo "seed $seed"

torture ()
{
    "$TORTURE" "$uri" 4 "$seconds" "$seed" >"$dir/torture.out" \
        || fail "see above"
    cat "$dir/torture.out"
}

for compressor in lz4 none; do
    start_nbdkit pool=256M size=64M compressor=$compressor
    torture
    grep -q 'refused 0$' "$dir/torture.out" || fail "refused with enough room"
    [ "$(errors_in_log .)" -eq 0 ] || fail "the server reported errors"
    stop_nbdkit
done

start_nbdkit pool=16M size=64M
torture
if grep -q 'refused 0$' "$dir/torture.out"; then
    fail "the pool was never full: this tests nothing"
fi
[ "$(errors_in_log .)" -le $((seconds + 2)) ] \
    || fail "more than one message per second"
stop_nbdkit
