#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Every wrong parameter, size, name and combination is refused with exactly
# one line that says what is wrong, and exit status 1.
. "${srcdir:-.}/functions.sh"

cases=0

# refused WORDS ARG...: the line must contain the words.
refused ()
{
    words=$1
    shift
    status=0
    timeout 30 "$nbdkit" -U - "$plugin" "$@" --run 'exit 0' \
        >"$dir/out.log" 2>&1 </dev/null || status=$?
    [ "$status" -eq 1 ] || fail "'$*': exit status $status"
    lines=$(wc -l <"$dir/out.log")
    [ "$lines" -eq 1 ] || fail "'$*': $lines lines instead of one"
    grep -q '^nbdkit: .*error: ' "$dir/out.log" || fail "'$*': no error line"
    grep -q -F -e "$words" "$dir/out.log" || fail "'$*': does not say '$words'"
    cases=$((cases + 1))
}

accepted ()
{
    timeout 30 "$nbdkit" -U - "$plugin" "$@" registry=none --run 'exit 0' \
        >"$dir/out.log" 2>&1 </dev/null || fail "'$*' was refused"
    cases=$((cases + 1))
}

# repeat N STRING
repeat ()
{
    awk -v n="$1" -v s="$2" 'BEGIN { while (n-- > 0) printf "%s", s }'
}

# The pool.
refused 'pool=SIZE is missing'
refused 'pool=SIZE is missing' size=1G
refused 'pool=SIZE is missing' guest=a
refused 'is not a size' pool=
refused 'is not a size' pool=much
refused 'is not a size' pool=-1
refused 'is not a size' pool=+16M
refused 'is not a size' 'pool= 16M'
refused 'is not a size' pool=16MB
refused 'is not a size' pool=1.5G
refused 'is not a size' pool=0x10000000
refused 'is not a size' pool=16Q
refused 'is not a size' pool=9999999999999999999
refused 'pool=much' pool=much
refused 'overflow' pool=999999999999999999T
refused 'give at least 16M' pool=0
refused 'give at least 16M' pool=16777215
refused 'give at most 8T' pool=9T
refused 'give at most 8T' pool=8796093026304
refused 'the next one is 16781312' pool=16777217
refused 'pool= was given twice' pool=64M pool=64M
refused 'pool= was given twice' 64M 128M
refused 'pool= was given twice' pool=64M 64M
accepted 16M
accepted pool=16M
accepted pool=16781312
accepted pool=64m

# The size of exports.
refused 'is not a size' pool=64M size=
refused 'is not a size' pool=64M size=big
refused 'size=big' pool=64M size=big
refused 'give at least 40K' pool=64M size=36K
refused 'give at least 40K' pool=64M size=0
refused 'give at least 40K' pool=64M size=40959
refused 'the next one is 45056' pool=64M size=40961
refused 'the next one is 45056' pool=64M size=41472
refused 'give at most 16T' pool=64M size=17T
refused 'give at most 16T' pool=64M size=17592186048512
refused 'size= was given twice' pool=64M size=1G size=1G
accepted pool=64M size=40K
accepted pool=64M size=16T

# Guests.
refused 'name is empty' pool=64M guest=
refused 'name is empty' pool=64M guest=,size=1G
refused 'longer than 127' pool=64M guest="$(repeat 128 x)"
refused 'not printable' pool=64M guest="$(printf 'a\tb')"
refused 'not printable' pool=64M guest="$(printf 'a\nb')"
refused 'not printable' pool=64M guest="$(printf 'a\177b')"
refused 'not printable' pool=64M guest="$(printf 'a\303\244b')"
refused "cannot take ''" pool=64M guest=a,
refused "cannot take '1G'" pool=64M guest=a,1G
refused "cannot take 'color=red'" pool=64M guest=a,color=red
refused "cannot take 'siz=1G'" pool=64M guest=a,siz=1G
refused "cannot take 'SIZE=1G'" pool=64M guest=a,SIZE=1G
refused "cannot take ''" pool=64M guest=a,size=1G,
refused "cannot take 'quotas=1G'" pool=64M guest=a,size=1G,quotas=1G
refused 'guest size= was given twice' pool=64M guest=a,size=1G,size=1G
refused 'is not a size' pool=64M guest=a,size=
refused 'is not a size' pool=64M guest=a,size=1X
refused 'give at least 40K' pool=64M guest=a,size=4K
refused 'give at most 16T' pool=64M guest=a,size=20T
refused 'the next one is' pool=64M guest=a,size=1000001
refused 'guest=a was given twice' pool=64M guest=a guest=a
refused 'guest=a was given twice' pool=64M guest=a guest=b guest=a,size=1G
accepted pool=64M guest=a
accepted pool=64M guest=a,size=1G guest=b guest=A
accepted pool=64M guest="$(repeat 127 x)"
accepted pool=64M 'guest=vm/disk 1 (swap)'
accepted guest=a size=1G pool=64M

# Their limits.
for what in '' 'guest ' ; do
    one () # one KEY=VALUE...: as defaults, then as a guest's own
    {
        if [ -z "$what" ]; then
            refused "$@"
        else
            words=$1
            shift
            refused "$words" pool=64M "guest=a,$(echo "$*" \
                | sed 's/pool=64M //; s/ /,/g')"
        fi
    }
    one "${what}quota= is not a size" pool=64M quota=
    one "${what}quota=much is not a size" pool=64M quota=much
    one "${what}quota=1.5% is not a size" pool=64M quota=1.5%
    one "${what}quota=% is not a size" pool=64M quota=%
    one "${what}quota=0% is no part" pool=64M quota=0%
    one "${what}quota=101% is no part" pool=64M quota=101%
    one "${what}quota=4294967297% is no part" pool=64M quota=4294967297%
    one "${what}reserve=101% is no part" pool=64M reserve=101%
    one "the next one is 102400" pool=64M quota=100000
    one "${what}quota=4K is too small: give at least 64K, or 0 for none" \
        pool=64M quota=4K
    one 'give at least 64K, or 0 for none' pool=64M quota=60K
    one 'give at least 64K, or 0 for none' pool=64M quota=5000
    one 'give at least 64K, or 0 for none' pool=64M quota=65535
    one "the next one is 69632" pool=64M quota=65537
    one "the next one is 8192" pool=64M reserve=5000
    one 'smaller than the reserve' pool=64M quota=16M reserve=17M
    one 'smaller than the reserve' pool=64M quota=10% reserve=11%
    one "${what}quota= was given twice" pool=64M quota=1M quota=1M
    one "${what}reserve= was given twice" pool=64M reserve=1M reserve=1M
done
refused 'guest=a: the quota is smaller' pool=64M reserve=17M guest=a,quota=1M
refused "'a' cannot have a reserve of 64M: others have 0" \
    pool=64M registry=none guest=a,reserve=100%
refused "'b' cannot have a reserve of 30M: others have 30M, and a pool of this size can promise" \
    pool=64M registry=none guest=a,reserve=30M guest=b,reserve=30M
accepted pool=64M guest=a,quota=64K
accepted pool=64M quota=100% reserve=25% guest=a guest=b
accepted pool=64M quota=0 reserve=0
accepted pool=64M guest=a,reserve=1M,quota=1M,size=1M

# Shared memory.
refused 'guest ivshmem= is empty' pool=64M guest=a,ivshmem=
refused 'guest ivshmem= was given twice' pool=64M "guest=a,ivshmem=$dir/a,ivshmem=$dir/a"
refused 'region= goes with ivshmem=' pool=64M guest=a,region=1M
refused 'is not a size' pool=64M "guest=a,ivshmem=$dir/a,region=big"
no_power () # no_power SIZE SMALLER LARGER
{
    refused "guest region=$1 is no power of two: give $2 or $3" pool=64M \
        "guest=a,ivshmem=$dir/a,region=$1"
}
no_power 1048577 1M 2M
no_power 2097151 1M 2M
no_power 3M 2M 4M
no_power 600M 512M 1G
no_power 1073741823 512M 1G
refused 'give at least 1M' pool=64M "guest=a,ivshmem=$dir/a,region=512K"
refused 'give at most 1G' pool=64M "guest=a,ivshmem=$dir/a,region=2G"
refused 'guest region= was given twice' pool=64M "guest=a,ivshmem=$dir/a,region=1M,region=1M"
refused "is another guest's, too" pool=64M "guest=a,ivshmem=$dir/a" "guest=b,ivshmem=$dir/a"
refused 'with ivshmem= the name is longer than 63 bytes' pool=64M \
    "guest=$(repeat 64 x),ivshmem=$dir/a"
accepted pool=64M "guest=$(repeat 63 x),ivshmem=$dir/a" "guest=$(repeat 127 x)"
refused 'does not go with share=yes' pool=64M "guest=a,ivshmem=$dir/a" share=yes
refused 'the path is longer' pool=64M "guest=a,ivshmem=$dir/$(repeat 100 x)"
refused 'in a directory that the server may write to' pool=64M \
    "guest=a,ivshmem=$dir/none/a" registry=none
refused 'ivshmem-group=: there is no such group' pool=64M ivshmem-group=
refused 'ivshmem-group=no-such: there is no such group' pool=64M ivshmem-group=no-such
refused 'give the name or the number of one' pool=64M ivshmem-group=4294967295
refused 'there is no such group' pool=64M ivshmem-group=-1
refused 'there is no such group' pool=64M ivshmem-group=18446744073709551616
refused 'ivshmem-group= was given twice' pool=64M ivshmem-group=0 ivshmem-group=0
refused 'control-group=no-such: there is no such group' pool=64M control-group=no-such
refused 'control-group= goes with control=' pool=64M control-group=0
# As vmswap.service has it, for guests or without any.
accepted pool=64M ivshmem-group="$(id -g)"
accepted pool=64M ivshmem-group="$(id -gn)"
accepted pool=64M "control=$dir/control" control-group="$(id -g)"
refused 'keeper= is empty' pool=64M keeper=
refused 'keeper= goes with state=' pool=64M "keeper=$dir/keeper"
refused 'start vmswap-keep there first' pool=64M "state=/dev/shm" "keeper=$dir/keeper" registry=none
accepted pool=64M "guest=a,ivshmem=$dir/a" "guest=b,ivshmem=$dir/b,region=1M,size=1G"

# One guest more than a pool has volumes.
set -- pool=64M size=40K
n=0
while [ $n -le 1024 ]; do
    set -- "$@" "guest=g$n"
    n=$((n + 1))
done
refused 'guest=g1024 is one too many' "$@"

# Words.
refused 'no such compressor' pool=64M compressor=
refused 'no such compressor' pool=64M compressor=zip
refused 'no such compressor' pool=64M compressor=lz
refused 'no such compressor' pool=64M compressor=lz44
refused 'no such compressor' pool=64M compressor=LZ4
refused 'compressor= was given twice' pool=64M compressor=lz4 compressor=lz4
refused 'give error' pool=64M full=
refused 'give error' pool=64M full=s
refused 'give error' pool=64M full=stalled
refused 'give error' pool=64M full=Error
refused 'full= was given twice' pool=64M full=error full=stall
refused 'registry= is empty' pool=64M registry=
refused 'registry= was given twice' pool=64M registry=none registry=none
refused 'Not a directory' pool=64M registry=/dev/null/x
refused 'No such file' pool=64M "registry=$dir/none/none"
refused 'Not a directory' pool=64M registry=/dev/null
refused 'share= is neither yes nor no' pool=64M share=
refused 'share=maybe is neither yes nor no' pool=64M share=maybe
refused 'neither yes nor no' pool=64M share=2
refused 'neither yes nor no' pool=64M "share=$(printf 'y\nes')"
refused 'share= was given twice' pool=64M share=no share=no
refused 'swap-header=ja is neither' pool=64M swap-header=ja
refused 'swap-header= was given twice' pool=64M swap-header=no swap-header=yes
for yes_or_no in 1 0 yes no on off true false Y n T F; do
    accepted pool=64M share=$yes_or_no swap-header=$yes_or_no
done
refused 'cold=: give a number of seconds' pool=64M cold=
refused 'cold=never: give a number of seconds' pool=64M cold=never
refused 'or off' pool=64M cold=OFF
refused 'cold=-1: give' pool=64M cold=-1
refused 'cold=+1: give' pool=64M cold=+1
refused 'cold=5m: give' pool=64M cold=5m
refused 'cold=0x10: give' pool=64M cold=0x10
refused 'cold=1.5: give' pool=64M cold=1.5
refused 'from 0 to 31536000' pool=64M cold=31536001
refused 'from 0 to 31536000' pool=64M cold=4294967296
refused 'from 0 to 31536000' pool=64M cold=18446744073709551616
refused 'cold= was given twice' pool=64M cold=off cold=300
refused 'cold-cpu=0: give a number from 1 to 100' pool=64M cold-cpu=0
refused 'cold-cpu=101: give' pool=64M cold-cpu=101
refused 'cold-cpu=10%: give' pool=64M cold-cpu=10%
refused 'cold-cpu=: give' pool=64M cold-cpu=
refused 'cold-cpu=4294967297: give' pool=64M cold-cpu=4294967297
refused 'cold-cpu= was given twice' pool=64M cold-cpu=1 cold-cpu=2
refused 'cold-level=0 is no level of zstd' pool=64M cold-level=0
refused 'give a number from 1 to 19' pool=64M cold-level=20
refused 'cold-level=-1 is no level' pool=64M cold-level=-1
refused 'cold-level=max is no level' pool=64M cold-level=max
refused 'cold-level=4294967299 is no level' pool=64M cold-level=4294967299
refused 'cold-level= was given twice' pool=64M cold-level=3 cold-level=3
accepted pool=64M cold=off
accepted pool=64M cold=0 cold-cpu=100 cold-level=1
accepted pool=16M cold=31536000 cold-cpu=1 cold-level=19
accepted pool=64M cold=off cold-cpu=1 cold-level=19
refused 'give auto' pool=64M dedup=
refused 'give auto' pool=64M dedup=yes
refused 'dedup= was given twice' pool=64M dedup=off dedup=off
refused 'group= is empty' pool=64M group=
refused 'guest group= is empty' pool=64M guest=web1,group=
refused 'the name is longer than 127 bytes: give 1 to 127' pool=64M group="$(repeat 128 x)"
refused 'guest group=xxxxx' pool=64M guest=web1,group="$(repeat 200 x)"
refused 'longer than 127 bytes' pool=64M guest=web1,group="$(repeat 200 x)"
refused 'group=a?b: the name has a byte' pool=64M group="$(printf 'a\tb')"
refused 'printable ASCII characters' pool=64M guest=web1,group="$(printf 'a\nb')"
refused 'printable ASCII characters' pool=64M group="$(printf 'a\033[2Jb')"
refused 'printable ASCII characters' pool=64M group=a,b
accepted pool=64M group="$(repeat 127 x)" guest=a guest=b,group="$(repeat 127 y)"
refused 'guest group= was given twice' pool=64M guest=web1,group=a,group=b
refused "cannot take 'groups=a' after the name" pool=64M guest=web1,groups=a
accepted pool=64M dedup=always group=all guest=web1 guest=web2,group=two
accepted pool=64M compressor=lz4 full=error
accepted pool=64M compressor=none full=stall

# Parameters that do not exist.
refused "unknown parameter 'color': nbdkit vmswap --help lists them" pool=64M color=red
refused "unknown parameter 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'" \
    pool=64M "$(repeat 2000 x)=1"
refused "unknown parameter 'poo'" poo=64M
refused "unknown parameter 'pools'" pools=64M
refused "unknown parameter 'Pool'" Pool=64M
refused "unknown parameter 'sizes'" pool=64M sizes=1G
refused "unknown parameter 'swap_header'" pool=64M swap_header=no
refused "unknown parameter 'guests'" pool=64M guests=a
refused "unknown parameter 'cold_cpu'" pool=64M cold_cpu=1

# A pool that the host does not give.
if prlimit --as=2000000000 true 2>/dev/null; then
    refuse_with_limit ()
    {
        nbdkit_before=$nbdkit
        nbdkit=$dir/limited
        printf '#!/bin/sh\nexec prlimit --as=2000000000 %s "$@"\n' \
            "$nbdkit_before" >"$nbdkit"
        chmod +x "$nbdkit"
        refused "$@"
        nbdkit=$nbdkit_before
    }
    refuse_with_limit 'cannot make a pool of 1T' pool=1T
fi

echo "$cases cases"
