#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The figures of a ring's cache tell what happened: what is brought before it is
# asked for holds data, counts as a hit once it is read, and as wasted when it is
# written or freed before; what is freed after it was read is not wasted.
. "${srcdir:-.}/functions.sh"
command -v jq >/dev/null 2>&1 || skip "jq is not installed"

control=$dir/control
start_nbdkit pool=64M registry=none control="$control" \
    "guest=web1,size=64M,ivshmem=$dir/web1"
start_guest 1 "$dir/web1"

figure ()
{
    "$VMSWAPCTL" json --control "$control" \
        | jq ".guests[] | select (.name == \"web1\") | .ring_$1"
}

# figure NAME becomes VALUE
becomes ()
{
    tries=0
    until [ "$(figure "$1")" -eq "$2" ]; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || fail "ring_$1 is $(figure "$1"), not $2"
    done
}

# Nothing is brought any more.
settled ()
{
    now=$(figure ahead_pages)
    while [ "$now" -ne "${last:--1}" ]; do
        last=$now
        now=$(figure ahead_pages)
    done
}

# write_pages FIRST LAST
write_pages ()
{
    page=$1
    while [ "$page" -le "$2" ]; do
        ask 1 write "$page" "$page" ok
        page=$((page + 1))
    done
    ask 1 drain ok
}

read_pages ()
{
    page=$1
    while [ "$page" -le "$2" ]; do
        ask 1 read "$page" "$page"
        page=$((page + 1))
    done
}

# Hits and misses are all reads; what is ahead is not beyond what was written.
write_pages 1000 1099
read_pages 1000 1099
settled
misses=$(figure cache_misses)
[ "$misses" -lt 50 ] || fail "$misses of 100 were misses"
becomes cache_hits $((100 - misses))
hits=$((100 - misses))
ahead=$(figure ahead_pages)
{ [ "$ahead" -ge "$hits" ] && [ "$ahead" -le 100 ]; } \
    || fail "$ahead pages were brought, of 100, for $hits hits"
[ "$(figure ahead_wasted_pages)" -eq 0 ] || fail "something was wasted"

# They were read, so that nothing is wasted when they are freed.
ask 1 free 1000 100 ok
ask 1 drain ok
wasted=$(figure ahead_wasted_pages)
[ "$wasted" -eq 0 ] || fail "$wasted wasted, of pages that were read"

# Half are read, and what was brought of the others goes unread.
write_pages 2000 2999
read_pages 2000 2499
settled
before=$(figure ahead_wasted_pages)
ask 1 free 2500 500 ok
ask 1 drain ok
unread=$(($(figure ahead_wasted_pages) - before))
{ [ "$unread" -gt 0 ] && [ "$unread" -le 64 ]; } \
    || fail "$unread pages were wasted of those that were not read"

# All that was brought was a hit, a miss that came too soon, or wasted.
sum=$(($(figure cache_hits) + $(figure cache_misses) + $(figure ahead_wasted_pages)))
[ "$(figure ahead_pages)" -le "$sum" ] || fail "pages brought are unaccounted for"
[ $(($(figure cache_hits) + $(figure cache_misses))) -eq 600 ] || fail "600 were read"
ask 1 detach ok
end_guest 1
stop_nbdkit

# As fast as it goes, and each page is freed as soon as it was read: a hint comes
# before the free, and so no hit is taken for a page that was brought in vain.
start_nbdkit pool=256M registry=none control="$control" \
    "guest=web1,size=256M,ivshmem=$dir/web1"
"$programs/ahead" "$dir/web1" taken 60000 0 >"$dir/counts" || fail "taken"
read -r reads posts cache pool <"$dir/counts"
echo "reads=$reads posts=$posts cache=$cache pool=$pool"
becomes cache_misses "$pool"
becomes cache_hits "$cache"
[ "$(figure ahead_wasted_pages)" -le 64 ] || fail "$(figure ahead_wasted_pages) wasted"
