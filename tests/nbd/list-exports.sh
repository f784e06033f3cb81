#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Listings show the exports in the user's order, and what they hold.
. "${srcdir:-.}/functions.sh"
requires nbdinfo --version
requires jq --version
requires_nbdsh

names ()
{
    nbdinfo --list --json "$uri" | jq -r '.exports[]."export-name"'
}

describe ()
{
    nbdsh -c "
h.set_opt_mode (True)
h.set_full_info (True)
h.connect_uri ('$(export_uri "$1")')
h.opt_info ()
print (h.get_export_description ())
h.opt_abort ()"
}

start_nbdkit pool=64M size=8G guest=web1 guest=db1,size=40K 'guest=a/b c'
[ "$(names)" = "web1
db1
a/b c" ] || fail "wrong names: $(names)"
[ "$(describe web1)" = 'vmswap web1 8G: empty' ] || fail "$(describe web1)"
[ "$(describe db1)" = 'vmswap db1 40K: empty' ] || fail "$(describe db1)"

nbdsh_to "$(export_uri web1)" <<'PY'
import os
for i in range (256):
    h.pwrite (os.urandom (2048) + bytes (2048), 1 << 20 | i * 4096)
PY
description=$(describe web1)
echo "$description"
echo "$description" \
    | grep -q -x -E 'vmswap web1 8G: 1(\.[0-9])?M swapped in [5-9][0-9]{2}K of RAM' \
    || fail "wrong description: $description"
nbdinfo --list --json "$uri" | jq -r '.exports[0].description' \
    | grep -q 'swapped in' || fail "the listing has no description"
stop_nbdkit

# Where exports open by name, those that exist are listed.
start_nbdkit pool=64M
[ "$(names)" = default ] || fail "wrong names: $(names)"
for name in one two; do
    nbdsh -u "$(export_uri $name)" -c 'h.pwrite (b"x" * 512, 8192)'
done
[ "$(names)" = "one
two" ] || fail "wrong names: $(names)"
stop_nbdkit
