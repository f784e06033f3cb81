#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Every counter says what really happened: two clients send random requests
# and count them (COUNT_REQUESTS each, default 500000), and the figures of their
# exports are these, while they are connected or not.  Errors are counted by
# kind, with the time of the last; histograms hold every request.
. "${srcdir:-.}/functions.sh"
. "${srcdir:-.}/online.sh"
requires jq

: "${COUNT_REQUESTS_PROGRAM:?names the program: run make check}"
[ -x "$COUNT_REQUESTS_PROGRAM" ] || skip "libnbd is not there to build with"
requests=${COUNT_REQUESTS:-500000}
seed=${SEED:-$$}
echo "SEED=$seed"

serve pool=64M size=64M swap-header=no
for guest in a b; do
    "$COUNT_REQUESTS_PROGRAM" "nbd+unix:///$guest?socket=$dir/sock" \
        "$requests" "$seed" >"$dir/shadow.$guest" &
    pids="$pids $!"
    eval "client_$guest=$!"
    seed=$((seed + 1))
done
# shellcheck disable=SC2154 # see eval
wait "$client_a" || fail "client a"
# shellcheck disable=SC2154
wait "$client_b" || fail "client b"
closed ()
{
    [ "$(get /json | jq '.pool.connections')" = 0 ]
}
poll 30 closed || fail "connections stay open"
get /json >"$dir/json"
get /latency >"$dir/latency"
get /metrics >"$dir/metrics"
for guest in a b; do
    # What the shadow has, taken from the server.
    jq -S --arg guest $guest --slurpfile shadow "$dir/shadow.$guest" \
        '.guests[] | select (.name == $guest) | with_entries (select
         (.key | in ($shadow[0])))' "$dir/json" >"$dir/figures.$guest"
    jq -S . "$dir/shadow.$guest" >"$dir/expected.$guest"
    diff "$dir/expected.$guest" "$dir/figures.$guest" \
        || fail "the counters of $guest are wrong (< shadow, > server)"
    # Every request is in a bucket, and in order.
    for op in read write zero trim; do
        # shellcheck disable=SC2016 # the program of jq
        jq -e --arg guest $guest --arg op $op --slurpfile json "$dir/json" \
            '($json[0].guests[] | select (.name == $guest)) as $g
             | (.guests[] | select (.name == $guest)[$op]) as $buckets
             | (($buckets | map (.[1]) | add) == $g[$op + "_requests"])
               and ($buckets | map (.[0]) | . == (sort | unique))
               and ($op == "zero" or
               $g[$op + "_p50_seconds"] > 0 and
                $g[$op + "_p50_seconds"] <= $g[$op + "_p99_seconds"] and
                $g[$op + "_p99_seconds"] <= $g[$op + "_max_seconds"])' \
            "$dir/latency" >"$dir/out" || fail "the latency of ${op}s of $guest"
        n=$(jq ".${op}_requests" "$dir/shadow.$guest")
        grep -q -F "vmswap_guest_request_seconds_count{guest=\"$guest\",op=\"$op\"} $n" \
            "$dir/metrics" || fail "the histogram of ${op}s lacks some"
    done
done
python3 "${srcdir:-.}/views.py" parse "$dir"
# The pool is the sum of them.
for figure in written_pages read_pages trimmed_pages stored_pages fill_pages; do
    jq -e "([.guests[].$figure] | add) == .pool.$figure" "$dir/json" \
        >"$dir/out" || fail "$figure of the pool is not that of its guests"
done
stop

# Errors: no room, another's export, a page that is lost.
mkdir "$dir/state"
serve pool=16M guest=web1,size=64M guest=web2,size=64M "registry=$dir/registry" \
    "state=$dir/state"
nbdsh_to web1 <<PY
import nbd, os, random
noise = random.Random (1) # not the same twice, or it would be shared
full = 0
for i in range (1, 30):
    try:
        h.pwrite (noise.randbytes (1 << 20), i << 20)
    except nbd.Error as error:
        assert error.errno == "ENOSPC", error
        full += 1
assert full > 5
open ("$dir/full", "w").write (str (full))
PY
[ "$(get /json | jq '.guests[0].full_errors')" = "$(cat "$dir/full")" ] \
    || fail "full_errors"
get /json | jq -e '.guests[0].last_error == "No space left on device" and
    (now - .guests[0].last_error_time | fabs) < 600 and
    .guests[0].io_errors == 0 and .guests[1].last_error == null and
    .guests[1].last_error_time == 0' >"$dir/out" || fail "the last error"
stop -9
rm "$dir/state/pool.vmswap"
serve pool=16M guest=web1,size=64M guest=web2,size=64M "registry=$dir/registry" \
    "state=$dir/state"
nbdsh_to web1 <<PY
import nbd
for i in range (3):
    try:
        h.pread (4096, 1 << 20)
        assert False
    except nbd.Error as error:
        assert error.errno == "EIO", error
PY
get /json | jq -e '.guests[0].io_errors == 3 and .guests[0].lost == 1 and
    .guests[0].last_error == "Input/output error"' >"$dir/out" || fail "io_errors"
stop -9
