#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A server with state= that is killed at any moment, while it adopts included,
# loses no page that it acknowledged, and the next one answers soon.
# KILLS: how often; SOAK_SECONDS: for at least so long; KILL_SEED: another
# sequence.
TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"
: "${KILL_CLIENT:=./kill-client}" "${VMSWAPCTL:=../../vmswapctl/vmswapctl}"
export KILL_CLIENT VMSWAPCTL
[ -x "$KILL_CLIENT" ] || skip "libnbd was not there when the tests were built"
requires python3 --version

seed=${KILL_SEED:-$$}
echo "seed $seed"
"$srcdir/kill-loop" --seed "$seed" --kills "${KILLS:-25}" \
    --seconds "${SOAK_SECONDS:-0}" "$dir" >"$dir/loop.log" 2>&1 \
    || fail "see below"
cat "$dir/loop.log"
if grep -q 'refused 0 ' "$dir/loop.log"; then
    fail "the pool was never full: this tests half"
fi
