// SPDX-License-Identifier: BSD-3-Clause
// What needs action: the server's hints, as vmswapctl doctor has them, and what
// they cannot tell, because it happens right now.

// How soon somebody should act.
const URGENCY = ["act now", "watch", "advice"];
const NO_HURRY = 2;
const URGENT = new Map([
  ["damaged", 0], ["failing", 0], ["lost", 0],
  ["keeper-gone", 0], ["no-state", 2], ["not-locked", 2], ["small-requests", 2], ["never-trimmed", 2],
  ["incompressible", 2],
]);
// They count since the server's start, and are urgent while it goes on.
const REFUSED = ["refused", "quota-refused"];

// seen: in words, or false.
const POOL_RULES = [
  { kind: "reserve-missing",
    seen: pool => pool.missing_bytes > 0 &&
      sizeText(pool.missing_bytes) + " of what is reserved is held by guests that had it before",
    fix: "give those guests quotas, or wait until they discard it" },
];

const GUEST_RULES = [
  { kind: "failing",
    seen: guest => lately(guest, "failed") > 0 &&
      countText(lately(guest, "failed")) + " of its requests failed in the last two minutes",
    fix: "its pages are lost or damaged, or the registry's disk fails: see its other hints, " +
      "and the server's log" },
];

function makeHintOf(kind, guest, seen, fix) {
  const hint = { kind, guest, seen, fix, urgency: URGENT.has(kind) ? URGENT.get(kind) : 1 };
  if (guest && REFUSED.includes(kind) && lately(guest, "refused") > 0) {
    hint.urgency = 0;
    hint.seen += "; " + countText(lately(guest, "refused")) + " in the last two minutes";
  }
  return hint;
}

// The most urgent first; guest is null if it is about the server.  Each guest has
// its own as guest.hints.
function findHints() {
  const hints = model.now.hints.map(({ kind, guest, seen, fix }) =>
    makeHintOf(kind, guest === null ? null : model.byName.get(guest), seen, fix));
  const add = ({ kind, fix }, guest, seen) => {
    if (seen) hints.push(makeHintOf(kind, guest, seen, fix));
  };
  for (const rule of POOL_RULES) add(rule, null, rule.seen(model.now.pool));
  for (const guest of model.guests.values()) {
    for (const rule of GUEST_RULES) add(rule, guest, rule.seen(guest));
    guest.hints = [];
  }
  hints.sort((a, b) => a.urgency - b.urgency);
  for (const hint of hints) if (hint.guest) hint.guest.hints.push(hint);
  return hints;
}
