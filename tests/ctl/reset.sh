#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# With a real server: registry lists what holds pages; reset refuses while the
# server runs, and afterwards the export is a fresh one, and no other is
# touched; an export whose pages are lost is no longer lost.
. "${srcdir:-.}/functions.sh"

nbdkit=${NBDKIT:-nbdkit}
for command in "$nbdkit" nbdcopy; do
    command -v "$command" >/dev/null || {
        [ "${CI:-}" != true ] || fail "$command is not installed"
        echo "SKIP: $command is not installed"
        exit 77
    }
done
state=$dir/state
reg=$dir/reg
mkdir "$state"

# Something to write, 8 MiB of it, and zeroes.
while [ "$(stat -c %s "$dir/head" 2>/dev/null || echo 0)" -lt 8388608 ]; do
    cat "$VMSWAP_PLUGIN" >>"$dir/head"
done
truncate -s 8M "$dir/head"
truncate -s 16M "$dir/head"

pidfile_or_death ()
{
    [ -s "$dir/pid" ] || ! kill -0 "$pid" 2>/dev/null
}

serve ()
{
    rm -f "$dir/pid" "$dir/sock"
    "$nbdkit" -f -P "$dir/pid" -U "$dir/sock" "$VMSWAP_PLUGIN" pool=64M \
        size=16M "state=$state" "registry=$reg" >"$dir/log" 2>&1 </dev/null &
    pid=$!
    pids="$pids $pid"
    poll 60 pidfile_or_death
    [ -s "$dir/pid" ] || fail "nbdkit: $(cat "$dir/log")"
}

stop ()
{
    kill "$1" "$pid"
    wait "$pid" 2>/dev/null || :
}

uri ()
{
    echo "nbd+unix:///$1?socket=$dir/sock"
}

serve
nbdcopy "$dir/head" "$(uri web1)"
nbdcopy "$dir/head" "$(uri web2)"

ctl 0 registry "$reg"
says out '^web1 +16M  [0-9a-f]{16}  20[0-9T:Z-]+ +[0-9a-f-]{36} \(this\)$'
says out '^web2 '
says out '^2 exports$'
pool=$(sed -n 's/^web1 *16M  \([0-9a-f]*\) .*/\1/p' "$dir/out")

# The server runs.
cksum <"$reg/registry" >"$dir/before"
ctl 2 reset --registry "$reg" --state "$state" web1
says err "registry $reg is in use by a server: stop that first"
says err "'web1': there, swapoff, then blkdiscard or mkswap"
ctl 2 reset --registry none --state "$state" web1
says err 'pool.vmswap is in use by a server: stop that first'
says err "'web1': there, swapoff, then blkdiscard or mkswap"
cksum <"$reg/registry" | cmp -s - "$dir/before" || fail "the registry changed"
nbdcopy "$(uri web1)" "$dir/back"
cmp "$dir/head" "$dir/back" || fail "reset reached a running server"

stop -9
ctl 0 check "$state"
says out "^pool $pool, limit 64M, "
ctl 2 reset --registry "$reg" --state "$state" web3
says err "no export 'web3' is known to the registry, nor to the pool"
before=$(stat -c %b "$state/pool.vmswap")
ctl 0 reset --registry "$reg" --state "$state" web1
says out "^registry: 'web1' is forgotten"
says out "'web1' \(16M\) is gone, with [0-9]{3,} pages$"
after=$(stat -c %b "$state/pool.vmswap")
[ "$after" -lt "$before" ] || fail "its memory was not given back"
ctl 0 registry "$reg"
says out '^1 export$'
ctl 0 check "$state"
says out '^web2 '
! grep -q '^web1' "$dir/out" || fail "web1 is there"
ctl 2 reset --registry "$reg" --state "$state" web1

# The other is what it was, and this one is fresh.
serve
! grep -q lost "$dir/log" || fail "lost: $(cat "$dir/log")"
nbdcopy "$(uri web2)" "$dir/back"
cmp "$dir/head" "$dir/back" || fail "web2 changed"
nbdcopy "$(uri web1)" "$dir/back"
[ "$(tail -c +4097 "$dir/back" | tr -d '\0' | wc -c)" -eq 0 ] \
    || fail "web1 is not empty"
nbdcopy "$dir/head" "$(uri web1)"
stop -9

# The state is lost: one export is reset before the next server, one after.
rm "$state/pool.vmswap"
ctl 0 reset --registry "$reg" web1
serve
! grep -q "'web1'.*lost" "$dir/log" || fail "web1 is lost"
grep -q "'web2'.*lost" "$dir/log" || fail "web2 is not lost"
! nbdcopy "$(uri web2)" "$dir/back" 2>/dev/null || fail "web2 can be read"
stop -9
ctl 0 reset --registry "$reg" --state "$state" web2
says out "'web2' \(16M\) is gone, with [0-9]+ pages? and [0-9]{3,} that were lost$"
serve
! grep -q lost "$dir/log" || fail "lost: $(cat "$dir/log")"
nbdcopy "$(uri web2)" "$dir/back"
stop -9

# A damaged line.
ctl 0 registry "$reg"
printf 'live' | dd of="$reg/registry" bs=1 seek=5120 conv=notrunc 2>/dev/null
ctl 1 registry "$reg"
says err 'line 11 is damaged'
ctl 2 reset --registry "$reg" web1
says err 'line 11 is damaged'
