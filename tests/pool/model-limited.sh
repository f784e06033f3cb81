# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Sourced: runs of the model with limits that change.

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
