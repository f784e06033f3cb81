# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154
# What the tests of shared pages have in common: guests that are copies of one,
# and what the pool says of itself when it has come to rest.
#
# Sourced after functions.sh.  The server under test is "s", with
# control=$dir/control; $dir/figures is the last that it said.

vmswapctl=${VMSWAPCTL:-$top_builddir/vmswapctl/vmswapctl}

# For so long (ms) nothing may change before the pool counts as at rest: the
# steward seals what is open after one second without writes, and gives memory
# back after another.
rest_ms=3000

# --- Copies of a guest.

# QEMU's arguments of guest NAME, so that it can be saved or restored.
guest_qmp () { echo "-qmp unix:$dir/$1.qmp,server=on,wait=off"; }

# guest_save NAME FILE: the guest ends; what it was is in the file.
guest_save ()
{
  qmp_run "$1" save "$2" || fail "guest $1 was not saved: $(cat "$dir/$1.said")"
  end_process "$(cat "$dir/$1.pid")"
}

# guest_restore NAME FILE QEMU_ARGUMENT...: another guest, from where that one
# was, as soon as guest_restored returns.
guest_restore ()
{
  restore_name=$1 restore_file=$2
  shift 2
  # shellcheck disable=SC2046
  guest_boot "$restore_name" "$@" $(guest_qmp "$restore_name") \
    -incoming "exec:cat '$restore_file'"
}

# What is sent to a guest before would be lost.
guest_restored ()
{
  wait_for 60 "QEMU of guest $1 starts" guest_listens "$1"
  qmp_run "$1" runs || fail "guest $1 was not restored: $(cat "$dir/$1.said")"
}

guest_listens () { guest_said "$1" '^' || [ -S "$dir/$1.qmp" ]; }

# qmp_run NAME COMMAND...: what it says is in NAME.said.
qmp_run ()
{
  qmp_socket=$dir/$1.qmp qmp_said=$dir/$1.said
  shift
  timeout $((120 * VMSWAP_PATIENCE)) python3 "$srcdir/guest-qmp.py" "$qmp_socket" \
    "$@" >"$qmp_said" 2>&1
}

# --- What the pool says.

figures () { "$vmswapctl" json --control "$dir/control" >"$dir/figures"; }

# pool_figure NAME, guest_figure EXPORT NAME: of the last look.
pool_figure () { jq -r ".pool.$1" "$dir/figures"; }
guest_figure ()
{
  jq -r ".guests[] | select (.name == \"$1\").$2" "$dir/figures"
}

# Waits until nothing at all happens in the pool any more.
pool_rest ()
{
  rest_seen='' rest_since=0
  wait_for 120 "the pool comes to rest" pool_rests
}

pool_rests ()
{
  figures || return 1
  read -r rest_now rest_what <<END
$(jq -r '"\(.clock_ns / 1e6 | floor) " + (.pool |
  [.used_bytes, .blob_bytes, .free_bytes, .shared_pages, .sharing_all,
   .written_pages, .read_pages, .trimmed_pages, .cleaned_segments,
   .moved_bytes] | map (tostring) | join (","))' "$dir/figures")
END
  seen=$rest_what
  if [ "$rest_what" != "$rest_seen" ]; then
    rest_seen=$rest_what rest_since=$rest_now
  fi
  [ $((rest_now - rest_since)) -ge $rest_ms ]
}
