#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# An image with cold pages is found sound, with them counted apart; damage in a
# group is found for the pages that it hurts, and nothing is changed.
. "${srcdir:-.}/functions.sh"

# As for check-sound.sh, where nothing is cold; noise mostly stays as it is if its
# neighbours do not outweigh it.
fresh_state cold
check 0
says out 'is sound$'
says out '^web1 +1G +28 +1172 +0 +400 +[0-9.]+M +0 +0$'
says out '^web2 +3T +0 +40 +0 +0 +[0-9.]+K +0 +0$'
says out '^all +3T +28 +1212 +0 +400 +[0-9.]+M +0 +0$'
"$tool" verify "$dir/state" || fail "the pages are not what they were"
check 0
says out '^all +3T +28 +1212 +0 +400 '

# A byte of a group that one page is made of, and one without which none can be
# decoded.  502 is a fill page, and not in it.
"$tool" damage "$dir/state" group web1 500
check 1
says out '^web1 .* 1$'
says out '^  damaged pages: 500$'
says out '^all .* 1$'
says err '1 damaged page'
fresh_state cold
"$tool" damage "$dir/state" frame-of-group web1 500
check 1
says out '^web1 .* 3$'
says out '^  damaged pages: 500 501 503$'

# One page's word: only that one.
fresh_state cold
"$tool" damage "$dir/state" word web1 503
check 1
says out '^  damaged pages: 503$'
fresh_state cold
"$tool" damage "$dir/state" outside web1 503
check 1
says out '^  damaged pages: 503$'
fresh_state cold
"$tool" damage "$dir/state" lost web1 503
check 0
says out '^web1 +1G +28 +1171 +0 +400 +[0-9.]+M +1 +0$'
