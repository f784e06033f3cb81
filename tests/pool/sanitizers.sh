#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Builds the pool and its tests once more, out of the way, with the checks of
# lock order compiled in, and runs them:
#   address   AddressSanitizer (with leaks) and UndefinedBehaviorSanitizer
#   thread    ThreadSanitizer
#
#   sanitizers.sh [short|long]
#
# The Makefile sets CC, TEST_CPPFLAGS, TEST_LIBS and TEST_TOP_SRCDIR.
set -u

mode=${1:-short}
top=${TEST_TOP_SRCDIR:?run this through make check or make check-sanitizers}
# A compiler behind a compiler cache, or with options: split it on purpose.
# shellcheck disable=SC2206,SC2086
set -- ${CC:-cc}
work=$(mktemp -d ./sanitizers.XXXXXX) || exit 1
work=$(cd "$work" && pwd)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# ThreadSanitizer needs the usual memory layout.
unrandomised=
if setarch "$(uname -m)" -R true 2>/dev/null; then
  unrandomised="setarch $(uname -m) -R"
fi

flags_of ()
{
  case $1 in
  address) echo '-fsanitize=address,undefined -fno-sanitize-recover=all' ;;
  thread) echo '-fsanitize=thread' ;;
  esac
}

# works NAME FLAGS COMPILER…: can programs built so run here?
works ()
{
  name=$1 flags=$2
  shift 2
  printf 'int main (void) { return 0; }\n' >"$work/probe.c"
  # shellcheck disable=SC2086
  "$@" $flags -o "$work/probe-$name" "$work/probe.c" 2>"$work/probe.log" &&
    $unrandomised "$work/probe-$name" 2>>"$work/probe.log"
}

# build NAME FLAGS COMPILER…
build ()
{
  name=$1 flags=$2
  shift 2
  mkdir "$work/$name" "$work/$name/pool" "$work/$name/tests" || return 1
  flags="-std=gnu11 -g -O1 -fno-omit-frame-pointer -fno-strict-aliasing
    -pthread -DENABLE_LOCK_CHECKS=1 -I$top/proto -I$top/host-pool
    ${TEST_CPPFLAGS:-} $flags"
  # shellcheck disable=SC2086
  (cd "$work/$name/pool" && "$@" $flags -c "$top"/host-pool/*.c) || return 1
  for source in test content sampler churn cold damage full limits nth \
      lose-page loss quota restart volumes \
      model model-hot model-limits model-shadow model-verify; do
    # shellcheck disable=SC2086
    (cd "$work/$name/tests" &&
        "$@" $flags -c "$top/tests/pool/$source.c") || return 1
  done
  (
    cd "$work/$name" || exit 1
    link ()
    {
      out=$1 main=$2
      shift 2
      # shellcheck disable=SC2086
      "$@" $flags -o "$out" $main tests/test.o tests/content.o pool/*.o \
        ${TEST_LIBS:-}
    }
    model='tests/model.o tests/model-hot.o tests/model-limits.o
      tests/model-shadow.o tests/model-verify.o'
    link model "$model" "$@" &&
      link nth tests/nth.o "$@" &&
      link limits tests/limits.o "$@" &&
      link lose-page tests/lose-page.o "$@" &&
      link loss tests/loss.o "$@" &&
      link quota tests/quota.o "$@" &&
      link cold tests/cold.o "$@" &&
      link volumes tests/volumes.o "$@" &&
      link damage tests/damage.o "$@" &&
      link restart tests/restart.o "$@" &&
      link full 'tests/full.o tests/sampler.o' "$@" &&
      link churn 'tests/churn.o tests/sampler.o' "$@"
  )
}

# ThreadSanitizer's own search for deadlocks gives up on a thread that holds
# 64 locks, as pool_check does; the ranks of the locks are checked instead.
failed=0
passed=0
run ()
{
  where=$1
  shift
  if (cd "$work/$where" &&
      ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1 \
      UBSAN_OPTIONS=print_stacktrace=1 \
      TSAN_OPTIONS=halt_on_error=1:detect_deadlocks=0 \
      $unrandomised "$@"); then
    passed=$((passed + 1))
  else
    echo "FAILED with $where sanitizer: $*" >&2
    failed=$((failed + 1))
  fi
}

kinds=
for kind in address thread; do
  if works $kind "$(flags_of $kind)" "$@"; then
    kinds="$kinds $kind"
  else
    echo "no $kind sanitizer here: $(head -n 1 "$work/probe.log")"
  fi
done
if [ -z "$kinds" ]; then
  echo "skipped: the compiler '$*' offers no sanitizer that runs here"
  exit 77
fi

pids=
for kind in $kinds; do
  build "$kind" "$(flags_of "$kind")" "$@" &
  pids="$pids $!"
done
for pid in $pids; do
  wait "$pid" || { echo "the sanitizer build failed" >&2; exit 1; }
done

for kind in $kinds; do
  case $mode in
  short) n=1 rounds=1 times=2 stride=9 ;;
  long) n=30 rounds=6 times=10 stride=1 ;;
  *) echo "usage: sanitizers.sh [short|long]" >&2; exit 1 ;;
  esac
  run "$kind" ./model --ops ${n}0000 --size 4M
  run "$kind" ./model --ops ${n}0000 --full --size 16M
  run "$kind" ./model --ops ${n}0000 --no-steward --codec none --size 4M
  run "$kind" ./model --limits --ops ${n}0000 --size 16M
  run "$kind" ./model --ops ${n}0000 --same 300 --sharing always --groups 1 \
    --size 8M
  run "$kind" ./model --ops ${n}0000 --limits --same 300 --sharing always \
    --groups 2 --volumes 3 --full --size 16M --pool 20M
  run "$kind" ./model --cold --ops ${n}0000 --size 8M
  run "$kind" ./model --cold --limits --ops ${n}0000 --full --same 300 \
    --sharing always --groups 2 --volumes 3 --size 16M --pool 20M
  run "$kind" ./cold
  run "$kind" ./model --hot --ops ${n}0000
  run "$kind" ./model --hot --ops ${n}0000 --full --size 64M --pool 16M
  run "$kind" ./limits
  run "$kind" ./lose-page
  run "$kind" ./loss --ops 1000
  run "$kind" ./volumes
  run "$kind" ./quota --pool 16M
  run "$kind" ./damage
  run "$kind" ./restart --cycles ${n}0
  run "$kind" ./full --pool 16M --rounds $rounds
  run "$kind" ./churn --pool 16M --fill 80 --times $times
  run "$kind" ./nth --stride $stride
  run "$kind" ./nth --stride $((stride * 3)) --steward
done
echo "sanitizers:$kinds: $passed passed, $failed failed"
[ $failed -eq 0 ]
