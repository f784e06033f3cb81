#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Images of every version of the format are adopted with all that they hold,
# also by a process that is then killed; those of unknown versions are refused
# and left as they are.  golden/README.md is about the images.

set -eu
: "${srcdir:=.}"
program=./golden-images
dir=$(mktemp -d /dev/shm/vmswap-golden.XXXXXX)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' HUP INT TERM

fail () { echo "FAIL: $image: $*"; exit 1; }

image=none
if ! command -v xz >/dev/null 2>&1; then
  if [ "${CI:-}" = true ]; then fail "xz is not installed"; fi
  echo "SKIP: xz is not installed"
  exit 77
fi

state=$dir/state
unpack ()
{
  rm -rf "$state"
  mkdir "$state"
  tar -C "$state" -xJf "$image"
}

# golden WHAT [FORMAT]
golden ()
{
  "$program" "$1" "$state" "${2:-$format}" || fail "$*"
}

# unchanged WHAT: that must leave the file as it is.
unchanged ()
{
  before=$(cksum <"$state/pool.vmswap")
  golden "$1"
  [ "$(cksum <"$state/pool.vmswap")" = "$before" ] || fail "$1 changed it"
}

n=0
for image in "$srcdir"/golden/*.tar.xz; do
  format=${image##*/v}
  format=${format%%-*}
  unpack
  unchanged look
  golden check
  golden check # what the first made of it

  unpack
  status=0
  "$program" work "$state" "$format" 2>/dev/null || status=$?
  [ "$status" -eq 137 ] || fail "work was not killed: $status"
  golden after
  golden after

  unpack
  newest=$("$program" newest "$state" "$format")
  for version in 0 $((newest + 1)) 4294967295; do
    golden version "$version"
    unchanged refused
  done
  n=$((n + 1))
done
[ $n -ge 2 ] || fail "there are no images in $srcdir/golden"
echo "$n images"
