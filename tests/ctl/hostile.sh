#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Hostile and broken clients of the control server harm nothing: guests' requests
# go on and stay right, operators get through soon, memory and descriptors stay
# bounded, and the server lives.  HOSTILE_ROUNDS (default 1500) mutated requests;
# SEED brings a run back.
. "${srcdir:-.}/functions.sh"
. "${srcdir:-.}/online.sh"
: "${COUNT_REQUESTS_PROGRAM:?names the program: run make check}"
[ -x "$COUNT_REQUESTS_PROGRAM" ] || skip "libnbd is not there to build with"

port=$(python3 -c 'import socket
s = socket.socket ()
s.bind (("127.0.0.1", 0))
print (s.getsockname ()[1])')
# Many guests, so that answers are long.
# shellcheck disable=SC2046 # several words
serve pool=64M size=64M swap-header=no control-port="$port" \
    $(seq -f 'guest=guest%.0f' 500)

# One of them, checked for every byte, for as long as this takes.
touch "$dir/go-on"
"$COUNT_REQUESTS_PROGRAM" "nbd+unix:///guest1?socket=$dir/sock" "$dir/go-on" 1 \
    >"$dir/shadow" &
guest=$!
pids="$pids $guest"

seed=${SEED:-$$}
echo "SEED=$seed"
python3 "${srcdir:-.}/hostile.py" "$control" "$port" "$pid" "$dir/sock" "$seed" \
    "${HOSTILE_ROUNDS:-1500}" || fail "see above"
rm "$dir/go-on"
wait "$guest" || fail "the guest was harmed"
requests=$(sed 's/.*"write_requests": \([0-9]*\),.*/\1/' "$dir/shadow")
[ "$requests" -gt 1000 ] || fail "the guest did next to nothing"
echo "meanwhile $requests writes of a guest"
stop -TERM
