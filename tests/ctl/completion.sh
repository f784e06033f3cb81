#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# bash completes the commands, each option of --help, and the guests of a
# server, whatever their names are.
. "${srcdir:-.}/functions.sh"
. "${srcdir:-.}/online.sh"
requires bash
: "${VMSWAPCTL_BASH:?names the completion: run make check}"

# shellcheck disable=SC2016 # a dollar is a dollar
serve pool=64M guest=web1 guest='a "b" $c' guest=db1 size=64M

# ask_bash WORD...: what bash offers for the last word.
ask_bash ()
{
    bash -c '
        . "$VMSWAPCTL_BASH"
        COMP_WORDS=("$VMSWAPCTL" "$@")
        COMP_CWORD=$#
        _vmswapctl
        printf "%s\n" "${COMPREPLY[@]}" | sort' bash "$@" >"$dir/offer"
}
# shellcheck disable=SC2016 # likewise
odd='a\ \"b\"\ \$c'
offers ()
{
    printf '%s\n' "$@" | sort | diff - "$dir/offer" || fail "other words"
}

commands=$("$ctl" --help | sed -n 's/^  vmswapctl \([a-z]*\) .*/\1/p')
ask_bash ''
# shellcheck disable=SC2086 # several words
offers $commands --help --version
ask_bash re
offers registry reset
for command in $commands; do
    "$ctl" --help | grep "^  vmswapctl $command " | grep -o -e '--[a-z]*' \
        >"$dir/options" || continue
    ask_bash "$command" -
    sort "$dir/options" | diff - "$dir/offer" || fail "options of $command"
done
ask_bash reset --l
offers --lost
ask_bash grow ''
offers web1 db1 "$odd"
ask_bash grow w
offers web1
ask_bash reset --lost a
offers "$odd"
ask_bash reset 'a\ \"'
offers "$odd"
ask_bash limit --quota 1G d
offers db1
# One name, and for grow one size.
ask_bash grow web1 ''
offers 512M 1G 2G 4G 8G 16G 32G 64G 128G
ask_bash grow --control "$control" web1 1
offers 1G 16G 128G
ask_bash grow web1 1G ''
offers ''
for command in limit reset; do
    ask_bash $command web1 ''
    offers ''
done
ask_bash limit web1 --quota 2
offers 256M 2G 25%
ask_bash status --control "$dir/con"
offers "$dir/control"
ask_bash check "$(dirname "$dir")/$(basename "$dir")"
offers "$dir"
unset VMSWAP_CONTROL
ask_bash grow --control "$control" w
offers web1
ask_bash grow --control "$dir/none" w
offers ''
stop -TERM

# A guest that only the registry knows, while no server runs.
mkdir "$dir/reg"
serve pool=64M guest=web1 guest='a  "b" 8G' size=64M registry="$dir/reg"
for name in web1 'a%20%20%22b%22%208G'; do
    nbdsh_to "$name" <<'PY'
h.pwrite (b"page" * 1024, 1 << 20)
PY
done
stop -9
ask_bash reset --control "$dir/none" --registry "$dir/reg" ''
offers web1 'a\ \ \"b\"\ 8G'
ask_bash reset --control "$dir/none" --registry "$dir/reg" w
offers web1
ask_bash reset --control "$dir/none" --registry none ''
offers ''
ask_bash limit --control "$dir/none" ''
offers ''
ask_bash reset --registry no
offers none
