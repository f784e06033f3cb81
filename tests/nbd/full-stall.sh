#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# With full=stall writes wait for room and go on when it comes; meanwhile reads
# pass, more than eight waiting writes get ENOSPC; a client that leaves and a
# server that is told to stop end the wait.
. "${srcdir:-.}/functions.sh"
requires_nbdsh

# Common to the clients: fills the pool with noise through export "a".
cat >"$dir/fill.py" <<'PY'
import os
import random
import threading
import time

def connect (name):
    c = nbd.NBD ()
    c.connect_uri (os.environ["URI"].replace ("NAME", name))
    return c

def poll_for (c, done, seconds = 30):
    """Drives the connection until done () or the time is over."""
    end = time.monotonic () + seconds
    while not done ():
        if time.monotonic () >= end:
            return False
        c.poll (50)
    return True

def start_write (c, data, offset):
    return c.aio_pwrite (nbd.Buffer.from_bytearray (bytearray (data)), offset)

def fill (c):
    """Writes until a write waits; returns (pages written, its cookie)."""
    page = 1
    while page * 4096 < c.get_size ():
        cookie = start_write (c, random.randbytes (4096), page * 4096)
        if not poll_for (c, lambda: c.aio_command_completed (cookie), 3):
            return page, cookie
        page += 1
    raise AssertionError ("64 MiB of noise went into a pool of 16 MiB")
PY
URI="nbd+unix:///NAME?socket=$dir/sock"
export URI

start_nbdkit pool=16M size=64M full=stall
{
    cat "$dir/fill.py"
    cat <<'PY'
a = connect ("a")
pages, cookie = fill (a)
assert pages > 2048, pages
print ("full after", pages, "pages")

# Reads pass on the same connection, and on others.
b = connect ("b")
for i in range (100):
    a.pread (4096, 4096 * (1 + i))
    b.pread (4096, 4096)
assert not a.aio_command_completed (cookie), "it did not wait"

# Seven more may wait; what comes on top fails at once; reads still pass.
cookies = [cookie]
for i in range (1, 12):
    cookies.append (start_write (a, random.randbytes (4096),
                                 (pages + i) * 4096))
refused = []
def all_but_eight ():
    for c in list (cookies):
        try:
            if a.aio_command_completed (c):
                raise AssertionError ("a write found room")
        except nbd.Error as e:
            assert e.errno == "ENOSPC", e
            cookies.remove (c)
            refused.append (c)
    return len (cookies) == 8
assert poll_for (a, all_but_eight), (len (cookies), len (refused))
assert len (refused) == 4
for i in range (20):
    a.pread (1 << 20, 4096)

# Room comes: "a" trims on the very connection whose writes wait.
left = set (cookies)
def done ():
    for c in list (left):
        if a.aio_command_completed (c):
            left.discard (c)
    return not left
a.trim (4 << 20, 4096)
assert poll_for (a, done), "writes still wait although there is room"
PY
} | nbdsh -c -
stop_nbdkit

# Room that another export frees will do, too.
start_nbdkit pool=16M size=64M full=stall
{
    cat "$dir/fill.py"
    cat <<'PY'
b = connect ("b")
for page in range (1, 1025):
    b.pwrite (random.randbytes (4096), page * 4096)
a = connect ("a")
pages, cookie = fill (a)
b.trim (b.get_size () - 4096, 4096)
assert poll_for (a, lambda: a.aio_command_completed (cookie)), "still waiting"
PY
} | nbdsh -c -
stop_nbdkit

# A client that is killed while its write waits: the export is free again.
start_nbdkit pool=16M size=64M full=stall
{
    cat "$dir/fill.py"
    cat <<'PY'
pid = os.fork ()
if pid == 0:
    a = connect ("a")
    pages, cookie = fill (a)
    os.kill (os.getpid (), 9)
assert os.waitpid (pid, 0)[1] == 9
a = connect ("a")
assert not a.is_read_only (), "still claimed by the killed process"
a.trim (a.get_size () - 4096, 4096)
a.pwrite (random.randbytes (1 << 20), 4096)
PY
} | nbdsh -c -
stop_nbdkit

# The server is told to stop while a write waits: it ends, cleanly.
start_nbdkit pool=16M size=64M full=stall
SERVER=$nbdkit_pid
export SERVER
{
    cat "$dir/fill.py"
    cat <<'PY'
a = connect ("a")
pages, cookie = fill (a)
os.kill (int (os.environ["SERVER"]), 15)
def ended ():
    try:
        return a.aio_command_completed (cookie)
    except nbd.Error as e:
        return True
try:
    assert poll_for (a, ended), "the write outlives the server"
except nbd.Error as e:
    pass # the connection is gone: so is the wait
PY
} | nbdsh -c -
poll 30 is_gone "$nbdkit_pid" || fail "the server does not end"
status=0
wait "$nbdkit_pid" || status=$?
[ "$status" -eq 0 ] || fail "the server ended with status $status"
