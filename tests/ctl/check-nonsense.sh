#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Whatever stands in the tables of an image, check ends, says what it thinks of
# it, and changes nothing.
. "${srcdir:-.}/functions.sh"

sound=0
damaged=0
refused=0
seed=1
while [ $seed -le 60 ]; do
    fresh_state fill
    "$tool" scramble "$dir/state" $seed
    image=$dir/state/pool.vmswap
    what_is "$image" >"$dir/before"
    status=0
    "$ctl" check "$dir/state" >"$dir/out" 2>"$dir/err" || status=$?
    what_is "$image" | cmp -s - "$dir/before" || fail "seed $seed: changed"
    case $status in
        0) sound=$((sound + 1)) ;;
        1) if [ -s "$dir/out" ]; then
               damaged=$((damaged + 1))
           else
               refused=$((refused + 1))
           fi
           grep -q '^vmswapctl: ' "$dir/err" || fail "seed $seed: says nothing" ;;
        *) fail "seed $seed: status $status" ;;
    esac
    seed=$((seed + 1))
done
echo "$sound sound, $damaged damaged, $refused refused"
if [ $damaged -le 5 ] || [ $refused -le 5 ]; then
    fail "not enough was scrambled"
fi
