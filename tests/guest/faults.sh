#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck disable=SC2034,SC2154
# What a guest sees of each fault, in each attach mode: docs/FAULTS.md.
#
#   FAULTS='COLUMN:ROW,ROW... ...'   cells; a column alone means all its rows
#   RESULTS=FILE                     where "row|column|phrase" lines go; they
#                                    are then not compared with FAULTS.md
#
# In every cell: no page is wrong, the guest lives and is not hung, and its
# kernel complains of nothing but its swap device.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"
folders=
. "$srcdir/faults/common.sh"
. "$srcdir/faults/cell.sh"
. "$srcdir/faults/server.sh"
. "$srcdir/faults/memory.sh"
results=${RESULTS:-$dir/results}
make_table=$srcdir/make-faults-table

# The servers end before what they lie on is removed.
clean_all ()
{
  clean_status=$?
  set +e
  if [ $clean_status -ne 0 ] && [ $clean_status -ne 77 ]; then
    show_evidence
  fi
  for clean_pid in $started; do
    kill -9 "$clean_pid" 2>/dev/null || :
  done
  state_remove
  rm -rf "$dir"
  exit $clean_status
}
trap clean_all EXIT

[ "$(id -u)" = 0 ] || skip "only root can make small file systems"
[ -w /dev/shm ] || skip "no tmpfs at /dev/shm"

# All rows of a column, those that share a guest first.
rows_of ()
{
  echo killed stopped paused second hostile
  if [ "$1" = tls ]; then echo tls; fi
  echo cut
  if [ "$1" != nbd ]; then echo away; fi
  echo full nomem bits bits-ahead reboot truncated registry
}

# The guest at hand, if it is as good as new, else another.
usual_guest ()
{
  [ $clean = no ] || return 0
  if [ -n "$folders" ]; then guest_end; fi
  begin $fault_mib
  clean=yes
}

cell ()
{
  cell_row=$1
  cell_begin
  case $cell_row in
    killed | stopped | paused | second | hostile | tls)
      usual_guest
      bus_before=${bus_errors:=0}
      errors_mark
      ;;
    *)
      if [ -n "$folders" ]; then guest_end; fi
      bus_errors=0 bus_before=0
      ;;
  esac
  case $cell_row in
    cut)
      own_address=$address
      case $address in
        /*) address=$dir/wire.sock ;;
        *) address=127.0.0.1:$(free_port) ;;
      esac
      wire_start
      begin $fault_mib
      errors_mark
      ;;
    away)
      pool=256M patience_s=5
      state_make
      serve
      guest_begin
      hog_run g 300 "a fill $lost_mib"
      errors_mark
      ;;
  esac
  "row_$(echo "$cell_row" | tr - _)"
  cell_end "$cell_row"
  case $cell_row in
    bits | bits-ahead | reboot | truncated) "check_$(echo "$cell_row" | tr - _)" ;;
    cut) address=$own_address ;;
  esac
  case $cell_row in
    killed | stopped | paused | second | hostile | tls) ;;
    *) guest_end ;;
  esac
}

# One column: "COLUMN" or "COLUMN:ROW,ROW".
cells_of ()
{
  column_set "${1%%:*}"
  case $1 in
    *:*) cell_rows=$(echo "${1#*:}" | tr ',' ' ') ;;
    *) cell_rows=$(rows_of "$column") ;;
  esac
  for cell_row in $cell_rows; do
    cell "$cell_row"
  done
  if [ -n "$folders" ]; then guest_end; fi
}

for cells in ${FAULTS:-scsi blk nbd tls}; do
  cells_of "$cells"
done
if [ -z "${RESULTS:-}" ]; then
  "$make_table" --compare "$top_srcdir/docs/FAULTS.md" "$results" ||
    fail "the guests see something else than docs/FAULTS.md says"
fi
