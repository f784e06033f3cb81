#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The gates of guests let everybody through in the end: with one CPU for the
# server, several guests with many connections each read what they wrote; writes
# that wait for room hold up neither the reads nor the trims of their guest; and a
# client that is killed behind a gate leaves it open.
. "${srcdir:-.}/functions.sh"
requires_nbdsh
requires taskset -p $$

cpu=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
wrapper="taskset -c $cpu"

cat >"$dir/common.py" <<'PY'
import os
import random
import threading
import time
random.seed (5)

def connect (name):
    c = nbd.NBD ()
    c.connect_uri (os.environ["URI"].replace ("NAME", name))
    return c

def buffer_of (data):
    return nbd.Buffer.from_bytearray (bytearray (data))

def poll_for (conns, done, seconds = 60):
    end = time.monotonic () + seconds
    while not done ():
        if time.monotonic () >= end:
            return False
        for c in conns:
            c.poll (0)
        time.sleep (0.001)
    return True
PY
URI="nbd+unix:///NAME?socket=$dir/sock"
export URI

# run_python <SCRIPT
run_python ()
{
    cat "$dir/common.py" - | timeout 300 nbdsh -c -
}

# Three guests, 8 connections each, 8 requests deep: many stand in line.
start_nbdkit pool=64M size=64M guest=a guest=b guest=c
run_python <<'PY'
conns = [(name, i, connect (name)) for i in range (8) for name in "abc"]
shadow = {}
for turn in range (12):
    under_way = []
    for name, i, c in conns:
        for k in range (8):
            page = 400 + (i * 8 + k) * 16
            if turn % 3 < 2:
                data = random.randbytes (16 * 4096)
                shadow[name, page] = data
                under_way.append ((c, c.aio_pwrite (buffer_of (data),
                                                    page * 4096), None, None))
            else:
                buf = nbd.Buffer (16 * 4096)
                under_way.append ((c, c.aio_pread (buf, page * 4096), buf,
                                   shadow[name, page]))
    def none_left ():
        for item in list (under_way):
            c, cookie, buf, expected = item
            if c.aio_command_completed (cookie):
                assert buf is None or buf.to_bytearray () == expected
                under_way.remove (item)
        return not under_way
    assert poll_for ([c for _, _, c in conns], none_left), len (under_way)
PY
stop_nbdkit

# Writes of "a" wait for room over many connections, while "b" is active.
start_nbdkit pool=16M size=64M full=stall guest=a guest=b
run_python <<'PY'
b = connect ("b")
b.pwrite (random.randbytes (1 << 20), 4096)
conns = [connect ("a") for i in range (6)]
waiting, page = [], 1
def some_wait ():
    """Each connection has 8 writes that wait; more would be refused."""
    global page
    for c in conns:
        mine = [w for w in waiting if w[0] is c]
        for i in range (8 - len (mine)):
            waiting.append ((c, c.aio_pwrite (
                buffer_of (random.randbytes (4096)), page * 4096)))
            page += 1
    for w in list (waiting):
        if w[0].aio_command_completed (w[1]):
            waiting.remove (w)
    b.pread (4096, 4096)
    return False
start = page
while True:
    before = page
    poll_for (conns, some_wait, 2)
    if page == before:
        break
assert len (waiting) == 48, len (waiting)
# They hold up nobody: not "b", and of "a" neither reads nor the trim.
other = connect ("a")
for i in range (50):
    b.pread (4096, 4096)
    other.pread (1 << 20, 4096)
    conns[i % 6].pread (4096, 4096)
other.trim (8 << 20, 4096)
def all_done ():
    b.pread (4096, 4096)
    for w in list (waiting):
        if w[0].aio_command_completed (w[1]):
            waiting.remove (w)
    return not waiting
assert poll_for (conns, all_done), "%d writes still wait" % len (waiting)
PY
stop_nbdkit

# A client is killed with requests behind its gate; its guest comes back.
start_nbdkit pool=64M size=64M guest=a guest=b
run_python <<'PY'
def connect_writer (name):
    """The server may not have noticed yet that the writer before has gone."""
    end = time.monotonic () + 60
    while time.monotonic () < end:
        c = connect (name)
        if not c.is_read_only ():
            return c
        c.shutdown ()
        time.sleep (0.02)
    raise AssertionError (name)

b = connect ("b")
for turn in range (5):
    pid = os.fork ()
    if pid == 0:
        # The other seven are of the same process, which is the writer then.
        mine = [connect_writer ("a")] + [connect ("a") for i in range (7)]
        for c in mine:
            for k in range (4):
                c.aio_pwrite (buffer_of (random.randbytes (1 << 20)), 1 << 20)
        poll_for (mine, lambda: False, 0.2)
        os.kill (os.getpid (), 9)
    # Gates are closed only while another guest is active.
    gone = (0, 0)
    while gone[0] == 0:
        b.pread (4096, 4096)
        gone = os.waitpid (pid, os.WNOHANG)
    assert gone[1] == 9
    a = connect ("a")
    a.pwrite (b"x" * 4096, 4096)
    assert a.pread (4096, 4096) == b"x" * 4096
    b.pread (4096, 4096)
    a.shutdown () # the export has one writing peer
    a = None
PY
stop_nbdkit
