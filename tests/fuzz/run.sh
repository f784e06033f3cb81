#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# run.sh NAME: runs the target fuzz-NAME on what the corpus in corpus/NAME and
# the seeds hold, and then on what comes of them, for FUZZ_SECONDS, or
# FUZZ_RUNS times if that is set.
#
# A finding is kept in findings/, and the last lines say how to see it again.
set -eu

name=$1
target=./fuzz-$name
srcdir=${srcdir:-$(dirname "$0")}

if [ -n "${FUZZ_WHY_NOT:-}" ]; then
  echo "$0: skipped: $FUZZ_WHY_NOT"
  exit 77
fi
[ -x "$target" ] || { echo "$0: there is no $target: make it first"; exit 99; }

# Where pools with state= may live.
tmpfs=${VMSWAP_FUZZ_TMPFS:-/dev/shm}
if [ "$(stat -f -c %T "$tmpfs" 2>/dev/null)" != tmpfs ]; then
  echo "$0: skipped: $tmpfs is not on tmpfs: name a folder that is with" \
    "VMSWAP_FUZZ_TMPFS"
  exit 77
fi
VMSWAP_FUZZ_TMPFS=$(mktemp -d "$tmpfs/vmswap-fuzz-$name.XXXXXX")
export VMSWAP_FUZZ_TMPFS
trap 'rm -rf "$VMSWAP_FUZZ_TMPFS"' EXIT
trap 'exit 130' HUP INT TERM

if [ -n "${FUZZ_RUNS:-}" ]; then
  limit=-runs=$FUZZ_RUNS
else
  limit=-max_total_time=${FUZZ_SECONDS:-60}
fi
seed=${FUZZ_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}

mkdir -p "corpus/$name" findings
echo "seed $seed"
status=0
ASAN_OPTIONS=allow_addr2line=1:detect_leaks=1${ASAN_OPTIONS:+:$ASAN_OPTIONS} \
UBSAN_OPTIONS=print_stacktrace=1 \
  "$target" "-seed=$seed" "$limit" "-max_len=${FUZZ_LONGEST:-400}" -timeout=20 \
  -rss_limit_mb=2048 -reload=0 -print_final_stats=1 -verbosity=1 \
  "-artifact_prefix=findings/$name-" "corpus/$name" "$srcdir/seeds/$name" \
  >"$name.out" 2>&1 </dev/null || status=$?

grep -v -E '	(NEW|REDUCE|RELOAD)|NEW_FUNC' "$name.out" | tail -n 200
if [ $status -ne 0 ]; then
  input=$(sed -n 's/.*Test unit written to \([^ ]*\).*/\1/p' "$name.out" |
    tail -n 1)
  echo "fuzz-$name found something, or could not run (status $status)."
  [ -z "$input" ] || {
    echo "Here it is, for printf '%s' ... | base64 -d:"
    base64 "$input"
    echo "To see it again: $target $input"
    echo "To make it small: $target -minimize_crash=1 -runs=20000 $input"
    echo "When it is mended, it belongs in tests/fuzz/seeds/$name."
  }
  exit 1
fi
