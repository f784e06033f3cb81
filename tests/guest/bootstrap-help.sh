#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# ./bootstrap --help (or -h) names all that bootstrap can be told, from whatever
# folder, and nothing else happens; what it cannot be told names --help.

set -eu
: "${srcdir:=$(dirname "$0")}"
bootstrap=${top_srcdir:-$srcdir/../..}/bootstrap

fail () { echo "FAIL: $*"; exit 1; }

for option in --help -h; do
  said=$("$bootstrap" $option 2>&1) || fail "$option: status $?: $said"
  for words in '  ./bootstrap  ' './bootstrap check' './bootstrap demo' \
               './bootstrap --help' 'Only root can install'; do
    case $said in
      *"$words"*) ;;
      *) fail "$option does not say '$words': $said" ;;
    esac
  done
  case $said in
    '#'* | *SPDX* | *'set -eu'*) fail "$option tells of the script: $said" ;;
  esac
done

status=0
said=$("$bootstrap" no-such 2>&1) || status=$?
[ $status -eq 1 ] || fail "no-such: status $status"
case $said in
  *"unknown 'no-such'"*--help*) ;;
  *) fail "no-such: $said" ;;
esac
