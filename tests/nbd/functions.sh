# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Sourced by every test of this folder.  A test exits 0 when it passed, 77
# when it was skipped (it has said why), anything else when it failed.
#
#   $plugin   the plugin that was just built
#   $srcdir   this folder
#   $dir      an empty folder for this test, removed at its end
#   $uri      how to reach the server that start_nbdkit started last

set -eu

# nbdsh runs the python3 that it finds first; its module belongs to the
# system's.
PATH=/usr/bin:/usr/sbin:/sbin:$PATH
export PATH
LC_ALL=C
export LC_ALL

: "${VMSWAP_PLUGIN:?names the plugin to test: run 'make check'}"
plugin=$VMSWAP_PLUGIN
nbdkit=${NBDKIT:-nbdkit}
srcdir=${srcdir:-.}
. "$srcdir/../tools.sh"

# Freed and fresh memory with a pattern, so that its use is noticed.
MALLOC_PERTURB_=${MALLOC_PERTURB_:-$(($$ % 255 + 1))}
export MALLOC_PERTURB_

dir=$(mktemp -d "${TMPDIR:-/tmp}/vmswap-test.XXXXXX")
nbdkit_pids=
client_pids= # of clients in the background, for tests to add to

cleanup ()
{
    status=$?
    trap '' EXIT INT TERM HUP
    # nbdkit does not end before its clients have gone.
    for pid in $client_pids; do
        kill -9 "$pid" 2>/dev/null || :
    done
    for pid in $nbdkit_pids; do
        kill "$pid" 2>/dev/null || continue
        poll 10 is_gone "$pid" || kill -9 "$pid" || :
        wait "$pid" 2>/dev/null || :
    done
    if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
        for log in "$dir"/*.log; do
            [ ! -f "$log" ] || { echo "--- $log"; tail -n 50 "$log"; }
        done
    fi
    rm -rf "$dir"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

fail ()
{
    echo "$0: FAIL: $*" >&2
    exit 1
}

skip ()
{
    echo "$0: skipped: $*"
    exit 77
}

# requires COMMAND...: skips the test unless the command works.
requires ()
{
    "$@" </dev/null >/dev/null 2>&1 || skip "'$*' does not work here"
}

requires_nbdsh ()
{
    requires nbdsh -c 'print (h.get_version ())'
}

is_gone ()
{
    ! kill -0 "$1" 2>/dev/null
}

pidfile_or_death ()
{
    [ -s "$dir/pid" ] || is_gone "$nbdkit_pid"
}

# start_nbdkit ARG...: starts a server with the plugin and these arguments, and
# waits until it listens on $dir/sock.  Without a registry=, it has none.  Its
# messages go to $dir/nbdkit.log.
# $nbdkit_options goes before the plugin; $wrapper goes before nbdkit.
start_nbdkit ()
{
    rm -f "$dir/pid" "$dir/sock"
    case " $* " in
        *' registry='*) ;;
        *) set -- "$@" registry=none ;;
    esac
    # shellcheck disable=SC2086 # several words
    ${wrapper:-} $nbdkit -f -P "$dir/pid" -U "$dir/sock" ${nbdkit_options:-} \
        "$plugin" "$@" >"$dir/nbdkit.log" 2>&1 </dev/null &
    nbdkit_pid=$!
    nbdkit_pids="$nbdkit_pids $nbdkit_pid"
    poll 60 pidfile_or_death || fail "nbdkit does not start"
    [ -s "$dir/pid" ] || fail "nbdkit ended at once"
    # shellcheck disable=SC2034 # for the tests
    uri="nbd+unix:///?socket=$dir/sock"
}

# stop_nbdkit: ends it and checks that it went cleanly.
stop_nbdkit ()
{
    kill "$nbdkit_pid"
    poll 60 is_gone "$nbdkit_pid" || fail "nbdkit does not end"
    status=0
    wait "$nbdkit_pid" || status=$?
    [ "$status" -eq 0 ] || fail "nbdkit ended with status $status"
}

# crash_nbdkit: kills it, and it is gone.
crash_nbdkit ()
{
    kill -9 "$nbdkit_pid"
    wait "$nbdkit_pid" 2>/dev/null || :
}

# export_uri NAME
export_uri ()
{
    echo "nbd+unix:///$1?socket=$dir/sock"
}

# errors_in_log PATTERN: how many error lines of the server match.
errors_in_log ()
{
    grep -c -E "error: .*$1" "$dir/nbdkit.log" || :
}

# nbdsh_to URI <SCRIPT: runs the Python script, connected as "h".
nbdsh_to ()
{
    nbdsh -u "$1" -c -
}
