#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vmswapctl doctor finds each thing that can be wrong, names the guest and the
# cure, and finds nothing where nothing is.
. "${srcdir:-.}/functions.sh"
. "${srcdir:-.}/online.sh"
requires jq

reg=$dir/reg
state=$dir/state
mkdir "$state"
kinds ()
{
    get /json | jq -r '.hints[] | "\(.guest // "-") \(.kind)"' | sort
}
expect ()
{
    kinds >"$dir/kinds"
    printf '%s\n' "$@" | sort | diff - "$dir/kinds" || fail "other hints"
    status=0
    "$ctl" doctor >"$dir/out" || status=$?
    [ "$status" -eq 1 ] || fail "status $status"
    [ "$(grep -c '^    fix: ..*' "$dir/out")" = $# ] || fail "a hint without a fix"
}

# All is well, if this process may lock memory.
serve pool=64M size=512M "registry=$reg" "state=$state"
if [ "$(get /json | jq .server.locked)" = true ]; then
    ctl 0 doctor
    says out '^nothing is wrong$'
    locked=yes
fi

nbdsh -c - <<PY
import nbd, random
def connect (name):
    client = nbd.NBD ()
    client.set_export_name (name)
    client.connect_unix ("$dir/sock")
    return client
one = bytes ([1]) * (1 << 20)
h = connect ("never-trims") # and writes what takes no room
for i in range (1, 70):
    h.pwrite (one, i << 20)
h.shutdown ()
h = connect ("trims")
for i in range (1, 70):
    h.pwrite (one, i << 20)
h.trim (1 << 20, 1 << 20)
h.shutdown ()
h = connect ("small")
h.pwrite (b"stay" * 1024, 1 << 20)
for i in range (1200):
    h.pread (512, 512 * i)
h.shutdown ()
h = connect ("noise")
noise = random.Random (1)
for i in range (1, 60):
    try:
        h.pwrite (noise.randbytes (1 << 20), i << 20)
    except nbd.Error:
        break
h.trim (4096, 1 << 20)
h.shutdown ()
PY
set -- 'never-trims never-trimmed' 'small small-requests' \
    'noise incompressible' 'noise refused' '- nearly-full'
[ "${locked:-}" = yes ] || set -- "$@" '- not-locked'
expect "$@"
"$ctl" doctor >"$dir/out" || :
says out '^guest never-trims: it has written 69M and discarded nothing, ever$'
says out 'fix: .*rotation_rate=1.*discard=unmap'
says out '^guest small: 1[0-9]{3} of its 1[0-9]{3} requests were for less than a page'
says out 'fix: .*logical_block_size=4096'
says out '^server: the pool is [0-9]+ % full$'
stop -9

# Lost, and a server that nothing was asked of.
rm "$state/pool.vmswap"
serve pool=64M size=512M "registry=$reg" "state=$state"
kinds >"$dir/kinds"
for guest in never-trims trims noise; do
    grep -q -x "$guest lost" "$dir/kinds" || fail "$guest is not lost"
done
stop -9
nbdkit_options=
serve pool=64M
set -- '- no-registry' '- no-state'
[ "${locked:-}" = yes ] || set -- "$@" '- not-locked'
expect "$@"
stop

# Quotas: one is reached, the other nearly.
serve pool=64M size=64M "registry=$dir/reg2" guest=full guest=near guest=far
for guest in full near far; do
    ctl 0 limit --quota 2M $guest
done
nbdsh -c - <<PY
import nbd, random
noise = random.Random (2)
for name, pages in (("full", 600), ("near", 470), ("far", 300)):
    client = nbd.NBD ()
    client.set_export_name (name)
    client.connect_unix ("$dir/sock")
    try:
        for i in range (pages):
            client.pwrite (noise.randbytes (4096), (i + 400) * 4096)
        assert name != "full"
    except nbd.Error:
        assert name == "full"
    client.shutdown ()
PY
set -- '- no-state' 'full quota-refused' 'full quota-nearly-used' \
    'near quota-nearly-used'
[ "${locked:-}" = yes ] || set -- "$@" '- not-locked'
expect "$@"
"$ctl" doctor >"$dir/out" || :
says out '^guest near: it takes (1[.]9|2)M of its quota of 2M$'
says out 'vmswapctl limit --quota SIZE'
stop

# What a full pool would gain; with cold=300, above, there is nothing to say.
serve pool=16M size=64M "registry=$dir/reg3" cold=off
set -- '- no-state'
[ "${locked:-}" = yes ] || set -- "$@" '- not-locked'
expect "$@"
nbdsh_to noise <<'PY'
import nbd, random
noise = random.Random (3)
try:
    for i in range (1, 60):
        h.pwrite (noise.randbytes (1 << 18), i << 20)
    assert False
except nbd.Error as error:
    assert error.errno == "ENOSPC", error
h.trim (4096, 1 << 20)
PY
expect "$@" '- nearly-full' '- cold-off' 'noise refused'
"$ctl" doctor >"$dir/out" || :
says out '^server: with cold=off, pages that were swapped out long ago stay as large'
says out 'fix: start the server with cold=300 [(]with state=, a restart loses nothing[)]'
stop

# A process that may lock nothing.
if command -v prlimit >/dev/null && command -v setpriv >/dev/null &&
   [ "$(id -u)" = 0 ]; then
    plain=$nbdkit
    cat >"$dir/unlocked" <<UNLOCKED
#!/bin/sh
exec prlimit --memlock=0 setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock \
    --no-new-privs "$plain" "\$@"
UNLOCKED
    chmod +x "$dir/unlocked"
    nbdkit=$dir/unlocked
    serve pool=64M
    kinds >"$dir/kinds"
    grep -q -x -- '- not-locked' "$dir/kinds" || fail "it may lock: $(cat "$dir/log")"
    stop
fi
