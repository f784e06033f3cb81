#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The plugin works however nbdkit runs: in the background (after a fork, which
# loses memory locks and threads), on its standard input, read-only, and with
# one thread.
. "${srcdir:-.}/functions.sh"
requires_nbdsh

check ()
{
    nbdsh_to "$uri" <<'PY'
import random
size = h.get_size ()
data = random.randbytes (1 << 20)
for i in range (4): # more than the pool's spare room: the cleaner has to work
    for at in range (4 << 20, size, 1 << 20):
        h.pwrite (data, at)
        h.trim (3 << 18, at + (1 << 18))
assert h.pread (1 << 18, size - (1 << 20)) == data[:1 << 18]
PY
}

# In the background.
"$nbdkit" -P "$dir/pid" -U "$dir/sock" "$plugin" pool=16M size=32M registry=none \
    >"$dir/nbdkit.log" 2>&1 || fail "it does not start in the background"
poll 30 test -s "$dir/pid" || fail "no pid file"
nbdkit_pid=$(cat "$dir/pid")
nbdkit_pids=$nbdkit_pid
uri="nbd+unix:///?socket=$dir/sock"
check
if [ "$(id -u)" = 0 ] && [ ! -s "$dir/nbdkit.log" ]; then
    locked=$(awk '$1 == "VmLck:" { print $2 }' "/proc/$nbdkit_pid/status")
    [ "$locked" -ge 8192 ] || fail "$locked kB are locked after the fork"
fi
kill "$nbdkit_pid"
poll 30 is_gone "$nbdkit_pid" || fail "it does not end"
nbdkit_pids=

# With one thread per connection.
nbdkit_options='-t 1'
start_nbdkit pool=16M size=32M
check
stop_nbdkit

# Read-only: the header is there, a write is not possible.
nbdkit_options=-r
start_nbdkit pool=16M size=32M
nbdsh_to "$uri" <<'PY'
assert h.is_read_only ()
assert h.pread (4096, 0)[4086:] == b"SWAPSPACE2"
PY
stop_nbdkit

# On its standard input, which libnbd makes a socket.
PLUGIN=$plugin NBDKIT=$nbdkit nbdsh -c - <<'PY'
import os
h.connect_command ([os.environ["NBDKIT"], "-s", os.environ["PLUGIN"],
                    "pool=16M", "size=32M", "registry=none"])
h.pwrite (b"via stdin" + bytes (503), 8192)
assert h.pread (512, 8192) == b"via stdin" + bytes (503)
h.shutdown ()
PY
