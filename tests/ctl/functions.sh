# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Sourced by every test of this folder.
#
#   $ctl, $tool   vmswapctl and image-tool, just built
#   $dir          an empty folder on tmpfs for this test, removed at its end

set -eu
LC_ALL=C
export LC_ALL

: "${VMSWAPCTL:?names the program to test: run 'make check'}"
: "${IMAGE_TOOL:?names image-tool: run 'make check'}"
ctl=$VMSWAPCTL
tool=$IMAGE_TOOL

. "${srcdir:-.}/../tools.sh"

dir=$(mktemp -d /dev/shm/vmswap-ctl.XXXXXX)
pids= # of processes in the background

cleanup ()
{
    status=$?
    trap '' EXIT INT TERM HUP
    for pid in $pids; do
        kill -9 "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
    rm -rf "$dir"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

fail ()
{
    echo "$0: FAIL: $*" >&2
    for file in "$dir/out" "$dir/err"; do
        [ ! -s "$file" ] || { echo "--- ${file##*/}"; cat "$file"; } >&2
    done
    exit 1
}

# is_ready FILE: has the tool whose output goes there said so?
is_ready ()
{
    grep -q -x ready "$1"
}

# fresh_state KIND: an image of that kind in $dir/state.  Each is made once.
fresh_state ()
{
    if [ ! -d "$dir/$1" ]; then
        mkdir "$dir/$1"
        "$tool" "$1" "$dir/$1" || fail "image-tool $1"
    fi
    rm -rf "$dir/state"
    cp -a --sparse=always "$dir/$1" "$dir/state"
}

# what_is FILE: its bytes and all that stat knows, but when it was read.
what_is ()
{
    cksum <"$1"
    stat -c '%s %b %y %z %a %i %h' "$1"
}

# ctl STATUS ARG...: runs vmswapctl, which must end with that status.  It says
# what went wrong if and only if something did.
ctl ()
{
    expected=$1
    shift
    status=0
    "$ctl" "$@" >"$dir/out" 2>"$dir/err" </dev/null || status=$?
    [ "$status" -eq "$expected" ] || fail "$*: status $status, not $expected"
    if [ "$expected" -eq 0 ]; then
        [ ! -s "$dir/err" ] || fail "$*: complains and succeeds"
    else
        grep -q '^vmswapctl: ' "$dir/err" || fail "$*: does not say why"
    fi
}

# check STATUS: checks $dir/state; not a byte nor a block of it may change.
check ()
{
    image=$dir/state/pool.vmswap
    what_is "$image" >"$dir/before"
    ctl "$1" check "$dir/state"
    what_is "$image" >"$dir/after"
    cmp -s "$dir/before" "$dir/after" || {
        diff "$dir/before" "$dir/after"
        fail "check changed the image"
    }
    ls -A "$dir/state" >"$dir/files"
    [ "$(cat "$dir/files")" = pool.vmswap ] || fail "more files: $(cat "$dir/files")"
}

# says FILE PATTERN: the last run of vmswapctl printed that.
says ()
{
    grep -q -E -e "$2" "$dir/$1" || fail "'$2' is not in std$1"
}
