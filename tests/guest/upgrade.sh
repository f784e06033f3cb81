#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck disable=SC2034 # the document's commands use what is set here
# The commands of docs/UPGRADE.md, taken from there, replace the server of a
# guest that swaps: forth, back, and forth again.  The guest notices nothing.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"
. "$srcdir/document.sh"

mode=scsi kernel=6.1
[ -w /dev/shm ] || skip "no tmpfs at /dev/shm"
STATE=$(mktemp -d /dev/shm/vmswap-guest-XXXXXX)
trap 'clean_status=$?; set +e; stop_server; rm -rf "$STATE"; (exit $clean_status); clean_up' EXIT

# The server runs in the background, as in the document, so it is not among
# what functions.sh ends.
stop_server ()
{
  if [ -s "$dir/s.pid" ]; then kill -9 "$(cat "$dir/s.pid")" || :; fi
}

# Of the same size and another version, to be told apart.
other_version ()
{
  sed "s/$1/$2/g" "$plugin" >"$3"
  nbdkit "$3" --dump-plugin | grep -q -x "vmswap_version=$2" ||
    fail "no plugin of version $2 could be made"
}

old_version=$(nbdkit "$plugin" --dump-plugin | sed -n 's/^vmswap_version=//p')
new_version=$(echo "$old_version" | sed 's/[0-9]$/x/')
mkdir "$dir/plugins" "$dir/built"
PLUGIN=$dir/plugins/nbdkit-vmswap-plugin.so
NEW=$dir/built/nbdkit-vmswap-plugin.so
cp "$plugin" "$PLUGIN"
other_version "$old_version" "$new_version" "$NEW"

SOCKET=$dir/s.sock PIDFILE=$dir/s.pid
OPTIONS='pool=256M guest=web1,size=512M registry=none'
document settings
document serve
serve >"$dir/s.log" 2>&1
address=$SOCKET uri_base='nbd+unix:///' uri_end="?socket=$SOCKET"

mode_image
mode_boot g web1
guest_run g 60 "vmswap-setup disk"
guest_run g 30 "hog a start 41"
hog_run g 300 "a fill $fill_mib"

# A server that was just started sees of the pool what it was asked for.
swaps () { [ "$(server_shmem s)" -gt $((shmem_before + mib)) ]; }

# restart VERSION: as the document says; then that version runs and serves.
restart ()
{
  document restart-plain >>"$dir/s.log" 2>&1
  document look-plain >"$dir/look"
  grep -q 'web1 512M: .* swapped in' "$dir/look" ||
    fail "the new server holds nothing: $(cat "$dir/look")"
  nbdkit "$PLUGIN" --dump-plugin | grep -q -x "vmswap_version=$1" ||
    fail "version $1 is not in place"
  say "version $1 serves"
}

# upgrade_while COMMAND: forth, back and forth, while the guest is at it.
upgrade_while ()
{
  guest_send g "$1"
  document check
  document replace
  restart "$new_version"
  busy "$1"
  document back
  restart "$old_version"
  busy "$1"
  document replace
  restart "$new_version"
  guest_wait g 600 "$sent" "$1"
}

# The guest is still at it, and the server serves it.
busy ()
{
  shmem_before=$(server_shmem s)
  wait_for 60 "the guest swaps on the new server" swaps
  ! grep -q "^vmswap-done: $sent " "$dir/g.out" ||
    fail "the guest was done with '$1' before the upgrade"
}

upgrade_while "hog a verify"
[ "$(guest_value g bad_pages)" = 0 ] || fail "$(cat "$dir/g.reply")"
hog_run g 600 "a check"
guest_run g 30 "$(document_text guest)"
guest_run g 60 "hog a quit"
guest_run g 30 "counters $(mode_device)"
out=$(($(guest_value g swapped_out_pages) / 256))
[ $out -ge $ram_mib ] || fail "the guest swapped out only $out MiB"
guest_reboot g
echo "vmswap-verdict: upgrades=3 swapped_out_mib=$out bad_pages=0"
