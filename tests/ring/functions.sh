# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Sourced by every test of this folder; builds on those of tests/nbd.
#
#   $programs   the programs of this folder
. "${srcdir:-.}/../nbd/functions.sh"

: "${RING_PROGRAMS:?names the folder of the programs: run 'make check'}"
# shellcheck disable=SC2034 # for the tests
programs=$RING_PROGRAMS
