#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Several connections of one peer are one disk: what is written on one is read
# on every other at once, and all of them may write.
. "${srcdir:-.}/functions.sh"
requires_nbdsh

start_nbdkit pool=64M size=16M guest=g
nbdsh_to "$(export_uri g)" <<'PY'
import os
assert h.can_multi_conn ()
conns = [h]
for i in range (7):
    c = nbd.NBD ()
    c.connect_uri (h.get_uri ())
    conns.append (c)
for i in range (400):
    data = os.urandom (512) * 8
    assert not conns[i % 8].is_read_only ()
    conns[i % 8].pwrite (data, 4096 * i)
    assert conns[(i + 3) % 8].pread (4096, 4096 * i) == data, i
    conns[(i + 5) % 8].trim (4096, 4096 * i)
    assert conns[(i + 7) % 8].pread (4096, 4096 * i) == bytes (4096), i
    conns[i % 8].flush ()
for c in conns:
    c.shutdown ()
PY
stop_nbdkit
