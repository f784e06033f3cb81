#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# checkpatch.pl, which comes with the source of the kernel, has nothing to say
# about the module's style.  VMSWAP_CHECKPATCH names it where it is somewhere
# else than in Debian's headers or an unpacked linux-source package.

set -eu
export LC_ALL=C
: "${srcdir:=$(dirname "$0")}"

checkpatch=${VMSWAP_CHECKPATCH:-}
for place in /usr/src/linux*/scripts/checkpatch.pl; do
  if [ -z "$checkpatch" ] && [ -e "$place" ]; then checkpatch=$place; fi
done
[ -e "$checkpatch" ] || {
  echo "SKIP: no checkpatch.pl: unpack Debian's linux-source in /usr/src, or set VMSWAP_CHECKPATCH"
  exit 77
}

# What it says of a driver in the kernel, and not of one outside; and of macros
# whose arguments are names.
ignored=LINUX_VERSION_CODE,CONSTANT_COMPARISON,MACRO_ARG_REUSE,FILE_PATH_CHANGES
perl "$checkpatch" --no-tree --strict --terse --no-summary \
  --ignore $ignored -f "$srcdir"/module/*.[ch] || {
  echo "FAIL: checkpatch finds fault"
  exit 1
}
