# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034
# What the guest tests share: servers, guests, and waiting for either.
#
# A test sources this file, names what it needs, starts servers and guests and
# ends with "pass".  All that was started is ended on the way out, whichever
# that is.  Everything lives in $dir; NAME stands for a server's or a guest's
# name there:
#
#   NAME.pid NAME.log NAME.sock        a server
#   NAME.pid NAME.qemu NAME.console    a guest: process, QEMU's own words, the
#   NAME.in NAME.out NAME.reply        kernel's log, commands, answers, the last
#   NAME.expected                      answer, kernel messages that are in order

set -eu
export LC_ALL=C
PATH=/usr/bin:$PATH:/usr/sbin:/sbin

: "${srcdir:=$(dirname "$0")}"
: "${builddir:=.}"
: "${top_srcdir:=$srcdir/../..}"
: "${top_builddir:=$builddir/../..}"

# Everything that waits for a guest waits at most this many times as long as
# it should take; a machine with other work to do needs that.
: "${VMSWAP_PATIENCE:=1}"

recipes=$top_srcdir/guest-setup/recipes
plugin=${VMSWAP_PLUGIN:-$top_builddir/nbdkit-plugin/.libs/nbdkit-vmswap-plugin.so}
plugin=$(realpath "$plugin" 2>/dev/null || echo "$plugin")
guest_ram=160
# The kernel's own checks of memory, as far as Debian's have them (KFENCE: 6.12).
kernel_checks='slub_debug=FZPU init_on_free=1 kfence.sample_interval=10'
sequence=0
started=

dir=$(mktemp -d "${TMPDIR:-/tmp}/vmswap-guest-XXXXXX")

say () { echo "$(date +%T) $*"; }

fail ()
{
  echo "FAIL: $*"
  exit 1
}

# Without a tool there is no test; where everything is said to be installed,
# that is a failure.
skip ()
{
  if [ "${CI:-}" = true ]; then
    fail "$* (a skip, which counts as a failure where CI=true)"
  fi
  echo "SKIP: $*"
  exit 77
}

# Ends one process of ours and waits until it is gone.
end_process ()
{
  kill "$1" 2>/dev/null || return 0
  end_deadline=$(($(date +%s) + 20))
  while kill -0 "$1" 2>/dev/null; do
    if [ "$(date +%s)" -gt $end_deadline ]; then
      kill -9 "$1" 2>/dev/null || :
      break
    fi
    sleep 0.05
  done
  wait "$1" 2>/dev/null || :
}

clean_up ()
{
  clean_status=$?
  trap '' HUP INT TERM
  set +e
  if [ $clean_status -ne 0 ] && [ $clean_status -ne 77 ]; then
    show_evidence
  fi
  for clean_pid in $started; do
    end_process "$clean_pid"
  done
  if [ -n "${VMSWAP_KEEP:-}" ]; then
    echo "kept: $dir"
  else
    rm -rf "$dir"
  fi
  exit $clean_status
}
trap clean_up EXIT
trap 'exit 130' HUP INT TERM

# The last words of everybody.
show_evidence ()
{
  for evidence in "$dir"/*.log "$dir"/*.qemu "$dir"/*.console "$dir"/*.out; do
    [ -s "$evidence" ] || continue
    echo "--- end of ${evidence##*/}:"
    tail -n 40 "$evidence" | tr -d '\r'
  done
}

requires ()
{
  for required; do
    command -v "$required" >/dev/null 2>&1 ||
      skip "$required is not installed: ./bootstrap check installs it"
  done
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.  The command may
# set $seen to what it saw last.
wait_for ()
{
  seen=
  wait_seconds=$(($1 * VMSWAP_PATIENCE)) wait_what=$2
  shift 2
  wait_end=$(($(date +%s) + wait_seconds))
  until "$@"; do
    [ "$(date +%s)" -lt $wait_end ] ||
      fail "gave up after $wait_seconds s: $wait_what${seen:+: $seen}"
    sleep 0.1
  done
}

# --- Servers.

# server_start NAME NBDKIT_ARGUMENT...: the pool, on NAME.sock.
server_start ()
{
  server=$1
  shift
  server_run "$server" -U "$dir/$server.sock" "$@" ||
    fail "nbdkit ($server) ended at once: $(tail -n 3 "$dir/$server.log")"
}

# The same on a free port of the loopback; sets $port.
server_start_tcp ()
{
  server=$1
  shift
  for server_try in 1 2 3 4 5 6 7 8; do
    port=$(free_port)
    if server_run "$server" -i 127.0.0.1 -p "$port" "$@"; then
      return 0
    fi
    grep -q 'Address already in use' "$dir/$server.log" ||
      fail "nbdkit ($server) ended at once: $(tail -n 3 "$dir/$server.log")"
    say "port $port was taken (try $server_try)"
  done
  fail "no free port in 8 tries"
}

# Returns 1 when nbdkit ends instead of listening.  Without a registry=, it has
# none.
server_run ()
{
  [ -f "$plugin" ] || fail "$plugin is not there: run make first"
  run_name=$1
  shift
  case " $* " in
    *' registry='*) ;;
    *) set -- "$@" registry=none ;;
  esac
  nbdkit -f -P "$dir/$run_name.pid" "$@" >"$dir/$run_name.log" 2>&1 &
  server_pid=$!
  started="$started $server_pid"
  wait_for 30 "$run_name listens" server_settled "$run_name" $server_pid
  kill -0 $server_pid 2>/dev/null
}

server_settled () { [ -s "$dir/$1.pid" ] || ! kill -0 "$2" 2>/dev/null; }

free_port ()
{
  python3 -c 'import socket
s = socket.socket ()
s.bind (("127.0.0.1", 0))
print (s.getsockname ()[1])'
}

server_stop ()
{
  end_process "$(cat "$dir/$1.pid")"
}

# Bytes of shared memory, and of all memory, that a server really holds.
server_shmem () { status_bytes "$1" RssShmem; }
server_rss () { status_bytes "$1" VmRSS; }

status_bytes ()
{
  awk -v key="$2:" '$1 == key { print $2 * 1024 }' \
      "/proc/$(cat "$dir/$1.pid")/status"
}

# Bytes of an export that hold data, as any NBD client sees them.
export_data_bytes ()
{
  nbdinfo --map --totals --json "$1" |
    jq '[.[] | select (.type == 0) | .size] | add // 0'
}

# --- Guests.

# How guests run: KVM where it boots a stock kernel, which having /dev/kvm does
# not prove; else emulated.  Asked once per boot of this machine.
guest_accel ()
{
  if [ -n "${VMSWAP_ACCEL:-}" ]; then
    echo "$VMSWAP_ACCEL"
    return
  fi
  accel_file=$dir/../vmswap-accel-$(id -u)-$(cat /proc/sys/kernel/random/boot_id)
  (
    flock 9
    if ! [ -s "$accel_file" ]; then
      if kvm_boots; then echo kvm; else echo tcg,thread=multi; fi >"$accel_file"
    fi
  ) 9>"$accel_file.lock"
  cat "$accel_file"
}

# Boots a guest under KVM and has it check 8 MiB.
kvm_boots ()
{
  [ -w /dev/kvm ] || return 1
  ( trap - EXIT
    VMSWAP_ACCEL=kvm
    guest_boot probe
    probe_end=$(($(date +%s) + 15))
    probe_result=1
    while [ "$(date +%s)" -lt $probe_end ]; do
      if grep -q '^vmswap-ready' "$dir/probe.out" 2>/dev/null; then
        probe_result=0
        break
      fi
      sleep 0.1
    done
    end_process "$(cat "$dir/probe.pid")"
    rm -f "$dir"/probe.*
    exit $probe_result ) >"$dir/probe-words" 2>&1
}

# guest_image KERNEL ITEM...: the initramfs of the guests booted from now on.
guest_image ()
{
  requires qemu-system-x86_64 busybox cpio flock jq nbdinfo python3
  guest_kernel=$("$srcdir/fetch-kernels" --cached "$1" 2>"$dir/fetch") ||
    skip "$(cat "$dir/fetch")"
  shift
  [ -x "$builddir/swap-hog" ] || fail "$builddir/swap-hog is not built"
  "$srcdir/build-initramfs" "$dir/initramfs" "$guest_kernel" \
    "$srcdir/guest-init" "$builddir/swap-hog=/usr/bin/swap-hog" \
    "$top_srcdir/guest-setup/vmswap-setup=/usr/sbin/vmswap-setup" "$@"
}

# module_build KERNEL: the module for guests of this kernel; sets $module_item, for
# guest_image.
module_build ()
{
  module_headers=$("$srcdir/fetch-kernels" --cached --headers "$1" \
    2>"$dir/fetch") || skip "$(cat "$dir/fetch")"
  module_dir=$builddir/module-$1
  "$srcdir/build-module" "$module_headers" "$module_dir" \
    >"$dir/module-build.log" 2>&1 || fail "the module was not built"
  module_item=$module_dir/vmswap_ivshmem.ko
  module_item=$module_item=/lib/modules/${module_headers##*linux-headers-}
  module_item=$module_item/updates/vmswap_ivshmem.ko
}

# ring_arguments SOCKET: what gives a guest a region.
ring_arguments ()
{
  echo "-chardev socket,path=$1,id=ring" \
    "-device ivshmem-doorbell,chardev=ring,vectors=1"
}

# guest_boot NAME QEMU_ARGUMENT...: starts a guest; guest_ready waits for it.
guest_boot ()
{
  guest=$1
  shift
  for word; do
    printf "'%s' " "$(echo "$word" | sed "s/'/'\\\\''/g")"
  done >"$dir/$guest.arguments"
  mkfifo "$dir/$guest.in"
  : >"$dir/$guest.out"
  : >"$dir/$guest.console"
  : >>"$dir/$guest.expected"
  qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
    -machine pc -accel "$(guest_accel)" -smp 2 -m $guest_ram \
    -kernel "$guest_kernel/vmlinuz" -initrd "$dir/initramfs" \
    -append "console=ttyS0 loglevel=6 rdinit=/init panic=-1 panic_on_warn=1 \
no_timer_check watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120 ${guest_append:-}" \
    -serial "file:$dir/$guest.console" \
    -chardev "pipe,id=talk,path=$dir/$guest" -serial chardev:talk \
    "$@" >"$dir/$guest.qemu" 2>&1 &
  guest_pid=$!
  started="$started $guest_pid"
  echo $guest_pid >"$dir/$guest.pid"
}

guest_ready ()
{
  wait_for 120 "guest $1 boots; it last said: $(guest_last "$1")" guest_is_up "$1"
}

# QEMU without KVM now and then runs a breakpoint that the kernel, which patches
# itself when it boots, has taken back already (QEMU 7.2, Linux 6.12).  No module
# is loaded by then.
guest_is_up ()
{
  if grep -q 'Oops: int3' "$dir/$1.console" && ! grep -q '^vmswap-ready' "$dir/$1.out"; then
    say "guest $1 ran code that its kernel had replaced: it is booted again"
    end_process "$(cat "$dir/$1.pid")"
    rm -f "$dir/$1.in"
    mv "$dir/$1.console" "$dir/$1.console.before"
    eval "guest_boot $1 $(cat "$dir/$1.arguments")"
    return 1
  fi
  guest_said "$1" '^vmswap-ready'
}

guest_last ()
{
  tail -q -n 3 "$dir/$1.console" "$dir/$1.out" | tr -d '\r' | tr '\n' '|'
}

# Is there such a line?  Fails the test when the guest can say no more.
guest_said ()
{
  if grep -q "$2" "$dir/$1.out"; then
    guest_sane "$1"
    return 0
  fi
  guest_sane "$1"
  kill -0 "$(cat "$dir/$1.pid")" 2>/dev/null ||
    grep -q "$2" "$dir/$1.out" ||
    fail "guest $1 ended; it last said: $(guest_last "$1")"
  return 1
}

# What a kernel says when something is wrong with it or with its swap.
complaints='WARNING:|BUG:|BUG |Oops|Kernel panic|blocked for more than|Call Trace'
complaints="$complaints|general protection|rror on swap-device|I/O error"
complaints="$complaints|Out of memory|invoked oom-killer|rcu: INFO|Bad swap"
complaints="$complaints|swap_info_get|critical space allocation error"

# Fails the test when the guest's kernel has complained.
guest_sane ()
{
  if guest_complaints "$1" >"$dir/complaints"; then
    fail "guest $1 complains: $(head -n 3 "$dir/complaints")"
  fi
}

guest_complaints ()
{
  if [ -s "$dir/$1.expected" ]; then
    guest_console "$1" | grep -E "$complaints" |
      grep -v -E -f "$dir/$1.expected"
  else
    guest_console "$1" | grep -E "$complaints"
  fi
}

# What the guest's kernel said, but for discards that were under way when it shut
# its disks down: Linux fails those.
guest_console ()
{
  awk '/Linux version/ { down = 0 }
       /Synchronizing SCSI cache/ { down = 1 }
       !(down && /I\/O error.*DISCARD/)' "$dir/$1.console"
}

# From now on kernel messages like this are in order.
guest_expects () { echo "$2" >>"$dir/$1.expected"; }

# guest_send NAME COMMAND: sets $sent, for guest_wait.
guest_send ()
{
  sequence=$((sequence + 1))
  sent=$sequence
  echo "$sent $(echo "$2" | tr '\n' ' ')" 1<>"$dir/$1.in"
}

# guest_wait NAME SECONDS SENT WHAT: the answer is in NAME.reply afterwards.
guest_wait ()
{
  wait_for "$2" "guest $1: $4" guest_said "$1" "^vmswap-done: $3 "
  sed -n "/^vmswap-run: $3\$/,/^vmswap-done: $3 /p" "$dir/$1.out" |
    sed '/^vmswap-run: /d; /^vmswap-done: /d' >"$dir/$1.reply"
  grep -q "^vmswap-done: $3 rc=0\$" "$dir/$1.out" ||
    fail "guest $1: $4: $(cat "$dir/$1.reply")"
}

# guest_run NAME SECONDS COMMAND
guest_run ()
{
  guest_send "$1" "$3"
  guest_wait "$1" "$2" "$sent" "$3"
}

# The value of KEY=VALUE in the last answer of a guest.
guest_value ()
{
  sed -n "s/.*\b$2=\([^ ]*\).*/\1/p" "$dir/$1.reply" | tail -n 1
}

# Ends a guest by a reboot of its kernel; QEMU ends with it.
guest_reboot ()
{
  guest_send "$1" "reboot -f"
  wait_for 60 "guest $1 reboots" guest_gone "$1"
  guest_sane "$1"
  rm -f "$dir/$1.in"
}

guest_gone () { ! kill -0 "$(cat "$dir/$1.pid")" 2>/dev/null; }

# recipe FILE EXPORT ADDRESS: QEMU's arguments of a recipe, one per line, for a
# socket or, as HOST:PORT, for TCP.
recipe ()
{
  case $3 in
    /*) recipe_server="server.type=unix,server.path=$3" ;;
    *) recipe_server="server.type=inet,server.host=${3%:*},server.port=${3##*:}" ;;
  esac
  sed -e '/^#/d' \
    -e "s|server\.type=unix,server\.path=[^,]*|$recipe_server|" \
    -e "s|server\.type=inet,server\.host=[^,]*,server\.port=[^,]*|$recipe_server|" \
    -e "s|export=[^,]*|export=$2|" "$recipes/$1" | tr ' ' '\n'
}
