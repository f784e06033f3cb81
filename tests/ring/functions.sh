# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Sourced by every test of this folder; builds on those of tests/nbd.
#
#   $programs   the programs of this folder
. "${srcdir:-.}/../nbd/functions.sh"

: "${RING_PROGRAMS:?names the folder of the programs: run 'make check'}"
# shellcheck disable=SC2034 # for the tests
programs=$RING_PROGRAMS

# Servers do not hold the fifos of guests open.
printf '#!/bin/sh\nexec "$@" 3>&- 4>&- 5<&- 6<&- 7>&-\n' >"$dir/bare"
chmod +x "$dir/bare"
# shellcheck disable=SC2034 # for start_nbdkit
wrapper=$dir/bare

# start_guest N SOCKET: a guest program (see guest.c), asked through
# descriptors; N is 1 or 2.  Returns once it has a region and a session.
start_guest ()
{
    rm -f "$dir/to.$1" "$dir/from.$1"
    mkfifo "$dir/to.$1" "$dir/from.$1"
    "$programs/guest" "$2" <"$dir/to.$1" >"$dir/from.$1" \
        2>"$dir/guest$1.log" 3>&- 4>&- 5<&- 6<&- &
    eval "guest_$1=$!"
    client_pids="$client_pids $!"
    case $1 in
    1) exec 3>"$dir/to.1" 5<"$dir/from.1"; read -r answer <&5 ;;
    2) exec 4>"$dir/to.2" 6<"$dir/from.2"; read -r answer <&6 ;;
    esac
}

# tell N WORD...: $answer is the answer.
tell ()
{
    guest=$1
    shift
    case $guest in
    1) echo "$*" >&3; read -r answer <&5 ;;
    2) echo "$*" >&4; read -r answer <&6 ;;
    esac
}

# ask N WORD... EXPECTED
ask ()
{
    guest=$1
    shift
    question=
    while [ $# -gt 1 ]; do
        question="$question $1"
        shift
    done
    tell "$guest" "${question# }"
    [ "$answer" = "$1" ] \
        || fail "guest $guest,$question: '$answer' instead of '$1'"
}

# end_guest N: as if it was killed.
# shellcheck disable=SC2154 # set by eval
end_guest ()
{
    case $1 in
    1) exec 3>&- 5<&-; wait "$guest_1" || : ;;
    2) exec 4>&- 6<&-; wait "$guest_2" || : ;;
    esac
}

# start_keeper: vmswap-keep at $dir/keeper; its pid is $keeper.
start_keeper ()
{
    : "${VMSWAP_KEEP:?names the keeper: run 'make check'}"
    "$VMSWAP_KEEP" "$dir/keeper" >"$dir/keep.log" 2>&1 3>&- 4>&- 5<&- 6<&- &
    keeper=$!
    client_pids="$client_pids $keeper"
    poll 20 test -S "$dir/keeper" || fail "there is no keeper"
}
