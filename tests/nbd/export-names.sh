#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Which names open what: listed guests, exports by name, and "".
. "${srcdir:-.}/functions.sh"
requires nbdinfo --version
requires_nbdsh

size_of ()
{
    nbdinfo --size "$(export_uri "$1")" 2>"$dir/client.log"
}

# One listed guest: "" means it, other names mean nothing.
start_nbdkit pool=64M guest=only,size=1M
[ "$(size_of only)" = 1048576 ] || fail "the listed guest does not open"
[ "$(size_of '')" = 1048576 ] || fail "'' does not open the only guest"
! size_of other || fail "an export that is not listed opened"
[ "$(errors_in_log 'there is no such export')" -eq 1 ] || fail "no message"
stop_nbdkit

# Several: "" is refused with a hint.
start_nbdkit pool=64M guest=a,size=1M guest=b,size=2M
[ "$(size_of a)" = 1048576 ] || fail "a does not open"
[ "$(size_of b)" = 2097152 ] || fail "b does not open"
! size_of '' || fail "'' opened with two guests"
[ "$(errors_in_log 'name one of them')" -eq 1 ] || fail "no message for ''"
stop_nbdkit

# None: any name opens; "" is "default"; data stays with its name.
start_nbdkit pool=64M size=1M
nbdsh -u "$(export_uri x)" -c 'h.pwrite (b"x" * 512, 4096)'
nbdsh -u "$(export_uri default)" -c 'h.pwrite (b"d" * 512, 4096)'
nbdsh -u "$(export_uri x)" -c 'assert h.pread (512, 4096) == b"x" * 512'
nbdsh -u "$uri" -c 'assert h.pread (512, 4096) == b"d" * 512'
nbdsh -u "$(export_uri y)" -c 'assert h.pread (512, 4096) == bytes (512)'
[ "$(size_of some/path)" = 1048576 ] || fail "a slash is not taken as data"
! size_of 'a,b' || fail "a comma in a name was accepted"
[ "$(errors_in_log 'export refused: .* comma')" -eq 1 ] || fail "no message"
stop_nbdkit

# Names that were looked at only are forgotten: more than fit at a time.
start_nbdkit pool=64M size=40K
URI=$(export_uri '') nbdsh -c - <<'PY'
import os
def connect (name):
    c = nbd.NBD ()
    c.set_strict_mode (0)
    c.set_export_name (name)
    c.connect_unix (os.environ["URI"].split ("socket=")[1])
    return c
for i in range (1100):
    c = connect ("look%d" % i)
    assert c.pread (10, 4086) == b"SWAPSPACE2"
    c.shutdown ()
c = connect ("last")
c.pwrite (b"data", 4096)
c.shutdown ()
assert connect ("last").pread (4, 4096) == b"data"
PY
stop_nbdkit
