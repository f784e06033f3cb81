#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vmswap-setup does what it says, in every shell it claims, on a system made
# of files: the right commands in the right order, nothing the second time,
# nothing under --dry-run, everything undone, and one clear line for each wrong
# input.  (The guest tests run it on real systems.)

set -eu
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
: "${srcdir:=$(dirname "$0")}"
script=$(realpath "$srcdir/vmswap-setup")

top=$(mktemp -d "${TMPDIR:-/tmp}/vmswap-setup-XXXXXX")
trap 'rm -rf "$top"' EXIT
trap 'exit 130' HUP INT TERM

root=$top/root
tools=$top/tools
log=$top/log
case_name=none

fail ()
{
  echo "FAIL: $shell: $case_name: $*"
  for what in stdout stderr log; do
    [ -s "$top/$what" ] || continue
    echo "--- $what:"
    cat "$top/$what"
  done
  exit 1
}

# --- The system made of files.

# shellcheck disable=SC2016
# Tools that note what they were told, and do it to the files.
make_tools ()
{
  mkdir -p "$tools"
  cat >"$tools/common" <<'END'
if [ "${1:-}" = --help ]; then
  echo "usage: -d, -p, -f, -L, --force"
  exit 0
fi
echo "${0##*/} $*" >>"$FAKE_LOG"
for last; do :; done
if [ -e "$FAKE_ROOT/fail-${0##*/}" ]; then
  exit 1
fi
END
  # The kernel looks at "rotational" when swapping starts: note what it sees.
  make_tool swapon '
    name=${last#/dev/}
    echo "rotational $(cat "$FAKE_ROOT/sys/block/$name/queue/rotational")" \
      >>"$FAKE_LOG"
    echo "$last partition 524284 2048 100" >>"$FAKE_ROOT/proc/swaps"'
  make_tool swapoff '
    grep -v "^$last " "$FAKE_ROOT/proc/swaps" >"$FAKE_ROOT/swaps" || :
    mv "$FAKE_ROOT/swaps" "$FAKE_ROOT/proc/swaps"'
  make_tool blkdiscard ''
  make_tool systemctl ''
  make_tool mkswap '
    swap=$(command -v mkswap || echo /sbin/mkswap)
    truncate -s 64K "$FAKE_ROOT$last"
    $swap -q -L "$2" "$FAKE_ROOT$last"'
  make_tool insmod '
    FAKE_LOG=/dev/null "${0%/*}/modprobe" vmswap_ivshmem'
  make_tool rmmod '
    rm -r "$FAKE_ROOT/sys/block/vmswap0" "$FAKE_ROOT/sys/module/vmswap_ivshmem"'
  make_tool make ''
  make_tool dkms ''
  make_tool modprobe '
    if [ "$last" = vmswap_ivshmem ]; then
      ring=$FAKE_ROOT/sys/block/vmswap0
      mkdir -p "$ring/queue" "$ring/vmswap" "$FAKE_ROOT/sys/module/$last"
      echo 0 >"$ring/queue/rotational"
      echo 4096 >"$ring/queue/discard_max_bytes"
      echo 1 0 8 0 300 0 614400 0 0 0 0 1 0 4096 0 >"$ring/stat"
      echo live >"$ring/vmswap/state"
      echo 1 >"$ring/vmswap/reads_staging"
      echo 2 >"$ring/vmswap/reads_cache"
      echo 3 >"$ring/vmswap/reads_pool"
      echo 4 >"$ring/vmswap/frees_posted"
      echo 0 >"$ring/vmswap/host_away"
      echo 0 >"$ring/vmswap/host_full"
      truncate -s 128K "$FAKE_ROOT/dev/vmswap0"
      exit 0
    fi
    mkdir -p "$FAKE_ROOT/sys/block/nbd0/queue" "$FAKE_ROOT/sys/block/nbd1/queue"
    for n in nbd0 nbd1; do
      echo 0 >"$FAKE_ROOT/sys/block/$n/queue/rotational"
      echo 4096 >"$FAKE_ROOT/sys/block/$n/queue/discard_max_bytes"
      echo 4096 >"$FAKE_ROOT/sys/block/$n/queue/logical_block_size"
      : >"$FAKE_ROOT/dev/$n"
    done'
  # It attaches, and leaves a process that vmswap-setup can see.
  make_tool vmswap-nbd '
    if [ "$1" = --disconnect ]; then
      rm -f "$FAKE_ROOT/sys/block/${2#/dev/}/pid"
      rm -f "$FAKE_ROOT/sys/block/${2#/dev/}/backend"
      rm -f "$FAKE_ROOT/run/vmswap/keeper-${2#/dev/}"
      : >"$FAKE_ROOT$2"
      exit 0
    fi
    cp "$FAKE_ROOT/export" "$FAKE_ROOT$last"
    name=${last#/dev/}
    echo 1 >"$FAKE_ROOT/sys/block/$name/pid"
    echo "vmswap-nbd $1 $2" >"$FAKE_ROOT/sys/block/$name/backend"
    mkdir -p "$FAKE_ROOT/run/vmswap" "$FAKE_ROOT/proc/7$name"
    echo "7$name" >"$FAKE_ROOT/run/vmswap/keeper-$name"
    echo vmswap-nbd >"$FAKE_ROOT/proc/7$name/comm"'
  make_tool nbd-client '
    if [ "$1" = -d ]; then
      rm -f "$FAKE_ROOT/sys/block/${2#/dev/}/pid"
      : >"$FAKE_ROOT$2"
      exit 0
    fi
    for word; do
      case $word in
        /dev/nbd*)
          cp "$FAKE_ROOT/export" "$FAKE_ROOT$word"
          echo 1 >"$FAKE_ROOT/sys/block/${word#/dev/}/pid" ;;
      esac
    done'
}

make_tool ()
{
  { echo '#!/bin/sh'
    echo ". '$tools/common'"
    echo "$2"
  } >"$tools/$1"
  chmod +x "$tools/$1"
}

# An empty system.
make_root ()
{
  rm -rf "$root"
  mkdir -p "$root/sys/block" "$root/dev" "$root/proc" "$root/etc" "$root/run"
  echo 'Filename Type Size Used Priority' >"$root/proc/swaps"
  echo '# the fstab of somebody' >"$root/etc/fstab"
  echo 'UUID=1234 / ext4 defaults 0 1' >>"$root/etc/fstab"
  swap_area "$root/export" vmswap 00000000-1111-2222-3333-444444444444
  : >"$log"
}

swap_area ()
{
  truncate -s 64K "$1"
  mkswap -q -L "$2" -U "$3" "$1"
}

# add_disk NAME SERIAL ROTATIONAL [LABEL]: without LABEL it holds no swap.
add_disk ()
{
  mkdir -p "$root/sys/block/$1/queue" "$root/sys/block/$1/device"
  echo "$3" >"$root/sys/block/$1/queue/rotational"
  echo 1073741824 >"$root/sys/block/$1/queue/discard_max_bytes"
  echo 4096 >"$root/sys/block/$1/queue/logical_block_size"
  echo "1 0 8 0 300 0 614400 0 0 0 0 ${discards:-9} 0 4096 0" \
    >"$root/sys/block/$1/stat"
  case $1 in
    vd*) printf '%s' "$2" >"$root/sys/block/$1/serial" ;;
    *) printf '\000\200\000\007%s' "$2" >"$root/sys/block/$1/device/vpd_pg80" ;;
  esac
  if [ $# -ge 4 ]; then
    swap_area "$root/dev/$1" "$4" 12345678-9abc-def0-1234-56789abcdef0
  else
    truncate -s 64K "$root/dev/$1"
  fi
}

# --- Running it.

# setup ARGUMENT...: status in $status, output in files.
setup ()
{
  status=0
  # shellcheck disable=SC2086
  FAKE_ROOT=$root FAKE_LOG=$log VMSWAP_SETUP_ROOT=$root \
    VMSWAP_SETUP_TOOLS=$tools \
    $shell "$script" "$@" >"$top/stdout" 2>"$top/stderr" </dev/null ||
    status=$?
}

works ()
{
  setup "$@"
  [ $status -eq 0 ] || fail "vmswap-setup $*: exit status $status"
}

# The tools were told this, a line each, since the last look.
told ()
{
  echo "$1" | sed '/^$/d' >"$top/wanted"
  cmp -s "$log" "$top/wanted" ||
    fail "the tools should have been told: $1"
  : >"$log"
}

says ()
{
  grep -q -e "$1" "$top/stdout" || fail "stdout does not say '$1'"
}

# refuses PATTERN ARGUMENT...: exit 1, one line that matches, nothing done.
refuses ()
{
  pattern=$1
  shift
  before=$(fingerprint)
  setup "$@"
  [ $status -eq 1 ] || fail "vmswap-setup $*: exit status $status, not 1"
  [ "$(wc -l <"$top/stderr")" -eq 1 ] || fail "vmswap-setup $*: not one line"
  grep -q -e "^vmswap-setup: .*$pattern" "$top/stderr" ||
    fail "vmswap-setup $*: does not say '$pattern'"
  [ "$before" = "$(fingerprint)" ] || fail "vmswap-setup $*: changed something"
}

# Everything there is, contents included.
fingerprint ()
{
  ( cd "$root" && find . -type f | sort | xargs cksum )
}

# --- The cases.

case_scsi ()
{
  add_disk sda vmswap0 0 vmswap
  add_disk sdb other 0 other
  works disk
  told "swapon -d -p 100 /dev/sda
rotational 0"
  works disk
  says 'swaps already'
  told ''
  works undo
  told "swapoff /dev/sda
blkdiscard -f -o 4096 /dev/sda"
  works undo
  told ''
}

case_label_alone ()
{
  add_disk sdc something 0 vmswap
  works disk --priority 7
  told "swapon -d -p 7 /dev/sdc
rotational 0"
}

case_virtio_blk ()
{
  add_disk vda vmswap-web1 1 vmswap
  works disk
  told "swapon -d -p 100 /dev/vda
rotational 0"
}

case_rotational_in_use ()
{
  add_disk vda vmswap0 1 vmswap
  echo '/dev/vda partition 524284 2048 -2' >>"$root/proc/swaps"
  works disk
  told "swapoff /dev/vda
blkdiscard -f -o 4096 /dev/vda
swapon -d -p 100 /dev/vda
rotational 0"
}

case_two_disks ()
{
  add_disk sda vmswap0 0 vmswap
  add_disk vda vmswap1 1 vmswap
  works disk
  told "swapon -d -p 100 /dev/sda
rotational 0
swapon -d -p 100 /dev/vda
rotational 0"
}

case_named_disk ()
{
  add_disk sda other 0 other
  add_disk sdb vmswap0 0 vmswap
  ln -s sda "$root/dev/link"
  works disk /dev/link
  told "swapon -d -p 100 /dev/sda
rotational 0"
}

case_fstab ()
{
  add_disk vda vmswap0 1 vmswap
  cp "$root/etc/fstab" "$top/fstab"
  works disk --fstab
  line='UUID=12345678-9abc-def0-1234-56789abcdef0 none swap discard,pri=100'
  grep -q "^$line,nofail 0 0\$" "$root/etc/fstab" || fail "no line in fstab"
  cmp "$root/etc/udev/rules.d/60-vmswap.rules" \
    "$srcdir/udev/60-vmswap.rules" || fail "not the rule that we ship"
  before=$(fingerprint)
  works disk --fstab
  says 'has /dev/vda already'
  [ "$before" = "$(fingerprint)" ] || fail "the second time changed something"
  works undo --once
  ! grep -q '^/dev/vda' "$root/proc/swaps" || fail "undo --once left it on"
  grep -q "^$line" "$root/etc/fstab" || fail "undo --once changed fstab"
  [ -e "$root/etc/udev/rules.d/60-vmswap.rules" ] ||
    fail "undo --once removed the rule"
  works undo
  cmp "$root/etc/fstab" "$top/fstab" || fail "undo left something in fstab"
  [ ! -e "$root/etc/udev/rules.d/60-vmswap.rules" ] ||
    fail "undo left the rule"
}

case_fstab_of_the_user ()
{
  add_disk sda vmswap0 0 vmswap
  echo 'UUID=12345678-9abc-def0-1234-56789abcdef0 none swap sw 0 0' \
    >>"$root/etc/fstab"
  cp "$root/etc/fstab" "$top/fstab"
  works disk --fstab
  works undo
  cmp "$root/etc/fstab" "$top/fstab" || fail "a line of the user's was touched"
}

case_rule_installed ()
{
  add_disk vda vmswap0 1 vmswap
  mkdir -p "$root/usr/lib/udev/rules.d"
  cp "$srcdir/udev/60-vmswap.rules" "$root/usr/lib/udev/rules.d/"
  works disk --fstab
  works undo
  [ ! -e "$root/etc/udev" ] || fail "the rule was there already"
  [ -e "$root/usr/lib/udev/rules.d/60-vmswap.rules" ] ||
    fail "undo removed a rule that is not its own"
}

case_nbd ()
{
  works nbd --once 192.0.2.1 web1
  [ ! -s "$top/stderr" ] || fail "a warning about nothing"
  told "modprobe nbd max_part=0
vmswap-nbd 192.0.2.1 web1 /dev/nbd0
swapon -d -p 100 /dev/nbd0
rotational 0"
  works nbd --once 192.0.2.1 web1
  says 'swaps already'
  told ''
  works status
  says '^/dev/nbd0: nbd, .*kept by vmswap-nbd 7nbd0'
  ! grep 'hint: nothing reconnects' "$top/stdout" || fail "a hint about nothing"
  works nbd --once unix:/run/x.sock web2
  told "vmswap-nbd unix:/run/x.sock web2 /dev/nbd1
swapon -d -p 100 /dev/nbd1
rotational 0"
  refuses 'every nbd device is connected' nbd host web3
  refuses 'connected to something else' nbd host web3 /dev/nbd0
  refuses 'attached to export' nbd 192.0.2.1 web1 /dev/nbd1
  works undo /dev/nbd0
  told "swapoff /dev/nbd0
blkdiscard -f -o 4096 /dev/nbd0
vmswap-nbd --disconnect /dev/nbd0"
  works undo
  told "swapoff /dev/nbd1
blkdiscard -f -o 4096 /dev/nbd1
vmswap-nbd --disconnect /dev/nbd1"
  works undo
  told ''
}

# ring_root: the module is installed, and a device comes with it.
ring_root ()
{
  mkdir -p "$root/lib/modules/$(uname -r)/updates"
  : >"$root/lib/modules/$(uname -r)/updates/vmswap_ivshmem.ko.xz"
}

case_ivshmem ()
{
  ring_root
  works ivshmem --priority 7
  told "modprobe vmswap_ivshmem
mkswap -L vmswap /dev/vmswap0
swapon -donce -p 7 /dev/vmswap0
rotational 0"
  works ivshmem
  says 'swaps already'
  told ''
  works status
  says '^/dev/vmswap0: ivshmem,'
  says 'ring: live, reads from posts 1, cache 2, pool 3; 4 pages freed'
  ! grep hint "$top/stdout" || fail "a hint about nothing"
  echo 1 >"$root/sys/block/vmswap0/vmswap/host_away"
  works status
  says 'hint: the host does not answer'
  echo dead >"$root/sys/block/vmswap0/vmswap/state"
  works status
  says 'hint: the session with the host has ended'
  works undo
  told "swapoff /dev/vmswap0
blkdiscard -f -o 4096 /dev/vmswap0
rmmod vmswap_ivshmem"
  works undo
  told ''
}

case_ivshmem_fstab ()
{
  ring_root
  works ivshmem --fstab
  grep -q 'none swap discard=once,pri=100,nofail 0 0$' "$root/etc/fstab" ||
    fail "no line in fstab"
  works undo
  ! grep -q vmswap "$root/etc/fstab" || fail "undo left the line"
}

# Without the module, its source is built: by dkms, or for this kernel.
case_ivshmem_build ()
{
  refuses 'nor is its source' ivshmem
  # Where make install puts it: with the prefix /usr, and with the default.
  mkswap_line="mkswap -L vmswap /dev/vmswap0
"
  for place in usr/src usr/local/src; do
    mkdir -p "$root/$place/vmswap-0.1.0"
    : >"$root/$place/vmswap-0.1.0/dkms.conf"
    : >"$log"
    works ivshmem
    told "dkms install --sourcetree $root/$place vmswap/0.1.0
modprobe vmswap_ivshmem
${mkswap_line}swapon -donce -p 100 /dev/vmswap0
rotational 0"
    ! grep . "$top/stderr" || fail "a warning, although dkms builds it"
    works undo
    rm -r "$root/$place/vmswap-0.1.0"
    # The swap area is still there.
    mkswap_line=
  done
  mkdir -p "$root/usr/local/src/vmswap-0.1.0"
  : >"$root/usr/local/src/vmswap-0.1.0/dkms.conf"
  : >"$root/fail-dkms"
  refuses 'dkms could not build' ivshmem
  rm "$root/fail-dkms"
  mv "$tools/dkms" "$tools/away"
  refuses 'apt-get install linux-headers-' ivshmem
  mkdir -p "$root/lib/modules/$(uname -r)/build"
  : >"$log"
  works ivshmem
  grep -q 'there is no dkms' "$top/stderr" || fail "no word about dkms"
  told "make -s -C $root/lib/modules/$(uname -r)/build M=$root/run/vmswap/module modules
insmod $root/run/vmswap/module/vmswap_ivshmem.ko
swapon -donce -p 100 /dev/vmswap0
rotational 0"
  mv "$tools/away" "$tools/dkms"
}

# A device that holds something else, or never comes.
case_ivshmem_refused ()
{
  ring_root
  refuses 'takes --priority and --fstab' ivshmem /dev/vmswap0
  FAKE_ROOT=$root FAKE_LOG=$log "$tools/modprobe" vmswap_ivshmem
  echo 'somebody wrote this' >"$root/dev/vmswap0"
  refuses 'holds something that is not swap' ivshmem
  echo '/dev/vmswap0 /mnt ext4 rw 0 0' >"$root/proc/mounts"
  refuses 'is mounted' ivshmem
  rm -r "$root/sys/block/vmswap0"
  VMSWAP_SETUP_WAIT=1
  export VMSWAP_SETUP_WAIT
  refuses 'no /dev/vmswap0 appears' ivshmem
  unset VMSWAP_SETUP_WAIT
}

# The process that reconnects has died: the next run starts another.
case_nbd_keeper_died ()
{
  works nbd --once host web1
  rm -r "$root/proc/7nbd0"
  : >"$log"
  works status
  says 'hint: nothing reconnects.*has ended'
  works nbd --once host web1
  told "vmswap-nbd host web1 /dev/nbd0"
  says 'swaps already'
  # Another program that has its number since is not it.
  echo other >"$root/proc/7nbd0/comm"
  works status
  says 'hint: nothing reconnects.*has ended'
}

# Without vmswap-nbd there is nbd-client, and a warning.
case_nbd_client ()
{
  mv "$tools/vmswap-nbd" "$tools/away"
  works nbd --once 192.0.2.1 web1
  [ "$(grep -c '^vmswap-setup: warning: vmswap-nbd is not installed: if the' \
    "$top/stderr")" = 1 ] || fail "no warning that a restart costs the swap"
  told "modprobe nbd max_part=0
nbd-client 192.0.2.1 10809 /dev/nbd0 -N web1 -b 4096
swapon -d -p 100 /dev/nbd0
rotational 0"
  works nbd --once unix:/run/x.sock web2
  told "nbd-client -unix /run/x.sock /dev/nbd1 -N web2 -b 4096
swapon -d -p 100 /dev/nbd1
rotational 0"
  works status
  says 'hint: nothing reconnects.*is lost'
  works undo /dev/nbd0
  told "swapoff /dev/nbd0
blkdiscard -f -o 4096 /dev/nbd0
nbd-client -d /dev/nbd0"
  mv "$tools/away" "$tools/vmswap-nbd"
  # Installed since: it detaches what nbd-client has attached, but keeps nothing.
  works nbd --once unix:/run/x.sock web2
  says 'swaps already'
  told ''
  works undo
  told "swapoff /dev/nbd1
blkdiscard -f -o 4096 /dev/nbd1
vmswap-nbd --disconnect /dev/nbd1"
}

case_nbd_addresses ()
{
  works nbd --once --priority 5 '[2001:db8::1]:99' 'a b' /dev/nbd1
  told "modprobe nbd max_part=0
vmswap-nbd [2001:db8::1]:99 a b /dev/nbd1
swapon -d -p 5 /dev/nbd1
rotational 0"
  works undo
  mv "$tools/vmswap-nbd" "$tools/away"
  : >"$log"
  works nbd --once '[2001:db8::1]:99' 'a b' /dev/nbd1
  told "nbd-client 2001:db8::1 99 /dev/nbd1 -N a b -b 4096
swapon -d -p 100 /dev/nbd1
rotational 0"
  works nbd --once '[2001:db8::1]' c
  told "nbd-client 2001:db8::1 10809 /dev/nbd0 -N c -b 4096
swapon -d -p 100 /dev/nbd0
rotational 0"
  mv "$tools/away" "$tools/vmswap-nbd"
}

case_nbd_at_boot ()
{
  mkdir -p "$root/run/systemd/system" "$root/lib/systemd/system"
  works nbd host:10 web1
  grep -q 'is not installed' "$top/stderr" || fail "no word about the unit"
  : >"$root/lib/systemd/system/vmswap-guest@.service"
  : >"$log"
  works nbd host:10 web1
  told "systemctl --quiet enable vmswap-guest@nbd0.service"
  printf '%s\n' 'VMSWAP_SERVER="host:10"' 'VMSWAP_EXPORT="web1"' \
    'VMSWAP_PRIORITY=100' | cmp - "$root/etc/vmswap/nbd0.conf" ||
    fail "the configuration is not right"
  # As the unit stops, and as it starts at the next boot.
  works undo --once /dev/nbd0
  [ -e "$root/etc/vmswap/nbd0.conf" ] || fail "undo --once forgot it"
  works nbd --once --priority 100 host:10 web1 /dev/nbd0
  : >"$log"
  works undo
  told "swapoff /dev/nbd0
blkdiscard -f -o 4096 /dev/nbd0
vmswap-nbd --disconnect /dev/nbd0
systemctl --quiet disable vmswap-guest@nbd0.service"
  [ ! -e "$root/etc/vmswap/nbd0.conf" ] || fail "undo left the configuration"
}

case_dry_run ()
{
  add_disk vda vmswap0 1 vmswap
  before=$(fingerprint)
  works --dry-run disk --fstab
  says '^+ echo 0 > .*/vda/queue/rotational'
  says '^+ swapon -d -p 100 /dev/vda'
  says '^+ write .*/etc/fstab'
  works -n nbd host web1
  says '^+ modprobe nbd max_part=0'
  says '^+ vmswap-nbd host web1 /dev/nbd0'
  echo '/dev/vda partition 524284 2048 -2' >>"$root/proc/swaps"
  works --dry-run undo
  says '^+ swapoff /dev/vda'
  told ''
  sed '$d' "$root/proc/swaps" >"$root/swaps"
  mv "$root/swaps" "$root/proc/swaps"
  [ "$before" = "$(fingerprint)" ] || fail "a dry run changed something"
}

case_status ()
{
  setup status
  [ $status -eq 1 ] || fail "status $status although nothing swaps"
  says 'nothing swaps'
  add_disk sda vmswap0 0 vmswap
  works disk
  works status
  says '^/dev/sda: disk, 511 MiB, 2 MiB used, priority 100, rotational 0'
  says '300 MiB written, 9 discards of 2 MiB'
  ! grep -q hint "$top/stdout" || fail "a hint about nothing"
  discards=1 add_disk sda vmswap0 1 vmswap
  echo 0 >"$root/sys/block/sda/queue/discard_max_bytes"
  works status
  says 'hint: rotational'
  says 'hint: it takes no discards'
  says 'hint: much written and nothing discarded'
}

case_failures ()
{
  add_disk sda vmswap0 0 vmswap
  : >"$root/fail-swapon"
  refuses 'swapon /dev/sda failed' disk
  rm "$root/fail-swapon"
  works disk
  : >"$root/fail-swapoff"
  refuses 'must fit into memory' undo
  : >"$root/fail-modprobe"
  refuses 'nbd does not load' nbd host web1
  rm "$root/fail-modprobe"
  works --dry-run nbd host web1
  FAKE_ROOT=$root FAKE_LOG=$log "$tools/modprobe"
  rm "$root/fail-swapoff"
  : >"$root/fail-vmswap-nbd"
  refuses "vmswap-nbd cannot attach export 'web1' of host" nbd host web1
  rm "$root/fail-vmswap-nbd"
  cp "$root/export" "$top/export"
  : >"$root/export"
  setup nbd host web1
  [ $status -eq 1 ] || fail "an export without a swap signature was taken"
  grep -q 'no swap signature' "$top/stderr" || fail "no word about it"
  [ ! -e "$root/sys/block/nbd0/pid" ] || fail "it was not detached"
  cp "$top/export" "$root/export"
  works nbd --once host web1
  : >"$root/fail-vmswap-nbd"
  setup undo /dev/nbd0
  [ $status -eq 1 ] || fail "a device that is still attached is no failure"
  grep -q 'still attached' "$top/stderr" || fail "no word about it"
  rm "$root/fail-vmswap-nbd"
  works undo /dev/nbd0
  mv "$tools/vmswap-nbd" "$tools/away"
  mv "$tools/nbd-client" "$tools/away2"
  setup nbd host web1
  [ $status -eq 1 ] || fail "without any tool it cannot be"
  grep -q 'apt-get install nbd-client' "$top/stderr" || fail "no cure"
  mv "$tools/away2" "$tools/nbd-client"
  : >"$root/fail-nbd-client"
  setup nbd host web1
  [ $status -eq 1 ] || fail "a failing nbd-client is a failure"
  grep -q "nbd-client cannot attach export 'web1' of host" "$top/stderr" ||
    fail "no word about it"
  rm "$root/fail-nbd-client"
  mv "$tools/away" "$tools/vmswap-nbd"
}

case_wrong_input ()
{
  add_disk sda vmswap0 0
  add_disk sdb other 0 other
  refuses 'what to do is missing'
  refuses "unknown command 'disks'" disks
  refuses "unknown command '--force'" --force disk
  refuses "unknown option '--now'" disk --now
  refuses 'one DEVICE at most' disk /dev/sda /dev/sdb
  refuses 'is not a device' disk sda
  refuses 'does not exist' disk /dev/sdz
  refuses 'give the whole disk' disk /dev/../proc/swaps
  refuses 'no swap signature' disk
  refuses 'no swap signature' disk /dev/sda
  for number in '' -1 x 1.5 32768 100000; do
    refuses 'is not a number' disk --priority "$number"
  done
  refuses 'SERVER and EXPORT' nbd
  refuses 'SERVER and EXPORT' nbd host
  refuses 'SERVER and EXPORT' nbd host web1 /dev/nbd0 more
  refuses "unknown option '--fstab'" nbd --fstab host web1
  refuses 'is empty' nbd host ''
  refuses 'option in the wrong place' nbd host --once
  refuses 'quote' nbd host "web'1"
  refuses 'is not a server' nbd '' web1
  refuses 'is not a server' nbd ':10' web1
  refuses 'is not a server' nbd 'a;b' web1
  refuses 'path of a socket' nbd unix:run/x web1
  refuses 'IPv6' nbd 2001:db8::1 web1
  for number in '' 0 65536 x 1000000; do
    refuses 'a port is' nbd "host:$number" web1
  done
  refuses 'is not an nbd device' nbd host web1 /dev/sda
  refuses 'is not an nbd device' nbd host web1 nbd0
  refuses 'is not a vmswap disk' undo /dev/sdb
  refuses 'one DEVICE at most' undo /dev/sda /dev/sdb
  refuses 'takes no arguments' status /dev/sda
}

case_no_disk ()
{
  add_disk sdb other 0 other
  refuses 'no disk has a serial' disk
}

case_help ()
{
  works --help
  says '^usage: vmswap-setup'
  [ ! -s "$top/stderr" ] || fail "help belongs on stdout"
  works --version
  says '^vmswap-setup [0-9]'
}

make_tools
ran=0
for shell in sh dash bash "busybox sh"; do
  if ! command -v "${shell%% *}" >/dev/null 2>&1; then
    if [ "${CI:-}" = true ]; then fail "${shell%% *} is not installed"; fi
    echo "not run: $shell is not installed"
    continue
  fi
  for case_name in scsi label_alone virtio_blk rotational_in_use two_disks \
      named_disk fstab fstab_of_the_user rule_installed \
      ivshmem ivshmem_fstab ivshmem_build ivshmem_refused nbd nbd_client \
      nbd_keeper_died nbd_addresses nbd_at_boot dry_run status failures wrong_input no_disk help; do
    make_root
    "case_$case_name"
    ran=$((ran + 1))
  done
done
echo "$ran cases passed"
