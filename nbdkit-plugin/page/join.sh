#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# join.sh FILE: FILE, with each line "@include PATH" replaced by that file; PATH
# is relative to FILE.
set -eu
export LC_ALL=C
awk -v folder="$(dirname "$1")" '
$1 == "@include" {
    path = folder "/" $2
    while ((status = (getline line < path)) > 0)
        print line
    if (status < 0) {
        print "join.sh: cannot read " path | "cat >&2"
        exit 1
    }
    close(path)
    next
}
{ print }' "$1"
