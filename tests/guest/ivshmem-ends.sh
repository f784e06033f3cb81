#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# However a guest ends while its server is away - its QEMU is killed, its kernel
# boots anew, its module is unloaded, waiting for the host or giving up - what it
# had posted is stored when there is a server again, and its pages stay until they
# are freed.  A guest that boots anew while it swaps can swap again.
#
#   KERNEL=6.1|6.12

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"
. "$srcdir/keeper-test.sh"

kernel=${KERNEL:-6.1} at=1024
requires nbdsh
mode_image
kept_serve web1

# boot: a guest that can boot again in its QEMU.
boot ()
{
  # shellcheck disable=SC2046
  guest_boot g $(ring_arguments "$dir/web1.ring") -action reboot=reset
  boots=0
  booted
  attach
}

# The next boot, from "ready" on.
booted ()
{
  boots=$((boots + 1))
  wait_for 120 "guest g boots; it last said: $(guest_last g)" boots_said
}

boots_said ()
{
  guest_said g '^vmswap-ready' || return 1
  [ "$(grep -c '^vmswap-ready' "$dir/g.out")" -ge $boots ]
}

attach () { guest_run g 60 "modprobe vmswap_ivshmem && [ -b /dev/vmswap0 ]"; }

# 256 pages that this machine can make as well, other ones each time.
content=0
make_content="seq \$((content * 1000000)) \$((content * 1000000 + 300000)) |
head -c 1048576"

# Writes them while there is no server; that waits for nobody.
put ()
{
  content=$((content + 1))
  guest_run g 60 "content=$content; $make_content >/tmp/put"
  server_kill
  guest_run g 60 "dd if=/tmp/put of=/dev/vmswap0 bs=4096 seek=$at oflag=direct conv=notrunc 2>/dev/null"
}

# Reads them.
get ()
{
  guest_run g 60 "content=$content; $make_content >/tmp/want;
dd if=/dev/vmswap0 of=/tmp/got bs=4096 skip=$at count=256 iflag=direct 2>/dev/null && cmp /tmp/got /tmp/want"
}

# Does the server have them?
stored ()
{
  sh -c "content=$content; $make_content" >"$dir/want"
  nbdsh -u "$(export_uri web1)" \
    -c "open ('$dir/have', 'wb').write (h.pread (1 << 20, $at * 4096))" \
    >"$dir/nbdsh.log" 2>&1 || fail "$(cat "$dir/nbdsh.log")"
  cmp -s "$dir/want" "$dir/have"
}

check_stored () { wait_for 30 "what the guest posted is stored ($1)" stored; }

# QEMU is killed.
boot
put
kill -9 "$(cat "$dir/g.pid")"
wait "$(cat "$dir/g.pid")" 2>/dev/null || :
rm -f "$dir/g.in"
server_again
check_stored "QEMU was killed"
boot
get
say "QEMU was killed"

# The kernel boots anew, and there is a server only later.
put
guest_send g "reboot -f"
booted
guest_run g 60 "modprobe vmswap_ivshmem"
grep -q 'the host does not answer yet' "$dir/g.console" ||
  fail "who answered the driver?"
guest_run g 10 "! [ -b /dev/vmswap0 ]"
server_again
guest_run g 60 "until [ -b /dev/vmswap0 ]; do sleep 0.1; done"
get
check_stored "the guest booted anew"
say "the guest booted anew"

# The module is unloaded, and waits for the server.
put
guest_send g "rmmod vmswap_ivshmem"
unload=$sent
wait_for 60 "the module is being unloaded" guest_said g "^vmswap-run: $unload\$"
some_moment
! guest_said g "^vmswap-done: $unload " || fail "the module did not wait"
server_again
guest_wait g 60 "$unload" "rmmod vmswap_ivshmem"
check_stored "the module was unloaded"
attach
get
say "the module was unloaded"

# It does not wait as long as that.
guest_run g 10 "echo 1 >/sys/module/vmswap_ivshmem/parameters/detach_seconds"
put
guest_expects g 'I/O error'
guest_run g 60 "rmmod vmswap_ivshmem"
server_again
check_stored "the module gave up"
attach
get
say "the module gave up"

# Freed is gone.
guest_run g 60 "blkdiscard /dev/vmswap0"
wait_for 30 "the pool is empty" export_is_empty
guest_run g 60 "rmmod vmswap_ivshmem"

# It boots anew while it swaps as fast as it can; nobody unloads what swaps.
for boot in 1 2; do
  guest_run g 60 "vmswap-setup ivshmem"
  wait_for 60 "swapon drops what the last boot left behind" export_is_empty
  guest_run g 30 "hog a start 4$boot"
  hog_run g 300 "a fill 240"
  hog_run g 300 "a verify"
  guest_run g 60 "! rmmod vmswap_ivshmem 2>/dev/null"
  hog_run g 60 "a churn on"
  guest_send g "reboot -f"
  booted
done
guest_run g 60 "vmswap-setup ivshmem"
wait_for 60 "swapon drops what the last boot left behind" export_is_empty
guest_run g 60 "vmswap-setup undo"
end_process "$(cat "$dir/g.pid")"
guest_sane g
echo "vmswap-verdict: mode=ivshmem kernel=$kernel kills=$killed boots=$boots" \
     "bad_pages=0"
