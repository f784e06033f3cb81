#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The control socket: its mode from the first moment on, whatever the umask; one
# that a dead server left is replaced, a live one and anything else refused with
# a reason; it is removed at the end, but not somebody else's.  The port: loopback
# only, only to be read, only under a name of the loopback.
. "${srcdir:-.}/functions.sh"
. "${srcdir:-.}/online.sh"

# refused PATTERN PARAMETER...: a server that does not start, and says why.
refused ()
{
    pattern=$1
    shift
    status=0
    timeout 60 "$nbdkit" -f -U "$dir/sock2" "$VMSWAP_PLUGIN" pool=64M \
        registry=none "$@" >"$dir/out" 2>&1 </dev/null || status=$?
    [ "$status" -eq 1 ] || fail "$*: status $status"
    [ "$(grep -c error "$dir/out")" = 1 ] || fail "$*: not one line"
    grep -q -e "$pattern" "$dir/out" || fail "$*: does not say '$pattern'"
    rm -f "$dir/sock2"
}

old=$(umask)
umask 0
serve pool=64M size=32M
umask "$old"
[ "$(stat -c '%a %F' "$control")" = '600 socket' ] || fail "$(stat "$control")"
set -- "$control"*
[ $# = 1 ] || fail "more sockets: $*"

refused 'another server listens there: stop that first' "control=$control"
get /json >"$dir/out" || fail "the first server does not answer any more"

# After a crash.
stop -9
[ -S "$control" ] || fail "the dead server's socket is not there"
ctl 2 status
says err "no server answers at $control"
serve pool=64M size=32M
get /json >"$dir/out" || fail "no answer in the place of a dead server"
stop
[ ! -e "$control" ] || fail "the socket is not removed"

# Not ours any more at the end.
serve pool=64M size=32M
rm "$control"
: >"$control"
stop
[ -f "$control" ] || fail "somebody else's file is removed"

refused 'is there and is no socket: remove it' "control=$control"
[ -f "$control" ] || fail "somebody else's file is removed"
refused 'in a directory that the server may write to' "control=$dir/none/control"
long=$dir/$(printf '%0120d' 0)
refused 'longer than 107 bytes' "control=$long"
refused 'control= is empty' control=
for port in 0 65536 x 8080x -1 ''; do
    refused 'is no TCP port: give a number' "control-port=$port"
done
rm "$control"

# In the background nbdkit changes its directory.
(cd "$dir" && "$nbdkit" -P "$dir/pid2" -U "$dir/sock2" "$VMSWAP_PLUGIN" pool=64M \
    registry=none control=control)
poll 60 test -s "$dir/pid2" || fail "no pid file"
pids="$pids $(cat "$dir/pid2")"
get /json >"$dir/out" || fail "no answer from the background"
kill "$(cat "$dir/pid2")"
poll 60 is_gone "$(cat "$dir/pid2")" || fail "it does not end"
[ ! -e "$control" ] || fail "the socket is not removed"

# A port that is free: the kernel knows one.
port=$(python3 -c 'import socket
s = socket.socket ()
s.bind (("127.0.0.1", 0))
print (s.getsockname ()[1])')
serve pool=64M size=32M control-port="$port"
code ()
{
    curl -sS -g --max-time 60 -o "$dir/out" -w '%{http_code}' "$@"
}
[ "$(code "http://127.0.0.1:$port/json")" = 200 ] || fail "no JSON on the port"
if grep -q . /proc/net/if_inet6 2>/dev/null; then
    [ "$(code "http://[::1]:$port/json")" = 200 ] || fail "no JSON on ::1"
fi
[ "$(code "http://localhost:$port/")" = 200 ] || fail "no page"
for host in evil.example 127.0.0.1.evil.example localhost.evil:1 'localhost:1x' \
            '127.0.0.2' '[::2]' '::1' ''; do
    [ "$(code -H "Host: $host" "http://127.0.0.1:$port/json")" -ge 400 ] \
        || fail "Host: $host is served"
done
[ "$(code -H "Host;" "http://127.0.0.1:$port/json")" -ge 400 ] || fail "no Host"
[ "$(code -X POST "http://127.0.0.1:$port/json")" = 405 ] || fail POST
[ "$(code -X DELETE "http://127.0.0.1:$port/json")" = 405 ] || fail DELETE
refused "control-port=$port: cannot listen on 127.0.0.1" "control-port=$port"
listening=$(awk -v port="$(printf ':%04X' "$port")" \
    'index ($2, port) && $4 == "0A" { print $2 }' /proc/net/tcp /proc/net/tcp6)
for address in $listening; do
    case $address in
        0100007F:*|00000000000000000000000001000000:*) ;;
        *) fail "it listens at $address" ;;
    esac
done

# The page allows no script but its own, which is another one each time.
page ()
{
    curl -sS -D "$dir/head" --max-time 60 "http://127.0.0.1:$port/" >"$dir/page"
    sed -n "s/^Content-Security-Policy: .*script-src 'nonce-\([0-9a-f]*\)'.*/\1/p" \
        "$dir/head"
}
nonce=$(page)
[ ${#nonce} = 32 ] || fail "no nonce in $(cat "$dir/head")"
[ "$(grep -c "nonce=\"$nonce\"" "$dir/page")" -ge 1 ] || fail "no script"
! grep -q -E '@NONCE@|<(script|style)>' "$dir/page" || fail "a script without a nonce"
[ "$nonce" != "$(page)" ] || fail "the nonce is always the same"
! grep -q -i '^access-control' "$dir/head" || fail "CORS"
for header in "default-src 'none'" "frame-ancestors 'none'" nosniff no-store \
              same-origin; do
    grep -q -e "$header" "$dir/head" || fail "no $header in the page's headers"
done
stop
