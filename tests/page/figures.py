#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""At a quiet moment the page says what /json says: the pool with its parts, each
guest in the table, and every figure of each in its detail view.  Rows appear with
their exports, and go with them."""

import random
import socket

from harness import PAGE, poll, run


def human(size):
    """Independent of the page's own: one decimal below ten."""
    if size < 0:
        return "\u2212" + human(-size)
    if size < 1024:
        return str(size)
    unit = 0
    while unit < 5 and size >= 1024 ** (unit + 2):
        unit += 1
    tenths = (size * 10 * 2 // 1024 ** (unit + 1) + 1) // 2
    if tenths < 100:
        return ("%d.%d" % divmod(tenths, 10)).replace(".0", "") + "KMGTPE"[unit]
    return "%d%s" % ((size * 2 // 1024 ** (unit + 1) + 1) // 2, "KMGTPE"[unit])


def fill(server, name, kinds, seed):
    """Pages of these kinds, some read again, some discarded."""
    rng = random.Random(seed)
    client = server.connect(name)
    for page, kind in enumerate(kinds, 16):
        data = {"raw": lambda: rng.randbytes(PAGE),
                "fill": lambda: bytes([7]) * PAGE,
                "text": lambda: rng.randbytes(64) * (PAGE // 64),
                # Much smaller when it is cold.
                "digits": lambda: rng.randbytes(PAGE // 2).hex().encode(),
                "same": lambda: random.Random(page).randbytes(512) * 8}[kind]()
        client.pwrite(data, page * PAGE)
    client.pread(32 * PAGE, 0)
    client.trim(4 * PAGE, 16 * PAGE)
    return client


def is_shown(page, now):
    """The last answer that the page drew is that one."""
    return page.eval("""(() => { const last = {...model.now};
        delete last.time; delete last.clock_ns; return last; })()""") == now


def legend(page, name):
    return {label: (size, percent) for label, size, percent in page.eval(
        """[...document.querySelectorAll("#%s-legend li:not([hidden])")].map(li =>
           [".label", "b", "small"].map(s => li.querySelector(s).textContent))""" % name)}


def check_pool(page, pool):
    head = dict(page.eval("""[...document.querySelectorAll("#pool-head > div")].map(d =>
        [d.firstChild.textContent, d.lastChild.textContent])"""))
    assert head["used"] == "%s of %s" % (human(pool["used_bytes"]), human(pool["limit_bytes"]))
    assert head["swapped"] == human(pool["stored_bytes"]), head
    assert head["saved"] == human(pool["saved_bytes"]), head
    assert head["ratio"] == "%.2f" % pool["effective_ratio"], head
    hot = pool["blob_bytes"] - pool["shared_blob_bytes"] - pool["cold_bytes"]
    taken = legend(page, "taken")
    assert taken["fill pages"][1] == "{:,} pages".format(pool["fill_pages"]), taken
    parts = {label: part[0] for label, part in taken.items()}
    assert parts == {
        "fill pages": "0",
        "hot pages": human(hot),
        "shared pages": human(pool["shared_blob_bytes"]),
        "cold pages": human(pool["cold_bytes"]),
        "tables, fixed": human(pool["table_bytes"] + pool["fixed_bytes"]),
        "holes in segments": human(pool["segment_bytes"] - pool["blob_bytes"] -
                                   pool["free_bytes"]),
        "free segments": human(pool["free_bytes"]),
        "not taken": human(pool["limit_bytes"] - pool["used_bytes"]),
        "kept free for reserves": human(pool["unfilled_bytes"]),
    }, parts
    blobs = (pool["stored_pages"] - pool["fill_pages"]) * PAGE
    saved = {label: part[0] for label, part in legend(page, "saved").items()}
    assert saved == {
        "kept hot": human(hot),
        "kept shared": human(pool["shared_blob_bytes"]),
        "kept cold": human(pool["cold_bytes"]),
        "saved by compression": human(blobs - pool["blob_bytes"] - pool["shared_saved_bytes"]),
        "saved by sharing": human(pool["shared_saved_bytes"]),
        "saved by fill pages": human(pool["fill_pages"] * PAGE),
    }, saved
    # What the bars show is what they say: widths are the shares of the limit.
    widths = page.eval("""(() => { const whole = document.getElementById("taken").clientWidth;
        return [...document.querySelectorAll("#taken .part")].map(
          p => p.getBoundingClientRect().width / whole); })()""")
    of_limit = [0, hot, pool["shared_blob_bytes"], pool["cold_bytes"],
                pool["table_bytes"] + pool["fixed_bytes"],
                pool["segment_bytes"] - pool["blob_bytes"] - pool["free_bytes"],
                pool["free_bytes"], pool["limit_bytes"] - pool["used_bytes"],
                pool["unfilled_bytes"]]
    for width, size in zip(widths, of_limit, strict=True):
        assert abs(width - size / pool["limit_bytes"]) < 0.02, (widths, of_limit)
    page.eval("document.getElementById('pool-all').open = true")
    check_figures(page, "pool-figures", pool)


def check_figures(page, where, values):
    """Every figure, exactly, with the meaning that the server gives it."""
    scope = "pool" if where.startswith("pool") else "guest"
    page.wait("document.querySelectorAll('#%s tr').length" % where)
    shown = page.eval("""[...document.querySelectorAll("#%s tr")].map(tr =>
        [tr.children[0].textContent, tr.querySelector(".exact").textContent,
         tr.querySelector(".human").textContent, tr.children[2].textContent])""" % where)
    table = page.table[scope]
    assert [row[0] for row in shown] == [figure["name"] for figure in table]
    for (name, exact, text, meaning), figure in zip(shown, table):
        assert meaning == figure["meaning"], figure
        if figure["unit"] == "flag":
            assert text == ("yes" if values[name] else "no"), (name, text)
            continue
        number, _, unit = (exact or text).partition(" ")
        if name == "cold_cpu_seconds": # The server has looked again for old pages.
            assert float(number) >= float(values[name]) and unit == "seconds", exact
            continue
        assert float(number.replace(",", "")) == float(values[name]), (name, exact, text)
        assert unit == figure["unit"] or figure["unit"] == "count", (figure, exact)
        if unit == "bytes":
            assert text == human(values[name]), (name, text)


def row_of(page, name):
    rows = page.eval("""[...document.querySelectorAll("#rows tr")].map(tr =>
        Object.fromEntries([...tr.children].map(
          cell => [cell.dataset.label, cell.textContent])))""")
    found = [row for row in rows if row["Guest"].lstrip("!") == name]
    assert len(found) == 1, (name, rows)
    return found[0]


def check_row(page, guest):
    row = row_of(page, guest["name"])
    assert row["Swapped"] == human(guest["stored_bytes"]), row
    assert row["Held"] == human(guest["held_bytes"]), row
    assert row["Ratio"] == ("%.2f" % guest["effective_ratio"]
                            if guest["effective_ratio"] else "-"), row
    cold = 100 * guest["cold_pages"] / guest["stored_pages"] if guest["cold_pages"] else None
    assert row["Cold"] == ("-" if cold is None else "<1 %" if cold < 1 else
                           "%d %%" % (cold + 0.5)), row
    state = ("in use" if guest["in_use"] else
             "connected" if guest["connections"] else "idle")
    assert row["State"].endswith(state), row
    if guest["quota_bytes"]:
        assert row["Quota used"].endswith(" of " + human(guest["quota_bytes"])), row
        percent = 100 * guest["charged_bytes"] / guest["quota_bytes"]
        shown = row["Quota used"].split(" %")[0]
        assert shown == "<1" if percent < 1 else abs(float(shown) - percent) <= 0.51, row
    else:
        assert row["Quota used"] == "-", row
    assert row["Errors"] == str(guest["full_errors"] + guest["io_errors"] +
                                guest["other_errors"]), row
    # Nothing goes on now.
    assert row["Out"] == row["In"] == "0/s" and row["Read p99"] == "-", row


def check_detail(page, guest):
    page.eval("openDetail(%r)" % guest["id"])
    page.wait("document.getElementById('detail').open")
    assert page.texts("#detail-name") == [guest["name"]]
    check_figures(page, "detail-figures", guest)
    page.key("Escape")
    page.wait("!document.getElementById('detail').open")


def check_rates(test, page):
    """While a guest writes and reads, its row says how much and how long."""
    client = test.server.connect("fresh")
    data = b"swap" * 16384
    number = 0

    def is_seen():
        nonlocal number
        for _ in range(20):
            client.pwrite(data, number % 64 << 16)
            client.pread(len(data), number % 64 << 16)
            number += 1
        return page.eval("""(() => { const g = [...model.guests.values()].find(
            g => g.now.name === "fresh");
            return g && g.rate.out > 0 && g.rate.in > 0 && g.p99 > 0; })()""")
    poll(60, "rates of a guest that swaps", is_seen)
    row = page.wait("""(() => { const row = [...document.querySelectorAll("#rows tr")].find(
        tr => tr.querySelector("button").textContent === "fresh");
        return row && [...row.children].map(cell => cell.textContent); })()""")
    assert row[1].endswith("in use"), row
    client.shutdown()


def check_rings(test, page):
    """Who shares memory with the server, and who of them waits for room."""
    test.server.kill()
    sockets = [test.folder + "/" + name for name in ("ring1", "ring2")]
    test.server.start("pool=64M", "size=64M", "guest=ring1,ivshmem=" + sockets[0],
                      "guest=ring2,quota=8M,region=32M,ivshmem=" + sockets[1])
    state = """[...document.querySelectorAll("#rows tr")].map(
        row => [...row.children].slice(0, 2).map(cell => cell.lastChild.previousSibling
          ? cell.children[1].textContent : cell.textContent)).sort().join("; ")"""
    page.wait(state + " === 'ring1,idle; ring2,idle'")
    qemus = [socket.socket(socket.AF_UNIX) for _ in sockets]
    for qemu, path in zip(qemus, sockets):
        qemu.connect(path)
    page.wait(state + " === 'ring1,ring; ring2,ring full'")
    page.eval("openDetail('ring2')")
    page.wait("document.getElementById('detail').open")
    assert page.texts("#detail-state")[0].startswith("ring full"), page.texts("#detail-state")
    page.key("Escape")
    for qemu in qemus:
        qemu.close()
    page.wait(state + " === 'ring1,idle; ring2,idle'")


def make_cold(test, client):
    """Pages that are cold, and some that are warm again."""
    poll(120, "cold pages", lambda: all(
        guest["cold_pages"] > 0 for guest in test.server.get("json")["guests"][:2]))

    def is_warm():
        # Some others may have become cold first: read until it is these pages.
        # Reading makes none younger: its age is that of its last write.
        client.pread(16 * PAGE, 400 * PAGE)
        return test.server.get("json")["pool"]["warmed_pages"] > 0
    poll(120, "warm pages", is_warm)


def without_cpu(now):
    return {**now, "pool": {**now["pool"], "cold_cpu_seconds": 0}}


def check_all(test, page, agree):
    """Pages may still become cold: then what was seen is of no moment."""
    now = poll(120, "the page shows the quiet server", agree)
    try:
        # Rates of the interval before last may be on the page still.
        page.wait("[...model.guests.values()].every(g => g.rate.out === 0 && "
                  "g.rate.in === 0 && !g.p99)")
        check_pool(page, now["pool"])
        for guest in now["guests"]:
            check_row(page, guest)
            check_detail(page, guest)
    except AssertionError:
        if without_cpu(test.quiet_json()) == without_cpu(now):
            raise
        page.eval("document.getElementById('detail').close()")
        return None
    # Parts that are there are no zeroes, or this would prove little.
    for figure in ("shared_blob_bytes", "shared_saved_bytes", "fill_pages", "unfilled_bytes",
                   "cold_bytes", "cooled_pages", "warmed_pages", "cold_cpu_seconds"):
        assert now["pool"][figure] > 0, figure
    return now


def check(test):
    # Old pages are looked for once a second then; in between the server is quiet.
    test.server.start("pool=64M", "size=64M", "dedup=always", "group=all", "cold=8",
                      "cold-cpu=100",
                      "guest=web1,quota=8M", "guest=db1", "guest=idle1,reserve=16M")
    page = test.page()
    page.table = test.server.get("figures")
    page.wait("document.querySelectorAll('#rows tr').length === 3")
    clients = [
        fill(test.server, "web1", ["raw", "fill", "text", "same"] * 80 + ["digits"] * 600, 1),
        # More of "same", at the same places, so that they are shared.
        fill(test.server, "db1", ["text", "raw", "fill", "same"] * 80 + ["digits"] * 600, 2),
    ]

    def agree():
        now = test.quiet_json()
        return is_shown(page, now) and now
    make_cold(test, clients[0])
    poll(120, "all of the page is of one moment", lambda: check_all(test, page, agree))
    for client in clients:
        client.shutdown()
    page.wait("[...model.guests.values()].every(g => g.state === 'idle')")
    # Another process has other exports.
    test.server.kill()
    test.server.start("pool=64M", "size=64M")
    page.wait("model.guests.size === 0")
    page.wait("document.querySelectorAll('#rows tr').length === 0")
    assert page.eval("!document.getElementById('nobody').hidden")
    check_rates(test, page)
    check_rings(test, page)
    test.forgive_refused()


if __name__ == "__main__":
    run(check)
