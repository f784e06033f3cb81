#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The module builds without a warning for every kernel it is for, and sparse
# finds no fault in it: neither a word of the ring whose byte order was
# forgotten, nor a lock that is not given back.  (The guest tests run it.)

set -eu
export LC_ALL=C
: "${srcdir:=$(dirname "$0")}"
: "${builddir:=.}"
guest=$srcdir/../tests/guest

fail () { echo "FAIL: $*"; exit 1; }

skip ()
{
  if [ "${CI:-}" = true ]; then
    fail "$* (a skip, which counts as a failure where CI=true)"
  fi
  echo "SKIP: $*"
  exit 77
}

for tool in sparse flock gcc-12; do
  command -v "$tool" >/dev/null 2>&1 ||
    skip "$tool is not installed: ./bootstrap check installs it"
done

dir=$(mktemp -d "${TMPDIR:-/tmp}/vmswap-module-XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' HUP INT TERM

version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"$/\1/p' "$srcdir/module/dkms.conf")
[ "$version" = "${VERSION:-$version}" ] || fail "dkms.conf has another version"
grep -q "^MODULE_VERSION(\"$version\");" "$srcdir/module/main.c" ||
  fail "the module has another version than dkms.conf"

for kernel in 6.1 6.12; do
  headers=$("$guest/fetch-kernels" --cached --headers $kernel 2>"$dir/why") ||
    skip "$(cat "$dir/why")"
  "$guest/build-module" "$headers" "$dir/$kernel" C=2 W=1 \
    CHECK='sparse -Wbitwise -Wno-unknown-attribute' CF=-D__CHECK_ENDIAN__ \
    >"$dir/said" 2>&1 || fail "$kernel: $(cat "$dir/said")"
  # BTF needs the kernel itself, not its headers.
  if grep -v -e 'Skipping BTF' -e '/usr/src/linux-headers' "$dir/said" |
     grep -i -e warning -e error -e module/; then
    fail "$kernel: not without a word"
  fi
  modinfo -F depends "$dir/$kernel/vmswap_ivshmem.ko" >"$dir/depends"
  ! grep . "$dir/depends" || fail "$kernel: it needs other modules"
  echo "built and checked for $(modinfo -F vermagic \
    "$dir/$kernel/vmswap_ivshmem.ko")"
done
