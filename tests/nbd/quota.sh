#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Guests as tenants: one at its quota gets ENOSPC with a line of its own, its
# neighbour never does; a reserve holds against a full pool; a guest that waits
# below its quota wakes by its own trims; limits that cannot be are refused.
# Where state= can be.
TMPDIR=/dev/shm
export TMPDIR
. "${srcdir:-.}/functions.sh"
requires_nbdsh

cat >"$dir/common.py" <<'PY'
import os
import random
import time
random.seed (11)

def connect (name):
    c = nbd.NBD ()
    c.connect_uri (os.environ["URI"].replace ("NAME", name))
    return c

def write_page (c, page):
    """False: no room."""
    try:
        c.pwrite (random.randbytes (4096), page * 4096)
        return True
    except nbd.Error as e:
        assert e.errno == "ENOSPC", e
        return False

def fill (c, first = 1):
    """Writes pages until one is refused; returns that one."""
    page = first
    while write_page (c, page):
        page += 1
    return page

def poll_for (c, done, seconds = 30):
    end = time.monotonic () + seconds
    while not done ():
        if time.monotonic () >= end:
            return False
        c.poll (50)
    return True
PY
URI="nbd+unix:///NAME?socket=$dir/sock"
export URI

# run_python <SCRIPT
run_python ()
{
    cat "$dir/common.py" - | nbdsh -c -
}

describe ()
{
    nbdsh -c "
h.set_opt_mode (True)
h.set_full_info (True)
h.connect_uri ('$(export_uri "$1")')
h.opt_info ()
print (h.get_export_description ())
h.opt_abort ()"
}

# A quota, beside a neighbour without one.
start_nbdkit pool=64M size=64M guest=web1,quota=4M guest=db1,size=128M,reserve=16M
[ "$(describe web1)" = 'vmswap web1 64M: empty, of 4M quota' ] \
    || fail "$(describe web1)"
[ "$(describe db1)" = 'vmswap db1 128M: empty, 16M reserved' ] \
    || fail "$(describe db1)"
run_python <<'PY'
web, db = connect ("web1"), connect ("db1")
full = fill (web)
assert 900 < full < 1024, full
for i in range (200):
    assert not write_page (web, full + i)
    assert write_page (db, 1 + i)
# What is there can be read, overwritten, and trimmed; then there is room.
for page in range (1, full):
    assert write_page (web, page)
web.trim (100 * 4096, 4096)
assert fill (web) == full
assert not write_page (web, full + 5)
PY
n=$(errors_in_log "export 'web1': no room to write: its quota is reached .quota=4M.: .*quota=")
[ "$n" -ge 1 ] || fail "no message that names export, quota and cure"
[ "$n" -le 20 ] || fail "$n messages: the limit does not work"
[ "$(errors_in_log 'pool is full')" -eq 0 ] || fail "the pool was not full"
describe web1 | grep -q -x -E 'vmswap web1 64M: .* swapped in .* of RAM, of 4M quota' \
    || fail "$(describe web1)"
stop_nbdkit

# A reserve, against one who takes all he gets.
start_nbdkit pool=64M size=128M guest=greedy guest=safe,reserve=25%
[ "$(describe safe)" = 'vmswap safe 128M: empty, 16M reserved' ] \
    || fail "$(describe safe)"
run_python <<'PY'
greedy, safe = connect ("greedy"), connect ("safe")
full = fill (greedy)
for turn in range (3):
    for page in range (1, 4001): # 15.7 MiB and headers and tables
        assert write_page (safe, page), page
        if page % 4 == 0:
            write_page (greedy, random.randrange (1, full + 20))
    safe.trim (4000 * 4096, 4096)
    assert fill (greedy) < full + 16
PY
n=$(errors_in_log "export 'greedy': no room to write: the pool is full .pool=64M, the rest is reserved.")
[ "$n" -ge 1 ] || fail "no message that tells of the reserve"
[ "$(errors_in_log "export 'safe'")" -eq 0 ] || fail "safe was refused"
stop_nbdkit

# full=stall: a write above the quota waits for the guest's own trim.  The
# neighbour's do not help, and do not have to wait.
start_nbdkit pool=64M size=64M full=stall guest=web1,quota=2M guest=db1
run_python <<'PY'
web, db = connect ("web1"), connect ("db1")
page, stuck = 1, None
while stuck is None:
    cookie = web.aio_pwrite (nbd.Buffer.from_bytearray (
        bytearray (random.randbytes (4096))), page * 4096)
    if poll_for (web, lambda: web.aio_command_completed (cookie), 2):
        page += 1
    else:
        stuck = cookie
assert 400 < page < 512, page
for i in range (1, 1000):
    assert write_page (db, i)
db.trim (500 * 4096, 4096)
web.pread (1 << 20, 4096)
assert not poll_for (web, lambda: web.aio_command_completed (stuck), 1)
web.trim (8 * 4096, 4096)
assert poll_for (web, lambda: web.aio_command_completed (stuck)), "still waits"
PY
stop_nbdkit

# Exports that open by name have the default limits; a reserve that cannot be
# promised is not pretended.
start_nbdkit pool=64M size=64M quota=20M reserve=20M
run_python <<'PY'
a, b = connect ("a"), connect ("b")
assert write_page (a, 1) and write_page (b, 1)
try:
    connect ("c")
    raise AssertionError ("three times 20M in a pool of 64M")
except nbd.Error as e:
    pass
PY
[ "$(errors_in_log "export 'c' cannot have a reserve of 20M: others have 40M, and")" -eq 1 ] \
    || fail "no line that says why c is refused"
stop_nbdkit

# An operator's defaults, and a guest's own limits instead.
start_nbdkit pool=64M size=64M quota=50% reserve=8M guest=a guest=b,quota=0,reserve=0
[ "$(describe a)" = 'vmswap a 64M: empty, of 32M quota, 8M reserved' ] \
    || fail "$(describe a)"
[ "$(describe b)" = 'vmswap b 64M: empty' ] || fail "$(describe b)"
stop_nbdkit

# They are given anew by each server, and what is there stays.
state=$dir/state
mkdir "$state"
start_nbdkit pool=64M size=64M "state=$state" guest=web1,quota=16M,reserve=1M
run_python <<'PY'
c = connect ("web1")
for page in range (1, 3001):
    assert write_page (c, page)
PY
stop_nbdkit
start_nbdkit pool=64M size=64M "state=$state" guest=web1,quota=4M
describe web1 | grep -q 'of RAM, of 4M quota$' || fail "$(describe web1)"
run_python <<'PY'
c = connect ("web1")
assert not write_page (c, 4000)
assert write_page (c, 3000)
c.trim (2500 * 4096, 4096)
assert write_page (c, 4000)
PY
stop_nbdkit
