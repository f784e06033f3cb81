#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# All views of a server agree in every figure, at a quiet moment: /json,
# /metrics, vmswapctl json, metrics, status and top.  The metrics are what Prometheus
# can read, whatever the names of the exports are.
. "${srcdir:-.}/functions.sh"
. "${srcdir:-.}/online.sh"
requires jq

# All that a name can hold and that some format could trip over.
cat >"$dir/names" <<'NAMES'
web1
a "quoted" \ name \n
{guest="x"} 1
%00%n ?&=#+
<script>alert(1)</script>
NAMES

# Pages are cold after 8 seconds, and some are warm again; between looks for old
# ones, once a second, the server is quiet.
serve pool=64M size=32M cold=8 cold-cpu=100
python3 "${srcdir:-.}/views.py" fill "$dir"
ctl 0 limit --quota 1M web1
is_true ()
{
    get /json | jq -e "$1" >"$dir/out"
}
poll 120 is_true '[.guests[].cold_pages > 0] | all' || fail "no cold pages"
# Some pages may have become cold before those that are read.  Reading makes no page
# younger: its age is that of its last write.
is_warm ()
{
    python3 "${srcdir:-.}/views.py" touch "$dir" || fail "cold pages cannot be read"
    is_true '.pool.warmed_pages > 0'
}
poll 120 is_warm || fail "no page became warm"

# The server is quiet once its steward has tidied up.
all_views_agree ()
{
    "$ctl" json >"$dir/json"
    "$ctl" metrics >"$dir/metrics"
    "$ctl" status --all >"$dir/all"
    "$ctl" status >"$dir/status"
    "$ctl" top --once --delay 0 >"$dir/top"
    get /figures >"$dir/figures"
    get /json >"$dir/json2"
    status=0
    python3 "${srcdir:-.}/views.py" compare "$dir" || status=$?
    [ "$status" -eq 0 ] || [ "$status" -eq 3 ] || fail "see above"
    return "$status"
}
poll 60 all_views_agree || fail "the server is never quiet"

# Page tables: the pool may have more than its guests, and says why.
is_true '.pool.table_bytes >= ([.guests[].table_bytes] | add)' \
    || fail "the guests have more tables than the pool"
jq -r '.. | objects | select (.name? == "table_bytes") | .meaning' \
    "$dir/figures" >"$dir/meanings"
grep -q 'kept ready for more of them: so more than the sum of the guests' \
    "$dir/meanings" || fail "it does not say why"

# The text file is the same, readable, and nothing else is left there.
mkdir "$dir/textfile"
textfile_agrees ()
{
    ctl 0 metrics --textfile "$dir/textfile/vmswap.prom"
    "$ctl" metrics | cmp -s "$dir/textfile/vmswap.prom" -
}
poll 60 textfile_agrees || fail "the text file differs"
[ "$(stat -c %a "$dir/textfile/vmswap.prom")" = 644 ] || fail "its mode"
[ "$(ls -A "$dir/textfile")" = vmswap.prom ] || fail "more files"
mkfifo "$dir/fifo"
ctl 2 metrics --textfile "$dir/fifo"
[ -p "$dir/fifo" ] || fail "a fifo was replaced"
ctl 2 metrics --textfile "$dir/none/vmswap.prom"

# No guests, and a full registry of words that --all knows.
stop -TERM
serve pool=64M size=32M
ctl 0 status
says out '^no guests$'
"$ctl" metrics >"$dir/metrics"
python3 "${srcdir:-.}/views.py" parse "$dir" || fail "metrics without guests"
