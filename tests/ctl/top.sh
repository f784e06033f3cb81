#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# vmswapctl top on terminals of several sizes, by tmux: what is dearest is there
# at 80x24, more of it at 140x40, nothing runs over; sort, scroll, quit; a guest's
# name does nothing to the terminal; when the server dies, it says so and comes
# back to life with the next.  Without a terminal it says what to do.
. "${srcdir:-.}/functions.sh"
. "${srcdir:-.}/online.sh"
requires tmux
LC_ALL=C.UTF-8
export LC_ALL

tmux ()
{
    command tmux -S "$dir/tmux" -f /dev/null "$@"
}
# start_tmux COMMAND: on a terminal of 80x24, which goes with the test.
start_tmux ()
{
    tmux new-session -d -x 80 -y 24 "$1"
    pids="$pids $(tmux display-message -p '#{pid}')"
}

serve pool=64M size=64M
cat >"$dir/names" <<'NAMES'
zeta
a name of more than forty characters to be cut somewhere
NAMES
for i in $(seq 10 50); do echo "guest$i"; done >>"$dir/names"
nbdsh -c - <<PY
import nbd, random
for number, name in enumerate (open ("$dir/names").read ().splitlines ()):
    client = nbd.NBD ()
    client.set_export_name (name)
    client.connect_unix ("$dir/sock")
    for page in range (1, 3 + 3 * number):
        client.pwrite (random.randbytes (64) * 64, page * 4096)
    client.shutdown ()
PY

screen ()
{
    tmux capture-pane -p >"$dir/screen"
}
shows ()
{
    screen
    grep -q -E -e "$1" "$dir/screen"
}
# Two minutes, for what becomes cold at idle priority on a busy machine.
must_show ()
{
    poll 120 shows "$1" || { cat "$dir/screen"; fail "the screen lacks '$1'"; }
}
# The first guest of the table.
first_guest ()
{
    screen
    sed -n '/^GUEST/{n;p;}' "$dir/screen"
}
first_is ()
{
    case $(first_guest) in
        "$1"*) ;;
        *) return 1 ;;
    esac
}

start_tmux "'$ctl' top --delay 0.2; echo over; cat"
must_show '^vmswap '
must_show '^pool   \[.*\] .* of 64M used$'
must_show '^memory # hot [0-9.]+K  = shared 0  [+] cold 0  : other [0-9.]+M  [.] free'
must_show '^GUEST +STORED +HELD +RATIO +OUT/s +IN/s +RD p50 +RD p99 +WR p99 +STATE$'
must_show 'idle$'
must_show '^! server: there is no registry'
must_show '^q quit   s sort \(by held\)   arrows scroll$'
[ "$(wc -l <"$dir/screen")" -le 24 ] || fail "more than 24 lines"
[ "$(wc -L <"$dir/screen")" -le 80 ] || fail "more than 80 columns"
cp "$dir/screen" "$dir/screen.80x24"

# Sorted by memory: the last guest has most pages; then by name.
poll 30 first_is guest50 || fail "not sorted by memory: $(first_guest)"
tmux send-keys s s s s
must_show 'sort \(by name\)'
poll 30 first_is 'a name of m' || fail "not sorted by name: $(first_guest)"
tmux send-keys Down
poll 30 first_is guest10 || fail "Down does not scroll: $(first_guest)"
tmux send-keys Up Up Up
poll 30 first_is 'a name of m' || fail "Up does not scroll: $(first_guest)"
tmux send-keys PPage NPage NPage NPage NPage NPage NPage NPage
must_show '^zeta '

tmux resize-window -x 140 -y 40
must_show 'STATE +COLD +QUOTA +SAVED +SIZE +TRIM/s +REQ/s +ERRORS$'
[ "$(wc -l <"$dir/screen")" -le 40 ] || fail "more than 40 lines"
[ "$(wc -L <"$dir/screen")" -le 140 ] || fail "more than 140 columns"
tmux resize-window -x 20 -y 5
must_show '^q quit'
tmux resize-window -x 100 -y 30
must_show '^vmswap '

# Rates, while something happens.
nbdsh_to zeta <<PY &
while True:
    h.pwrite (b"z" * 65536, 65536)
    h.pread (65536, 65536)
PY
load=$!
pids="$pids $load"
tmux send-keys s s
must_show 'sort \(by out\)'
poll 30 first_is zeta || fail "not sorted by rate: $(first_guest)"
must_show '^zeta .* [0-9.]+[KMG] +[0-9.]+[KMG] +[0-9.]+[mu]?s .* in use'
kill -9 "$load"

# The server goes and another comes.
stop -9
must_show 'OLD: no server answers at'
serve pool=64M size=64M cold=0 cold-cpu=100
must_show 'guests 0'
! grep -q OLD: "$dir/screen" || fail "still old"

# Pages that become cold: LZ4 does next to nothing for hexadecimal digits, zstd
# takes half of it away.
nbdsh_to old <<'PY'
import random
digits = random.Random (1)
for i in range (1, 17):
    h.pwrite (digits.randbytes (1 << 19).hex ().encode (), i << 20)
for page in range (16, 128):
    h.pwrite (digits.randbytes (4096), page * 4096)
PY
must_show '^old .* idle +9[0-9]%'
must_show '[+] cold [89][.]?[0-9]*M '
must_show '^pool   \[#*[+]{8,}:+[.]* *\] '
tmux resize-window -x 80 -y 24
must_show '^pool   \[#*[+]{5,}:+[.]* *\] .* of 64M used$'
must_show '^memory .*[.] free [0-9.]+M?$'
must_show '^pages  stored .* cold [34][0-9]{3} '
must_show '^rates  out .* cooled '
[ "$(wc -L <"$dir/screen")" -le 80 ] || fail "more than 80 columns"
tmux send-keys q
must_show '^over'

# Without a terminal.
ctl 2 top
says err 'top needs a terminal; without one: vmswapctl top --once'
ctl 0 top --once --delay 0
says out '^GUEST '
for delay in x -1 1x nan '' 4000; do
    ctl 2 top --once --delay "$delay"
    says err 'give seconds'
done
start_tmux "TERM=none-such '$ctl' top; echo over; cat"
must_show "nothing is known of the terminal 'none-such'"
