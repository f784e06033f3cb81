#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Names of guests are text, wherever they are shown, and whatever they are: HTML,
names of JavaScript's own, 127 bytes, marks that turn text around, bytes that are
no UTF-8 (as /json writes them), lone surrogates."""

import scene
from bridge import Bridge
from harness import run

# What a server does not let a client give, but an adopted pool, or a later
# server, may have.
FOREIGN = {
    "foreign0": ("\u202egnp.1bew\u202c", "\u27e8U+202E\u27e9gnp.1bew\u27e8U+202C\u27e9"),
    "foreign1": ("bad\ufffdFF\ufffdFEbytes", "bad\ufffdFF\ufffdFEbytes"),
    "foreign2": ("\u05d3\u05d5\u05d1\u05d9 <b>1</b>", "\u05d3\u05d5\u05d1\u05d9 <b>1</b>"),
    "foreign3": ("tab\tnl\nnul\u0000", "tab\u27e8U+0009\u27e9nl\u27e8U+000A\u27e9"
                                       "nul\u27e8U+0000\u27e9"),
    "foreign4": ("zero\u200bwidth\u00a0", "zero\u27e8U+200B\u27e9width\u27e8U+00A0\u27e9"),
    "foreign5": ("\ud800", "\u27e8U+D800\u27e9"),
    "foreign6": ("\U0001d4cc\u2069\u2066", "\U0001d4cc\u27e8U+2069\u27e9\u27e8U+2066\u27e9"),
    "foreign7": ("", "(no name)"),
}


def rename(path, answer):
    if "guests" in answer:
        for guest in answer["guests"]:
            guest["name"] = FOREIGN.get(guest["name"], [guest["name"]])[0]
    for hint in answer.get("hints", []):
        hint["guest"] = FOREIGN.get(hint["guest"], [hint["guest"]])[0]


def check_texts(page, expected):
    shown = page.texts("#rows bdi")
    assert sorted(shown) == sorted(expected), (shown, expected)
    # Nothing became an element, and no script ran.
    assert page.eval("document.querySelectorAll('bdi *, bdi img, #main img, #main b b')"
                     ".length") == 0
    assert "owned" not in page.eval("document.title")
    for name in expected:
        page.eval("openDetail([...model.guests.values()].find(g => g.name === %s).id)"
                  % js(name))
        assert page.texts("#detail-name") == [name]
        assert page.eval("document.querySelectorAll('#detail-name *').length") == 0
        page.eval("document.getElementById('detail').close()")


def js(text):
    import json
    return json.dumps(text)


def check_filter(page, names):
    """The filter takes what it is given as text, too."""
    for name in names:
        page.eval("(() => { const f = document.getElementById('filter'); f.value = %s;"
                  "f.dispatchEvent(new Event('input')); })()" % js(name))
        shown = page.texts("#rows bdi")
        assert name in shown and all(name.lower() in s.lower() for s in shown), (name, shown)


def check(test):
    test.server.start("pool=64M", "size=256M")
    bridge = Bridge(test.server)
    bridge.change = rename
    names = scene.HOSTILE + list(FOREIGN)
    for name in names:
        # Incompressible, and never trimmed: hints have the names as well.
        scene.write(test.server, name, 16, scene.noise)
    loud = test.server.connect("foreign0")
    for _ in range(70):
        loud.pwrite(bytes([1]) * (1 << 20), 1 << 20)
    test.url = bridge.url
    page = test.page()
    page.wait("model.hints.some(hint => hint.kind === 'never-trimmed')")
    expected = scene.HOSTILE + [shown for name, shown in FOREIGN.values()]
    check_texts(page, expected)
    check_filter(page, expected)
    hints = page.eval("document.getElementById('advice-list').textContent")
    assert "guest %s: it has written" % FOREIGN["foreign0"][1] in hints, hints
    page.key("/", "Escape")
    test.picture(page, "names")
    loud.shutdown()


if __name__ == "__main__":
    run(check)
