# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154
# A cell of the fault table: what the guest has seen of a fault, counted in the
# guest, and the few words for it.  What was measured of the cell at hand:
#
#   stalled          yes: while the server was away the guest swapped nothing
#                    in; no: it did; empty: the server was never away
#   bus_before       pages that hog a could not read, before
#   *_mark           what its kernel had said about the swap device, before
#   flipped          pages that were damaged, if that is known

cell_begin ()
{
  stalled='' flipped=''
  : "${bus_errors:=0}"
  if [ $clean = no ]; then bus_errors=0; fi
  bus_before=$bus_errors
}

# From here on the kernel's words count.
errors_mark ()
{
  read_mark=$(errors_count 'Read-error on swap-device')
  write_mark=$(errors_count 'Write-error on swap-device')
  all_mark=$(errors_count "$device_messages")
}

# Every page is checked; counts what the guest has noticed since errors_mark.
cell_look ()
{
  hog_run g 600 "a check"
  bus_errors=$(guest_value g bus_errors)
  lost=$((bus_errors - bus_before))
  read_errors=$(($(errors_count 'Read-error on swap-device') - read_mark))
  write_errors=$(($(errors_count 'Write-error on swap-device') - write_mark))
  all_errors=$(($(errors_count "$device_messages") - all_mark))
  if [ $lost -gt 0 ]; then
    # Its memory is needed, should the swap be gone.
    guest_run g 120 "hog a quit"
  fi
  swap_works
}

# Does the guest swap: 8 MiB, out and in?
swap_works ()
{
  works_errors=$(errors_count "$device_messages")
  guest_run g 30 "counters $(mode_device)"
  works_out=$(guest_value g swapped_out_pages)
  guest_run g 30 "hog b start 9; hog b mercy on"
  guest_run g 120 "hog b fill 8"
  for works_round in 1 2 3; do
    hog_run g 120 "b pageout"
    hog_run g 120 "b check"
  done
  works_bus=$(guest_value g bus_errors)
  guest_run g 60 "hog b quit"
  guest_run g 30 "counters $(mode_device)"
  works_out=$(($(guest_value g swapped_out_pages) - works_out))
  works_errors=$(($(errors_count "$device_messages") - works_errors))
  works=no
  if [ "$works_out" -ge 1500 ] && [ "$works_errors" -eq 0 ] &&
     [ "$works_bus" -eq 0 ]; then
    works=yes
  fi
}

# What the guest has seen, in few words that are the same every time.
phrase ()
{
  if [ $lost -gt "${flipped:-$lost}" ]; then
    printf 'SIGBUS for lost pages and some read with them; the rest right'
  elif [ $lost -gt 0 ]; then
    printf 'SIGBUS for lost pages; the rest right'
  elif [ $write_errors -gt 0 ] && [ $read_errors -eq 0 ]; then
    printf 'write errors logged; nothing lost'
  elif [ $all_errors -gt 0 ]; then
    printf 'errors logged; nothing lost'
  elif [ "$stalled" = yes ]; then
    printf 'waits; nothing lost'
  else
    printf 'notices nothing'
  fi
  if [ $works = no ]; then
    printf '; swap is gone until it is attached again'
  elif [ $all_errors -gt 0 ] || [ $lost -gt 0 ]; then
    printf '; swaps on'
  fi
  echo
}

# Ends the cell of row $1.
cell_end ()
{
  cell_look
  guest_sane g
  said=$(phrase)
  say "$1, $column: $said (SIGBUS $lost, read errors $read_errors, write" \
      "errors $write_errors, lines $all_errors, swapped out $works_out)"
  echo "$1|$column|$said" >>"$results"
  if [ $all_errors -gt 0 ] || [ $lost -gt 0 ]; then clean=no; fi
}
