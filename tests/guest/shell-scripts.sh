#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# There is no fault for shellcheck in the scripts here and at the top, and every
# shell that runs them can read them.

set -eu
: "${srcdir:=$(dirname "$0")}"
top_srcdir=$(cd "${top_srcdir:-$srcdir/../..}" && pwd)

fail () { echo "FAIL: $*"; exit 1; }

cd "$srcdir"
set --
for script in *.sh guest-init service-init build-initramfs build-module \
              fetch-kernels \
              "$top_srcdir/bootstrap" "$top_srcdir/.ci/run" \
              "$top_srcdir/bench/zram-bench" \
              "$top_srcdir/bench/doors-bench"; do
  # A release has no .ci.
  [ ! -e "$script" ] || set -- "$@" "$script"
done
for script in "$@" faults/*.sh; do
  sh -n "$script" || fail "sh cannot read $script"
done
if command -v busybox >/dev/null 2>&1; then
  for init in guest-init service-init; do
    busybox sh -n $init || fail "busybox sh cannot read $init"
  done
fi
if ! command -v shellcheck >/dev/null 2>&1; then
  if [ "${CI:-}" = true ]; then fail "shellcheck is not installed"; fi
  echo "SKIP: shellcheck is not installed"
  exit 77
fi
shellcheck -x "$@" || fail "shellcheck finds fault"
echo "$# scripts"
