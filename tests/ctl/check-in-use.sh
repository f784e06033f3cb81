#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The image of a server that runs is not looked at; the server does not notice.
. "${srcdir:-.}/functions.sh"

fresh_state fill
mkfifo "$dir/stdin"
: >"$dir/ready"
"$tool" hold "$dir/state" <"$dir/stdin" >"$dir/ready" &
pid=$!
pids=$pid
exec 3>"$dir/stdin"
poll 60 is_ready "$dir/ready" || fail "image-tool hold does not start"

check 2
says err 'is in use by a server: stop that first, or look at a copy'
[ ! -s "$dir/out" ] || fail "prints results"

exec 3>&-
wait "$pid" || fail "the server"
pids=
check 0

# Two may look at the same time.
flock -s "$dir/state/pool.vmswap" "$ctl" check "$dir/state" >"$dir/out" \
    || fail "beside another reader"
