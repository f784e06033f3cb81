# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Sourced, after functions.sh, by tests of the commands that ask a running
# server.
#
#   $control   its control socket
#   $pid       its process

nbdkit=${NBDKIT:-nbdkit}
# nbdsh runs the python3 that it finds first; its module belongs to the
# system's.
PATH=/usr/bin:/usr/sbin:/sbin:$PATH
# shellcheck disable=SC2154 # functions.sh has it
control=$dir/control
VMSWAP_CONTROL=$control
export VMSWAP_CONTROL

skip ()
{
    [ "${CI:-}" != true ] || fail "$*"
    echo "SKIP: $*"
    exit 77
}

# requires COMMAND...
requires ()
{
    for command; do
        command -v "$command" >/dev/null || skip "$command is not installed"
    done
}
requires "$nbdkit" nbdsh curl
nbdsh -c 'print (h.get_version ())' >/dev/null 2>&1 || skip "nbdsh does not work"

pidfile_or_death ()
{
    [ -s "$dir/pid" ] || ! kill -0 "$pid" 2>/dev/null
}

# serve PARAMETER...: a server with a control socket.
# $nbdkit_options goes before the plugin.
serve ()
{
    rm -f "$dir/pid" "$dir/sock"
    case " $* " in
        *' registry='*) ;;
        *) set -- "$@" registry=none ;;
    esac
    # shellcheck disable=SC2086 # several words
    "$nbdkit" -f -P "$dir/pid" -U "$dir/sock" ${nbdkit_options:-} \
        "$VMSWAP_PLUGIN" "control=$control" "$@" >"$dir/log" 2>&1 </dev/null &
    pid=$!
    pids="$pids $pid"
    poll 60 pidfile_or_death
    [ -s "$dir/pid" ] || fail "nbdkit: $(cat "$dir/log")"
}

is_gone ()
{
    ! kill -0 "$1" 2>/dev/null
}

# stop [SIGNAL]
stop ()
{
    kill "${1:--TERM}" "$pid"
    poll 60 is_gone "$pid" || fail "the server does not end"
    status=0
    wait "$pid" 2>/dev/null || status=$?
    [ "${1:-}" = -9 ] || [ "$status" -eq 0 ] \
        || fail "the server ended with status $status: $(cat "$dir/log")"
}

# nbdsh_to NAME <SCRIPT: a Python script, connected to that export as "h".
nbdsh_to ()
{
    nbdsh -u "nbd+unix:///$1?socket=$dir/sock" -c -
}

# get PATH: what the server answers.
get ()
{
    curl -sS --max-time 60 --unix-socket "$control" "http://localhost$1"
}
