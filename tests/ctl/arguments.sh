#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Wrong arguments and what is not there: status 2, one line, nothing made.
# --help lists every command, and the manual describes each.
. "${srcdir:-.}/functions.sh"

# wrong PATTERN ARG...
wrong ()
{
    pattern=$1
    shift
    ctl 2 "$@"
    says err "$pattern"
    [ ! -s "$dir/out" ] || fail "$*: prints results"
}
wrong 'which command'
wrong "no command 'chekc'" chekc "$dir"
wrong "unrecognized option|lists what there is" --chekc
wrong 'usage: vmswapctl check DIR' check
wrong 'usage: vmswapctl check DIR' check "$dir" "$dir"
wrong 'usage: vmswapctl check DIR' check -x "$dir"
wrong 'usage: vmswapctl registry \[DIR\]' registry "$dir" "$dir"
wrong "no registry in $dir/none" registry "$dir/none"
wrong "no registry in $dir" registry "$dir"
wrong 'usage: vmswapctl reset ' reset
wrong 'usage: vmswapctl reset ' reset --state
wrong 'usage: vmswapctl reset ' reset --pool "$dir" web1
wrong 'usage: vmswapctl reset ' reset --registry none ''
wrong 'usage: vmswapctl reset ' reset --registry none web1 web2
wrong "no registry in $dir/none" reset --registry "$dir/none" web1
wrong 'name the server.s directories' reset --registry none web1
wrong "$dir/none/pool.vmswap: No such file" reset --registry none \
    --state "$dir/none" web1
[ ! -e "$dir/none" ] || fail "something was made"
for command in doctor json metrics status top; do
    wrong "usage: vmswapctl $command " $command web1
    wrong "usage: vmswapctl $command " $command --control
    wrong "usage: vmswapctl $command " $command --state "$dir"
    wrong "no server answers at $dir/none" $command --control "$dir/none"
done
wrong 'usage: vmswapctl status ' status --textfile "$dir/none"
wrong 'usage: vmswapctl metrics ' metrics --all
wrong 'usage: vmswapctl grow ' grow web1
wrong 'usage: vmswapctl grow ' grow web1 1G 2G
wrong 'usage: vmswapctl grow ' grow '' 1G
wrong 'usage: vmswapctl limit ' limit web1
wrong 'usage: vmswapctl limit ' limit --quota 1G
wrong "a number has no sign: give one such as 8G" grow web1 -1
wrong "a number has no sign: give one such as 8G" grow -1
wrong "'-1' is no size" grow web1 -- -1
wrong "no option '-x' .a name that begins with '-' goes after --" limit --quota 1G -x
wrong "no option '-c'" status -c "$dir/none"
wrong "no option '-x'" registry -x
wrong "no option '--pool'" reset --pool "$dir" web1
wrong 'write --registry in full' reset --re none web1
wrong 'write --quota in full' limit --quo 1G web1
wrong 'write --quota in full' limit web1 --quo=1G
wrong 'write --control in full' status --c "$dir/none"
wrong '--quota was given twice: give it once' limit --quota 1G --quota=2G web1
wrong '--control was given twice' status --control "$dir/none" --control "$dir/none"
wrong '--lost was given twice' reset --lost --lost web1
wrong '--quota needs a value' limit web1 --quota
wrong '--all takes no value' status --all=1
wrong "no command '--vers'" --vers
for part in 0% 101% 4294967297%; do
    wrong "quota $part is no part of the pool: give 1% to 100%" limit --quota $part web1
done
wrong "'5.5%' is no size" limit --reserve 5.5% web1
wrong "no server answers at $dir/none" grow --control "$dir/none" web1 1G
wrong "no server answers at $dir/none" limit --control "$dir/none" --quota 1 web1
wrong "no server answers at $dir/none" reset --control "$dir/none" web1
VMSWAP_CONTROL=$dir/nowhere
export VMSWAP_CONTROL
wrong "no server answers at $dir/nowhere" status
wrong "$dir/none/pool.vmswap: No such file" check "$dir/none"
mkdir "$dir/bare"
wrong "$dir/bare/pool.vmswap: No such file" check "$dir/bare"
[ -z "$(ls -A "$dir/bare")" ] || fail "check made something"
mkdir -p "$dir/odd/pool.vmswap"
wrong 'Invalid argument' check "$dir/odd"
rmdir "$dir/odd/pool.vmswap"
mkfifo "$dir/odd/pool.vmswap"
wrong 'Invalid argument' check "$dir/odd"
rm "$dir/odd/pool.vmswap"
ln -s "$dir/bare" "$dir/odd/pool.vmswap"
wrong 'pool.vmswap: ' check "$dir/odd"

# A result that nobody got is no success.
fresh_state fill
status=0
"$ctl" check "$dir/state" >/dev/full 2>"$dir/err" || status=$?
[ "$status" -eq 2 ] || fail "on /dev/full: status $status"

ctl 0 --version
says out "^vmswapctl $VERSION\$"
ctl 0 --help
commands=$(sed -n 's/^  vmswapctl \([a-z]*\) .*/\1/p' "$dir/out")
[ -n "$commands" ] || fail "no commands in --help"
for command in $commands; do
    grep -q "^=head2 $command" "$VMSWAPCTL_POD" \
        || fail "the manual lacks $command"
done
[ "$(grep -c '^=head2 [a-z]' "$VMSWAPCTL_POD")" = \
  "$(echo "$commands" | wc -w)" ] || fail "the manual has other commands"
if command -v podchecker >/dev/null; then
    podchecker -warnings "$VMSWAPCTL_POD" >"$dir/out" 2>&1 || fail podchecker
    ! grep -q WARNING "$dir/out" || fail "podchecker warns"
fi
