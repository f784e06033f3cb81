#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Clients that are killed with requests in flight, again and again, harm
# neither the server nor the data of others, and leave nothing claimed.
. "${srcdir:-.}/functions.sh"
requires_nbdsh

start_nbdkit pool=64M size=64M
URI=$(export_uri NAME)
export URI
nbdsh -c - <<'PY'
import os
import random
import time

def connect (name):
    c = nbd.NBD ()
    c.set_strict_mode (0)
    c.connect_uri (os.environ["URI"].replace ("NAME", name))
    return c

other = connect ("other")
data = random.randbytes (1 << 20)
other.pwrite (data, 4097)

for round in range (40):
    pid = os.fork ()
    if pid == 0:
        # Sixteen requests, a part of which is on its way when it ends.
        c = connect ("victim")
        assert not c.is_read_only (), round
        if round % 2:
            # Replies that nobody reads: several are ready when it ends.
            for i in range (16):
                c.aio_pread (nbd.Buffer (1 << 18), i << 18)
        for i in range (8):
            c.aio_pwrite (nbd.Buffer.from_bytearray (
                bytearray (random.randbytes (1 << 20))), (i << 20) + round)
            c.aio_trim (12345, (i << 20) + 777)
        for i in range (round % 5):
            c.poll (1)
        os.kill (os.getpid (), 9)
    assert os.waitpid (pid, 0)[1] == 9
    assert other.pread (1 << 20, 4097) == data, round

c = connect ("victim")
assert not c.is_read_only ()
c.trim (c.get_size (), 0)
assert c.pread (16 << 20, 0) == bytes (16 << 20)
c.pwrite (data, 4097)
assert c.pread (1 << 20, 4097) == data
PY
stop_nbdkit
