# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2154
# Sourced after functions.sh by the tests of lost pages: a server with a
# registry in $reg and a pool in $state, and an export web1.

reg=$dir/registry.d
state=$dir/state
mkdir "$state"

# serve ARG...
serve ()
{
    start_nbdkit pool=64M "registry=$reg" "state=$state" "$@"
}

# The line of web1, or nothing.
entry ()
{
    grep '^live .* name="web1" *$' "$reg/registry" || :
}

# web1 COMMANDS: Python, connected to web1.
web1 ()
{
    nbdsh -u "$(export_uri web1)" -c '
def lost (offset, length = 4096):
    try:
        h.pread (length, offset)
    except nbd.Error as e:
        assert e.errno == "EIO", e
        return True
    return False
zero = bytes (4096)
data = b"DATA" * 1024
' -c "$1"
}
