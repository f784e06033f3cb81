#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Records what real guests ask of their swap disk, for tests/unit/streams.
#
#   record-streams.sh FOLDER [STREAM...]
#
# For each stream a guest (Linux 6.1, virtio-scsi, 160 MiB) fills twice its
# memory with swap-reader, or with several at once, which then read their pages
# in the order that gives the stream its name.  What is recorded begins when all
# are filled.  tests/unit/streams/README.md has the format.

folder=$(realpath "${1:?usage: record-streams.sh FOLDER [STREAM...]}")
shift
. "${srcdir:=$(dirname "$0")}/functions.sh"

# A stream's readers, as MIB:STEP:READS; "at-once": they fill at the same time,
# so that their pages lie among each other's.
readers_of ()
{
  case $1 in
    sequential) echo 320:1:60000 ;;
    backward) echo 320:-1:60000 ;;
    stride-5) echo 320:5:30000 ;;
    stride-16) echo 320:16:20000 ;;
    stride-40-backward) echo 320:-40:8000 ;;
    four-in-turn) echo 80:1:40000 80:-1:40000 80:16:10000 80:7:10000 ;;
    four-at-once) echo at-once 80:1:40000 80:-1:40000 80:16:10000 80:7:10000 ;;
    random) echo 320:0:20000 ;;
    random-and-sequential) echo 160:0:10000 160:1:40000 ;;
    *) fail "there is no stream '$1'" ;;
  esac
}

# Lines "OPERATION DISTANCE [PAGES]" from those of nbdkit's log filter: from the
# page after the last request of that kind to the first of this one.
compact ()
{
  awk '
    $4 ~ /^(Read|Write|Trim|Zero)$/ && $NF == "..." {
      op = tolower (substr ($4, 1, 1))
      if (op == "z")
        op = "t"
      page = strtonum (substr ($6, 8)) / 4096
      n = strtonum (substr ($7, 7)) / 4096
      print op, page - next_page[op] (n == 1 ? "" : " " n)
      next_page[op] = page + n
    }'
}

start_readers ()
{
  n=0
  for reader; do
    [ "$reader" != at-once ] || continue
    n=$((n + 1))
    guest_run g 10 "swap-reader $(echo "$reader" | tr : ' ') >/run/reader.$n &"
    [ "$1" = at-once ] || wait_for 300 "reader $n has filled" filled $n
  done
  wait_for 300 "all have filled" filled $n
}

# Have so many readers filled their memory?
filled ()
{
  guest_run g 60 "cat /run/reader.* | grep -c filled || :"
  [ "$(cat "$dir/g.reply")" = "$1" ]
}

record ()
{
  rm -f "$dir"/s.* "$dir"/g.*
  server_start s --filter=log "$plugin" pool=512M guest=web1,size=1G \
    logfile="$dir/s.requests"
  # shellcheck disable=SC2046
  guest_boot g $(recipe qemu-virtio-scsi.args web1 "$dir/s.sock")
  guest_ready g
  guest_run g 60 "vmswap-setup disk"
  # shellcheck disable=SC2046
  start_readers $(readers_of "$1")
  before=$(wc -l <"$dir/s.requests")
  guest_run g 600 "killall -USR1 swap-reader; wait; cat /run/reader.*"
  ! grep bad_pages "$dir/g.reply" | grep -v '=0$' || fail "bad pages"
  tail -n +$((before + 1)) "$dir/s.requests" | compact >"$dir/$1.txt"
  guest_reboot g
  server_stop s
  say "$1: $(grep -c '^r' "$dir/$1.txt") reads of" \
      "$(awk '$1 == "r" { n += NF > 2 ? $3 : 1 } END { print n + 0 }' \
         "$dir/$1.txt") pages"
  xz -9e <"$dir/$1.txt" >"$folder/$1.txt.xz"
}

requires xz awk
guest_image 6.1 "$builddir/swap-reader=/usr/bin/swap-reader"
[ $# -gt 0 ] || set -- sequential backward stride-5 stride-16 \
  stride-40-backward four-in-turn four-at-once random random-and-sequential
for stream; do
  record "$stream"
done
ls -l "$folder"
