#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A region whose posts can never be open, as the pool or the guest's quota is too
# small, is named when the server starts, with the bound; the region named instead
# is open, and so is the default one.  While posts are closed, figures say so, and
# doctor does once it lasts; a quota that is raised opens them.
. "${srcdir:-.}/functions.sh"
requires jq --version

control=$dir/control
serve ()
{
    start_nbdkit pool=64M "control=$control" \
        "guest=web1,size=64M,ivshmem=$dir/web1$1"
}
figure () # figure NAME: of the guest
{
    "$VMSWAPCTL" json --control "$control" \
        | jq ".guests[] | select (.name == \"web1\").$1"
}
is () # is FIGURE VALUE
{
    [ "$(figure "$1")" = "$2" ]
}
must_be ()
{
    poll 20 is "$@" || fail "$1 is $(figure "$1"), not $2"
}
warnings ()
{
    errors_in_log "warning: guest=web1: region=$1"
}
is_warned ()
{
    [ "$(warnings "$1")" -eq 1 ]
}
hint ()
{
    "$VMSWAPCTL" doctor --control "$control" >"$dir/doctor.log" || :
    grep -A1 '^guest web1: it shares 32M with the server and cannot post there what it swaps out, for [1-9][0-9]* seconds now: it waits for each page, until 10M are free for it$' \
        "$dir/doctor.log" | grep -q '^    fix: .*vmswapctl limit --quota SIZE NAME.*pool=.*region='
}
no_hint ()
{
    ! hint
}

# suits OPTIONS REGION: that region is taken, nothing is said, posts are open.
suits ()
{
    serve "$1"
    start_guest 1 "$dir/web1"
    must_be ring_region_bytes $(($2 << 20))
    must_be ring_posts_closed 0
    ask 1 write 1 101 ok
    ask 1 drain ok
    must_be ring_posts 1
    end_guest 1
    stop_nbdkit
    [ "$(warnings '')" -eq 0 ] || fail "$1: $(cat "$dir/nbdkit.log")"
}

# too_large OPTIONS WORDS: it is served, and the log has these words.
too_large ()
{
    serve "$1"
    poll 20 is_warned "$2" || fail "$1: it is not said that region=$2"
    start_guest 1 "$dir/web1"
    must_be ring_posts_closed 1
    ask 1 write 1 101 ok
    ask 1 read 1 101
    must_be ring_posts 0
    end_guest 1
    stop_nbdkit
    [ "$(warnings '')" -eq 1 ] || fail "$1: more than one warning"
}

# The default region looks at the pool, and at the quota.
suits '' 16
suits ,quota=8M 2
suits ,quota=25% 4
suits ,quota=0 16

# What is named instead suits.
too_large ,quota=8M,region=32M \
    '32M is too large for quota=, which gives it 8M at the most: .* while 10M is free, .*: give region=16M or less, or a larger quota=$'
suits ,quota=8M,region=16M 16
too_large ,region=1G \
    '1G is too large for pool=, which gives it [0-9]+M at the most: .*: give region=128M or less, or a larger pool=$'
suits ,region=128M 128
too_large ,quota=64K \
    '1M is too large for quota=, which gives it 64K at the most: .*: give a larger quota=$'

# Others' reserves are not for it.
start_nbdkit pool=64M guest=db1,reserve=50M \
    "guest=web1,size=64M,ivshmem=$dir/web1,region=32M"
poll 20 is_warned '32M is too large for pool=, which gives it [0-9.]+M' \
    || fail "reserves of others do not count: $(cat "$dir/nbdkit.log")"
stop_nbdkit
start_nbdkit pool=64M guest=db1 \
    "guest=web1,size=64M,reserve=50M,ivshmem=$dir/web1,region=32M"
stop_nbdkit
[ "$(warnings '')" -eq 0 ] || fail "its own reserve counts: $(cat "$dir/nbdkit.log")"

# While it is closed, and after.
serve ,quota=8M,region=32M
must_be ring_region_bytes 0
must_be ring_posts_closed 0
start_guest 1 "$dir/web1"
must_be ring_posts_closed 1
[ "$("$VMSWAPCTL" json --control "$control" | jq .pool.ring_region_bytes)" \
    = $((32 << 20)) ] || fail "the pool does not tell of the region"
"$VMSWAPCTL" metrics --control "$control" >"$dir/metrics.log"
grep -q -x 'vmswap_guest_ring_posts_closed{guest="web1"} 1' "$dir/metrics.log" \
    || fail "the metrics do not say that posts are closed"
poll 60 hint || fail "no hint: $(cat "$dir/doctor.log")"
"$VMSWAPCTL" limit --control "$control" --quota 16M web1 >"$dir/limit.log" 2>&1 \
    || fail "vmswapctl limit"
must_be ring_posts_closed 0
no_hint || fail "the hint stays: $(cat "$dir/doctor.log")"
ask 1 write 2 102 ok
ask 1 drain ok
must_be ring_posts 1
end_guest 1
must_be ring_region_bytes 0
must_be ring_posts_closed 0
stop_nbdkit
