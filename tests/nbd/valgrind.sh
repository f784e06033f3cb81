#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A server that has seen everything ends without a leak or an invalid access:
# also one that adopts a pool, and one that has lost one.
TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"
requires valgrind --version
requires_nbdsh
if nm -D "$plugin" 2>/dev/null | grep -q -e __asan -e __tsan; then
    skip "the plugin was built with a sanitizer"
fi

wrapper="valgrind --quiet --leak-check=full --show-leak-kinds=definite,indirect
         --errors-for-leak-kinds=definite,indirect --error-exitcode=119
         --keep-debuginfo=yes --trace-children=no"
state=$dir/state
mkdir "$state"
kept="size=16M state=$state registry=$dir/registry"
for parameters in 'size=16M' 'guest=a,size=16M guest=b,size=8M full=stall' \
                  "$kept" "$kept" "$kept swap-header=yes"; do
    lost=
    if [ "$parameters" = "$kept swap-header=yes" ]; then
        rm "$state/pool.vmswap"
        lost=yes
    fi
    # shellcheck disable=SC2086 # several words
    start_nbdkit pool=16M cold=0 cold-cpu=100 $parameters
    if [ -n "$lost" ]; then
        [ "$(errors_in_log 'are lost')" -ge 1 ] || fail "nothing is lost"
    fi
    LOST=$lost URI=$(export_uri NAME) nbdsh -c - <<'PY'
import os
import random

def connect (name):
    c = nbd.NBD ()
    c.set_strict_mode (0)
    c.add_meta_context (nbd.CONTEXT_BASE_ALLOCATION)
    c.connect_uri (os.environ["URI"].replace ("NAME", name))
    return c

for name in ("a", "b", "a"):
    conns = [connect (name) for i in range (3)]
    for c in conns:
        for i in range (60):
            data = random.choice ((random.randbytes (4096), b"text" * 5000,
                                   bytes (9000)))
            offset = random.randrange (4 << 20)
            try:
                c.pwrite (data, offset)
                assert c.pread (len (data), offset) == data
                c.trim (5000, offset + 3)
                c.zero (7000, offset + 9)
            except nbd.Error as e:
                assert e.errno == "EIO" and os.environ["LOST"], e
        c.block_status (c.get_size (), 0, lambda *args: 0)
        c.cache (4096, 0)
        c.flush ()
try:
    connect ("a,b")
    assert False
except nbd.Error:
    pass
PY
    nbdinfo --list "$uri" >"$dir/list.log" 2>&1
    stop_nbdkit
    if grep -q '^==' "$dir/nbdkit.log"; then
        fail "valgrind has something to say"
    fi
done

# Also when it does not come to serving.
status=0
$wrapper "$nbdkit" -U - "$plugin" pool=16M guest=a guest=b guest=a \
    --run true >"$dir/refused.log" 2>&1 || status=$?
[ "$status" -eq 1 ] || fail "status $status"
if grep -q '^==' "$dir/refused.log"; then
    fail "valgrind has something to say"
fi
