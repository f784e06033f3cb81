#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What clients can make the server take beyond pool= is bounded by LimitDATA=
# of the unit: connections that each send requests of 64 MiB, and keep nbdkit's
# buffers by staying, get ENOMEM beyond it.  The server goes on, and so do
# clients that were there before.
#
#   CONNECTIONS=N (default 12) LIMIT_MIB=N (default 384) instead of the unit's
#   own LimitDATA=, so that the test needs little memory; LIMIT_MIB=unit

set -eu
export LC_ALL=C
PATH=/usr/bin:$PATH:/usr/sbin:/sbin
: "${builddir:=.}"
: "${VMSWAP_PLUGIN:?names the plugin to test: run 'make check'}"

unit=$builddir/vmswap.service
dir=$(mktemp -d "${TMPDIR:-/tmp}/vmswap-memory-XXXXXX")
server=
trap '[ -z "$server" ] || kill -9 $server || :; rm -rf "$dir"' EXIT
trap 'exit 130' HUP INT TERM

fail () { echo "FAIL: $*"; tail -n 5 "$dir/log"; exit 1; }

skip ()
{
  if [ "${CI:-}" = true ]; then fail "$*"; fi
  echo "SKIP: $*"
  exit 77
}

for tool in prlimit nbdsh nbdkit numfmt; do
  command -v $tool >"$dir/log" || skip "$tool is not installed"
done
nbdsh -c 'print (h.get_version ())' >"$dir/log" 2>&1 || skip "nbdsh does not work"

# The value of a line of the unit, in bytes.
unit_bytes () { sed -n "s/^$1=//p" "$unit" | numfmt --from=iec; }

data=$(unit_bytes LimitDATA)
[ "${LIMIT_MIB:-384}" = unit ] || data=$((${LIMIT_MIB:-384} * 1048576))
prlimit --data="$data" --stack="$(unit_bytes LimitSTACK)" \
  nbdkit -f -P "$dir/pid" -U "$dir/sock" --filter=limit "$VMSWAP_PLUGIN" \
  pool=64M size=128M registry=none limit=64 >"$dir/log" 2>&1 &
server=$!
tries=600
until [ -s "$dir/pid" ]; do
  tries=$((tries - 1))
  if [ $tries -eq 0 ] || ! kill -0 $server; then fail "no server"; fi
  sleep 0.05
done

SERVER=$server DATA=$data CONNECTIONS=${CONNECTIONS:-12} SOCKET=$dir/sock \
  nbdsh -c - <<'PY' || fail "see above"
import os

data = int (os.environ["DATA"]) >> 20
count = int (os.environ["CONNECTIONS"])
socket = os.environ["SOCKET"]
large = bytes (64 << 20)

def anonymous_mib ():
    for line in open ("/proc/%s/status" % os.environ["SERVER"]):
        if line.startswith ("RssAnon:"):
            return int (line.split ()[1]) >> 10

def connect ():
    client = nbd.NBD ()
    client.set_strict_mode (0)
    client.connect_unix (socket)
    return client

honest = connect ()
honest.pwrite (b"h" * 65536, 0)
before = anonymous_mib ()
hostile = [connect () for i in range (count)]
refused = 0
for client in hostile:
    try:
        client.pwrite (large, 0)
    except nbd.Error as error:
        assert error.errno == "ENOMEM", error
        refused += 1
after = anonymous_mib ()
print ("%d connections of 64 MiB requests: %d refused, %d MiB before, "
       "%d MiB after, LimitDATA %d MiB" % (count, refused, before, after, data))
assert 0 < refused < count, "neither all nor none may be refused"
assert after <= data
honest.pwrite (b"i" * 65536, 0)
assert honest.pread (65536, 0) == b"i" * 65536
# When they leave, the memory comes back.
for client in hostile:
    client.shutdown ()
del hostile, client
again = connect ()
again.pwrite (large, 0)
assert again.pread (65536, 0) == bytes (65536)
PY
