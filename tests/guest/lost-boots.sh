#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The host was restarted: what the export held is lost.  A guest that boots then
# finds its swap by label with the ordinary tools, swaps, and sees no error; when
# its first swapon has discarded the disk, nothing is lost any more.
#
#   MODE=scsi|blk

. "${srcdir:=$(dirname "$0")}/functions.sh"
. "$srcdir/attach-test.sh"

mode=${MODE:-scsi} kernel=6.1
requires blkid swapon
[ -w /dev/shm ] || skip "no tmpfs at /dev/shm"
state=$(mktemp -d /dev/shm/vmswap-guest-XXXXXX)
trap 'clean_status=$?; set +e; rm -rf "$state"; (exit $clean_status); clean_up' EXIT

serve ()
{
  rm -f "$dir/s.sock" "$dir/s.pid"
  mode_server "$plugin" pool=256M guest=web1,size=512M "state=$state" \
    "registry=$dir/registry"
}

described () { nbdinfo --json "$(export_uri web1)" | jq -r '.exports[0].description'; }
not_lost () { seen=$(described); case $seen in *lost*) return 1 ;; esac; }

guest_image "$kernel" "$(realpath "$(command -v blkid)")" \
  "$(realpath "$(command -v swapon)")"
serve
mode_boot old web1
guest_run old 60 "vmswap-setup disk"
guest_run old 30 "hog a start 51"
guest_run old 600 "hog a fill $fill_mib"

# The host goes, with guest and server.
for pid in "$(cat "$dir/old.pid")" "$(cat "$dir/s.pid")"; do
  kill -9 "$pid"
  wait "$pid" 2>/dev/null || :
done
rm "$state/pool.vmswap"
serve
grep -q "warning: export 'web1': the pages that it held" "$dir/s.log" ||
  fail "the server does not say that they are lost"
not_lost && fail "not lost: $seen"

mode_boot new web1
guest_run new 60 "$(realpath "$(command -v blkid)") -p /dev/$(mode_device)"
guest_run new 60 "$(realpath "$(command -v blkid)") -L vmswap"
guest_run new 60 "$(realpath "$(command -v swapon)") --discard -p 100 -L vmswap"
guest_run new 30 "hog a start 52"
guest_run new 600 "hog a fill $fill_mib"
guest_run new 600 "hog a verify"
[ "$(guest_value new bad_pages)" = 0 ] || fail "$(cat "$dir/new.reply")"
guest_run new 60 "hog a quit"
guest_run new 30 "counters $(mode_device)"
out=$(($(guest_value new swapped_out_pages) / 256))
[ $out -ge $ram_mib ] || fail "the guest swapped out only $out MiB"
guest_sane new
wait_for 30 "nothing is lost after a discard of it all" not_lost
guest_reboot new
echo "vmswap-verdict: mode=$mode kernel=$kernel swapped_out_mib=$out bad_pages=0"
