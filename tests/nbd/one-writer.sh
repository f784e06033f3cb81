#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# One writing peer per export: others are shown a read-only disk, or have their
# writes refused if they came first, until the last connection of the writer
# has closed.  Two peers are two processes.
. "${srcdir:-.}/functions.sh"
requires_nbdsh
requires nbdinfo --version
requires nbdcopy --version

# The script of a peer: obeys one line at a time, answers with one line.
cat >"$dir/peer.py" <<'PY'
import os
import sys
conns = []
for line in sys.stdin:
    word, *rest = line.split ()
    try:
        if word == "open":
            c = nbd.NBD ()
            c.connect_uri (os.environ["URI"])
            conns.append (c)
            answer = "ro" if c.is_read_only () else "rw"
        elif word == "close":
            conns.pop (int (rest[0])).shutdown ()
            answer = "ok"
        elif word == "write":
            conns[int (rest[0])].pwrite (b"w" * 4096, 4096)
            answer = "ok"
        elif word == "trim":
            conns[int (rest[0])].trim (4096, 4096)
            answer = "ok"
        elif word == "zero":
            conns[int (rest[0])].zero (4096, 4096)
            answer = "ok"
        elif word == "read":
            conns[int (rest[0])].pread (4096, 4096)
            answer = "ok"
    except nbd.Error as e:
        answer = e.errno
    print (answer, flush = True)
PY

# start_peer FD: talks to it through $dir/to.FD and $dir/from.FD.
start_peer ()
{
    mkfifo "$dir/to.$1" "$dir/from.$1"
    # The script is an argument, as standard input is the fifo.
    URI=$(export_uri g) nbdsh -c "$(cat "$dir/peer.py")" \
        <"$dir/to.$1" >"$dir/from.$1" 2>"$dir/peer$1.log" &
    eval "peer_$1=$!"
    client_pids="$client_pids $!"
}

# ask PEER WORD... EXPECTED
ask ()
{
    peer=$1
    shift
    question=
    while [ $# -gt 1 ]; do
        question="$question $1"
        shift
    done
    echo "${question# }" >&"$((peer + 2))"
    case $peer in
    1) read -r answer <&5 ;;
    2) read -r answer <&6 ;;
    esac
    [ "$answer" = "$1" ] \
        || fail "peer $peer,$question: '$answer' instead of '$1'"
}

start_peers ()
{
    rm -f "$dir"/to.? "$dir"/from.?
    start_peer 1
    start_peer 2
    exec 3>"$dir/to.1" 4>"$dir/to.2" 5<"$dir/from.1" 6<"$dir/from.2"
}

stop_peers ()
{
    exec 3>&- 4>&- 5<&- 6<&-
    # shellcheck disable=SC2154 # set by eval
    wait "$peer_1" "$peer_2" 2>/dev/null || :
}

start_nbdkit pool=64M guest=g,size=16M
start_peers

# Opening and reading claims nothing.
ask 1 open rw
ask 2 open rw
ask 1 read 0 ok
ask 2 read 0 ok
# The first write does; the other peer reads on, but does not change a thing.
ask 1 write 0 ok
ask 2 read 0 ok
ask 2 write 0 EPERM
ask 2 trim 0 EPERM
ask 2 zero 0 EPERM
[ "$(errors_in_log "export 'g' is in use by process $peer_1 ")" -eq 1 ] \
    || fail "no message, or too many, that names export and holder"
# What it opens now is read-only.
ask 2 open ro
ask 2 read 1 ok
# Looks are welcome; a copy into it is refused.
nbdinfo "$(export_uri g)" | grep -q 'is_read_only: true' || fail "nbdinfo: rw"
nbdinfo --map "$(export_uri g)" >"$dir/map.log" || fail "no --map"
truncate -s 16M "$dir/image"
if nbdcopy "$dir/image" "$(export_uri g)" 2>"$dir/copy.log"; then
    fail "nbdcopy wrote to an export in use"
fi
if command -v qemu-io >/dev/null; then
    qemu-io -f raw -c 'write 0 4k' "$(export_uri g)" >"$dir/qemu.log" 2>&1 \
        && fail "QEMU wrote to an export in use"
    grep -q -i -e 'read.only' -e 'denied' "$dir/qemu.log" \
        || fail "QEMU failed for another reason"
fi
# The writer may have more connections; its claim ends with the last.
ask 1 open rw
ask 1 write 1 ok
ask 1 close 0 ok
ask 2 write 0 EPERM
ask 1 close 0 ok
# Now the other may, as soon as the server has seen the end.
taken=no
tries=200
while [ $taken = no ] && [ $tries -gt 0 ]; do
    echo "write 0" >&4
    read -r answer <&6
    case $answer in
    ok) taken=yes ;;
    EPERM) tries=$((tries - 1)); sleep 0.02 ;;
    *) fail "peer 2, write 0: $answer" ;;
    esac
done
[ $taken = yes ] || fail "the claim outlived the peer's connections"
ask 1 open ro
ask 1 close 0 ok

# A peer that is killed gives way: whoever comes next waits for that.
# shellcheck disable=SC2154 # set by eval
kill -9 "$peer_2"
wait "$peer_2" 2>/dev/null || :
ask 1 open rw
ask 1 write 0 ok
stop_peers
stop_nbdkit

# share=yes turns it off.
start_nbdkit pool=64M guest=g,size=16M share=yes
start_peers
ask 1 open rw
ask 1 write 0 ok
ask 2 open rw
ask 2 write 0 ok
ask 1 trim 0 ok
ask 2 zero 0 ok
[ "$(errors_in_log .)" -eq 0 ] || fail "errors in spite of share=yes"
stop_peers
stop_nbdkit
