#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The disk of the registry hangs: the first write of an export waits for it, and
# nobody else does.

TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"
requires_nbdsh
hang=$PWD/hanging-disk.so
[ -f "$hang" ] || fail "$hang is not there: run make check"

# Under a sanitizer the preloaded library would come first.
if nm -D "$plugin" 2>/dev/null | grep -q -e __asan -e __tsan; then
    skip "the plugin was built with a sanitizer"
fi

wrapper="env LD_PRELOAD=$hang HANG=$dir/hang"
start_nbdkit pool=64M size=16M "registry=$dir/registry"
wrapper=

URI=$(export_uri NAME) HANG=$dir/hang nbdsh -c - <<'PY' || fail "see above"
import os, threading

def connect (name):
    c = nbd.NBD ()
    c.connect_uri (os.environ["URI"].replace ("NAME", name))
    return c

busy = connect ("busy")
empty = connect ("empty")
busy.pwrite (b"x" * 4096, 8192)
empty.pwrite (b"x" * 4096, 8192)
empty.trim (4096, 8192)

open (os.environ["HANG"], "w").close ()
first = connect ("first")
writer = threading.Thread (target=lambda: first.pwrite (b"1" * 4096, 8192),
                           daemon=True)
writer.start ()

# Everybody else goes on, for as long as it hangs: other guests, new ones, and
# one that leaves an empty export behind.
def others ():
    for i in range (50):
        busy.pwrite (bytes ([i]) * 4096, 8192 * (i + 1))
        look = connect ("new%d" % i)
        look.pread (4096, 0)
        look.shutdown ()
    empty.aio_disconnect (0) # the end of this one waits
    again = connect ("busy")
    again.pread (4096, 8192)
    again.shutdown ()

thread = threading.Thread (target=others, daemon=True)
thread.start ()
thread.join (30)
if thread.is_alive () or not writer.is_alive ():
    print ("the others wait, too" if thread.is_alive () else
           "a write was acknowledged that nobody would miss", flush=True)
    os._exit (1)

os.unlink (os.environ["HANG"])
writer.join (30)
assert not writer.is_alive ()
assert first.pread (4096, 8192) == b"1" * 4096
PY
stop_nbdkit
