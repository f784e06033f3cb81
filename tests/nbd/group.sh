#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Guests of one group store the same pages once, others do not; each reads its
# own, whatever the others do, and a restart changes nothing.
TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"
requires_nbdsh

state=$dir/state
mkdir "$state"
serve ()
{
    start_nbdkit pool=128M "state=$state" "registry=$dir/reg" \
        "control=$dir/control" size=64M guest=web1,group=web \
        guest=web2,group=web guest=other guest=third,group=third "$@"
}

# held: bytes of blobs that the pool holds.
held ()
{
    "$VMSWAPCTL" json --control "$dir/control" | python3 -c '
import json, sys
pool = json.load (sys.stdin)["pool"]
print (pool["blob_bytes"], pool["shared_pages"])'
}

# write NAME SEED, check NAME SEED: 24 MiB that follow from the seed.
do_pages ()
{
    nbdsh -u "$(export_uri "$2")" -c "
import random
data = random.Random ($3)
for i in range (1, 25):
    page = data.randbytes (1 << 19)
    page = b''.join (page[j:j + 2048] * 2 for j in range (0, 1 << 19, 2048))
    if '$1' == 'write':
        h.pwrite (page, i << 20)
    else:
        assert h.pread (1 << 20, i << 20) == page, 'wrong pages'
"
}

serve dedup=always
do_pages write web1 1
one=$(held)
do_pages write web2 1
two=$(held)
[ "${two#* }" -gt 12000 ] || fail "shared: $two"
[ "${two% *}" -le $((${one% *} / 100 * 102)) ] || fail "$one, then $two"
do_pages write other 1
three=$(held)
[ "${three% *}" -gt $((${one% *} / 10 * 19)) ] || fail "other shares: $three"
do_pages write third 1
four=$(held)
[ "${four% *}" -gt $((${one% *} / 10 * 28)) ] || fail "third shares: $four"
do_pages write web1 2
do_pages check web2 1
crash_nbdkit

serve
do_pages check web1 2
do_pages check web2 1
do_pages check other 1
do_pages check third 1
do_pages write web2 2
do_pages check web1 2
nbdsh -u "$(export_uri web1)" -c 'h.trim (h.get_size (), 0)'
do_pages check web2 2
stop_nbdkit
"$VMSWAPCTL" check "$state" || fail "the image is not sound"

# Nothing is looked up.
rm -rf "$state/pool.vmswap" "$dir/reg"
serve dedup=off
do_pages write web1 1
do_pages write web2 1
[ "$(held | cut -d ' ' -f 2)" = 0 ] || fail "dedup=off shares"
stop_nbdkit
