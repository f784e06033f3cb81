# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# What tests of several folders share.  The test has "fail".

# poll SECONDS COMMAND...: tries the command until it succeeds.
poll ()
{
    tries=$(($1 * 20))
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.05
    done
}

# have TOOL WHAT: is there the tool that checks this?  Counts in $done.  A check
# whose tool is not there is named; where CI=true it must be there.
done=0
have ()
{
    if command -v "$1" >/dev/null 2>&1; then
        done=$((done + 1))
        return 0
    fi
    if [ "${CI:-}" = true ]; then fail "$1 is not installed"; fi
    echo "not checked: $2 ($1 is not installed)"
    return 1
}
