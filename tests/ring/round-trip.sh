#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What a guest writes, frees and reads through its ring is what it reads, from
# its posts, its cache or the pool: many threads, with and without features,
# in regions of all sizes, in sessions that end in order or not.
. "${srcdir:-.}/functions.sh"

seed=${SEED:-$$}
echo "SEED=$seed"

# run REGION ARG...
run ()
{
    region=$1
    shift
    start_nbdkit pool=64M "guest=web1,size=256M,ivshmem=$dir/web1,region=$region"
    "$programs/torture" "$dir/web1" "seed=$seed" "$@" || fail "$region $*"
    stop_nbdkit
    [ ! -e "$dir/web1" ] || fail "the socket is still there"
}

run 1M threads=8
run 1M features=0 ms=800
run 4M threads=2 spin=20000
run 32M threads=1 ms=800
run 1G threads=4 ms=500 sessions=1
