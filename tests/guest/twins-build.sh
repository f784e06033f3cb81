#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# shellcheck disable=SC2012,SC2046,SC2059
# Two guests, booted apart, do the same build short of memory, and swap on one
# pool: a measurement of what sharing their pages saves, after "A Compressed Page
# Sharing Between Virtual Machines" (Yun, Lee, Yoo), where two Xen domains compiled a
# kernel.  Not a test of every day: it takes minutes.
#
# The build is that of host-pool/, preprocessed here, by the C compiler of this
# machine.  Compiler and sources are on a read-only disk, as pages that a kernel
# drops and does not swap; what is built goes to a tmpfs, which it swaps.  The
# objects must be those that this machine builds.
#
#   ASLR=on|off   random addresses in the guests (default: on)
#   TREE=disk|tmpfs   where the sources are (default: disk)
#   JOBS=N        compilers at a time (default: 3)
#   FILES=N       the largest so many files of it (default: 8)
#   GUEST_MIB=N   memory of a guest (default: 112)
#   MODES='off apart group always'   what is measured

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"
. "$srcdir/twins-common.sh"

mode=scsi kernel=6.1
guest_ram=${GUEST_MIB:-112}
guest_append='VMSWAP_CALM=1 rootfstype=ramfs'
[ "${ASLR:-on}" = on ] || guest_append="$guest_append norandmaps"
tree=${TREE:-disk} jobs=${JOBS:-3} files=${FILES:-8}
disk=$dir/disk
flags='-quiet -fpreprocessed -O2 -std=gnu11 -fno-working-directory'

requires gcc as mke2fs ldd
compiler=$(gcc -print-prog-name=cc1)
[ -x "$compiler" ] || skip "gcc has no cc1 at $compiler"

# disk_add FILE PATH: with the libraries it needs.
disk_add ()
{
  mkdir -p "$disk${2%/*}"
  cp -L "$1" "$disk$2"
  ldd "$1" 2>/dev/null | sed -n 's|^[^/]*\(/[^ ]*\) (0x.*|\1|p' |
    while read -r library; do
      mkdir -p "$disk${library%/*}"
      cp -L "$library" "$disk$library"
    done
}

# What both the guests and this machine run.
make_build_script ()
{
  cat >"$disk/build" <<END
#!/bin/sh
# build TREE OUT: prints the md5sum of what was built.
ls "\$1" | xargs -P $jobs -n 1 sh -c '
  out=\$2/\${3%.i}
  \$CC1 $flags "\$1/\$3" -o "\$out.s" && \$AS "\$out.s" -o "\$out.o" &&
    rm "\$out.s"' - "\$1" "\$2" || exit 1
cd "\$2" && md5sum *.o
END
}

make_disk ()
{
  mkdir -p "$disk/tree" "$disk/tmp" "$disk/bin"
  for source in $(ls -S "$top_srcdir"/host-pool/*.c | head -n "$files"); do
    name=${source##*/}
    gcc -E -P -I"$top_builddir" -I"$top_srcdir/host-pool" \
      -I"$top_srcdir/proto" "$source" -o "$disk/tree/${name%.c}.i" ||
      fail "$source cannot be preprocessed"
  done
  make_build_script
  mkdir "$dir/built"
  ( PATH=$PATH CC1=$compiler AS=as sh "$disk/build" "$disk/tree" "$dir/built" ) \
    >"$dir/objects" || fail "this machine cannot build it"
  disk_add "$compiler" /bin/cc1
  disk_add "$(command -v as)" /bin/as
  disk_add "$(command -v busybox)" /bin/busybox
  for tool in sh ls xargs seq rm md5sum cp; do
    ln -s busybox "$disk/bin/$tool"
  done
  mke2fs -q -t ext4 -d "$disk" "$disk.img" 160M >"$dir/mke2fs"
}

# boot NAME EXPORT: a guest that is ready to build and to swap.
boot ()
{
  guest_boot "$1" $(recipe qemu-virtio-scsi.args "$2" "$dir/s.sock") \
    -drive "file=$disk.img,format=raw,if=virtio,readonly=on"
}

# The shell that obeys stays in memory, what it starts here does not.
build="sh -c 'echo \$\$ >/sys/fs/cgroup/cgroup.procs;
export CC1=/bin/cc1 AS=/bin/as PATH=/bin; exec chroot /disk sh /build TREE /tmp' 2>&1"

prepare ()
{
  guest_ready "$1"
  guest_run "$1" 60 "vmswap-setup disk && mkdir /disk &&
mount -t ext4 -o ro /dev/vda /disk &&
mount -t tmpfs -o size=400M tmpfs /disk/tmp"
}

# Takes a look at the pool; are both guests done?
both_built ()
{
  figures
  jq -c .pool "$dir/figures" >>"$dir/$run.looks"
  guest_said "${run}1" "^vmswap-done: $sent1 " &&
    guest_said "${run}2" "^vmswap-done: $sent2 "
}

# measure RUN TITLE GROUP1 GROUP2 DEDUP
measure ()
{
  run=$1
  rm -f "$dir/s.sock" "$dir/s.pid"
  server_start s "$plugin" pool=512M cold=off "control=$dir/control" "dedup=$5" \
    "guest=web1,size=1G$3" "guest=web2,size=1G$4"
  boot "${run}1" web1
  boot "${run}2" web2
  prepare "${run}1"
  prepare "${run}2"
  guest_send "${run}1" "$command"
  sent1=$sent
  guest_send "${run}2" "$command"
  sent2=$sent
  wait_for 1200 "the guests build" both_built
  out=0
  for number in 1 2; do
    eval "guest_wait $run$number 60 \$sent$number 'the build'"
    cmp -s "$dir/objects" "$dir/$run$number.reply" ||
      fail "guest $run$number built something else:" \
           "$(diff "$dir/objects" "$dir/$run$number.reply" | head -n 4)"
    guest_run "$run$number" 30 'counters sda'
    out=$((out + $(guest_value "$run$number" swapped_out_pages)))
  done
  pool_rest
  jq -c .pool "$dir/figures" >"$dir/$run.end"
  for number in 1 2; do
    end_process "$(cat "$dir/$run$number.pid")"
  done
  server_stop s
  # The fullest moment, and when all was built.
  row "$2, peak" "$(jq -c -s 'max_by (.stored_pages)' "$dir/$run.looks")"
  row "$2, end" "$(cat "$dir/$run.end")"
}

format='%-24s %8s %8s %8s %8s %8s %8s %8s\n'
# row TITLE POOL: 4 KiB pages that hold data, those that are really kept; KiB.
row ()
{
  echo "$2" | jq -r --argjson out "$out" '
    (.stored_pages - .fill_pages - .shared_pages + .shared_blobs) as $kept |
    (.blob_bytes + .shared_saved_bytes) as $alone |
    def percent (part; all): if all > 0 then
      (1000 * (1 - part / all) | round / 10 | tostring) + "%" else "-" end;
    [$out, .stored_pages, $kept, (.stored_bytes / 1024 | round),
     (.blob_bytes / 1024 | round), percent (.blob_bytes; .stored_bytes),
     percent (.blob_bytes; $alone)] | map (tostring) | join (" ")' >"$dir/row"
  printf "$format" "$1" $(cat "$dir/row") | tee -a "$dir/table"
}

case $tree in
  disk) command=$(echo "$build" | sed 's|TREE|/tree|') ;;
  tmpfs) command="cp -r /disk/tree /disk/tmp/.tree && $(echo "$build" |
    sed 's|TREE|/tmp/.tree|')" ;;
  *) fail "TREE is disk or tmpfs, not '$tree'" ;;
esac
guest_image "$kernel"
make_disk
say "$(wc -l <"$dir/objects") objects, ASLR=${ASLR:-on} TREE=$tree JOBS=$jobs" \
    "guests of $guest_ram MiB"
printf "$format" '' swapped data kept data kept saved by
printf "$format" '' 'out, pg' pages pages KiB KiB 'of data' sharing
for one in ${MODES:-off apart group always}; do
  case $one in
    off) measure off 'dedup=off' '' '' off ;;
    apart) measure apart 'two groups' ,group=one ,group=two auto ;;
    group) measure group 'one group' ,group=web ,group=web auto ;;
    always) measure always 'one group, always' ,group=web ,group=web always ;;
    *) fail "there is no mode '$one'" ;;
  esac
done
printf "$format" 'the paper' - - - 11000 2700 75% -
