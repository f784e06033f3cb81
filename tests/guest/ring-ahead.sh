#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# What a guest on a ring reads from its swap in some order (Linux 6.1; READERS:
# others, as "NAME:PERCENT:MIB,STEP,READS[:MIB,STEP,READS...]") is in its cache when
# it faults on it, also when four read that filled one after the other, or at once
# (a name that ends so).
# Random reads bring next to nothing.  No two runs are alike: how the guest's CPUs
# cut up what they swap out varies, and the floors of strides leave room for that.

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"
requires jq

mode=ivshmem kernel=${KERNEL:-6.1}
vmswapctl=$top_builddir/vmswapctl/vmswapctl
four=80,1,20000:80,-1,20000:80,16,5000:80,7,10000
readers=${READERS:-in-row:90:320,1,40000 stride-5:80:320,5,15000
  stride-16:75:320,16,15000 back-40:65:320,-40,8000
  four-in-turn:80:$four four-at-once:80:$four random:0:320,0,6000}

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

# Have so many filled?
have_filled ()
{
  guest_run g 60 "cat /run/reader.* | grep -c filled || :"
  [ "$(cat "$dir/g.reply")" = "$1" ]
}

# start_readers NAME MIB,STEP,READS...
start_readers ()
{
  name=$1 n=0
  shift
  guest_run g 10 "rm -f /run/reader.*"
  for reader; do
    n=$((n + 1))
    guest_run g 10 "swap-reader $(echo "$reader" | tr , ' ') >/run/reader.$n &"
    case $name in
      *at-once) ;;
      *) wait_for 300 "$name: $n have filled" have_filled $n ;;
    esac
  done
  wait_for 300 "$name: all have filled" have_filled $n
}

# read_swap NAME MIB,STEP,READS...: counts what is read when all have filled.
read_swap ()
{
  start_readers "$@"
  look
  before_hits=$hits before_misses=$misses before_wasted=$wasted
  guest_run g 600 "killall -USR1 swap-reader; wait; cat /run/reader.*"
  [ "$(grep -c '^bad_pages=0$' "$dir/g.reply")" -eq $(($# - 1)) ] \
    || fail "$1: $(cat "$dir/g.reply")"
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
  name=$1 least=$2
  shift 2
  # A server that gets no CPU for a while brings pages late, however right it was.
  for attempt in 1 2 3; do
    read_swap "$name" "$@"
    [ "$percent" -lt "$least" ] || break
    [ $attempt -lt 3 ] || fail "$name: less than $least %"
  done
  [ "$name" != random ] || [ "$wasted" -le 50 ] || fail "$name: more than 50 of 1000 in vain"
done
guest_reboot g
server_stop s
