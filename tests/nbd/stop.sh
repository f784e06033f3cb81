#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A server with state= that is told to end while clients are connected breaks
# their connections and answers nothing: no request fails, and the next server
# has it all.  One without clients ends in order.

TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"
requires_nbdsh

state=$dir/state
mkdir "$state"
for signal in TERM INT QUIT HUP; do
    start_nbdkit pool=64M size=16M "state=$state"
    PID=$nbdkit_pid SIGNAL=$signal nbdsh -u "$uri" -c - <<'PY' \
        || fail "SIG$signal with a client"
import os, signal, sys
sig = getattr (signal, "SIG" + os.environ["SIGNAL"])
data = os.environ["SIGNAL"].encode () * 1024
h.pwrite (data, 4096)
h.pwrite (data, 1 << 20)
idle = nbd.NBD ()
idle.connect_uri (h.get_uri ())
# Requests under way, and more after the signal: each is done or not answered.
done = []
def note (error):
    done.append (error.value)
    return 1
sent = 0
for i in range (4000):
    if i == 200:
        os.kill (int (os.environ["PID"]), sig)
    try:
        h.aio_pwrite (data, 1 << 20, note)
        sent += 1
        h.poll (0)
    except nbd.Error:
        break
else:
    for i in range (1000):
        try:
            h.poll (10)
        except nbd.Error:
            break
assert h.aio_is_dead () or h.aio_is_closed (), "still connected"
refused = [e for e in done if e not in (0, 107)] # ENOTCONN: libnbd's own word
assert not refused, refused
# A connection that was idle learns that the server is gone, from nobody.
try:
    idle.pwrite (data, 4096)
    assert False, "the server still answers"
except nbd.Error as e:
    assert e.errno != "ESHUTDOWN", e
assert len (done) >= 100, len (done)
PY
    poll 10 is_gone "$nbdkit_pid" || fail "SIG$signal: it waits for its client"
    status=0
    wait "$nbdkit_pid" || status=$?
    [ $status -eq 0 ] || fail "SIG$signal: exit status $status"

    start_nbdkit pool=64M size=16M "state=$state"
    SIGNAL=$signal nbdsh_to "$uri" <<'PY'
import os
data = os.environ["SIGNAL"].encode () * 1024
assert h.pread (len (data), 4096) == data
assert h.pread (len (data), 1 << 20) == data
PY
    stop_nbdkit # no client: as before
    grep -q error: "$dir/nbdkit.log" && fail "an orderly end complains"
done
exit 0
