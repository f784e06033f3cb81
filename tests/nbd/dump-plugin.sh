#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# nbdkit --dump-plugin tells what the plugin can do, and --help how to use it.
. "${srcdir:-.}/functions.sh"

"$nbdkit" "$plugin" --dump-plugin >"$dir/dump.log" 2>&1
cat "$dir/dump.log"

for line in name=vmswap api_version=2 max_thread_model=parallel thread_model=serialize_requests \
            magic_config_key=pool "version=$VERSION" \
            "vmswap_version=$VERSION" vmswap_compressors=lz4,none \
            vmswap_full=error,stall vmswap_page_size=4096 \
            vmswap_min_pool=$((16 << 20)) vmswap_max_pool=$((8 << 40)) \
            vmswap_min_size=40960 vmswap_max_size=$((16 << 40)) \
            vmswap_max_exports=1024 vmswap_mlock=yes \
            vmswap_cold=yes vmswap_max_cold_level=19 \
            vmswap_min_quota=65536 vmswap_reserve=yes vmswap_ivshmem=yes; do
    grep -q -x -F "$line" "$dir/dump.log" || fail "no line $line"
done
if grep -v -E '^[a-z0-9_]+=' "$dir/dump.log"; then
    fail "a line that is not key=value"
fi

"$nbdkit" "$plugin" --help >"$dir/help.log" 2>&1
grep -q 'pool=\]SIZE' "$dir/help.log" || fail "--help does not tell of pool="

# Nothing is exported but what nbdkit looks for.
requires nm --version
nm -D --defined-only "$plugin" | awk '{ print $3 }' | sort >"$dir/symbols.log"
if grep -v -x -e plugin_init -e 'vmswap_debug_.*' "$dir/symbols.log"; then
    fail "symbols that should be local"
fi
