// SPDX-License-Identifier: BSD-3-Clause
// The pool: what needs action, where its memory goes, and what it does now.

// What guests have swapped out needs no more than this if nothing is saved.
const blobLess = p => (p.stored_pages - p.fill_pages) * PAGE_SIZE;

// One part of a bar: its share of the whole, and the figures that it is made of.
// "text" says in the legend what is not a size.
const HOT = { key: "hot", label: "hot pages",
  figures: ["blob_bytes", "shared_blob_bytes", "cold_bytes"],
  of: p => p.blob_bytes - p.shared_blob_bytes - p.cold_bytes };
const SHARED = { key: "shared", label: "shared pages", figures: ["shared_blob_bytes"],
  of: p => p.shared_blob_bytes };
const COLD = { key: "cold", label: "cold pages", figures: ["cold_pages", "cold_bytes"],
  of: p => p.cold_bytes };

const TAKEN = [
  // They take nothing, which is worth a word.
  { key: "fill", label: "fill pages", figures: ["fill_pages"], of: () => 0,
    text: p => countText(p.fill_pages) + (p.fill_pages === 1 ? " page" : " pages") },
  HOT, SHARED, COLD,
  { key: "tables", label: "tables, fixed", figures: ["table_bytes", "fixed_bytes"],
    of: p => p.table_bytes + p.fixed_bytes },
  { key: "holes", label: "holes in segments",
    figures: ["segment_bytes", "blob_bytes", "free_bytes"],
    of: p => p.segment_bytes - p.blob_bytes - p.free_bytes },
  { key: "free", label: "free segments", figures: ["free_bytes"], of: p => p.free_bytes },
  { key: "unused", label: "not taken", figures: ["limit_bytes", "used_bytes"],
    of: p => p.limit_bytes - p.used_bytes },
  // Lies over the end of the bar.
  { key: "kept", label: "kept free for reserves", mark: true,
    figures: ["unfilled_bytes", "reserved_bytes"], of: p => p.unfilled_bytes },
];

const SAVED = [
  { ...HOT, label: "kept hot" }, { ...SHARED, label: "kept shared" },
  { ...COLD, label: "kept cold" },
  { key: "compressed", label: "saved by compression",
    figures: ["stored_pages", "fill_pages", "blob_bytes", "shared_saved_bytes"],
    of: p => blobLess(p) - p.blob_bytes - p.shared_saved_bytes },
  { key: "deduplicated", label: "saved by sharing", figures: ["shared_saved_bytes"],
    of: p => p.shared_saved_bytes },
  { key: "fill", label: "saved by fill pages", figures: ["fill_pages"],
    of: p => p.fill_pages * PAGE_SIZE },
];

const HEAD = [
  { label: "used", figures: ["used_bytes", "limit_bytes"],
    text: p => sizeText(p.used_bytes) + " of " + sizeText(p.limit_bytes) },
  { label: "full", figures: ["blob_bytes", "capacity_bytes"],
    text: p => percentText(p.blob_bytes, p.capacity_bytes) },
  { label: "room left", figures: ["capacity_bytes", "blob_bytes", "unfilled_bytes"],
    text: p => sizeText(Math.max(0, p.capacity_bytes - p.blob_bytes - p.unfilled_bytes)) },
  { label: "swapped", figures: ["stored_bytes"], text: p => sizeText(p.stored_bytes) },
  { label: "saved", figures: ["saved_bytes"], text: p => sizeText(p.saved_bytes) },
  { label: "ratio", figures: ["effective_ratio"], text: p => ratioText(p.effective_ratio) },
  { label: "reserved", figures: ["reserved_bytes", "unfilled_bytes", "missing_bytes"],
    text: p => p.reserved_bytes > 0 ? sizeText(p.reserved_bytes) : UNKNOWN },
];

const RATES = [
  { key: "out", label: "Pages out", text: () => rateText(model.pool.rate.out),
    figures: ["written_pages"], history: "out" },
  { key: "in", label: "Pages in", text: () => rateText(model.pool.rate.in),
    figures: ["read_pages"], history: "in" },
  { key: "trim", label: "Pages discarded", text: () => rateText(model.pool.rate.trim),
    figures: ["trimmed_pages"], history: "trim" },
  { key: "cooled", label: "Pages cooled", text: () => rateText(model.pool.rate.cooled),
    figures: ["cooled_pages", "warmed_pages", "cold_cpu_seconds"], history: "cooled",
    more: () => "warmed " + rateText(model.pool.rate.warmed) + ", " +
      cpuText(model.pool.rate.coldCpu) },
  { key: "time", label: "Reads took (p50, p99)", figures: [],
    text: () => timeText(model.pool.p50) + ", " + timeText(model.pool.p99) },
  { key: "refused", label: "Writes refused", text: () => rateText(model.pool.rate.refused),
    figures: ["refused_writes", "quota_refused_writes"], history: "refused",
    more: () => "ever " + countText(model.now.pool.refused_writes) + ", quota " +
      countText(model.now.pool.quota_refused_writes) },
];

const rateText = rate => rate === null ? UNKNOWN :
  (rate > 0 && rate < 9.95 ? rate.toFixed(1) : countText(rate)) + "/s";

const keyOf = part => part.key || part.label;

// CPU seconds in a second.
const cpuText = rate => (rate === null ? UNKNOWN : percentText(rate, 1)) + " CPU";

function drawHead() {
  arrange(byIdOf("pool-head"), HEAD, keyOf,
    part => make("div", { title: meaningOf("pool", ...part.figures) },
      make("dt", {}, part.label), make("dd", {})),
    (tile, part) => setText(tile.lastChild, part.text(model.now.pool)));
}

function drawBar(id, parts, wholeBytes) {
  const pool = model.now.pool;
  arrange(byIdOf(id), parts, keyOf, part => make("div", { class: "part " + part.key }),
    (bar, part) => {
      const bytes = Math.max(0, part.of(pool));
      const share = wholeBytes > 0 ? Math.min(1, bytes / wholeBytes) : 0;
      if (part.mark) bar.style.width = 100 * share + "%";
      else bar.style.flexGrow = share;
      setClass(bar, "none", !(bytes > 0));
    });
  arrange(byIdOf(id + "-legend"), parts, keyOf,
    part => make("li", { title: meaningOf("pool", ...part.figures) },
      make("span", { class: "swatch " + part.key, "aria-hidden": "true" }),
      make("span", { class: "label" }, part.label), " ", make("b", {}), " ",
      make("small", {})),
    (item, part) => {
      const bytes = part.of(pool);
      item.hidden = part.mark && !(bytes > 0);
      setText(item.querySelector("b"), sizeText(bytes));
      setText(item.querySelector("small"), part.text ? part.text(pool)
        : bytes < 0 ? "" : percentText(bytes, wholeBytes));
    });
}

function drawSavedTotal() {
  const pool = model.now.pool;
  setText(byIdOf("saved-title"), pool.stored_bytes > 0
    ? "Where " + sizeText(pool.stored_bytes) + " of swapped pages went"
    : "Where swapped pages went: there are none");
  const beside = pool.used_bytes - pool.blob_bytes, sum = pool.stored_bytes - pool.used_bytes;
  setText(byIdOf("saved-sum"), sizeText(pool.stored_bytes - pool.blob_bytes) +
    " saved on pages, less " + sizeText(beside) + " that the pool takes beside them: " +
    (sum < 0 ? "nothing saved yet" : sizeText(sum) + " of the host\u2019s memory saved"));
  setText(byIdOf("taken-title"), "Where the limit of " + sizeText(pool.limit_bytes) + " goes");
}

function drawRates() {
  arrange(byIdOf("rates"), RATES, keyOf,
    part => make("div", { class: "rate " + part.key, title: meaningOf("pool", ...part.figures) },
      make("dt", {}, part.label), make("dd", {}, make("b", {}), make("small", {})),
      ...(part.history ? [make("dd", { class: "drawing", "aria-hidden": "true" },
                               makeGraph())] : [])),
    (tile, part) => {
      setText(tile.querySelector("b"), part.text());
      if (part.history) {
        const most = drawGraph(tile.querySelector("svg"), model.pool.history[part.history]);
        setText(tile.querySelector("small"), part.more ? part.more() : "peak " + rateText(most));
      } else
        setText(tile.querySelector("small"), "all guests, last interval");
    });
  setText(byIdOf("interval"), model.seconds === null ? "(after the next answer)"
    : "(last " + model.seconds.toFixed(1) + " s; graphs: 2 min)");
}

function drawServer() {
  const { server, time } = model.now;
  setText(byIdOf("server"), [
    "version " + server.version, "process " + server.pid,
    "up " + durationText(time - server.start_time), "compressor " + server.compressor,
    "cold=" + (server.cold === null ? "off" : server.cold), "full=" + server.full, server.state === null ? "no state=" : "state=" + server.state,
  ].join(" \u00b7 "));
}

// --- What needs action: one item for each kind, its guests together.

const SOME = 3; // guests of a kind, in full

function hintGroups() {
  const groups = new Map();
  for (const hint of model.hints) {
    const { kind, fix, urgency } = hint, key = kind + " " + urgency;
    if (!groups.has(key)) groups.set(key, { key, kind, fix, urgency, hints: [] });
    groups.get(key).hints.push(hint);
  }
  return [...groups.values()];
}

function makeHint(hint) {
  const line = make("li", {});
  if (hint.guest) {
    const name = make("button", { type: "button", class: "name" });
    name.append(make("bdi", {}, hint.guest.name));
    name.addEventListener("click", () => openDetail(hint.guest.id));
    line.append("guest ", name, ": ");
  }
  line.append(make("span", {}));
  return line;
}

function drawHint(item, group) {
  const some = group.hints.slice(0, SOME), rest = group.hints.length - some.length;
  arrange(item.querySelector("ul"), some, hint => hint.guest ? hint.guest.id : "", makeHint,
    (line, hint) => setText(line.lastChild, hint.seen));
  const more = item.querySelector(".more");
  more.hidden = rest === 0;
  setText(more, "and " + countText(rest) + (rest === 1 ? " more guest" : " more guests"));
  setText(item.querySelector(".fix span"), group.fix);
}

function makeHintGroup(group) {
  return make("li", { class: "hint urgency" + group.urgency },
    make("span", { class: "tag" }, URGENCY[group.urgency]),
    make("div", {}, make("ul", {}), make("p", { class: "more" }),
      make("p", { class: "fix" }, make("b", {}, "Fix: "), make("span", {}))));
}

function drawHints() {
  const groups = hintGroups();
  const isAdvice = group => group.urgency === NO_HURRY;
  const pressing = groups.filter(group => !isAdvice(group)), advice = groups.filter(isAdvice);
  arrange(byIdOf("hints-list"), pressing, group => group.key, makeHintGroup, drawHint);
  arrange(byIdOf("advice-list"), advice, group => group.key, makeHintGroup, drawHint);
  byIdOf("hints-none").hidden = pressing.length > 0;
  setText(byIdOf("hints-none"), advice.length > 0 ? "Nothing is pressing."
    : "Nothing is wrong, as far as this page can tell.");
  byIdOf("advice").hidden = advice.length === 0;
  setText(byIdOf("advice-kinds"), "Advice: " + advice.map(group => group.kind).join(", "));
  const soon = pressing.filter(group => group.urgency === 0).length;
  announceHints(soon);
  document.title = (soon ? "(" + soon + "!) " : "") + percentText(
    model.now.pool.blob_bytes, model.now.pool.capacity_bytes) + " full - vmswap";
}

function drawPool() {
  const pool = model.now.pool;
  drawServer();
  drawHints();
  drawHead();
  drawSavedTotal();
  drawBar("taken", TAKEN, pool.limit_bytes);
  drawBar("saved", SAVED, pool.stored_bytes);
  drawRates();
  if (byIdOf("pool-all").open) drawFigures(byIdOf("pool-figures"), "pool", pool);
}

byIdOf("pool-all").addEventListener("toggle", () => {
  if (model.now && byIdOf("pool-all").open)
    drawFigures(byIdOf("pool-figures"), "pool", model.now.pool);
});
