#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The units are ones that systemd accepts, the sandbox stays as tight as it is,
# the plugin and the unit agree on who says "ready", and the manual page names
# every setting.  (tests/guest/service.sh runs them.)  A check whose tool is not
# there is named; where CI=true it must be there.

set -eu
export LC_ALL=C
PATH=/usr/bin:$PATH:/usr/sbin:/sbin
: "${srcdir:=$(dirname "$0")}"
: "${builddir:=.}"

# What "systemd-analyze security" may say at most, in tenths: 0.5 is "safe".
exposure=6

dir=$(mktemp -d "${TMPDIR:-/tmp}/vmswap-units-XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' HUP INT TERM

fail () { echo "FAIL: $*"; exit 1; }
. "$srcdir/../tests/tools.sh"

unit=$builddir/vmswap.service
! grep -E '@[a-z_]+@' "$unit" "$builddir/vmswap-keep.service" || fail "the unit holds a name that was not replaced"

if have systemd-analyze "the units"; then
  # What it starts is not installed yet; nor are the settings.
  sed -e 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' "$unit" \
    >"$dir/vmswap.service"
  sed -e 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' \
    "$builddir/vmswap-keep.service" >"$dir/vmswap-keep.service"
  cp "$srcdir/vmswap.socket" "$srcdir/run-vmswap.pool.mount" "$dir"
  for name in vmswap.service vmswap.socket vmswap-keep.service \
    run-vmswap.pool.mount; do
    SYSTEMD_UNIT_PATH="$dir:" systemd-analyze --man=no verify "$dir/$name" \
      >"$dir/verify" 2>&1 || fail "systemd-analyze: $(cat "$dir/verify")"
    ! grep 'vmswap' "$dir/verify" || fail "systemd-analyze warns of $name"
  done
  for name in vmswap-keep.service vmswap.service; do
    systemd-analyze security --offline=true --threshold=$exposure \
      "$dir/$name" >"$dir/security" 2>&1 ||
      fail "the sandbox has become weaker: $(cat "$dir/security")"
  done
  tail -n 1 "$dir/security"
fi

# The user that the other files name is the one that is declared.
if have systemd-sysusers "the user"; then
  mkdir -p "$dir/root/etc"
  systemd-sysusers --root="$dir/root" "$(realpath "$srcdir/vmswap.sysusers")" \
    >"$dir/sysusers" 2>&1 || fail "systemd-sysusers: $(cat "$dir/sysusers")"
  grep -q '^vmswap:' "$dir/root/etc/passwd" || fail "no user vmswap"
  grep -q '^vmswap:' "$dir/root/etc/group" || fail "no group vmswap"
fi

# A unit that waits for READY=1 needs a plugin that says it.
if [ -n "${SERVICE_TYPE:-}" ] && have readelf "the plugin's libraries"; then
  grep -q -x "Type=$SERVICE_TYPE" "$unit" || fail "the unit's Type= is another"
  told="exec"
  readelf -d "$VMSWAP_PLUGIN" >"$dir/dynamic"
  ! grep -q 'NEEDED.*libsystemd' "$dir/dynamic" || told="notify"
  [ $told = "$SERVICE_TYPE" ] ||
    fail "Type=$SERVICE_TYPE, but the plugin was built for $told"
fi

# The settings file can be read by systemd: NAME=VALUE, comments, nothing else.
! grep -v -E '^(#.*|[A-Z_]+="?[^"]*"?|)$' "$srcdir/vmswap.conf" ||
  fail "vmswap.conf: see above"
grep -o -E '^#?[A-Z_]+=' "$srcdir/vmswap.conf" | tr -d '#=' |
  while read -r name; do
    grep -q -E "[$]\{?$name\b" "$unit" || fail "no use of $name in the unit"
    grep -q "=item B<$name=>" "$srcdir/vmswap.service.pod" ||
      fail "the manual says nothing about $name"
  done

if have podchecker "the manual page"; then
  podchecker -warnings -warnings "$srcdir/vmswap.service.pod" \
    >"$dir/pod" 2>&1 || fail "podchecker: $(cat "$dir/pod")"
  ! grep -E 'WARNING|ERROR' "$dir/pod" || fail "vmswap.service.pod has faults"
fi

[ $done -gt 0 ] || { echo "SKIP: none of the tools is installed"; exit 77; }
