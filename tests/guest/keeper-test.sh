# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154
# Guests on memory that they share with a server whose regions vmswap-keep holds,
# so that the server can be killed under them.  Sourced after functions.sh and
# attach-test.sh.

mode=ivshmem
guest_append=$kernel_checks
keeper=$top_builddir/service/vmswap-keep
vmswapctl=${VMSWAPCTL:-$top_builddir/vmswapctl/vmswapctl}
killed=0 slowest=0

[ -w /dev/shm ] || skip "no tmpfs at /dev/shm"
state=$(mktemp -d /dev/shm/vmswap-guest-XXXXXX)
trap 'clean_status=$?; set +e; rm -rf "$state"; (exit $clean_status); clean_up' EXIT

# kept_serve NAME...: the keeper, and server "s" with these guests of 512 MiB.
kept_serve ()
{
  [ -x "$keeper" ] || fail "$keeper is not built"
  [ -x "$vmswapctl" ] || fail "$vmswapctl is not built"
  kept_names=$*
  kept_settings=
  for kept_name; do
    kept_settings="$kept_settings $(export_settings "$kept_name" 512M)"
  done
  # The regions are shared memory of the server's, too.
  pool_slack=$((pool_slack + $# * 8 * mib))
  keeper_start
  kept_server_start
}

keeper_start ()
{
  rm -f "$dir/keep"
  "$keeper" "$dir/keep" >"$dir/keep.log" 2>&1 &
  keeper_pid=$!
  started="$started $keeper_pid"
  wait_for 30 "the keeper listens" test -S "$dir/keep"
}

keeper_kill ()
{
  kill -9 "$keeper_pid"
  wait "$keeper_pid" 2>/dev/null || :
}

# The same again for the next server.
kept_server_start ()
{
  rm -f "$dir/s.sock" "$dir/s.pid"
  # shellcheck disable=SC2086
  mode_server "$plugin" pool=384M "state=$state" "keeper=$dir/keep" \
    "control=$dir/control" $kept_settings
}

server_kill ()
{
  kill -9 "$(cat "$dir/s.pid")"
  wait "$(cat "$dir/s.pid")" 2>/dev/null || :
  killed=$((killed + 1))
  killed_at=$(date +%s%N)
}

# Sets $slowest, the ms that the slowest server was away.
server_again ()
{
  kept_server_start
  away=$((($(date +%s%N) - killed_at) / 1000000))
  [ $away -le $slowest ] || slowest=$away
}

# A moment of at most half a second, for guest and server to be anywhere.
some_moment () { sleep "$(awk "BEGIN { srand ($killed + $$); print rand () / 2 }")"; }

# What this server has done for a guest so far: posts and reads.
served ()
{
  "$vmswapctl" json --control "$dir/control" 2>/dev/null | jq \
    ".guests[] | select (.name == \"$1\") | .ring_posts + .ring_reads"
}

# Has this server done something for all of these guests, or was it not needed?
all_served ()
{
  ! answered || return 0
  for served_name in $kept_names; do
    [ "$(served "$served_name")" -gt 100 ] || return 1
  done
}

# kill_while GUEST...: kills and starts the server, in the middle of its work, until
# one of the guests has answered what was sent to it last ($sent_GUEST), or $kills
# are done.
kill_while ()
{
  kill_guests=$*
  until answered || [ $killed -ge "$kills" ]; do
    wait_for 120 "the server of now does something" all_served
    some_moment
    ! answered || break
    server_kill
    server_again
  done
}

answered ()
{
  for answered_guest in $kill_guests; do
    eval "answered_sent=\$sent_$answered_guest"
    ! guest_said "$answered_guest" "^vmswap-done: $answered_sent " || return 0
  done
  return 1
}

# send GUEST COMMAND: sets $sent_GUEST.
send ()
{
  guest_send "$1" "$2"
  eval "sent_$1=\$sent"
}

# checked GUEST SECONDS WHAT: its answer, and no bad page in it.  Sets $longest.
longest=0
checked ()
{
  eval "checked_sent=\$sent_$1"
  guest_wait "$1" "$2" "$checked_sent" "$3"
  [ "$(guest_value "$1" bad_pages)" = 0 ] || fail "$1: $(cat "$dir/$1.reply")"
  checked_ms=$(guest_value "$1" longest_ms)
  [ "$checked_ms" -le "$longest" ] || longest=$checked_ms
}

# ring_value GUEST FILE: what the driver says, in $value.
ring_value ()
{
  guest_run "$1" 30 "cat /sys/block/vmswap0/vmswap/$2"
  value=$(cat "$dir/$1.reply")
}
