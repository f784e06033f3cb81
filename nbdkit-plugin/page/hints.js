// SPDX-License-Identifier: BSD-3-Clause
// What needs action: the server's hints, as vmswapctl doctor has them; and what
// they cannot tell, because it only just happened.

// How soon somebody should act; kinds that are not here are to be watched.
const URGENCY = ["act now", "watch", "advice"];
const URGENT = {
  "damaged": 0, "failing": 0, "lost": 0, "refusing": 0,
  "no-state": 2, "not-locked": 2,
  "small-requests": 2, "never-trimmed": 2, "incompressible": 2,
};
const urgencyOf = kind => URGENT.hasOwnProperty(kind) ? URGENT[kind] : 1;

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
  { kind: "refusing",
    seen: guest => lately(guest, "refused") > 0 &&
      countText(lately(guest, "refused")) +
      " of its requests found no room in the last two minutes",
    fix: "a larger quota if it has one (vmswapctl limit), a larger pool= if not, or a second " +
      "swap area of lower priority in the guest; and its disk with werror=report in QEMU, so " +
      "that it is not paused" },
  { kind: "quota",
    seen: ({ now }) => now.quota_bytes > 0 && now.charged_bytes >= 0.9 * now.quota_bytes &&
      percentText(now.charged_bytes, now.quota_bytes) + " of its quota is used",
    fix: "a larger quota (vmswapctl limit), or a second swap area of lower priority in the guest" },
];

// {kind, guest (null: the server), seen, fix}, the most urgent first; each guest
// has its own as guest.hints.
function findHints() {
  const isNow = (kind, guest) => kind === "refused" && guest && lately(guest, "refused") > 0;
  const hints = model.now.hints.map(({ kind, guest, seen, fix }) =>
    ({ kind, seen, fix, guest: guest === null ? null : model.byName.get(guest) }))
    .filter(({ kind, guest }) => !isNow(kind, guest));
  const add = ({ kind, fix }, guest, seen) => {
    if (seen) hints.push({ kind, guest, seen, fix });
  };
  for (const rule of POOL_RULES) add(rule, null, rule.seen(model.now.pool));
  for (const guest of model.guests.values()) {
    for (const rule of GUEST_RULES) add(rule, guest, rule.seen(guest));
    guest.hints = [];
  }
  hints.sort((a, b) => urgencyOf(a.kind) - urgencyOf(b.kind));
  for (const hint of hints) if (hint.guest) hint.guest.hints.push(hint);
  return hints;
}
