# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh disable=SC2034,SC2154
# Guests on ivshmem-host, which plays the host's part of the ring and can be told
# to misbehave.  Sourced after functions.sh; a host is HOST.sock, HOST.commands
# and HOST.answers in $dir.

# ring_host_start NAME REGION_MIB DEVICE_MIB
ring_host_start ()
{
  mkfifo "$dir/$1.commands"
  : >"$dir/$1.answers" # before somebody looks for an answer
  "$builddir/ivshmem-host" "$dir/$1.sock" "$2" "$3" <>"$dir/$1.commands" \
    >"$dir/$1.answers" 2>"$dir/$1.log" &
  started="$started $!"
  echo $! >"$dir/$1.pid"
  wait_for 30 "$1 listens" grep -q '^ready' "$dir/$1.answers"
}

# ring_host NAME COMMAND...: sets $answer.
ring_host ()
{
  ring_name=$1
  shift
  ring_lines=$(($(wc -l <"$dir/$ring_name.answers") + 1))
  echo "$*" 1<>"$dir/$ring_name.commands"
  wait_for 30 "$ring_name answers '$*': $(cat "$dir/$ring_name.log")" \
    ring_answered
  case $answer in
    error*) fail "$ring_name: $*: $answer" ;;
  esac
}

ring_answered ()
{
  answer=$(sed -n "${ring_lines}p" "$dir/$ring_name.answers")
  [ -n "$answer" ]
}

# ring_boot GUEST HOST KERNEL [INITRAMFS_ITEM...]
ring_boot ()
{
  boot_guest=$1 boot_host=$2
  module_build "$3"
  shift 2
  guest_image "$@" "$module_item"
  # shellcheck disable=SC2046
  guest_boot "$boot_guest" $(ring_arguments "$dir/$boot_host.sock")
  guest_ready "$boot_guest"
}

# ring_value GUEST FILE: what the driver says, in $value.
ring_value ()
{
  guest_run "$1" 30 "cat /sys/block/vmswap0/vmswap/$2"
  value=$(cat "$dir/$1.reply")
}

# ring_becomes GUEST FILE VALUE: within some seconds.
ring_becomes ()
{
  guest_run "$1" 60 "n=0; until [ \"\$(cat /sys/block/vmswap0/vmswap/$2)\" = $3 ] || [ \$n = 30 ]; do
n=\$((n + 1)); sleep 1; done; cat /sys/block/vmswap0/vmswap/$2"
  value=$(cat "$dir/$1.reply")
  [ "$value" = "$3" ] || fail "$2 is $value, not $3${4:+ ($4)}"
}
