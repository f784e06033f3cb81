#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The tests of the pool at length.  One line for each at the end.
set -u

passed=0 failed=0 skipped=0
log=

run ()
{
  echo "== $*"
  "$@"
  rc=$?
  case $rc in
  0) passed=$((passed + 1)) word=passed ;;
  77) skipped=$((skipped + 1)) word=skipped ;;
  *) failed=$((failed + 1)) word=FAILED ;;
  esac
  log="$log
$word: $*"
}

run ./model --ops 10000000 --threads 4
run ./model --ops 10000000 --threads 4 --full
run ./model --ops 3000000 --threads 8 --volumes 20 --size 8M --no-steward
run ./model --ops 3000000 --threads 8 --full --no-steward
run ./model --ops 3000000 --codec none --full
run ./model --limits --ops 5000000 --threads 8 --volumes 4
run ./model --limits --ops 3000000 --volumes 16 --size 8M --no-steward
run ./model --cold --ops 3000000
run ./model --cold --full --ops 3000000 --threads 8
run ./model --cold --limits --ops 2000000 --same 2000 --sharing always \
  --groups 2 --volumes 4
run ./model --hot --ops 10000000
run ./model --hot --ops 10000000 --full --size 64M --pool 16M --threads 8
run ./full --rounds 20 --pool 16M --seed 2
run ./full --rounds 20 --pool 256M
run ./churn --pool 256M
run ./churn --pool 64M --fill 94 --times 20
run ./churn --pool 16M --fill 85 --times 50
run ./nth
run ./nth --steward
run ./volumes
run ./quota --pool 16M --seed 2
run ./quota --pool 200M --seed 3
run ./full-restart --rounds 100
run ./killed-full --rounds 5000
run ./loss --ops 100000
run ./damage
run ./restart --cycles 1000
run ./restart --cycles 300 --pages 9000 --pool 24 --seed 2
run ./crash-points --hits 40
if command -v valgrind >/dev/null 2>&1; then
  # libtool's wrapper is a script: the program itself is what valgrind needs.
  run ../../libtool --mode=execute valgrind -q --error-exitcode=1 \
    --leak-check=full --show-leak-kinds=all ./nth --stride 11
  run ../../libtool --mode=execute valgrind -q --error-exitcode=1 \
    --leak-check=full --show-leak-kinds=all ./volumes
  run ../../libtool --mode=execute valgrind -q --error-exitcode=1 \
    --leak-check=full --show-leak-kinds=all ./limits
  run ../../libtool --mode=execute valgrind -q --error-exitcode=1 \
    --leak-check=full --show-leak-kinds=all ./model --ops 20000 --size 4M
else
  echo "skipped: no valgrind here, so no search for leaks with it"
  skipped=$((skipped + 1))
fi
run sh "$(dirname "$0")/sanitizers.sh" long

echo "$log"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
