#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What real guests read from their swap disks (streams/README.md), replayed
# through prefetch and a cache of 256 pages.

set -eu
: "${srcdir:=.}"

fail () { echo "FAIL: $*"; exit 1; }

if ! command -v xz >/dev/null 2>&1; then
  if [ "${CI:-}" = true ]; then fail "xz is not installed"; fi
  echo "SKIP: xz is not installed"
  exit 77
fi

# replay STREAM LATE HITS WASTED: pages are there LATE requests after they were
# proposed; at least HITS of those read were, at most WASTED a read were brought
# in vain.
replay ()
{
  n=$((n + 1))
  xz -dc "$srcdir/streams/$1.txt.xz" |
    ./prefetch-replay "$1" 262144 "$2" "$3" "$4" ||
    fail "$1: fewer than $3 were there, or more than $4 a read in vain"
}

n=0
replay sequential 0 0.90 0.05
replay backward 0 0.90 0.05
replay stride-5 0 0.90 0.20
replay stride-16 0 0.92 0.15
replay stride-40-backward 0 0.88 0.15
replay four-in-turn 0 0.90 0.05
replay four-at-once 0 0.86 0.15
replay random 0 0 0.05
# Four pages of five are those of the sequential reader.
replay random-and-sequential 0 0.75 0.05

# Recordings that no constant of prefetch was chosen by, the worst of some.  Of
# those at once many pages were not read before, and a guest that reads ahead asks
# for whole rows of them: page by page, as over a ring, it is more
# (tests/ring/ahead-rates.sh).  These figures are floors: less is a step back.
replay again-sequential 0 0.90 0.05
replay again-stride-16 0 0.89 0.17
replay again-four-at-once 0 0.67 0.20
replay again-stride-40-backward 0 0.84 0.17
replay third-stride-16 0 0.88 0.18
replay third-four-at-once 0 0.70 0.20
replay third-stride-40-backward 0 0.84 0.15

# Where it takes as long to bring a page as the guest needs for two requests.
replay sequential 2 0.90 0.05
replay four-in-turn 2 0.90 0.10
replay random 2 0 0.05
replay stride-5 2 0.88 0.20
replay stride-16 2 0.86 0.20
replay stride-40-backward 2 0.80 0.22
echo "$n replays"
