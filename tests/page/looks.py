#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""In light and dark, narrow and wide, nothing overflows sideways, and all text has
the contrast of WCAG AA.  The pictures go to the build folder, for people to look
at."""

import scene
from harness import run

WIDTHS = [(360, 780), (768, 1024), (1280, 900), (2560, 1440)]

OVERFLOW = """(() => {
  const root = document.documentElement, found = [];
  if (root.scrollWidth > innerWidth) found.push("the page: " + root.scrollWidth);
  const dialog = document.querySelector("dialog[open]");
  if (dialog && dialog.scrollWidth > dialog.clientWidth)
    found.push("the dialog: " + dialog.scrollWidth);
  for (const e of (dialog || document.body).querySelectorAll("*")) {
    if (e.closest(".scroll") || e.closest(".unseen")) continue;
    // What an element cuts off, in a line with an ellipsis, is not there.
    if (e.parentElement && e.parentElement.closest(".cell")) continue;
    const box = e.getBoundingClientRect();
    if (box.width > 0 && (box.right > innerWidth + 1 || box.left < -1))
      found.push(e.tagName + "." + e.className + " " + box.left + ".." + box.right);
  }
  return found.slice(0, 10);
})()"""

# Colours as the browser has computed them, each layer upon the one below.
CONTRAST = """(() => {
  const parse = text => {
    const n = text.match(/[\\d.]+/g).map(Number);
    return n.length === 4 ? n : [...n, 1];
  };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3]));
  const groundOf = e => {
    const layers = [];
    for (; e; e = e.parentElement) {
      const layer = parse(getComputedStyle(e).backgroundColor);
      layers.push(layer);
      if (layer[3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const luminance = c => {
    const [r, g, b] = c.map(v => v / 255).map(
      v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const bad = [];
  let seen = 0;
  for (const e of document.querySelectorAll("body *")) {
    const style = getComputedStyle(e), box = e.getBoundingClientRect();
    if (box.width === 0 || style.visibility !== "visible" || e.closest(".unseen")) continue;
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim() !== "")) continue;
    const ground = groundOf(e), ratio = contrast(over(parse(style.color), ground), ground);
    const size = parseFloat(style.fontSize), bold = style.fontWeight >= 700;
    seen++;
    if (ratio < (size >= 24 || bold && size >= 18.66 ? 3 : 4.5))
      bad.push(ratio.toFixed(2) + " " + e.tagName + "." + e.className + ": " + e.textContent);
  }
  // What is no text: edges of controls, parts of bars, graphs, the focus.
  const probe = document.createElement("i");
  document.body.append(probe);
  const colour = name => {
    probe.style.color = "var(--" + name + ")";
    return parse(getComputedStyle(probe).color).slice(0, 3);
  };
  for (const name of ["blue", "violet", "amber", "grey", "teal", "control", "focus", "bad"])
    for (const ground of ["card", "page"]) {
      const ratio = contrast(colour(name), colour(ground));
      seen++;
      if (ratio < 3) bad.push(ratio.toFixed(2) + " " + name + " on " + ground);
    }
  probe.remove();
  return { seen, bad };
})()"""


def look(test, page, width, height, dark, what):
    page.look(width, height, dark)
    name = "%s-%d-%s" % (what, width, "dark" if dark else "light")
    # The page has taken its new shape when two frames were drawn.
    page.eval("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    test.picture(page, name)
    overflow = page.eval(OVERFLOW)
    assert not overflow, (name, overflow)
    contrast = page.eval(CONTRAST)
    assert contrast["seen"] > 50 and not contrast["bad"], (name, contrast)


def see_all(test, page, what):
    for width, height in WIDTHS:
        for dark in (False, True):
            look(test, page, width, height, dark, what)


def check_bar(page):
    """All kinds of pages are in the bars, with the colours of the legend."""
    for bar, kinds in (("taken", ["hot", "shared", "cold", "unused"]),
                       ("saved", ["hot", "shared", "cold", "fill"])):
        for kind in kinds:
            assert page.eval("""(() => { const part = document.querySelector("#%s .part.%s");
                const swatch = document.querySelector("#%s-legend .swatch.%s");
                const ground = e => getComputedStyle(e).background;
                return part && swatch && part.getBoundingClientRect().width > 2 &&
                  ground(part) === ground(swatch); })()""" % (bar, kind, bar, kind)), (bar, kind)


def check(test):
    server = scene.prepare(test)
    scene.populate(server)
    traffic = scene.Traffic(server, ["web1", "db1", "web2"])
    page = test.page()
    page.wait("model.times.length >= 12 && model.now.pool.cold_bytes > 5 << 20",
              120)
    check_bar(page)
    see_all(test, page, "page")
    page.look(360, 780, False)
    page.eval("document.getElementById('guests').scrollIntoView()")
    see_all(test, page, "guests")
    page.eval("openDetail('db1')")
    page.wait("document.getElementById('detail').open")
    see_all(test, page, "detail")
    page.key("Escape")
    # Room ends while somebody looks.
    scene.write(server, "web3", 20000, scene.noise)
    page.wait("model.hints.some(hint => hint.urgency === 0 && hint.kind === 'refused')")
    page.eval("scrollTo(0, 0)")
    see_all(test, page, "full")
    traffic.stop()
    server.kill()
    page.wait("!document.getElementById('stale').hidden")
    see_all(test, page, "stale")
    test.forgive_refused()


if __name__ == "__main__":
    run(check)
