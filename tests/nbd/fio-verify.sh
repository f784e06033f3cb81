#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# fio writes, reads back and verifies from 512 bytes to 1 MiB, at any byte,
# over four connections, while four more trim in between: the ranges meet in
# the middle of pages.  FIO_SECONDS: for how long.
. "${srcdir:-.}/functions.sh"
requires fio --enghelp=nbd
requires jq --version

seconds=${FIO_SECONDS:-4}
range=25165001  # what a job verifies
stride=26214001 # where the next one begins; what is between gets trimmed

# run_fio ARG...: for the jobs that verify.
run_fio ()
{
    rm -f "$dir/fio.out"
    status=0
    fio --ioengine=nbd --uri="$(export_uri g)" --thread --numjobs=4 \
        --bsrange=512-1m --bs_unaligned=1 --offset_increment=$stride \
        --group_reporting --output-format=json --output="$dir/fio.out" \
        --name=trim --rw=randtrim --offset=$range \
        --size=$((stride - range)) --bsrange=512-64k \
        --time_based --runtime="$seconds" --thinktime=500 \
        --name=verify --new_group --offset=0 --size=$range --bsrange=512-1m \
        --verify=crc32c --verify_fatal=1 --verify_state_save=0 --thinktime=0 \
        --buffer_compress_percentage=60 --refill_buffers "$@" \
        >"$dir/fio.log" 2>&1 || status=$?
    [ "$status" -eq 0 ] || fail "fio $*: status $status"
    # Notes come first.
    sed -n '/^{/,$p' "$dir/fio.out" >"$dir/fio.json"
    jq -r '.jobs[] | "\(.jobname): errors \(.error) reads \(.read.total_ios) writes \(.write.total_ios) trims \(.trim.total_ios)"' \
        "$dir/fio.json"
    jq -e '(.jobs | length == 2 and all (.error == 0))
           and .jobs[0].trim.total_ios > 100
           and .jobs[1].read.total_ios > 100
           and .jobs[1].write.total_ios > 100' "$dir/fio.json" >/dev/null \
        || fail "fio $*: errors, or too few requests"
}

# fio obeys the advertised minimum of 512 bytes; the filter hides it.
nbdkit_options=--filter=blocksize-policy
start_nbdkit pool=128M guest=g,size=100M blocksize-minimum=1
# Every block once, sixteen requests at a time.
run_fio --rw=randrw --bsrange=512-64k --randrepeat=0 --iodepth=16 --time_based=0
# Over and over the same places, one at a time.
run_fio --rw=randrw --randrepeat=0 --iodepth=1 --norandommap \
    --verify_backlog=64 --time_based --runtime="$seconds"
[ "$(errors_in_log .)" -eq 0 ] || fail "the server reported errors"
stop_nbdkit
