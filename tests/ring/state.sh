#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vmswapctl status and top tell a guest that shares memory with the server from one
# that a client of NBD uses, and from one that nobody does; and whether its ring has
# no room, or its pages are lost.
TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"
requires_nbdsh

mkdir "$dir/state" "$dir/reg"
control=$dir/control
serve ()
{
    start_nbdkit pool=64M "control=$control" "state=$dir/state" "registry=$dir/reg" \
        "guest=web1,size=64M,ivshmem=$dir/web1" guest=web2,size=64M,quota=8M \
        "guest=web3,size=64M,quota=8M,region=32M,ivshmem=$dir/web3"
}

# State is the last column of status, and one of those of top.
is () # is GUEST STATE
{
    "$VMSWAPCTL" status --control "$control" >"$dir/status.log" || return 1
    "$VMSWAPCTL" top --once --delay 0 --control "$control" >"$dir/top.log"
    grep -q -E "^$1 .* [0-9]+ $2\$" "$dir/status.log" \
        && grep -q -E "^$1 .* (-|[0-9.]+[mu]?s) +$2 +(-|[<>0-9]+%) " "$dir/top.log"
}
must_be ()
{
    poll 20 is "$@" || fail "$1 is not '$2': $(cat "$dir/status.log" "$dir/top.log")"
}

serve
must_be web1 idle
must_be web2 idle
must_be web3 idle
start_guest 1 "$dir/web1"
start_guest 2 "$dir/web3"
must_be web1 ring
must_be web3 'ring full'
must_be web2 idle
ask 1 write 1 101 ok
ask 1 drain ok

# A client of NBD that looks at it changes nothing, and is no ring itself.
VMSWAPCTL=$VMSWAPCTL control=$control nbdsh -u "$(export_uri web1)" -c - <<'PY' ||
import os
import subprocess
def states ():
    out = subprocess.run ([os.environ["VMSWAPCTL"], "status", "--control",
                           os.environ["control"]], stdout=subprocess.PIPE,
                          check=True, text=True).stdout
    return [" ".join (line.split ()[8:]) for line in out.splitlines ()[-3:]]
other = nbd.NBD ()
other.connect_uri (h.get_uri ().replace ("web1", "web2"))
assert states () == ["ring", "connected", "ring full"], states ()
other.pwrite (b"x" * 4096, 0)
assert states () == ["ring", "in use", "ring full"], states ()
PY
    fail "states beside NBD"
end_guest 1
end_guest 2
must_be web1 idle
must_be web3 idle

# Pages that an earlier server had.
crash_nbdkit
rm "$dir/state/pool.vmswap"
serve
must_be web1 lost
start_guest 1 "$dir/web1"
must_be web1 'ring lost'
end_guest 1
must_be web1 lost
stop_nbdkit
