#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# While there is no host, a guest writes as long as there are slots, and reads
# what it wrote, the newest of it; nothing of that waits.  When the host comes,
# it is all in the pool.  Without the cache, too: every read is counted.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/ring-host-test.sh"

kernel=${KERNEL:-6.12}
guest_append=$kernel_checks
ring_host_start r 8 512
requires blkdiscard
ring_boot g r "$kernel" "$(command -v blkdiscard)=/usr/bin/blkdiscard-zeroes"
guest_run g 60 "modprobe vmswap_ivshmem && [ -b /dev/vmswap0 ]"

# 1 MiB of noise, twice, and zeroes: 256 pages each, of 512 slots.
guest_run g 60 "for f in a b; do
dd if=/dev/urandom of=/tmp/\$f bs=4096 count=256 2>/dev/null; done;
dd if=/dev/zero of=/tmp/z bs=4096 count=256 2>/dev/null"

# put FILE, get FILE: the same pages of the device, past the page cache.
put () { guest_run g 60 "dd if=/tmp/$1 of=/dev/vmswap0 bs=4096 oflag=direct conv=notrunc 2>/dev/null"; }
get () { guest_run g 60 "dd if=/dev/vmswap0 of=/tmp/got bs=4096 count=256 iflag=direct 2>/dev/null && cmp /tmp/got /tmp/$1"; }

ring_host r pause on
ring_host r peek
tail=$(echo "$answer" | sed 's/.*post_tail=\([0-9]*\).*/\1/')
put a
get a
put z
get z
put b
get b
ring_value g reads_staging
[ "$value" -ge 768 ] || fail "only $value reads were served from posts"
staging=$value
ring_host r peek
case $answer in
  *post_tail=$tail\ *) ;;
  *) fail "somebody does posts: $answer" ;;
esac
ring_value g posts_open
[ "$value" -ge 768 ] || fail "only $value posts are open"

ring_host r pause off
ring_becomes g posts_open 0
ring_host r held
[ "${answer#pages=}" -ge 256 ] || fail "the pool holds $answer"
get b
ring_value g reads_staging
[ "$value" = "$staging" ] || fail "a post that is done was read"

# Discards and zeroes.
guest_run g 60 "blkdiscard /dev/vmswap0"
ring_becomes g posts_open 0
get z
ring_host r held
[ "${answer#pages=}" = 0 ] || fail "after a discard the pool holds $answer"
put a
get a
guest_run g 60 "blkdiscard-zeroes -z /dev/vmswap0"
get z
ring_value g discards_requested
[ "$value" -ge 1 ] || fail "zeroes were written without a request"
guest_run g 60 "rmmod vmswap_ivshmem"
guest_reboot g
echo "vmswap-verdict: kernel=$kernel reads_from_posts=$staging"
