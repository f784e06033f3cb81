# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2046,SC2154
# The pieces of a cell of the fault table: a server that can go away and come
# back at the same address, a guest that swaps on it, and what the guest sees.
#
# Sourced after functions.sh and attach-test.sh.  A column is an attach mode
# (scsi, blk, nbd), or tls: scsi over TLS.  One guest, g, lives at a time; its
# workload is hog a.

kernel=6.1
fault_mib=144 lost_mib=92
guest_append='VMSWAP_CALM=1 rootfstype=ramfs'
clean=no
proxy_pid=

# --- The column.

column_set ()
{
  column=$1
  case $column in
    tls) mode=scsi ;;
    scsi | blk | nbd) mode=$column ;;
    *) fail "no such column: $column (known are scsi blk nbd tls)" ;;
  esac
  case $column in
    tls | nbd) server_address=127.0.0.1:$(free_port) ;;
    *) server_address=$dir/s.sock ;;
  esac
  if [ $column = tls ]; then
    requires certtool
    for ca in right wrong; do
      "$recipes/make-tls-certificates" "$dir/$ca" localhost \
        >"$dir/certtool.txt" 2>&1 || fail "no certificates: $(cat "$dir/certtool.txt")"
    done
    ca=right
  fi
  address=$server_address
  mode_image
}

# Where the server's socket ends that is for nbdinfo and for hostile clients.
export_uri ()
{
  case $column in
    tls)
      echo "nbds://localhost:${server_address##*:}/$1?tls-certificates=$dir/right/client"
      ;;
    nbd) echo "nbd://$server_address/$1" ;;
    *) echo "nbd+unix:///$1?socket=$server_address" ;;
  esac
}

# --- The server.

# Folders of a new pool; "state_make small" puts them on file systems of their
# own that a test can fill up, the state's 320 MiB large.
state_make ()
{
  state=$(mktemp -d /dev/shm/vmswap-faults-XXXXXX)
  folders="$folders $state"
  mkdir "$state/pool" "$state/registry"
  if [ "${1:-}" = small ]; then
    for folder in pool:320M registry:2M; do
      mount -t tmpfs -o "size=${folder#*:}" vmswap-test \
        "$state/${folder%:*}" ||
        skip "cannot mount a tmpfs: the tests of full ones need that"
    done
  fi
  chmod 700 "$state/pool"
}

state_remove ()
{
  for folder in $folders; do
    umount -l "$folder/pool" 2>/dev/null || :
    umount -l "$folder/registry" 2>/dev/null || :
    rm -rf "$folder"
  done
  folders=
}

# Runs nbdkit as NAME at ADDRESS; what follows are arguments of the plugin.
serve_at ()
{
  serve_name=$1 serve_address=$2
  shift 2
  rm -f "$dir/$serve_name.pid"
  set -- "$plugin" pool="$pool" guest=web1,size=512M guest=other,size=512M \
    state="$state/pool" registry="$state/registry" "$@"
  if [ $column = tls ]; then
    set -- --tls=require --tls-verify-peer \
      --tls-certificates="$dir/${ca:-right}/server" "$@"
  fi
  case $serve_address in
    /*)
      rm -f "$serve_address"
      set -- -U "$serve_address" "$@"
      ;;
    *) set -- -i "${serve_address%:*}" -p "${serve_address##*:}" "$@" ;;
  esac
  server_run "$serve_name" "$@"
}

serve ()
{
  serve_at s "$server_address" ||
    fail "nbdkit ended at once: $(tail -n 3 "$dir/s.log")"
}

# serve_refused NAME ADDRESS WORDS: it does not start, and says why in one line.
serve_refused ()
{
  ! serve_at "$1" "$2" || fail "$1: a server that should not start runs"
  lines=$(grep -c 'error:' "$dir/$1.log" || :)
  if [ "$lines" != 1 ] || ! grep -q "$3" "$dir/$1.log"; then
    fail "$1 was refused with $lines error lines, not one about '$3':" \
         "$(cat "$dir/$1.log")"
  fi
  say "refused: $(grep 'error:' "$dir/$1.log")"
}

server_kill ()
{
  kill -9 "$(cat "$dir/s.pid")"
  wait "$(cat "$dir/s.pid")" 2>/dev/null || :
}

server_alive ()
{
  kill -0 "$(cat "$dir/s.pid")" 2>/dev/null || fail "the server ended"
}

# --- The wire: to cut it, kill it; to mend it, start another.

wire_start ()
{
  rm -f "$dir/wire.ready"
  case $address in
    /*) "$srcdir/faults/cut-proxy.py" "$address" "$server_address" "$dir/wire.ready" & ;;
    *) "$srcdir/faults/cut-proxy.py" "${address##*:}" "${server_address##*:}" \
         "$dir/wire.ready" & ;;
  esac
  proxy_pid=$!
  started="$started $proxy_pid"
  wait_for 30 "the wire is up" test -s "$dir/wire.ready"
}

wire_cut ()
{
  kill -9 "$proxy_pid"
  wait "$proxy_pid" 2>/dev/null || :
}

# --- The guest.

guest_begin ()
{
  rm -f "$dir"/g.*
  port=${address##*:}
  case $column in
    tls)
      guest_boot g $(recipe qemu-virtio-scsi-tls.args web1 "$address" |
        sed -e "s|dir=[^,]*|dir=$dir/right/client|" \
          -e "s|tls-hostname=[^,]*|tls-hostname=localhost|" \
          -e "s|reconnect-delay=60|reconnect-delay=$patience_s|")
      ;;
    nbd) mode_start g web1 ;;
    *)
      guest_boot g $(recipe "qemu-virtio-$mode.args" web1 "$address" |
        sed "s|reconnect-delay=60|reconnect-delay=$patience_s|")
      ;;
  esac
  mode_ready g
  # Not a reason to stop, but counted.
  guest_expects g "$device_messages"
  mode_swapon g web1
  guest_run g 30 "live on"
  guest_run g 30 "hog a start 7"
  guest_run g 30 "hog a mercy on"
}

guest_end ()
{
  end_process "$(cat "$dir/g.pid")"
  server_kill
  if [ -n "$proxy_pid" ]; then
    wire_cut
    proxy_pid=
  fi
  state_remove
  clean=no
}

# begin MIB: the usual server and guest, filled.  A guest that is to lose all
# that it swapped out should not have swapped out much: virtio-scsi tries each
# page six times.
begin ()
{
  pool=256M patience_s=60
  state_make
  serve
  guest_begin
  hog_run g 300 "a fill $1"
}

# What a kernel says about a swap device that fails.  That a connection has
# gone, which the nbd driver says, is not a failure yet.
device_messages='rror on swap-device|I/O error|critical [a-z ]* error'
device_messages="$device_messages|[Bb]lk_update_request"

errors_count () { grep -c -E "$1" "$dir/g.console" || :; }

# Pages that the guest had swapped in a second ago, as it said itself.
swapped_in ()
{
  sed -n 's/.*swapped_in_pages=\([0-9]*\).*/\1/p' "$dir/g.console" | tail -n 1
}

swaps_in () { [ "$(swapped_in)" -gt "$swapped_before" ]; }

# Has hog a read and write at random until traffic_off.
traffic_on ()
{
  guest_run g 60 "hog a churn on"
  swapped_before=$(($(swapped_in) + 500))
  wait_for 60 "the guest swaps" swaps_in
}

traffic_off () { guest_run g 300 "hog a churn off"; }

# The server is away, and stays away so many seconds: does the guest wait?
# What it asked for and got just before may still be counted.
outage ()
{
  sleep 2.5
  outage_from=$(swapped_in)
  sleep "$1"
  outage_to=$(swapped_in)
  if [ "$outage_from" = "$outage_to" ]; then
    if [ "$stalled" != no ]; then stalled=yes; fi
  else
    stalled=no
  fi
}
