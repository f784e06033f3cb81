#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Nothing that a client may send, in whatever order and however damaged, ends
# the server or keeps it from serving the next client.  The real nbdkit: with
# the plugin as it is, one server per stream (nbdkit -s), and with the plugin
# compiled for AddressSanitizer, one server for all.
#
# PROTOCOL_STREAMS: how many; PROTOCOL_SEED: to see them again.
set -eu

srcdir=${srcdir:-.}
streams=${PROTOCOL_STREAMS:-${FUZZ_RUNS:+5000}}
streams=${streams:-400}
seed=${PROTOCOL_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
PATH=/usr/bin:/usr/sbin:/sbin:$PATH

skip ()
{
  echo "$0: skipped: $*"
  exit 77
}

[ -z "${FUZZ_WHY_NOT:-}" ] || skip "$FUZZ_WHY_NOT"
nbdkit --version >/dev/null 2>&1 || skip "there is no nbdkit"
python3 -c '' 2>/dev/null || skip "there is no python3"
asan=$("${FUZZ_CC:?run this through make check}" \
  -print-file-name=libclang_rt.asan-x86_64.so)
[ -e "$asan" ] || skip "$FUZZ_CC has no AddressSanitizer to share: $asan"

mkdir -p findings
dir=$(mktemp -d "${TMPDIR:-/tmp}/vmswap-protocol.XXXXXX")
pid=
cleanup ()
{
  status=$?
  trap '' EXIT HUP INT TERM
  [ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || :
  [ -z "$pid" ] || wait "$pid" 2>/dev/null || :
  if [ "$status" -ne 0 ]; then
    cp "$dir/stream" "findings/protocol-$seed" 2>/dev/null || :
    tail -n 100 "$dir"/*.log
    echo "To see it again: PROTOCOL_SEED=$seed; the last stream is" \
      "findings/protocol-$seed"
  fi
  rm -rf "$dir"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' HUP INT TERM

# nbdkit's own memory at the end is not ours to judge.
options=detect_leaks=0:abort_on_error=1:handle_abort=1
plugin=$PWD/nbdkit-vmswap-plugin-asan.so
set -- pool=16M size=1M registry=none

serve ()
{
  exec env LD_PRELOAD="$asan" ASAN_OPTIONS=$options \
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 nbdkit "$@"
}

echo "seed $seed"
python3 "$srcdir/protocol.py" "$seed" "$((streams / 4))" "$dir" \
  -s nbdkit -s "${VMSWAP_PLUGIN:?run this through make check}" "$@"

serve -f -U "$dir/sock" -P "$dir/pid" "$plugin" "$@" >"$dir/server.log" 2>&1 \
  </dev/null &
pid=$!
tries=600
until [ -s "$dir/pid" ]; do
  tries=$((tries - 1))
  if [ $tries -eq 0 ] || ! kill -0 "$pid"; then
    echo "no server"
    exit 1
  fi
  sleep 0.1
done
python3 "$srcdir/protocol.py" "$((seed + 1))" "$streams" "$dir" "$dir/sock"
if grep -q -E 'Sanitizer|runtime error' "$dir/server.log"; then
  echo "the server has said so"
  exit 1
fi
# Not asked to end: under a preloaded AddressSanitizer the destructor of a
# library that nbdkit uses (p11-kit) waits for ever in freelocale.
kill -9 "$pid"
