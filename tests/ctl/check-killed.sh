#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What a process leaves that is killed while it writes, trims and cleans is
# sound; a copy of its image made while it ran is never called sound with a
# page that does not read, and no copy makes vmswapctl crash.
. "${srcdir:-.}/functions.sh"

mkdir "$dir/state"
for round in 1 2 3 4; do
    : >"$dir/ready"
    "$tool" load "$dir/state" >"$dir/ready" &
    pid=$!
    pids="$pids $pid"
    poll 60 is_ready "$dir/ready" || fail "image-tool load does not start"

    mkdir "$dir/copy"
    cp --sparse=always "$dir/state/pool.vmswap" "$dir/copy/"
    status=0
    "$ctl" check "$dir/copy" >"$dir/out" 2>"$dir/err" || status=$?
    [ "$status" -le 1 ] || fail "a copy of a live image: status $status"
    rm -rf "$dir/copy"

    kill -9 "$pid"
    killed=0
    wait "$pid" 2>/dev/null || killed=$?
    [ "$killed" -eq 137 ] || fail "image-tool load ended by itself: $killed"
    check 0
    says out '^load '
    echo "round $round: the copy: status $status; $(tail -n 1 "$dir/out")"
done
