#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What a guest reads in an order is in its cache when it reads it, and what it
# reads in none is left alone.
#
#   ahead-rates.sh           asserts what the door promises
#   ahead-rates.sh table     (make ahead-table) tells all rates, also of the guest that does nothing
#                            between two reads, and of what real guests read
. "${srcdir:-.}/functions.sh"
command -v jq >/dev/null 2>&1 || skip "jq is not installed"

seed=${SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
echo "SEED=$seed"
streams=${srcdir:-.}/../unit/streams
control=$dir/control
# As a fault takes some of it, and the use of a page.
pace=${PACE_NS:-10000}
undecided=

figure ()
{
    "$VMSWAPCTL" json --control "$control" \
        | jq ".guests[] | select (.name == \"web1\") | .$1"
}

# 1: the server waited for a CPU half as long as it ran, or longer.  On a quiet machine
# it waits for a tenth of that time.
is_starved ()
{
    cat /proc/"$nbdkit_pid"/task/*/schedstat \
        | awk '{ ran += $1; waited += $2 } END { print (ran > 0 && 2 * waited >= ran) }'
}

# measure NAME SIZE PATTERN READS PACE: sets $hits, in percent, and $wasted, in
# 1/10000 a read: what was brought and never read, whether it still is there or
# not; and $starved.
measure ()
{
    start_nbdkit pool=512M registry=none control="$control" \
        "guest=web1,size=$2,ivshmem=$dir/web1"
    "$programs/ahead" "$dir/web1" "$3" "$4" "$5" "$seed" >"$dir/counts" \
        || fail "$1"
    read -r reads posts cache pool <"$dir/counts"
    brought=$(figure ring_ahead_pages)
    seen=$(figure ring_cache_hits)
    gone=$(figure ring_ahead_wasted_pages)
    misses=$(figure ring_cache_misses)
    starved=$(is_starved)
    stop_nbdkit
    hits=$(((posts + cache) * 100 / reads))
    wasted=$(((brought - seen) * 10000 / reads))
    printf '%-36s pace=%-6s reads=%-6s hits=%3s%% posts=%-4s wasted/read=%s.%04d (gone: %s)\n' \
        "$1" "$5" "$reads" "$hits" "$posts" $((wasted / 10000)) $((wasted % 10000)) "$gone"
    # The figures are those of the guest.
    [ "$misses" -eq "$pool" ] || fail "$1: $misses misses, and $pool reads"
    [ "$seen" -le "$cache" ] || fail "$1: $seen hits, and $cache reads"
}

# assert NAME SIZE PATTERN READS HITS WASTED: a guest that takes its time may try
# again: what is asserted is what is foretold, and not how fast.  If the server did
# not get its CPU in the last try either, that it came too late says nothing.
# Standard input is $dir/requests.
assert ()
{
    for factor in 1 3 10 3 10; do
        measure "$1" "$2" "$3" "$4" $((pace * factor)) <"$dir/requests"
        [ "$hits" -lt "$5" ] || [ "$wasted" -gt "$6" ] || return 0
    done
    [ "$starved" -eq 1 ] && [ "$hits" -lt "$5" ] \
        || fail "$1: $hits % were there, and $wasted in 10000 in vain: not $5 and $6"
    undecided="$undecided, $1"
}

# expect PATTERN READS HITS WASTED
expect ()
{
    : >"$dir/requests"
    assert "$1" 256M "$1" "$2" "$3" "$4"
}

# replay STREAM HITS WASTED [WAY]
replay ()
{
    xz -dc "$streams/$1.txt.xz" >"$dir/requests"
    assert "${4:-replay} $1" 1G "${4:-replay}" 60000 "$2" "$3"
}

table ()
{
    for p in $pace 0; do
        for pattern in in-row back stride:5 stride:16 stride:-40 four-in-turn \
            four-mixed four-threads random; do
            measure $pattern 256M $pattern 60000 "$p"
        done
    done
    for stream in "$streams"/*.xz; do
        name=$(basename "$stream" .txt.xz)
        xz -dc "$stream" >"$dir/requests"
        for way in replay replay-rows; do
            measure "$way $name" 1G $way 60000 "$pace" <"$dir/requests"
        done
    done
}

if [ "${1:-}" = table ]; then
    table
    exit
fi
expect in-row 20000 90 500
expect stride:5 20000 80 500
expect stride:16 20000 80 500
expect stride:-40 20000 80 500
expect four-in-turn 20000 80 500
expect four-mixed 20000 80 500
expect random 20000 0 500

# What real guests read.  What is brought in vain there is paid for by what is not.
command -v xz >/dev/null 2>&1 || skip "xz is not installed"
replay sequential 90 500
replay stride-5 80 3000
replay stride-16 80 3000
replay stride-40-backward 80 3000
replay four-in-turn 80 1000
replay four-at-once 80 1500
replay random 0 500
# … and those that no constant of prefetch was chosen by.
replay again-sequential 90 500
replay again-stride-16 80 3000
replay again-stride-40-backward 80 3000
replay again-four-at-once 80 2000
replay third-stride-16 80 3000
replay third-stride-40-backward 80 3000
replay third-four-at-once 80 2000
# Of a guest that reads ahead itself.
replay backward 80 500 replay-rows
replay four-in-turn 80 1000 replay-rows
replay random 0 500 replay-rows

[ -z "$undecided" ] \
    || skip "all else passed, but the server waits for its CPU too long to judge ${undecided#, }"
