// SPDX-License-Identifier: BSD-3-Clause
// The table of guests.  Owns their order, and which of them have rows: when they
// are many, only those near what can be seen.

const FEW = 60; // guests that all have rows
const NEAR = 12; // rows beyond the window on each side
const HOLD_MS = 5000;

const sorting = { column: null, down: true };
const rows = { order: [], keep: null, heldUntil: 0, height: 36 };
const collator = new Intl.Collator("en", { numeric: true });

// --- Cells.

function makeName(guest) {
  const button = make("button", { type: "button", class: "name" }, make("bdi", {}));
  button.addEventListener("click", () => openDetail(guest.id));
  return [make("span", { class: "mark" }), button];
}

function drawName(cell, guest) {
  const urgency = guest.hints.reduce((a, hint) => Math.min(a, hint.urgency), 3);
  const button = cell.lastChild;
  setText(cell.firstChild, urgency < 3 ? "!" : "");
  setAttribute(cell.firstChild, "class", "mark urgency" + urgency);
  setAttribute(cell.firstChild, "title", urgency < 3 ? URGENCY[urgency] + ": " +
    guest.hints.map(hint => hint.seen).join("; ") : null);
  setText(button.firstChild, guest.name);
  setAttribute(button, "title", guest.name);
  setAttribute(button, "aria-label",
    urgency < 3 ? guest.name + ", " + URGENCY[urgency] : null);
  setAttribute(button, "tabindex", guest.id === rows.keep ? "0" : "-1");
}

const STATE_SIGN = {
  "ring": "\u25c9", "ring full": "\u25c9", "in use": "\u25cf", "connected": "\u25d0",
  "idle": "\u25cb",
};

const makeState = () => [
  make("span", { class: "sign", "aria-hidden": "true" }), make("span", {}),
  make("span", { class: "lost" }),
];

function drawState(cell, guest) {
  setText(cell.children[0], STATE_SIGN[guest.state]);
  setText(cell.children[1], guest.state);
  setText(cell.children[2], guest.now.lost ? " \u2716 lost" : "");
  setClass(cell, "idle", guest.state === "idle");
  setAttribute(cell, "title", guest.now.holder);
}

const makeQuota = () => [
  make("span", { class: "meter", "aria-hidden": "true" }, make("span", {})), make("span", {}),
];

function drawQuota(cell, guest) {
  const { charged_bytes: charged, quota_bytes: quota } = guest.now;
  const share = quota > 0 ? charged / quota : 0;
  cell.firstChild.hidden = !(quota > 0);
  cell.firstChild.firstChild.style.width = 100 * Math.min(1, share) + "%";
  setClass(cell.firstChild, "high", share >= 0.9);
  setText(cell.lastChild, quota > 0
    ? percentText(charged, quota) + " of " + sizeText(quota) : UNKNOWN);
}

const makeFlow = () => [make("span", { class: "rate-text" }), makeGraph()];

function drawFlow(cell, guest, which) {
  setText(cell.firstChild, perSecond(guest.rate[which]));
  const most = drawGraph(cell.lastChild, guest.history[which]);
  setAttribute(cell, "title", "peak of the last two minutes: " + perSecond(most));
}

function drawErrors(cell, guest) {
  setText(cell.firstChild, countText(guest.errors));
  setClass(cell, "bad", guest.errors > 0);
  setAttribute(cell, "title", guest.now.last_error_time > 0 ? "last: " +
    dateText(new Date(guest.now.last_error_time * 1000)) + ", " + guest.now.last_error : null);
}

// value: what is sorted by; null goes last.  draw: brings a cell up to date.
const COLUMNS = [
  { key: "name", label: "Guest", figures: [], value: g => g.name, draw: drawName,
    make: makeName },
  { key: "state", label: "State", figures: ["ring_region_bytes", "ring_posts_closed", "in_use", "connections", "lost"],
    value: g => g.state + (g.now.lost ? ", lost" : ""), draw: drawState, make: makeState },
  { key: "swapped", label: "Swapped", figures: ["stored_bytes"],
    value: g => g.now.stored_bytes, text: g => sizeText(g.now.stored_bytes) },
  { key: "held", label: "Held", figures: ["held_bytes"],
    value: g => g.now.held_bytes, text: g => sizeText(g.now.held_bytes) },
  { key: "ratio", label: "Ratio", figures: ["effective_ratio"],
    value: g => g.now.effective_ratio, text: g => ratioText(g.now.effective_ratio) },
  { key: "cold-share", label: "Cold", figures: ["cold_pages", "stored_pages"],
    value: g => g.now.stored_pages > 0 ? g.now.cold_pages / g.now.stored_pages : null,
    text: g => g.now.cold_pages > 0 ? percentText(g.now.cold_pages, g.now.stored_pages)
                                    : UNKNOWN },
  { key: "quota", label: "Quota used", figures: ["charged_bytes", "quota_bytes"],
    value: g => g.now.quota_bytes > 0 ? g.now.charged_bytes / g.now.quota_bytes : null,
    draw: drawQuota, make: makeQuota },
  { key: "out", label: "Out", figures: ["written_pages"], value: g => g.rate.out,
    draw: (cell, g) => drawFlow(cell, g, "out"), make: makeFlow },
  { key: "in", label: "In", figures: ["read_pages"], value: g => g.rate.in,
    draw: (cell, g) => drawFlow(cell, g, "in"), make: makeFlow },
  { key: "p50", label: "Read p50", figures: ["read_p50_seconds"], value: g => g.p50,
    text: g => timeText(g.p50), recent: true },
  { key: "p99", label: "Read p99", figures: ["read_p99_seconds"], value: g => g.p99,
    text: g => timeText(g.p99), recent: true },
  { key: "errors", label: "Errors", figures: ["full_errors", "io_errors", "other_errors"],
    value: g => g.errors, draw: drawErrors, make: () => [make("span", {})] },
];

function makeRow(guest) {
  const row = make("tr", { role: "row" });
  for (const column of COLUMNS)
    row.append(make(column.key === "name" ? "th" : "td",
      { class: "cell " + column.key, role: column.key === "name" ? "rowheader" : "cell",
        "data-label": column.label },
      ...(column.make ? column.make(guest) : [])));
  return row;
}

function drawRow(row, guest) {
  setAttribute(row, "aria-rowindex", String(guest.place + 2));
  COLUMNS.forEach((column, i) => {
    if (column.draw) column.draw(row.children[i], guest);
    else setText(row.children[i], column.text(guest));
  });
}

// --- Order.

function compare(one, other) {
  const a = sorting.column.value(one), b = sorting.column.value(other);
  if ((a === null) !== (b === null)) return a === null ? 1 : -1;
  let result = typeof a === "string" ? collator.compare(a, b) : a - b;
  if (sorting.down) result = -result;
  return result || collator.compare(one.name, other.name) || (one.id < other.id ? -1 : 1);
}

function isWanted(guest) {
  const filter = byIdOf("filter").value.toLowerCase();
  if (byIdOf("troubled").checked && guest.hints.length === 0) return false;
  return filter === "" || guest.name.toLowerCase().includes(filter);
}

const isHeld = () => performance.now() < rows.heldUntil;

// Nothing moves under a hand: while somebody points at the rows, they stay
// where they are, and new ones go to the end.
function hold() {
  rows.heldUntil = performance.now() + HOLD_MS;
}

function putInOrder(anyway) {
  const wanted = [...model.guests.values()].filter(isWanted);
  if (isHeld() && !anyway) {
    const place = new Map(rows.order.map((guest, i) => [guest.id, i]));
    const placeOf = guest => place.has(guest.id) ? place.get(guest.id) : Infinity;
    wanted.sort((a, b) => placeOf(a) === placeOf(b) ? compare(a, b) : placeOf(a) - placeOf(b));
  } else
    wanted.sort(compare);
  wanted.forEach((guest, i) => { guest.place = i; });
  rows.order = wanted;
  if (!wanted.some(guest => guest.id === rows.keep))
    rows.keep = wanted.length ? wanted[0].id : null;
  setText(byIdOf("held"), isHeld() && !anyway ? "order held while you point" : "");
}

// --- Which rows there are.

function spacer(id, height) {
  byIdOf(id).firstElementChild.firstElementChild.style.height = height + "px";
  byIdOf(id).hidden = !(height > 0);
}

function drawRows() {
  const body = byIdOf("rows"), n = rows.order.length;
  if (body.firstElementChild)
    rows.height = body.firstElementChild.getBoundingClientRect().height || rows.height;
  const top = byIdOf("columns").getBoundingClientRect();
  const start = byIdOf("table").getBoundingClientRect().top + top.height;
  let first = 0, last = n;
  if (n > FEW) {
    first = Math.min(Math.max(0, Math.floor(-start / rows.height) - NEAR), n);
    last = Math.min(n, Math.max(first, Math.ceil((innerHeight - start) / rows.height) + NEAR));
  }
  spacer("above", first * rows.height);
  spacer("below", (n - last) * rows.height);
  arrange(body, rows.order.slice(first, last), guest => guest.id, makeRow, drawRow);
}

function drawTable(anyway) {
  putInOrder(anyway);
  const all = model.guests.size, n = rows.order.length;
  setText(byIdOf("shown"), n === all ? countText(all) : countText(n) + " of " + countText(all));
  setAttribute(byIdOf("table"), "aria-rowcount", String(n + 1));
  byIdOf("nobody").hidden = n > 0;
  setText(byIdOf("nobody"), all > 0 ? "No guest is like that."
    : "No export yet: there is one as soon as a client asks for it.");
  drawRows();
}

// --- Heads, keys.

function sortBy(column) {
  if (sorting.column === column) sorting.down = !sorting.down;
  else {
    sorting.column = column;
    sorting.down = column.key !== "name" && column.key !== "state";
  }
  drawSorting();
  if (model.now) drawTable(true);
}

function drawSorting() {
  for (const head of byIdOf("columns").children) {
    const on = head.column === sorting.column;
    setAttribute(head, "aria-sort", !on ? null : sorting.down ? "descending" : "ascending");
    setText(head.querySelector(".arrow"), !on ? "" : sorting.down ? "\u25bc" : "\u25b2");
  }
}

function makeHeads() {
  for (const column of COLUMNS) {
    const button = make("button", { type: "button" }, column.label,
      make("span", { class: "arrow", "aria-hidden": "true" }));
    const head = make("th",
      { class: "cell " + column.key, scope: "col", role: "columnheader" }, button);
    head.column = column;
    button.addEventListener("click", () => sortBy(column));
    byIdOf("columns").append(head);
  }
}

// Tooltips of the heads say what the figures mean.
function explainHeads() {
  for (const head of byIdOf("columns").children)
    setAttribute(head, "title", (head.column.recent ? "of the last interval only\n" : "") +
      meaningOf("guest", ...head.column.figures) || null);
}

// Puts the focus on the name in that place of the order.
function focusPlace(place) {
  const guest = rows.order[Math.max(0, Math.min(place, rows.order.length - 1))];
  if (!guest) return;
  rows.keep = guest.id;
  const index = rows.order.indexOf(guest), table = byIdOf("table").getBoundingClientRect();
  const heads = byIdOf("columns").getBoundingClientRect().height;
  const at = table.top + heads + index * rows.height;
  if (at < heads) scrollBy(0, at - heads - rows.height);
  else if (at + rows.height > innerHeight) scrollBy(0, at + 2 * rows.height - innerHeight);
  drawRows();
  const row = byIdOf("rows").elementsByKey.get(guest.id);
  if (row) row.querySelector("button").focus({ preventScroll: true });
}

function walk(event) {
  const row = event.target.closest("tr");
  if (!row || !event.target.matches("button.name")) return;
  hold();
  const place = Number(row.getAttribute("aria-rowindex")) - 2;
  const page = Math.max(1, Math.floor(innerHeight / rows.height) - 2);
  const to = { ArrowUp: place - 1, ArrowDown: place + 1, Home: 0, End: rows.order.length - 1,
               PageUp: place - page, PageDown: place + page }[event.key];
  if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  focusPlace(to);
}

function onFilterKey(event) {
  const filter = byIdOf("filter");
  if (event.key === "Escape") {
    if (filter.value === "") filter.blur();
    filter.value = "";
    drawTable(true);
  } else if (event.key === "Enter" || event.key === "ArrowDown") {
    event.preventDefault();
    focusPlace(0);
  }
}

function onKey(event) {
  if (event.key !== "/" || event.ctrlKey || event.altKey || event.metaKey ||
      byIdOf("detail").open || event.target.matches("input"))
    return;
  event.preventDefault();
  byIdOf("filter").focus();
  byIdOf("filter").select();
}

function startTable() {
  makeHeads();
  sortBy(COLUMNS.find(column => column.key === "swapped"));
  const rowsElement = byIdOf("rows");
  rowsElement.addEventListener("pointermove", hold);
  rowsElement.addEventListener("keydown", walk);
  byIdOf("filter").addEventListener("input", () => model.now && drawTable(true));
  byIdOf("filter").addEventListener("keydown", event => model.now && onFilterKey(event));
  byIdOf("troubled").addEventListener("change", () => model.now && drawTable(true));
  document.addEventListener("keydown", onKey);
  let asked = false;
  const later = () => {
    if (asked || !model.now) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; drawRows(); });
  };
  addEventListener("scroll", later, { passive: true });
  addEventListener("resize", later);
}
