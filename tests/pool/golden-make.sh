#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Makes the golden images of the format of today:
#
#   golden-make.sh PROGRAM FOLDER
#
# PROGRAM is the golden-images of a build of today; FOLDER gets vN-closed.tar.xz
# and vN-killed.tar.xz.  They are made once per version of the format: see
# golden/README.md.

set -eu
program=$1
folder=$2
dir=$(mktemp -d /dev/shm/vmswap-golden.XXXXXX)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' HUP INT TERM

# pack HOW NAME
pack ()
{
  mkdir "$dir/state"
  "$program" "$1" "$dir/state" 0 || [ $? -eq 137 ]
  # The version lies at byte 8 of a superblock.
  version=$(od -A n -t u4 -j 8 -N 4 "$dir/state/pool.vmswap")
  if [ "$version" -eq 0 ]; then # only the other slot was written yet
    version=$(od -A n -t u4 -j 4104 -N 4 "$dir/state/pool.vmswap")
  fi
  archive=$folder/v$((version))-$2.tar.xz
  tar -C "$dir/state" --sparse --sort=name --mtime=@0 --owner=0 --group=0 \
    --numeric-owner -cf - pool.vmswap | xz -9e >"$archive"
  rm -rf "$dir/state"
  echo "$archive: $(stat -c %s "$archive") bytes"
}

pack make closed
pack leave killed
