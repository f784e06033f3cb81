#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A server does not start with a smaller size= under a guest that shares memory with
# its keeper: it names the guest, both sizes and the cure.  With the old size all goes
# on, with a larger one, too, and with a smaller one as soon as that QEMU has ended.
# What the guest writes into its header changes none of that.
TMPDIR=/dev/shm
. "${srcdir:-.}/functions.sh"

mkdir "$dir/state"
start_keeper

# settings SIZE
settings ()
{
    echo "pool=64M state=$dir/state keeper=$dir/keeper registry=none" \
        "guest=web1,size=$1,ivshmem=$dir/web1,region=1M"
}

# shellcheck disable=SC2046 # several words
serve () { start_nbdkit $(settings "$1"); }

# refused SIZE HAD
refused ()
{
    # shellcheck disable=SC2046
    ! timeout 30 "$nbdkit" -U - "$plugin" $(settings "$1") --run true \
        >"$dir/out.log" 2>&1 3>&- 5<&- || fail "size=$1 was taken"
    [ "$(grep -c "error: guest=web1: .* device of $2 bytes, and size=$1 .*: give size=$2 as before, or end that QEMU first" "$dir/out.log")" -eq 1 ] \
        || fail "size=$1: it says something else"
    [ "$(grep -c error: "$dir/out.log")" -eq 1 ] || fail "it says more"
}

serve 64M
start_guest 1 "$dir/web1"
ask 1 write 5 77 ok
ask 1 drain ok
crash_nbdkit
# The second time it has to know still.
refused 16777216 67108864
refused 16777216 67108864
refused 67104768 67108864
serve 64M
ask 1 read 5 77
ask 1 write 9000 78 ok
ask 1 drain ok
ask 1 read 9000 78
ask 1 free 9000 1 ok
ask 1 drain ok
stop_nbdkit

# Larger, and that counts from then on.
serve 128M
ask 1 read 5 77
crash_nbdkit
refused 67108864 134217728

# A guest cannot say what it had: neither more nor less.
ask 1 poke_size 1 ok
refused 67108864 134217728
ask 1 poke_size 1099511627776 ok
serve 128M
ask 1 read 5 77
stop_nbdkit
refused 16777216 134217728

# It is the QEMU that must end, not the guest's pages.
end_guest 1
serve 16M
start_guest 1 "$dir/web1"
[ "$answer" = ok ] || fail "no region for the next QEMU: $answer"
ask 1 read 5 77
end_guest 1
stop_nbdkit
kill $keeper
