#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The pool is locked in memory where that is allowed; where it is not, one
# warning says what to allow, and the server works.
. "${srcdir:-.}/functions.sh"
requires prlimit --version
requires setpriv --version
requires_nbdsh

locked_kib ()
{
    awk '$1 == "VmLck:" { print $2 }' "/proc/$nbdkit_pid/status"
}

works ()
{
    nbdsh_to "$uri" <<'PY'
h.pwrite (b"locked or not" + bytes (499), 8192)
assert h.pread (512, 8192) == b"locked or not" + bytes (499)
PY
}

drop=
if [ "$(id -u)" = 0 ]; then
    drop='setpriv --bounding-set=-ipc_lock --inh-caps=-ipc_lock'
    # shellcheck disable=SC2086 # several words
    requires $drop true
fi

wrapper="prlimit --memlock=65536:65536 $drop"
start_nbdkit pool=64M
works
grep -c . "$dir/nbdkit.log" | grep -q -x 1 || fail "not exactly one line"
for word in 'warning: the pool is not locked' 'allow [0-9]+ bytes' \
            'RLIMIT_MEMLOCK' 'LimitMEMLOCK' 'CAP_IPC_LOCK'; do
    grep -q -E "$word" "$dir/nbdkit.log" || fail "the warning lacks '$word'"
done
bytes=$(sed -n 's/.*allow \([0-9]*\) bytes.*/\1/p' "$dir/nbdkit.log")
[ "$bytes" -ge $((32 << 20)) ] || fail "$bytes bytes cannot lock the pool"
stop_nbdkit

# What the warning asks for is enough.
wrapper="prlimit --memlock=$bytes:$bytes $drop"
if ! prlimit --memlock="$bytes:$bytes" true 2>/dev/null; then
    echo "not tested: raising RLIMIT_MEMLOCK is not allowed here"
    exit 0
fi
start_nbdkit pool=64M
works
[ ! -s "$dir/nbdkit.log" ] || fail "still a warning"
[ "$(locked_kib)" -ge $((32 << 10)) ] || fail "$(locked_kib) kB are locked"
stop_nbdkit
