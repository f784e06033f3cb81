// SPDX-License-Identifier: BSD-3-Clause
// One guest, with everything that is known of it.  Owns which one that is.

const detail = { id: null, guest: null };

const CHARTS = [
  { key: "out", label: "Swapped out", figures: ["written_pages"] },
  { key: "in", label: "Swapped in", figures: ["read_pages"] },
  { key: "trim", label: "Discarded", figures: ["trim_bytes"] },
];

const LATENCY_HEADS = ["Request", "/s", "p50 now", "p99 now", "p50 ever", "p99 ever",
                       "slowest ever"];

function openDetail(id) {
  detail.id = id;
  detail.guest = model.guests.get(id) || null;
  if (!detail.guest) return;
  drawDetail();
  const dialog = byIdOf("detail");
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

function drawCharts(guest) {
  arrange(byIdOf("detail-charts"), CHARTS, chart => chart.key,
    chart => make("figure", { class: "chart " + chart.key },
      make("figcaption", { title: meaningOf("guest", ...chart.figures) },
        chart.label + " ", make("b", {}), " ", make("small", {})),
      makeGraph(), make("p", { class: "axis", "aria-hidden": "true" },
        make("span", {}, "2 min ago"), make("span", {}, "now"))),
    (figure, chart) => {
      const most = drawGraph(figure.querySelector("svg"), guest.history[chart.key]);
      setText(figure.querySelector("b"), perSecond(guest.rate[chart.key]));
      setText(figure.querySelector("small"), "peak " + perSecond(most));
    });
}

// The times of one kind of requests: [count a second, p50 now, ...]
function latencyCells(guest, op) {
  const recent = guest.recent[op], bounds = model.latency.bounds_ns;
  const n = recent.reduce((sum, [, count]) => sum + count, 0);
  const ever = name => guest.now[op + "_" + name + "_seconds"];
  const known = ever("p50") !== undefined;
  return [
    model.seconds === null ? UNKNOWN : rateText(n / model.seconds).replace("/s", ""),
    timeText(quantile(recent, 0.5, bounds)), timeText(quantile(recent, 0.99, bounds)),
    ...["p50", "p99", "max"].map(name => known ? timeText(ever(name)) : UNKNOWN),
  ];
}

function drawLatency(guest) {
  arrange(byIdOf("latency"), OPS, op => op,
    op => make("tr", {}, make("th", { scope: "row" }, op),
      ...LATENCY_HEADS.slice(1).map(() => make("td", { class: "number" }))),
    (row, op) => latencyCells(guest, op).forEach(
      (text, i) => setText(row.children[i + 1], text)));
}

function stateText(guest) {
  const figures = guest.now;
  const parts = [guest.state + (figures.lost ? ", \u2716 lost" : "")];
  if (figures.holder !== null) parts.push("held by " + figures.holder);
  if (figures.last_error !== null)
    parts.push("last error " + dateText(new Date(figures.last_error_time * 1000)) + ": " +
               figures.last_error);
  return parts.join(" \u00b7 ");
}

function drawDetail() {
  if (detail.id === null) return;
  const guest = model.guests.get(detail.id);
  if (!guest) {
    setText(byIdOf("detail-state"), "This export is gone; these are its last figures.");
    return;
  }
  detail.guest = guest;
  setText(byIdOf("detail-name"), guest.name);
  setText(byIdOf("detail-state"), stateText(guest));
  arrange(byIdOf("detail-hints"), guest.hints, hint => hint.kind + " " + hint.urgency,
    hint => make("li", { class: "hint urgency" + hint.urgency },
      make("span", { class: "tag" }, URGENCY[hint.urgency]),
      make("div", {}, make("p", {}), make("p", { class: "fix" }, make("b", {}, "Fix: "),
        make("span", {})))),
    (item, hint) => {
      setText(item.querySelector("p"), hint.seen);
      setText(item.querySelector(".fix span"), hint.fix);
    });
  drawCharts(guest);
  drawLatency(guest);
  drawFigures(byIdOf("detail-figures"), "guest", guest.now);
}

function startDetail() {
  const dialog = byIdOf("detail");
  byIdOf("latency-head").append(make("tr", {}, ...LATENCY_HEADS.map((head, i) =>
    make("th", i ? { scope: "col", class: "number" } : { scope: "col" }, head))));
  byIdOf("detail-close").addEventListener("click", () => dialog.close());
  // A click beside it closes it, too.
  dialog.addEventListener("click", event => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    const id = detail.id;
    detail.id = null;
    if (document.activeElement === document.body && id === rows.keep)
      focusPlace(rows.order.findIndex(guest => guest.id === id));
  });
}
