#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Every file that we ship for others to read is one that they accept: the
# manual page, the unit, the rule, the recipes.  A check whose tool is not
# there is named; where CI=true it must be there.

set -eu
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
: "${srcdir:=$(dirname "$0")}"
: "${builddir:=.}"

dir=$(mktemp -d "${TMPDIR:-/tmp}/vmswap-files-XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' HUP INT TERM

fail () { echo "FAIL: $*"; exit 1; }
. "$srcdir/../tests/tools.sh"

check_pod ()
{
  have podchecker "$1" || return 0
  podchecker -warnings -warnings "$1" >"$dir/pod" 2>&1 ||
    fail "podchecker: $(cat "$dir/pod")"
  ! grep -E 'WARNING|ERROR' "$dir/pod" || fail "$1 has faults"
}

# check_help PROGRAM POD: every option of the help is in the manual, the version
# is that of the package.
check_help ()
{
  "$1" --help | grep -o -e '--[a-z][-a-z]*' | sort -u |
    while read -r option; do
      grep -q -e "I<$option" "$2" || fail "$2 says nothing about $option"
    done
  [ "$("$1" --version)" = "${1##*/} ${VERSION:-0.1.0}" ] ||
    fail "${1##*/} --version is not that of the package"
}

check_pod "$srcdir/vmswap-setup.pod"
check_pod "$srcdir/nbd/vmswap-nbd.pod"
check_help "$srcdir/vmswap-setup" "$srcdir/vmswap-setup.pod"
if [ -x "$builddir/vmswap-nbd" ]; then
  check_help "$builddir/vmswap-nbd" "$srcdir/nbd/vmswap-nbd.pod"
else
  echo "not checked: vmswap-nbd (not built: libnl-genl-3-dev is missing)"
fi

if have shellcheck "the scripts"; then
  shellcheck "$srcdir/vmswap-setup" || fail "shellcheck finds fault"
fi

if have systemd-analyze "the unit"; then
  mkdir -p "$dir/units"
  # What it starts is not installed yet.
  sed 's|^\(Exec[A-Za-z]*=\)[^ ]*|\1/bin/true|' \
    "$builddir/vmswap-guest@.service" >"$dir/units/vmswap-guest@.service"
  cp "$dir/units/vmswap-guest@.service" "$dir/units/vmswap-guest@nbd0.service"
  SYSTEMD_UNIT_PATH="$dir/units:" \
    systemd-analyze --man=no verify "$dir/units/vmswap-guest@nbd0.service" \
    >"$dir/verify" 2>&1 || fail "systemd-analyze: $(cat "$dir/verify")"
  ! grep 'vmswap' "$dir/verify" || fail "systemd-analyze has warnings"
fi
! grep '@[a-z]*dir@' "$builddir/vmswap-guest@.service" ||
  fail "the unit holds a name that was not replaced"

# udevadm learned to verify rules in systemd 254; the guest tests have a real
# udevd apply this one.
if have udevadm "the udev rule" && udevadm verify --help >/dev/null 2>&1; then
  udevadm verify "$srcdir/udev/60-vmswap.rules" || fail "udevadm verify"
fi

# A guest of libvirt's with the recipe in it.
if have virt-xml-validate "the libvirt recipes"; then
  for recipe in "$srcdir"/recipes/libvirt-*.xml; do
    { echo "<domain type='qemu'><name>g</name><memory>163840</memory>"
      echo "<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>"
      echo "<controller type='scsi' model='virtio-scsi'/>"
      cat "$recipe"
      echo "</devices></domain>"
    } >"$dir/domain.xml"
    virt-xml-validate "$dir/domain.xml" domain >"$dir/validate" 2>&1 ||
      fail "$recipe: $(cat "$dir/validate")"
  done
fi

# The line for fstab, by the reader of fstab that guests have.
if have findmnt "the line for fstab"; then
  cp "$srcdir/recipes/fstab" "$dir/fstab"
  line=$(findmnt --fstab --tab-file "$dir/fstab" -n -l -o SOURCE,FSTYPE,OPTIONS)
  case $line in
    "LABEL=vmswap"*" swap "*"discard,pri=100,nofail"*) ;;
    *) fail "recipes/fstab reads as '$line'" ;;
  esac
fi

[ $done -gt 0 ] || { echo "SKIP: none of the tools is installed"; exit 77; }
