#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A region belongs to one QEMU, and its export to that alone: a second QEMU and
# NBD clients that write are refused, with words in the log; a QEMU does not get
# an export that an NBD client writes to.  The next QEMU gets it as soon as the
# first has ended, with the pages that were posted last.
. "${srcdir:-.}/functions.sh"
requires_nbdsh

sock=$dir/web1
start_nbdkit pool=64M "guest=web1,size=64M,ivshmem=$sock" guest=web2,size=64M
[ "$(stat -c '%A' "$sock")" = srw------- ] || fail "the mode of the socket"
start_guest 1 "$sock"
[ "$answer" = ok ] || fail "no region: $answer"
ask 1 write 1 101 ok

# A second one.
status=0
"$programs/guest" "$sock" </dev/null >"$dir/second" || status=$?
[ $status -eq 3 ] || fail "a second QEMU got something ($status)"
grep -q busy "$dir/second" || fail "it was not told"
[ "$(errors_in_log "guest=web1: ivshmem=$sock: .* is refused: .* has the region")" -eq 1 ] \
    || fail "no message about the second QEMU"
ask 1 read 1 101

# NBD clients.
nbdsh -u "$(export_uri web1)" -c - <<'PY'
assert h.is_read_only ()
h.pread (4096, 4096)
PY
ask 1 write 2 102 ok
end_guest 1

# Killed, and back; what was posted is there.
start_guest 2 "$sock"
[ "$answer" = ok ] || fail "no region for the next: $answer"
ask 2 read 1 101
ask 2 read 2 102
ask 2 read 3 zeroes
ask 2 write 3 103 ok
kill -9 "$guest_2"
end_guest 2
got_it ()
{
    nbdsh -u "$(export_uri web1)" -c 'h.pwrite (b"x" * 4096, 4096 * 9)' \
        2>/dev/null
}
poll 30 got_it || fail "the export is not free again"

# Now NBD is first.
nbdsh -u "$(export_uri web1)" -c - <<PY || fail "a QEMU got an export in use"
import subprocess
h.pwrite (b"y" * 4096, 4096 * 9)
r = subprocess.run (["$programs/guest", "$sock"], stdin = subprocess.DEVNULL)
assert r.returncode == 3, r
PY
[ "$(errors_in_log "export 'web1' is in use by process")" -eq 1 ] \
    || fail "no message about the export in use"
start_again ()
{
    start_guest 1 "$sock"
    [ "$answer" = ok ] || { end_guest 1; return 1; }
}
poll 30 start_again || fail "the export is not free after NBD"
ask 1 read 3 103
ask 1 detach ok
end_guest 1
crash_nbdkit

# A dead socket is replaced, one that is in use is not, nor anything else.
[ -S "$sock" ] || fail "there is no dead socket to try with"
start_nbdkit pool=64M "guest=web1,size=64M,ivshmem=$sock"
refused ()
{
    words=$1
    shift
    ! timeout 30 "$nbdkit" -U - "$plugin" pool=64M registry=none "$@" \
        --run true >"$dir/out.log" 2>&1 || fail "$*: taken"
    grep -q -F "$words" "$dir/out.log" || fail "$*: does not say $words"
}
refused 'another server listens there' "guest=a,ivshmem=$sock"
touch "$dir/file"
refused 'is there and is no socket' "guest=a,ivshmem=$dir/file"
start_guest 1 "$sock"
ask 1 write 1 101 ok
end_guest 1
stop_nbdkit
