#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# ThreadSanitizer finds no race in ring-threads, and finds one when a release or
# an acquire is left out.  (The full barriers, which it does not know, are the
# business of ring-model.)
#
# The Makefile sets CC and TEST_TOP_SRCDIR.
set -u

top=${TEST_TOP_SRCDIR:?run this through make check}
work=$(mktemp -d ./ring-threads-tsan.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# ThreadSanitizer needs the usual memory layout.
unrandomised=
if setarch "$(uname -m)" -R true 2>/dev/null; then
  unrandomised="setarch $(uname -m) -R"
fi

# build NAME SOURCE.  Without builtins, or it would not see inlined copies.
build ()
{
  # shellcheck disable=SC2086
  ${CC:-cc} -std=gnu11 -g -O1 -pthread -fsanitize=thread -fno-builtin -w \
    -I"$top/proto" -I"$top/tests/unit" -I"$work" -o "$work/$1" "$2" \
    2>"$work/log"
}

: >"$work/config.h"
printf 'int main (void) { return 0; }\n' >"$work/probe.c"
if ! build probe "$work/probe.c" || ! $unrandomised "$work/probe"; then
  [ "${CI:-}" = true ] && exit 1
  echo "SKIP: programs with -fsanitize=thread do not work here"
  exit 77
fi
if ! build ring "$top/tests/unit/ring-threads.c"; then
  cat "$work/log"
  exit 1
fi

TSAN_OPTIONS='halt_on_error=1 exitcode=66'
export TSAN_OPTIONS
if ! $unrandomised "$work/ring"; then
  echo "a race"
  exit 1
fi
for what in head-release tail-release result-acquire; do
  $unrandomised "$work/ring" $what >"$work/log" 2>&1
  status=$?
  if [ $status != 66 ]; then
    cat "$work/log"
    echo "$what: no race was found (exit status $status)"
    exit 1
  fi
done
