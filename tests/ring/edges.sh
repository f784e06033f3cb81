#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Pages, requests, posts and indices at the edges and beyond are served, dropped
# or refused as PROTOCOL.md says.
. "${srcdir:-.}/functions.sh"

for size in 40K 256M 64G; do
    start_nbdkit pool=64M "guest=web1,size=$size,ivshmem=$dir/web1,region=1M"
    timeout 60 "$programs/edges" "$dir/web1" || fail "size=$size"
    stop_nbdkit
done
