#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# On TCP a peer is an address: several connections and processes of one host
# write to an export together, those of another host do not.
. "${srcdir:-.}/functions.sh"
requires_nbdsh

# A port that is free now, and most likely in a moment, too.
port=$(python3 -c '
import socket
s = socket.socket ()
s.bind (("127.0.0.1", 0))
print (s.getsockname ()[1])')
"$nbdkit" -f -P "$dir/pid" -i 127.0.0.1 -p "$port" "$plugin" registry=none \
    pool=64M guest=g,size=16M >"$dir/nbdkit.log" 2>&1 </dev/null &
nbdkit_pid=$!
nbdkit_pids=$nbdkit_pid
poll 30 pidfile_or_death
[ -s "$dir/pid" ] || skip "port $port is taken: $(cat "$dir/nbdkit.log")"

PORT=$port nbdsh -c - <<'PY'
import os
import socket
import time

port = int (os.environ["PORT"])
sockets = []

def connect (source):
    s = socket.create_connection (("127.0.0.1", port),
                                  source_address = (source, 0))
    c = nbd.NBD ()
    c.set_export_name ("g")
    # Now the descriptor is libnbd's.
    c.connect_socket (s.detach ())
    return c

a = connect ("127.0.0.1")
a.pwrite (b"a" * 4096, 4096)
# Another process of the same host.
pid = os.fork ()
if pid == 0:
    c = connect ("127.0.0.1")
    assert not c.is_read_only ()
    c.pwrite (b"c" * 4096, 8192)
    os._exit (0)
assert os.waitpid (pid, 0)[1] == 0
b = connect ("127.0.0.2")
assert b.is_read_only ()
assert b.pread (4096, 8192) == b"c" * 4096
b.shutdown ()
a.shutdown ()
end = time.monotonic () + 10
while True:
    b = connect ("127.0.0.2")
    if not b.is_read_only ():
        break
    b.shutdown ()
    assert time.monotonic () < end, "the claim outlived the connection"
    time.sleep (0.02)
a = connect ("127.0.0.1")
b.pwrite (b"b" * 4096, 4096)
try:
    a.pwrite (b"a" * 4096, 4096)
    assert False, "two hosts wrote"
except nbd.Error as e:
    assert e.errno == "EPERM", e
assert a.pread (4096, 4096) == b"b" * 4096
a.shutdown ()
b.shutdown ()
PY
[ "$(errors_in_log "export 'g' is in use by address 127.0.0.2: ")" -eq 1 ] \
    || fail "no message that names the holder"
stop_nbdkit
