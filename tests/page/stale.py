#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A server that does not answer - killed, hanging, or refusing - is said to be
stale, since when and why; the page asks less and less often, recovers by itself,
and knows a server that is another process.  A page that nobody sees asks
nothing."""

import time

import scene
from bridge import Bridge
from harness import poll, run

SHOWN = "!document.getElementById('stale').hidden"
HIDDEN = "document.getElementById('stale').hidden"


def notice(page):
    return page.eval("document.getElementById('stale-text').textContent")


def check_killed(test, page):
    test.server.kill()
    page.wait(SHOWN)
    text = notice(page)
    assert "does not answer" in text and "what is below is of " in text, text
    assert page.eval("document.body.classList.contains('stale')")
    assert page.eval("document.title") == "(stale) vmswap"
    # The last figures are there still, and it says how old they are.
    assert page.texts("#rows bdi") == ["web1"]
    page.wait("/, [2-9] s ago/.test(document.getElementById('stale-text').textContent)")
    assert page.texts("#announce") == ["The server does not answer: the figures are stale"]
    # Another process, where more was written when the page sees it first.
    test.server.start("pool=32M", "size=64M", "guest=db1", "guest=web1")
    scene.write(test.server, "web1", 1000, scene.text)
    page.wait(HIDDEN)
    page.wait("document.getElementById('rows').textContent.includes('db1')")
    assert sorted(page.texts("#rows bdi")) == ["db1", "web1"]
    assert page.texts("#pool-head dd")[0].endswith(" of 32M")
    # What the first one counted is not compared with what this one did.
    assert page.eval("model.pool.history.out.filter(rate => rate === null).length") == 2
    assert page.eval("model.guests.get('web1').history.out.filter(r => r === null).length") == 2
    assert page.eval("!document.body.classList.contains('stale')")
    assert page.texts("#announce") == ["The server answers again"]


def check_backoff(page, bridge):
    """Refused with 503, and the gaps grow."""
    bridge.status = 503
    page.wait(SHOWN)
    assert "503" in notice(page), notice(page)
    times = []
    for _ in range(4):
        count = bridge.requests.count("/json")
        start = time.monotonic()
        poll(30, "another request", lambda: bridge.requests.count("/json") > count)
        times.append(time.monotonic() - start)
    assert times[-1] > 2.5 and times[-1] > times[0], times
    # Who does not want to wait asks now.
    bridge.status = 200
    page.eval("document.getElementById('stale-ask').click()")
    page.wait(HIDDEN, 5)


def check_hanging(page, bridge):
    """No answer at all is noticed as well."""
    bridge.open.clear()
    page.wait(SHOWN, 30)
    assert "no answer within 10 s" in notice(page), notice(page)
    bridge.open.set()
    page.wait(HIDDEN, 40)


def check_unseen(page, bridge):
    """While the page is hidden, it does not ask; when it is seen, at once."""
    page.eval("""Object.defineProperty(document, "hidden",
        { configurable: true, get: () => window.isUnseen }); window.isUnseen = true""")
    poll(10, "the last request before", lambda: page.eval("!poll.busy"))
    time.sleep(1.5) # It would ask by now.
    before = len(bridge.requests)
    time.sleep(2.5)
    assert len(bridge.requests) == before, bridge.requests[before:]
    page.eval("window.isUnseen = false; document.dispatchEvent(new Event('visibilitychange'))")
    poll(3, "a request", lambda: len(bridge.requests) > before)
    page.wait("Date.now() - poll.since < 1500")


def check(test):
    test.server.start("pool=64M", "size=64M", "guest=web1")
    scene.write(test.server, "web1", 200, scene.text)
    bridge = Bridge(test.server)
    page = test.page()
    page.wait("document.getElementById('rows').textContent.includes('web1')")
    check_killed(test, page)
    test.forgive_refused()
    test.url = bridge.url
    page = test.page()
    check_unseen(page, bridge)
    check_backoff(page, bridge)
    check_hanging(page, bridge)
    for browser in test.browsers:
        browser.check_complaints("503")


if __name__ == "__main__":
    run(check)
