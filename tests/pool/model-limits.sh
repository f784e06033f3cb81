#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Quotas and reserves that change while threads work in a pool that is full part
# of the time: nobody is refused below his reserve, or for a quota that he has
# not reached.
set -e

# What the threads come upon is left to chance: three runs at most have to prove
# something.
limits ()
{
  # shellcheck disable=SC2034
  for try in 1 2 3; do
    status=0
    ./model --limits "$@" || status=$?
    [ "$status" -eq 3 ] || return "$status"
  done
  return "$status"
}

limits --ops 250000
limits --ops 150000 --no-steward --threads 2 --volumes 4
limits --ops 100000 --codec none --volumes 3 --threads 6
