#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# While another guest is active, threads that serve a flood run with a lower
# priority: that of a ring with nice 4, those of an NBD connection with nice 19.
# A guest that is alone keeps its priority, and one that has calmed down has it
# again.
. "${srcdir:-.}/functions.sh"
requires_nbdsh
requires taskset -p $$
# shellcheck disable=SC2016 # the child's own
sh -c 'renice -n 5 $$ && renice -n 0 $$' >/dev/null 2>&1 ||
    skip "nobody here may raise a priority again: neither root nor LimitNICE"

cpu=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
usual=$(nice)
wrapper="taskset -c $cpu $wrapper"
start_nbdkit pool=64M cold=off size=64M guest=web1 guest=web2 \
    "guest=bad,size=64G,quota=16M,ivshmem=$dir/bad,region=2M"

# How many threads of the server have that much less?
lowered_by ()
{
    for stat in "/proc/$nbdkit_pid/task/"*/stat; do
        # Fields are counted from the end of the name.  A thread may have ended.
        sed 's/.*) //' "$stat" 2>/dev/null || :
    done | awk -v nice=$((usual + $1)) '$17 == nice { n++ } END { print n + 0 }'
}

is_lowered () { [ "$(lowered_by "$1")" -gt 0 ]; }

"$programs/hostile" "$dir/bad" flood 1500 1 >"$dir/alone.log" 2>&1 &
bad=$!
client_pids="$client_pids $bad"
while kill -0 $bad 2>/dev/null; do
    ! is_lowered 4 || fail "a guest that is alone is lowered"
done
wait $bad || fail "flood: $(cat "$dir/alone.log")"

# web1 reads one page after the other, until it is told to end.
cat >"$dir/reader.py" <<'PY'
import os
h.connect_uri (os.environ["URI"])
while not os.path.exists (os.environ["END"]):
    h.pread (4096, 4096)
PY
URI=$(export_uri web1) END=$dir/end nbdsh -c - <"$dir/reader.py" &
reader=$!
client_pids="$client_pids $reader"
"$programs/hostile" "$dir/bad" flood 60000 1 >"$dir/flood.log" 2>&1 &
bad=$!
client_pids="$client_pids $bad"
poll 30 is_lowered 4 || fail "the thread of the ring keeps its priority"
kill $bad
wait $bad || :

# web2: eight connections at once; then each in its turn, by the same threads.
URI=$(export_uri web2) PID=$nbdkit_pid USUAL=$usual \
    timeout 120 nbdsh -c - <<'PY' || fail "web2"
import glob
import os
import time

def lowered ():
    n = 0
    for path in glob.glob ("/proc/%s/task/*/stat" % os.environ["PID"]):
        try:
            with open (path) as stat:
                nice = int (stat.read ().rsplit (")", 1)[1].split ()[16])
        except FileNotFoundError:
            continue
        n += nice == min (19, int (os.environ["USUAL"]) + 19)
    return n

conns = [nbd.NBD () for _ in range (8)]
for c in conns:
    c.connect_uri (os.environ["URI"])

def read_until (at_once, done):
    """That many connections have a read under way."""
    end = time.monotonic () + 50
    turn = 0
    while not done ():
        assert time.monotonic () < end, lowered ()
        under_way = []
        for _ in range (at_once):
            c = conns[turn % 8]
            turn += 1
            under_way.append ((c, c.aio_pread (nbd.Buffer (1 << 20), 0)))
        while under_way:
            for c, cookie in under_way:
                c.poll (0)
            under_way = [(c, cookie) for c, cookie in under_way
                         if not c.aio_command_completed (cookie)]

read_until (8, lambda: lowered () > 4)
read_until (1, lambda: lowered () == 0)
PY
: >"$dir/end"
wait $reader || fail "web1"
stop_nbdkit
