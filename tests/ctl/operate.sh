#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Orders to a running server: grow and reset work on an export that nobody
# uses, and only there; what is refused changes nothing, and the reason is told.
# What they did outlives the server.
. "${srcdir:-.}/functions.sh"
. "${srcdir:-.}/online.sh"
requires jq

reg=$dir/reg
state=$dir/state
mkdir "$state"
start ()
{
    serve pool=64M guest=web1,size="$1" guest=web2,size=16M "registry=$reg" \
        "state=$state"
}
figure ()
{
    get /json | jq ".guests[] | select (.name == \"$1\").$2"
}
fill ()
{
    nbdsh_to "$1" <<'PY'
h.pwrite (b"page" * (1 << 18), 1 << 20)
PY
}
start 16M

# Nobody has used it: the header tells the new size.
ctl 0 grow web1 32M
says out "^export 'web1' is 32M now, it was 16M; give guest= or size= that value"
nbdsh_to web1 <<'PY'
import struct
assert h.get_size () == 32 << 20
page = h.pread (4096, 0)
assert page[4086:] == b"SWAPSPACE2"
assert struct.unpack_from ("<I", page, 1028)[0] == (32 << 20) // 4096 - 1
PY

# In use.
nbdsh_to web1 <<PY
import subprocess
h.pwrite (b"x" * 4096, 1 << 20)
def refused (*words):
    run = subprocess.run (["$ctl", *words], capture_output=True, text=True)
    assert run.returncode == 2, run
    assert "'web1' is in use by process" in run.stderr, run
refused ("grow", "web1", "64M")
refused ("reset", "web1")
refused ("reset", "--lost", "web1")
assert h.get_size () == 32 << 20
assert h.pread (4096, 1 << 20) == b"x" * 4096
PY
closed ()
{
    [ "$(figure web1 connections)" = 0 ]
}
poll 30 closed || fail "the connection stays"

fill web1
poll 30 closed || fail "the connection stays"
ctl 0 grow web1 48M
says out 'in the guest, mkswap makes use of it'
ctl 2 grow web1 1M
says err 'pages beyond 1M hold data'
[ "$(figure web1 size_bytes)" = 50331648 ] || fail "the size changed"
ctl 2 grow web1 4097
says err 'a size is a multiple of 4096, from 40K to 16T'
ctl 2 grow web1 32T
ctl 2 grow web1 x
says err "'x' is no size"
ctl 2 grow nobody 32M
says err "there is no export 'nobody'"
ctl 0 limit --quota 32M web1
says out "'web1' has new limits"
[ "$(figure web1 quota_bytes)" = 33554432 ] || fail "the quota is not there"
ctl 0 limit --reserve 4M web1
[ "$(figure web1 quota_bytes)" = 33554432 ] || fail "the quota has gone"
[ "$(figure web1 reserve_bytes)" = 4194304 ] || fail "the reserve is not there"
ctl 2 limit --reserve 33M web1
says err 'smaller than the reserve'
ctl 2 limit --quota 0 --reserve 1T web1
says err 'cannot have a reserve of 1T'
ctl 2 limit --quota 1M nobody
says err "there is no export 'nobody'"
[ "$(figure web1 quota_bytes)" = 33554432 ] || fail "the quota has changed"
ctl 0 limit --quota 0 --reserve 0 web1
# As quota= and reserve= take them: a part of the pool, of 64M here.
ctl 0 limit --quota 50% --reserve 25% web1
[ "$(figure web1 quota_bytes)" = 33554432 ] || fail "50% are not 32M"
[ "$(figure web1 reserve_bytes)" = 16777216 ] || fail "25% are not 16M"
ctl 0 limit --quota 33% --reserve 0 web1
[ "$(figure web1 quota_bytes)" = 22142976 ] || fail "33% are not whole pages"
ctl 2 limit --quota 5000 web1
says err 'the quota is too small: give at least 64K, or 0 for none'
ctl 2 limit --quota 65537 web1
says err 'multiples of 4096: give one, such as 1M'
ctl 2 limit --reserve 5000 web1
says err 'multiples of 4096: give one, such as 1M'
[ "$(figure web1 quota_bytes)" = 22142976 ] || fail "the quota has changed"
ctl 0 limit --quota 0 --reserve 0 web1
ctl 2 limit --quota x web1
says err "'x' is no size"

# The next server has it; its pages are there.
stop -9
start 48M
! grep -q error "$dir/log" || fail "$(cat "$dir/log")"
nbdsh_to web1 <<'PY'
assert h.get_size () == 48 << 20
assert h.pread (1 << 20, 1 << 20) == b"page" * (1 << 18)
PY
fill web2
poll 30 closed || fail "the connection stays"

# Only what is lost: nothing is.
ctl 0 reset --lost web1
says out 'has lost nothing'
[ "$(figure web1 stored_pages)" -gt 256 ] || fail "pages went"
ctl 0 reset web1
says out "'web1' is as new: [0-9]+ pages are dropped"
[ "$(figure web1 stored_pages)" = 1 ] || fail "pages stay"
ctl 0 registry "$reg"
! grep -q '^web1 ' "$dir/out" || fail "the registry still knows web1"
says out '^web2 '
nbdsh_to web1 <<'PY'
assert h.pread (4096, 0)[4086:] == b"SWAPSPACE2"
assert h.pread (1 << 20, 1 << 20) == bytes (1 << 20)
PY

# Lost with an earlier server.
fill web1
stop -9
rm "$state/pool.vmswap"
start 48M
[ "$(figure web1 lost)" = 1 ] || fail "not lost"
[ "$(figure web2 lost)" = 1 ] || fail "not lost"
ctl 0 reset --lost web1
says out "what was lost reads as zeroes from now on"
ctl 0 reset web2
says out "what was lost is forgotten"
for guest in web1 web2; do
    nbdsh_to $guest <<'PY'
assert h.pread (1 << 20, 1 << 20) == bytes (1 << 20)
PY
done
stop -9
start 48M
! grep -q lost "$dir/log" || fail "lost again: $(cat "$dir/log")"
stop -9

# Without a server, on what it left; with one, its directories are taken.
ctl 2 reset --control "$control" web1
says err 'no server answers'
ctl 2 reset --lost web1
says err 'no server answers'
ctl 2 reset --registry "$reg" --state "$state" nobody
says err "no export 'nobody' is known"

# What the server is asked for by hand.
start 48M
for wrong in '/grow' '/grow?guest=web1' '/grow?guest=web1&size=' \
             '/grow?guest=web1&size=99999999999999999999' '/reset' \
             '/reset?guest=web1&pages=some' '/limit?guest=web1' \
             '/limit?guest=web1&quota=1' '/limit?guest=web1&quota=-1' \
             '/limit?guest=web1&quota=1M&reserv=0' \
             '/limit?guest=web1&quota=1M&quota=2M' \
             '/limit?guest=web1&quota=101%25' '/limit?guest=web1&quota=0%25' \
             '/limit?guest=web1&reserve=%25' '/grow?guest=web1&size=50%25' \
             '/reset?guest=we%00b1' '/grow?%=1'; do
    code=$(curl -sS -X POST -o "$dir/out" -w '%{http_code}' \
        --unix-socket "$control" "http://localhost$wrong")
    [ "$code" = 400 ] || fail "$wrong: $code"
    [ "$(wc -l <"$dir/out")" = 1 ] || fail "$wrong: not one line"
done
code=$(curl -sS -X POST -o "$dir/out" -w '%{http_code}' \
    --unix-socket "$control" 'http://localhost/limit?guest=web1&quota=1M&reserve=0')
[ "$code" = 200 ] || fail "limit: $code"
code=$(curl -sS -X POST -o "$dir/out" -w '%{http_code}' \
    --unix-socket "$control" 'http://localhost/limit?guest=web1&quota=25%25')
[ "$code" = 200 ] || fail "limit in percent: $code"
[ "$(figure web1 quota_bytes)" = 16777216 ] || fail "25% are not 16M"
# No page of a browser gives orders, if somebody forwards the socket.
for header in 'Origin: http://evil.example' 'Sec-Fetch-Site: cross-site'; do
    code=$(curl -sS -X POST -H "$header" -o "$dir/out" -w '%{http_code}' \
        --unix-socket "$control" 'http://localhost/limit?guest=web1&quota=2M')
    [ "$code" = 403 ] || fail "$header: $code"
done
code=$(curl -sS -o "$dir/out" -w '%{http_code}' \
    --unix-socket "$control" 'http://localhost/grow?guest=web1&size=1G')
[ "$code" = 405 ] || fail "GET /grow: $code"
stop -9
