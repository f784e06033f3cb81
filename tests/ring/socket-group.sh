#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# ivshmem-group= and control-group= say who may connect, whatever the umask is: a
# user who is in the group gets a region, or figures, and nobody else but the
# server's user and root.  So it stays when the server is started again on a
# socket that a keeper holds, and a change of the group counts there, too.
TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"
[ "$(id -u)" -eq 0 ] || skip "only root can become other users"
requires setpriv --reuid 61001 --regid 61001 --clear-groups true

# Other users can run these, wherever they were built.
chmod 0711 "$dir"
for file in "$programs/guest" "$plugin" "$VMSWAPCTL"; do
    cp "$file" "$dir"
done
chmod 0755 "$dir/guest" "$dir/vmswapctl"
sock=$dir/web1

# as GROUP COMMAND...: as a user who is in this group, too.
as ()
{
    group=$1
    shift
    setpriv --reuid 61001 --regid 61001 --groups "$group" "$@"
}

# Whoever ended last may still have the region.
gets_region ()
{
    as "$1" "$dir/guest" "$sock" </dev/null >"$dir/guest.log" 2>&1
    grep -q -x ok "$dir/guest.log"
}
gets_figures ()
{
    as "$1" "$dir/vmswapctl" json --control "$dir/control" \
        >"$dir/ctl.log" 2>&1
}
connects ()
{
    poll 30 gets_region "$1" || fail "group $1 gets no region"
}
is_turned_away ()
{
    ! gets_region "$1" || fail "group $1 gets a region"
    grep -q -x 'Permission denied' "$dir/guest.log" || fail "not at the socket"
}
# has FILE MODE GROUP
has ()
{
    [ "$(stat -c '%a %g' "$1")" = "$2 $3" ] || fail "$(stat "$1")"
}

# A number; the group of the server is another.  The control socket is not meant.
umask 0177
start_nbdkit pool=64M "guest=web1,size=64M,ivshmem=$sock,region=1M" \
    ivshmem-group=61234 "control=$dir/control"
has "$sock" 660 61234
has "$dir/control" 600 0
connects 61234
is_turned_away 61235
is_turned_away 0
! gets_figures 61234 || fail "the group gets figures"
stop_nbdkit
[ ! -e "$sock" ] || fail "the socket stays"

# A name; only the control socket is meant.
umask 0
name=$(getent group | awk -F: '$3 != 0 { print $1; exit }')
number=$(getent group "$name" | cut -d: -f3)
start_nbdkit pool=64M "guest=web1,size=64M,ivshmem=$sock,region=1M" \
    "control-group=$name" "control=$dir/control"
has "$sock" 600 0
has "$dir/control" 660 "$number"
is_turned_away "$number"
gets_figures "$number" || fail "the group gets no figures"
! gets_figures 61235 || fail "another group gets figures"
stop_nbdkit
[ ! -e "$dir/control" ] || fail "the control socket stays"

# A server that is not root can give what it is in, and says what it cannot.
umask 0077
mkdir -m 0700 "$dir/own"
chown 61001:61001 "$dir/own"
sock=$dir/own/web1
chmod 0711 "$dir/own"
try ()
{
    status=0
    as 61234 "$nbdkit" -U - "$dir/${plugin##*/}" pool=64M registry=none \
        "guest=web1,ivshmem=$sock" "$@" --run "stat -c '%a %g' $sock" \
        >"$dir/out.log" 2>&1 || status=$?
}
chmod 0755 "$dir/${plugin##*/}"
for own in 61234 61001; do
    try ivshmem-group=$own
    grep -q -x "660 $own" "$dir/out.log" || fail "no socket for $own"
done
try ivshmem-group=61235
[ $status -eq 1 ] || fail "a group of others: status $status"
[ "$(grep -c 'error: ' "$dir/out.log")" -eq 1 ] || fail "not one line"
grep -q "ivshmem-group=61235: $sock cannot have that group: .*: name one that" \
    "$dir/out.log" || fail "no reason"
try "control=$dir/own/control" control-group=61235
grep -q "control-group=61235: $dir/own/control cannot have that group" \
    "$dir/out.log" || fail "no reason for the control socket"
rm -f "$sock"
[ -z "$(ls -A "$dir/own")" ] || fail "left: $(ls -A "$dir/own")"

# A keeper holds the socket.
sock=$dir/web1
mkdir "$dir/state"
start_keeper
serve ()
{
    start_nbdkit pool=64M "state=$dir/state" "keeper=$dir/keeper" \
        "guest=web1,size=64M,ivshmem=$sock,region=1M" "$@"
}
serve ivshmem-group=61234
connects 61234
inode=$(stat -c %i "$sock")
crash_nbdkit
has "$sock" 660 61234
serve ivshmem-group=61234
has "$sock" 660 61234
connects 61234
is_turned_away 61235
stop_nbdkit
serve ivshmem-group=61235
has "$sock" 660 61235
connects 61235
is_turned_away 61234
crash_nbdkit
serve
has "$sock" 600 61235
is_turned_away 61235
crash_nbdkit
serve ivshmem-group=61234
connects 61234
[ "$(stat -c %i "$sock")" = "$inode" ] || fail "that is another socket"
stop_nbdkit
kill $keeper
