#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A sound image is found sound, with the right counts, and stays what it was:
# empty, full, with volumes, lost pages counted apart from damaged ones.
. "${srcdir:-.}/functions.sh"

fresh_state empty
check 0
says out 'is sound$'
says out '^all +0 +0 +0 +0 +0 +0 +0 +0$'

# web1: of 2000 pages a fifth is fill, a fifth empty.
fresh_state fill
check 0
says out 'is sound$'
says out '^web1 +1G +1200 +0 +0 +400 +[0-9.]+M +0 +0$'
says out '^web2 +3T +40 +0 +0 +0 +[0-9.]+K +0 +0$'
says out '^all +3T +1240 +0 +0 +400 +[0-9.]+M +0 +0$'
says out 'verified in .* thread'
"$tool" verify "$dir/state" || fail "the pages are not what they were"

# Adopted by another process meanwhile: nothing is different.
check 0
says out '^all +3T +1240 +0 +0 +400 '

# Pages that were lost before: nothing new to find, but told.
"$tool" damage "$dir/state" lost web1 10
"$tool" damage "$dir/state" lost web1 12
check 0
says out '^web1 +1G +1199 +0 +0 +399 +[0-9.]+M +2 +0$'

# So are those that an earlier pool had: 4096, less 3, less two written.
fresh_state lose
check 0
says out '^gone +16M +2 +0 +0 +1 +[0-9.]+K? +4091 +0$'

fresh_state full
check 0
says out '^full '

# Made, and never finished: a server would start empty.
rm -rf "$dir/state"
mkdir "$dir/state"
truncate -s 64M "$dir/state/pool.vmswap"
check 0
says out 'holds no pool yet'

# A copy on another file system, where a server would refuse to start.
other=$(mktemp -d "${TMPDIR:-/tmp}/vmswap-ctl.XXXXXX")
cp --sparse=always "$dir/fill/pool.vmswap" "$other/"
status=0
"$ctl" check "$other" >"$dir/out" 2>"$dir/err" || status=$?
rm -rf "$other"
[ "$status" -eq 0 ] || fail "a copy in ${TMPDIR:-/tmp}: status $status"
says out '^all +3T +1240 +0 +0 +400 '
