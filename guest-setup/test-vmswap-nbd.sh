#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vmswap-nbd gets along with a real server, with none, and with servers that do
# everything wrong: one clear line each, in time.  (This needs no nbd in the
# kernel; the guest tests have it attach devices.)

set -eu
export LC_ALL=C
: "${srcdir:=$(dirname "$0")}"
: "${builddir:=.}"
program=$(realpath "$builddir/vmswap-nbd")

dir=$(mktemp -d "${TMPDIR:-/tmp}/vmswap-nbd-XXXXXX")
server_pid=
trap 'end_server; rm -rf "$dir"' EXIT
trap 'exit 130' HUP INT TERM
checked=0

fail ()
{
  echo "FAIL: $*"
  for what in stdout stderr server; do
    [ ! -s "$dir/$what" ] || { echo "--- $what:"; cat "$dir/$what"; }
  done
  exit 1
}

skip ()
{
  if [ "${CI:-}" = true ]; then fail "$*"; fi
  echo "SKIP: $*"
  exit 77
}

end_server ()
{
  [ -n "$server_pid" ] || return 0
  kill "$server_pid" 2>/dev/null || :
  wait "$server_pid" 2>/dev/null || :
  server_pid=
}

# Until the server has made its socket.
await_server ()
{
  await_end=$(($(date +%s) + 30))
  until [ -S "$dir/sock" ] && { [ "$1" = fake ] || [ -s "$dir/pid" ]; }; do
    [ "$(date +%s)" -lt $await_end ] || fail "the server does not start"
    kill -0 "$server_pid" 2>/dev/null || fail "the server ended"
    sleep 0.05
  done
}

serve ()
{
  end_server
  rm -f "$dir/sock" "$dir/pid"
  nbdkit -f -U "$dir/sock" -P "$dir/pid" "$@" >"$dir/server" 2>&1 &
  server_pid=$!
  await_server nbdkit
}

# One that says PYTHON to each connection c.
serve_fake ()
{
  end_server
  rm -f "$dir/sock"
  python3 -c '
import socket, struct, sys, time
listener = socket.socket (socket.AF_UNIX)
listener.bind (sys.argv[1])
listener.listen ()
hello = b"NBDMAGICIHAVEOPT" + struct.pack (">H", 3)
def reply (kind, data=b"", magic=0x3e889045565a9, option=7, length=None):
    return struct.pack (">QIII", magic, option, kind,
                        len (data) if length is None else length) + data
def info (size, flags):
    return reply (3, struct.pack (">HQH", 0, size, flags))
def asked ():
    head = c.recv (20, socket.MSG_WAITALL)
    return c.recv (struct.unpack (">I", head[16:])[0], socket.MSG_WAITALL)
while True:
    c, who = listener.accept ()
    try:
        exec (sys.argv[2])
    except OSError:
        pass
    c.close ()
' "$dir/sock" "$1" >"$dir/server" 2>&1 &
  server_pid=$!
  await_server fake
}

# Fails the test if it takes longer than the 10 s of an attempt allow.
run ()
{
  status=0
  timeout 25 "$program" "$@" >"$dir/stdout" 2>"$dir/stderr" </dev/null ||
    status=$?
}

finds ()
{
  run --probe "unix:$dir/sock" web1
  [ $status -eq 0 ] || fail "$1: exit status $status"
  [ "$(cat "$dir/stdout")" = "export 'web1': $1" ] || fail "not '$1'"
  checked=$((checked + 1))
}

# refuses PATTERN ARGUMENT...: exit status 1 and one line that matches.
refuses ()
{
  pattern=$1
  shift
  run "$@"
  [ $status -eq 1 ] || fail "vmswap-nbd $*: exit status $status, not 1"
  [ ! -s "$dir/stdout" ] || fail "vmswap-nbd $*: an error belongs on stderr"
  [ "$(wc -l <"$dir/stderr")" -eq 1 ] || fail "vmswap-nbd $*: not one line"
  grep -q -e "^vmswap-nbd: .*$pattern" "$dir/stderr" ||
    fail "vmswap-nbd $*: does not say '$pattern'"
  checked=$((checked + 1))
}

# faulty PATTERN PYTHON
faulty ()
{
  serve_fake "$2"
  refuses "export 'web1': the server: .*$1" --probe "unix:$dir/sock" web1
}

[ -x "$program" ] || skip "vmswap-nbd is not built: libnl-genl-3-dev is missing"
for tool in nbdkit python3; do
  command -v $tool >/dev/null 2>&1 || skip "$tool is not installed"
done

# --- Real servers.

serve memory 64M
finds '67108864 bytes, flush, fua, trim, write-zeroes'
serve memory 10000
finds '8192 bytes, flush, fua, trim, write-zeroes'
serve memory 4095
refuses 'no usable size: 4095 bytes' --probe "unix:$dir/sock" web1
serve -r memory 64M
refuses 'is read-only' --probe "unix:$dir/sock" web1
serve --filter=exportname memory 64M exportname=other \
  exportname-strict=true
refuses 'no such export' --probe "unix:$dir/sock" web1
serve --filter=nozero memory 64M
finds '67108864 bytes, flush, fua, trim'

# --- None.

end_server
rm -f "$dir/sock"
refuses 'cannot be reached: No such file' --probe "unix:$dir/sock" web1
refuses 'cannot be reached: Connection refused' --probe 127.0.0.1:1 web1
refuses 'has no address' --probe nowhere.invalid web1

# --- Servers that do everything wrong.

faulty 'not an NBD server' 'c.send (b"HTTP/1.1 400 Bad Request" * 9); asked ()'
faulty 'not an NBD server' \
  'c.send (b"NBDMAGIC" + bytes.fromhex ("0000420281861253") + b"\0" * 136)'
faulty 'hung up' 'pass'
faulty 'hung up' 'c.send (hello[:9])'
faulty 'hung up' 'c.send (hello); c.recv (4)'
faulty 'hung up' 'c.send (hello); asked (); c.send (reply (1)[:7])'
faulty 'garbage' 'c.send (hello); asked (); c.send (b"x" * 64)'
faulty 'garbage' 'c.send (hello); asked (); c.send (reply (1, option=6))'
faulty 'garbage' \
  'c.send (hello); asked (); c.send (reply (3, length=0x7fffffff)); c.recv (1)'
faulty 'without end' \
  'c.send (hello); asked (); c.sendall (info (4096, 1) * 64); c.recv (1)'
faulty 'no usable size: 0' \
  'c.send (hello); asked (); c.send (reply (1)); c.recv (1)'
faulty 'no usable size: 18446744073709551615' 'c.send (hello); asked ();
c.send (info (2**64 - 1, 1) + reply (1)); c.recv (1)'
faulty 'no such export: it.s ?gone?' \
  'c.send (hello); asked (); c.send (reply (2**31 + 6, b"it\x27s \ngone\x1b"))'
faulty 'demands TLS' 'c.send (hello); asked (); c.send (reply (2**31 + 5))'
faulty 'shutting down' 'c.send (hello); asked (); c.send (reply (2**31 + 7))'
faulty 'refuses the export: x' \
  'c.send (hello); asked (); c.send (reply (2**31 + 99, b"x" * 4096))'
# It says nothing, and then almost nothing, for ever.
faulty 'not answer in time' 'time.sleep (60)'
faulty 'not answer in time' \
  'c.send (hello); [(c.send (b"\0"), time.sleep (1)) for i in range (60)]'

# What the kernel must not be told, and what is not for us, is left out.
serve_fake 'c.send (hello); asked ();
c.send (reply (3, b"\0\3" + b"\0" * 12) + info (8192, 0xffff & ~2) + reply (1));
c.recv (1)'
finds '8192 bytes, flush, fua, trim, write-zeroes'
# It is asked for the right thing.
serve_fake 'c.send (hello); ok = asked () == b"\0\0\0\4web1\0\0";
c.send (info (4096 if ok else 8192, 1) + reply (1)); c.recv (1)'
finds '4096 bytes'
end_server

# --- Wrong words.

refuses 'SERVER, EXPORT and DEVICE are needed'
refuses 'SERVER, EXPORT and DEVICE are needed' host web1
refuses 'SERVER, EXPORT and DEVICE are needed' host web1 /dev/nbd0 more
refuses 'takes SERVER and EXPORT' --probe host
refuses 'takes a DEVICE' --disconnect
refuses 'takes a DEVICE' --disconnect /dev/nbd0 /dev/nbd1
refuses 'goes with --disconnect' --force host web1 /dev/nbd0
refuses 'not both' --probe --disconnect /dev/nbd0
refuses "unknown option '--now'" --now host web1 /dev/nbd0
refuses 'needs a value' --dead-timeout
for number in '' 0 -1 x 1x 31536001 99999999999999999999; do
  refuses 'is not a number of seconds' --dead-timeout "$number" h e /dev/nbd0
done
for device in nbd0 /dev/sda /dev/nbd /dev/nbd0p1 /dev/nbd999999; do
  refuses 'is not an nbd device' host web1 "$device"
  refuses 'is not an nbd device' --disconnect "$device"
done
refuses 'is not connected' --disconnect /dev/nbd99999
for server in '' :10 '[]:10'; do
  refuses 'is not a server' --probe "$server" web1
done
for port in '' 0 65536 x 1000000 1x; do
  refuses 'a port is' --probe "host:$port" web1
done
refuses 'IPv6' --probe 2001:db8::1 web1
refuses 'IPv6' --probe '[2001:db8::1' web1
refuses 'path of a socket' --probe unix:run/x web1
refuses 'path of a socket' --probe "unix:/$(printf '%0200d' 0)" web1
refuses 'is empty' --probe host ''
refuses 'longer than 1024' --probe host "$(printf '%01025d' 0)"
refuses 'line break' --probe host "we
b"
if [ "$(id -u)" = 0 ] && ! [ -e /sys/block/nbd0 ] && ! modinfo nbd \
    >/dev/null 2>&1; then
  refuses "run 'modprobe nbd max_part=0'" 127.0.0.1:1 web1 /dev/nbd0
else
  echo "not checked: a kernel without nbd (this one has it, or no root here)"
fi

run --help
grep -q '^usage: vmswap-nbd' "$dir/stdout" || fail "no help"
echo "$checked checks passed"
