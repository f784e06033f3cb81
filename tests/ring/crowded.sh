#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A server looks for work where the host has a CPU to spare, so that its guest
# seldom rings; where more tasks are ready to run than there are CPUs it sleeps,
# and the guest rings each time.  Which of the two it is, this test says: the
# server has a /proc/loadavg of its own.
. "${srcdir:-.}/functions.sh"

# ready TASKS: in place, for the server has it open.
ready ()
{
    echo "0.00 0.00 0.00 $1/5000 4711" >"$dir/loadavg"
}

ready 1
cat >"$dir/apart" <<END
#!/bin/sh
exec unshare -m sh -c 'mount --bind "$dir/loadavg" /proc/loadavg && exec "\$@"' \\
    sh "$dir/bare" "\$@"
END
chmod +x "$dir/apart"
if ! "$dir/apart" true 2>"$dir/apart.log"; then
    echo "SKIP: nothing can be mounted apart: $(cat "$dir/apart.log")"
    exit 77
fi
# shellcheck disable=SC2034 # for start_nbdkit
wrapper=$dir/apart

# Does it ring for nearly all requests?  A server that looks, but loses its CPU
# to others now and then, is rung for half of them or so.
rings_often ()
{
    "$programs/paced" "$dir/web1" >"$dir/paced.log" || fail "paced failed"
    read -r _ requests rings <"$dir/paced.log"
    echo "$rings of $requests"
    [ $((rings * 5)) -gt $((requests * 4)) ]
}
rings_seldom ()
{
    ! rings_often
}

start_nbdkit pool=64M "guest=web1,size=64M,ivshmem=$dir/web1"
poll 1 rings_seldom || fail "a CPU is to spare, and the server sleeps"
ready 999999
poll 1 rings_often || fail "no CPU is to spare, and the server looks for work"
ready 1
poll 1 rings_seldom || fail "a CPU is to spare again, and the server sleeps"
stop_nbdkit
