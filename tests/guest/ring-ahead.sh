#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What a guest on a ring reads from its swap in some order (Linux 6.1; READERS:
# others, as "NAME:MIB:STEP:READS:PERCENT") is in its cache when it faults on it.
# Random reads bring next to nothing.  No two runs are alike: how the guest's CPUs
# cut up what they swap out varies, and the floors of strides leave room for that.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"
requires jq

mode=ivshmem kernel=${KERNEL:-6.1}
vmswapctl=$top_builddir/vmswapctl/vmswapctl
readers=${READERS:-in-row:320:1:40000:90 stride-5:320:5:15000:80
  stride-16:320:16:15000:65 random:320:0:6000:0}

figure ()
{
  "$vmswapctl" json --control "$dir/control" | jq ".guests[0].ring_$1"
}

look ()
{
  hits=$(figure cache_hits)
  misses=$(figure cache_misses)
  wasted=$(figure ahead_wasted_pages)
}

mode_server "$plugin" pool=512M control="$dir/control" \
  "guest=web1,size=1G,ivshmem=$dir/web1.ring"
module_build "$kernel"
guest_image "$kernel" "$module_item" "$builddir/swap-reader=/usr/bin/swap-reader"
mode_boot g web1
mode_swapon g

has_filled ()
{
  guest_run g 60 "grep -c filled /run/reader || :"
  [ "$(cat "$dir/g.reply")" = 1 ]
}

# Counts what is read from when all are filled on.
read_swap ()
{
  guest_run g 10 "swap-reader $2 $3 $4 >/run/reader &"
  wait_for 300 "$1 has filled" has_filled
  look
  before_hits=$hits before_misses=$misses before_wasted=$wasted
  guest_run g 600 "killall -USR1 swap-reader; wait; cat /run/reader"
  [ "$(guest_value g bad_pages)" = 0 ] || fail "$1: $(cat "$dir/g.reply")"
  look
  hits=$((hits - before_hits))
  reads=$((hits + misses - before_misses))
  wasted=$(((wasted - before_wasted) * 1000 / reads))
  percent=$((hits * 100 / reads))
  say "$1: $reads reads, $percent % of them from the cache, $wasted of 1000 in vain"
}

for reader in $readers; do
  IFS=:
  # shellcheck disable=SC2086
  set -- $reader
  unset IFS
  read_swap "$@"
  [ $percent -ge "$5" ] || fail "$1: less than $5 %"
  [ "$3" -ne 0 ] || [ $wasted -le 50 ] || fail "$1: more than 50 of 1000 in vain"
done
guest_reboot g
server_stop s
