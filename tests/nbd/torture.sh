#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Random requests of odd sizes on four connections at a time against a shadow
# copy, with enough room and with a pool that is full half of the time; both
# also with all that is left alone becoming cold at once.
# TORTURE_SECONDS: for how long; TORTURE_SEED: another sequence.
. "${srcdir:-.}/functions.sh"
requires nbdcopy --version
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

# counted FIGURE: this happened.  While the torture takes all CPUs, nothing may
# become cold before it ends; and what has become cold then is read here.
counted ()
{
    nbdcopy "$uri" null: || fail "reading all of it"
    "$VMSWAPCTL" status --all --control "$dir/control" >"$dir/figures.log"
    grep -E "^  $1 +[1-9]" "$dir/figures.log"
}

has_counted ()
{
    poll 60 counted "$1" || fail "$1 is 0: this tests nothing"
}
cold='cold=0 cold-cpu=100'

for parameters in compressor=lz4 compressor=none "$cold" "compressor=none $cold"; do
    # shellcheck disable=SC2086 # several words
    start_nbdkit pool=256M size=64M "control=$dir/control" $parameters
    torture
    case $parameters in
        *cold*)
            has_counted cooled_pages
            has_counted warmed_pages ;;
    esac
    grep -q 'refused 0$' "$dir/torture.out" || fail "refused with enough room"
    [ "$(errors_in_log .)" -eq 0 ] || fail "the server reported errors"
    stop_nbdkit
done

for parameters in cold=off "$cold"; do
    # shellcheck disable=SC2086 # several words
    start_nbdkit pool=16M size=64M "control=$dir/control" $parameters
    torture
    if grep -q 'refused 0$' "$dir/torture.out"; then
        fail "the pool was never full: this tests nothing"
    fi
    [ "$parameters" = cold=off ] || has_counted cooled_pages
    [ "$(errors_in_log .)" -le $((seconds + 2)) ] \
        || fail "more than one message per second"
    stop_nbdkit
done
