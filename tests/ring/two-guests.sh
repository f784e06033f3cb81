#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Two guests on rings and one on NBD share a server, and pages that are alike,
# but neither sees a page of another, while they work and when one dies.
. "${srcdir:-.}/functions.sh"
requires_nbdsh
: "${TORTURE:?names the program: run make check}"
[ -x "$TORTURE" ] || skip "libnbd is not there to build with"

seed=${SEED:-$$}
echo "SEED=$seed"
start_nbdkit pool=128M group=all dedup=always \
    "guest=web1,size=256M,ivshmem=$dir/web1,region=2M" \
    "guest=web2,size=256M,ivshmem=$dir/web2,region=4M" guest=web3,size=64M
"$programs/torture" "$dir/web1" "seed=$seed" ms=4000 >"$dir/one.log" &
one=$!
# The same pages: all that can be shared is.
"$programs/torture" "$dir/web2" "seed=$seed" ms=4000 >"$dir/two.log" &
two=$!
"$TORTURE" "$(export_uri web3)" 2 4 "$seed" >"$dir/nbd.log" 2>&1 &
three=$!
client_pids="$one $two $three"
wait $one || fail "web1"
wait $two || fail "web2"
wait $three || fail "web3"
cat "$dir/one.log" "$dir/two.log"

start_guest 1 "$dir/web1"
start_guest 2 "$dir/web2"
for page in 11 12 13; do
    ask 1 write $page 7$page ok
    ask 2 write $page 9$page ok
done
ask 2 free 12 1 ok
ask 2 drain ok
kill -9 "$guest_2"
end_guest 2
for page in 11 12 13; do
    ask 1 read $page 7$page
done
ask 1 free 11 1 ok
ask 1 drain ok
start_guest 2 "$dir/web2"
ask 2 read 11 911
ask 2 read 12 zeroes
ask 2 read 13 913
end_guest 1
end_guest 2
stop_nbdkit
