# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154
# Rows in which the server goes away, or another one comes.  All of them use
# the guest at hand.

row_killed ()
{
  traffic_on
  for killed in 1 2 3; do
    sleep 0.$((killed * 3))
    server_kill
    serve
  done
  server_kill
  outage 4
  serve
  traffic_off
}

server_gone () { ! kill -0 "$(cat "$dir/s.pid")" 2>/dev/null; }

row_stopped ()
{
  traffic_on
  kill "$(cat "$dir/s.pid")"
  wait_for 30 "the server ends when it is told to" server_gone
  outage 4
  serve
  traffic_off
}

row_paused ()
{
  traffic_on
  kill -STOP "$(cat "$dir/s.pid")"
  outage 30
  kill -CONT "$(cat "$dir/s.pid")"
  traffic_off
}

row_second ()
{
  traffic_on
  serve_refused second "$dir/second.sock" 'in use'
  server_alive
  traffic_off
}

# The wire between guest and server: the guest knows only this end of it.
row_cut ()
{
  traffic_on
  for cut in 1 2 3 4 5; do
    sleep 0.$((cut * 2))
    wire_cut
    wire_start
  done
  wire_cut
  outage 4
  wire_start
  traffic_off
}

row_away ()
{
  traffic_on
  server_kill
  outage 15
  serve
  traffic_off
  # QEMU tries again less and less often: at least every 16 s.
  wait_for 60 "the guest has its disk again" disk_reads
}

# Does the guest read from its disk, in a place that is not in its cache?
disk_reads ()
{
  disk_page=$((${disk_page:-100000} + 8))
  guest_run g 60 "if dd if=/dev/$(mode_device) of=/dev/null bs=4096 count=1
skip=$disk_page; then echo reads=yes; else echo reads=no; fi"
  [ "$(guest_value g reads)" = yes ]
}

tls_failed () { grep -q -i 'handshake\|certificate' "$dir/s.log"; }

row_tls ()
{
  traffic_on
  server_kill
  ca=wrong
  serve
  wait_for 60 "QEMU refuses a server of another authority" tls_failed
  outage 4
  server_kill
  ca=right
  serve
  traffic_off
}

row_hostile ()
{
  traffic_on
  for hostile in 1 2; do
    timeout 120 "$srcdir/faults/hostile-client.py" "$server_address" web1 \
      other "$hostile" >"$dir/hostile.log" 2>&1 ||
      fail "the server is not there for a hostile client:" \
           "$(tail -n 3 "$dir/hostile.log")"
    server_alive
  done
  say "hostile client: $(cat "$dir/hostile.log")"
  traffic_off
}
