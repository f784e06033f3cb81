#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A server that is told to end asks its guests to hold still, stores what they
# posted, and ends; with state=, too, and although an NBD client is connected.
# The next one has all their pages.
TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"
requires_nbdsh

state=$dir/state
mkdir "$state"

serve ()
{
    start_nbdkit pool=64M "state=$state" guest=nbd,size=64M \
        "guest=web1,size=64M,ivshmem=$dir/web1" "guest=web2,size=64M,ivshmem=$dir/web2"
}

serve
start_guest 1 "$dir/web1"
start_guest 2 "$dir/web2"
mkfifo "$dir/nbd"
nbdsh -u "$(export_uri nbd)" -c 'import sys; sys.stdin.read ()' <"$dir/nbd" \
    3>&- 4>&- &
client_pids="$client_pids $!"
exec 7>"$dir/nbd"
page=1
while [ $page -le 300 ]; do
    ask 1 write $page 1$page ok
    ask 2 write $page 2$page ok
    page=$((page + 1))
done
stop_nbdkit
ask 1 state '2 0'
ask 2 state '2 0'
end_guest 1
end_guest 2
exec 7>&-

serve
start_guest 1 "$dir/web1"
start_guest 2 "$dir/web2"
page=1
while [ $page -le 300 ]; do
    ask 1 read $page 1$page
    ask 2 read $page 2$page
    page=$((page + 1))
done
end_guest 1
end_guest 2
stop_nbdkit
