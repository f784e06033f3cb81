#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A server that requires TLS tells no export name to clients without.
. "${srcdir:-.}/functions.sh"
requires psktool --version
requires nbdinfo --version
"$nbdkit" --dump-config | grep -q -x tls=yes || skip "nbdkit without TLS"
nbdinfo --version | grep -q libnbd || skip "nbdinfo without libnbd"

psktool -u guest -p "$dir/psk" >"$dir/psktool.log" 2>&1
chmod 600 "$dir/psk"
nbdkit_options="--tls=require --tls-psk=$dir/psk"
start_nbdkit pool=64M guest=secret-name,size=16M

# With the key: the names are there.
tls="nbds+unix://guest@/?socket=$dir/sock&tls-psk-file=$dir/psk"
nbdinfo --list "$tls" >"$dir/tls.log" 2>&1 || fail "no listing with TLS"
grep -q secret-name "$dir/tls.log" || fail "no name with TLS"

# Without: no listing, no default export, no export, and no name anywhere.
for command in "nbdinfo --list $uri" "nbdinfo $uri" "nbdinfo --map $uri" \
               "nbdinfo $(export_uri '')" "nbdinfo $(export_uri guess)"; do
    if $command >>"$dir/plain.log" 2>&1; then
        fail "worked without TLS: $command"
    fi
done
if grep -q -e secret-name "$dir/plain.log"; then
    fail "the name was told to a client without TLS"
fi
stop_nbdkit
