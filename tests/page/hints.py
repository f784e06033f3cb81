#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What needs action: every hint of the server is on the page, with its guest and
its cure; what just happened to a guest is there as well, first, and is announced
once; guests with the same trouble are put together."""

import scene
from harness import PAGE, poll, run

ITEMS = """[...document.querySelectorAll("#hints-list > li, #advice-list > li")].map(li => ({
    tag: li.querySelector(".tag").textContent,
    lines: [...li.querySelectorAll("ul li")].map(line => line.textContent),
    more: li.querySelector(".more").hidden ? "" : li.querySelector(".more").textContent,
    fix: li.querySelector(".fix").textContent }))"""


def check_all_told(test, page):
    """As the server has them, and more only behind a semicolon."""
    def told():
        hints = test.server.get("json")["hints"]
        shown = {(line.split("; ")[0], item["fix"]) for item in page.eval(ITEMS) for line in item["lines"]}
        expected = {(("guest %s: " % hint["guest"] if hint["guest"] else "") + hint["seen"],
                     "Fix: " + hint["fix"]) for hint in hints}
        assert len(expected) >= 3, hints
        return expected <= shown
    poll(30, "all hints on the page", told)


def check_refused(test, page):
    assert page.eval("document.title").endswith(" % full - vmswap")
    page.eval("""window.told = []; new MutationObserver(() => told.push(
        document.getElementById("announce").textContent)).observe(
        document.getElementById("announce"), { childList: true })""")
    scene.write(test.server, "web2", 1000, scene.noise) # More than its quota.
    page.wait("model.hints.some(hint => hint.kind === 'quota-refused' && hint.urgency === 0)")
    page.wait("document.querySelectorAll('#hints-list > li').length >= 2")
    first = page.eval(ITEMS)[0]
    assert first["tag"] == "act now", first
    assert len(first["lines"]) == 1 and first["lines"][0].startswith("guest web2: "), first
    assert first["lines"][0].endswith("; 1 in the last two minutes"), first
    assert "quota" in first["fix"], first
    # Said once, not with every answer.
    answers = page.eval("model.times.length")
    page.wait("model.times.length >= %d" % (answers + 2))
    assert page.eval("told") == ["1 thing needs action now"], page.eval("told")
    assert page.eval("document.title").startswith("(1!) "), page.eval("document.title")


def check_together(test, page):
    for number in range(5):
        client = test.server.connect("small%d" % number)
        for place in range(1100):
            client.pread(512, 512 * place)
        client.pwrite(scene.text(1), 16 * PAGE)
        client.shutdown()

    def is_there():
        items = [item for item in page.eval(ITEMS) if "logical_block_size" in item["fix"]]
        return items and items[0]["more"] == "and 2 more guests" and items
    items = poll(30, "five guests in one item", is_there)
    assert len(items) == 1 and len(items[0]["lines"]) == 3, items
    # From a hint to its guest.
    page.eval("document.getElementById('advice').open = true")
    page.eval("""[...document.querySelectorAll("#advice-list button")].find(
        button => button.textContent.startsWith("small")).click()""")
    page.wait("document.getElementById('detail').open")
    name = page.texts("#detail-name")[0]
    assert name.startswith("small"), name
    assert "less than a page" in page.texts("#detail-hints")[0]


def check(test):
    test.server.start("pool=64M", "size=64M")
    client = test.server.connect("noisy")
    client.pwrite(bytes([1]) * PAGE, 16 * PAGE)
    for _ in range(70):
        client.pwrite(bytes([1]) * (1 << 20), 1 << 20)
    client.shutdown()
    scene.write(test.server, "web2", 10, scene.noise)
    test.server.limit("web2", "quota=1M")
    page = test.page()
    check_all_told(test, page)
    check_refused(test, page)
    check_all_told(test, page)
    check_together(test, page)


if __name__ == "__main__":
    run(check)
