#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""All of the page can be used with the keyboard alone: the filter, sorting by
every column, going through the rows, and the details of a guest; the focus can be
seen, and stays while figures change."""

import scene
from harness import run

COLUMNS = ["name", "state", "swapped", "held", "ratio", "cold-share", "quota", "out", "in",
           "p50", "p99", "errors"]


def focused(page):
    return page.eval("document.activeElement.textContent || document.activeElement.id")


def names(page):
    return page.texts("#rows bdi")


def tab_to(page, wanted):
    """Presses Tab until the focus is there."""
    for _ in range(40):
        if page.eval("document.activeElement.matches(%r)" % wanted):
            outline = page.eval("getComputedStyle(document.activeElement).outlineStyle + "
                                "getComputedStyle(document.activeElement).outlineWidth")
            assert outline == "solid3px", (wanted, outline)
            return
        page.key("Tab")
    raise AssertionError("Tab does not reach " + wanted)


def check_filter(page):
    page.key("/")
    assert focused(page) == "filter"
    page.type("WEB")
    assert sorted(names(page)) == ["web1", "web2"], names(page)
    assert page.texts("#shown") == ["2 of 4"]
    page.type("/") # A slash in the filter is one.
    assert page.eval("document.getElementById('filter').value") == "WEB/"
    assert names(page) == []
    assert page.eval("!document.getElementById('nobody').hidden")
    page.key("Escape")
    assert len(names(page)) == 4 and page.eval("document.getElementById('filter').value") == ""
    page.key("Escape")
    assert page.eval("document.activeElement === document.body")


def check_sorting(page):
    """Each column, both ways, by what it is sorted by."""
    page.key("/", "Tab") # The check box
    for column in COLUMNS:
        tab_to(page, "#columns .%s button" % column)
        orders = {}
        for _ in range(2):
            page.key("Enter")
            way = page.eval("document.querySelector('#columns .%s').ariaSort" % column)
            # One answer, so that values and rows are of the same moment.
            values = page.eval("""rows.order.map(g => {
                const v = sorting.column.value(g); return v === undefined ? "?" : v; })""")
            assert "?" not in values, values
            there = [v for v in values if v is not None]
            assert values[:len(there)] == there, values # Unknown ones are last.
            assert there == sorted(there, reverse=way == "descending"), (column, way, there)
            assert names(page) == page.eval("rows.order.map(g => g.name)")
            orders[way] = names(page)
        assert sorted(orders) == ["ascending", "descending"], orders
        assert page.eval("document.querySelectorAll('#columns [aria-sort]').length") == 1


def check_rows(page):
    tab_to(page, "#columns .name button")
    page.key("Enter")
    while page.eval("document.querySelector('#columns .name').ariaSort") != "ascending":
        page.key("Enter")
    assert names(page) == ["db1", "idle1", "web1", "web2"]
    tab_to(page, "#rows button.name")
    first = focused(page)
    page.key("Home")
    assert focused(page) == "db1", (first, focused(page))
    page.key("ArrowDown", "ArrowDown")
    assert focused(page) == "web1"
    page.key("End", "ArrowDown")
    assert focused(page) == "web2"
    page.key("ArrowUp")
    # The focus stays on its guest, whatever is drawn anew.
    answers = page.eval("model.now.clock_ns")
    page.wait("model.now.clock_ns > %d" % (answers + 2500000000))
    assert focused(page) == "web1"
    for _ in range(2): # ... and when rows change places around it.
        page.eval("sortBy(sorting.column)")
        assert focused(page) == "web1"
    # Only one row is a stop for Tab.
    assert page.eval("document.querySelectorAll('#rows [tabindex=\"0\"]').length") == 1


def check_details(page):
    page.key("Enter")
    page.wait("document.getElementById('detail').open")
    assert page.texts("#detail-name") == ["web1"]
    # The focus is inside, and cannot leave but for the browser's own controls.
    assert page.eval("document.activeElement.closest('dialog') !== null")
    page.key("/")
    assert page.eval("document.activeElement.closest('dialog') !== null")
    page.key("Escape")
    page.wait("!document.getElementById('detail').open")
    assert focused(page) == "web1"


def check_order_is_held(page):
    """While somebody points at a row it does not run away; later it may."""
    page.eval("sortBy(COLUMNS.find(column => column.key === 'out'))")
    page.call("Input.dispatchMouseEvent", type="mouseMoved", **page.eval("""(() => {
        document.getElementById("rows").scrollIntoView();
        const box = document.getElementById("rows").getBoundingClientRect();
        return { x: box.left + 50, y: box.top + 50 }; })()"""))
    page.wait("document.getElementById('held').textContent !== ''")
    before = names(page)
    answer = page.eval("model.now.clock_ns")
    page.wait("model.now.clock_ns > %d" % (answer + 1500000000))
    assert names(page) == before
    page.wait("document.getElementById('held').textContent === ''", 15)


def check_troubled(page):
    page.key("/", "Tab")
    assert focused(page) == "troubled"
    page.key(" ")
    page.wait("document.getElementById('rows').children.length === 1")
    assert names(page) == ["web2"], names(page)
    page.key(" ")
    assert len(names(page)) == 4


def check(test):
    test.server.start("pool=64M", "size=64M", "guest=web1", "guest=web2,quota=1M",
                      "guest=db1", "guest=idle1")
    scene.write(test.server, "web2", 1000, scene.noise) # More than its quota.
    traffic = scene.Traffic(test.server, ["web1", "db1"])
    page = test.page()
    page.wait("model.times.length >= 3 && document.querySelectorAll('#rows tr').length === 4")
    check_filter(page)
    check_troubled(page)
    check_sorting(page)
    check_rows(page)
    check_details(page)
    check_order_is_held(page)
    traffic.stop()


if __name__ == "__main__":
    run(check)
