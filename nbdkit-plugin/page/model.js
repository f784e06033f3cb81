// SPDX-License-Identifier: BSD-3-Clause
// What is known of the server.  Owns the last answers, and what the last two
// minutes were like: rates are the differences of counters between two answers.

const SPAN = 120; // seconds of history
const PAGE_SIZE = 4096;
const OPS = ["read", "write", "zero", "trim"];

const model = {
  table: null, // the answer of /figures
  now: null, // of /json
  latency: null, // of /latency
  seconds: null, // between the last two answers; null: there is one only
  times: [], // when each was, in seconds of the browser's clock
  guests: new Map(), // by id
  byName: new Map(),
  pool: null, // rates and history, as of a guest
  hints: [],
};

// Histories have one element for each of the last model.times.
function makeTrack(names) {
  const track = { rate: {}, history: {} };
  for (const name of names) {
    track.rate[name] = null;
    track.history[name] = [];
  }
  return track;
}

// What a guest had done before it came to be.
const NOTHING = { read: [], write: [], zero: [], trim: [] };

// By how much the counters rose.  null: nobody knows, or one fell: what had
// them is not the same any more.
function rise(now, before, figures) {
  let sum = 0;
  if (!before) return null;
  for (const figure of figures) {
    const then = before === NOTHING ? 0 : before[figure];
    if (!(now[figure] >= then)) return null;
    sum += now[figure] - then;
  }
  return sum;
}

// unit: of counters that count something else than what is shown.
function follow(track, counters, now, before, unit = {}) {
  for (const name in counters) {
    const risen = model.seconds === null ? null : rise(now, before, counters[name]);
    track.rate[name] = risen === null ? null
                                        : risen * (unit[name] || 1) / model.seconds;
    track.history[name].push(track.rate[name]);
    const excess = track.history[name].length - model.times.length;
    if (excess > 0) track.history[name].splice(0, excess);
  }
}

// How often it happened in the last two minutes.
function lately(track, name) {
  const history = track.history[name], first = model.times.length - history.length;
  let sum = 0;
  history.forEach((rate, i) => {
    if (rate !== null && first + i > 0)
      sum += rate * (model.times[first + i] - model.times[first + i - 1]);
  });
  return Math.round(sum);
}

// What was stored and read: requests that were refused are none of it.
const GUEST_COUNTERS = {
  out: ["written_pages"],
  in: ["read_pages"],
  trim: ["trim_bytes"],
  refused: ["full_errors"],
  failed: ["io_errors"],
};

const GUEST_UNITS = { out: 4096, in: 4096 };

const POOL_COUNTERS = {
  out: ["written_pages"],
  in: ["read_pages"],
  trim: ["trimmed_pages"],
  refused: ["refused_writes", "quota_refused_writes"],
  cooled: ["cooled_pages"],
  warmed: ["warmed_pages"],
  coldCpu: ["cold_cpu_seconds"],
};

// The requests between two answers of /latency: [[bucket, count], ...]
function newRequests(now, before) {
  const counts = new Map(before);
  return now.map(([bucket, n]) => [bucket, n - (counts.get(bucket) || 0)])
            .filter(([, n]) => n > 0);
}

// The time, in seconds, that this share of the requests took at most.
function quantile(buckets, share, bounds) {
  const all = buckets.reduce((sum, [, n]) => sum + n, 0);
  let seen = 0;
  for (const [bucket, n] of buckets) {
    seen += n;
    if (seen >= share * all) return bounds[bucket] / 1e9;
  }
  return null;
}

function takeTimes(guest, now, before) {
  guest.recent = {};
  for (const op of OPS)
    guest.recent[op] = now && before ? newRequests(now[op], before[op]) : [];
  guest.p50 = quantile(guest.recent.read, 0.5, model.latency.bounds_ns);
  guest.p99 = quantile(guest.recent.read, 0.99, model.latency.bounds_ns);
}

function takePoolTimes() {
  const sum = new Map();
  for (const guest of model.guests.values())
    for (const [bucket, n] of guest.recent.read)
      sum.set(bucket, (sum.get(bucket) || 0) + n);
  const all = [...sum].sort((a, b) => a[0] - b[0]);
  model.pool.p50 = quantile(all, 0.5, model.latency.bounds_ns);
  model.pool.p99 = quantile(all, 0.99, model.latency.bounds_ns);
}

function stateOf(figures) {
  if (figures.ring_region_bytes > 0) return figures.ring_posts_closed ? "ring full" : "ring";
  if (figures.in_use) return "in use";
  return figures.connections > 0 ? "connected" : "idle";
}

function makeGuest(id) {
  const isNew = model.seconds !== null; // or it would have been there before
  return Object.assign(makeTrack(Object.keys(GUEST_COUNTERS)),
    { id, now: isNew ? NOTHING : null, isNew });
}

function takeGuest(figures, latency, latencyBefore) {
  const guest = model.guests.get(figures.id) || makeGuest(figures.id);
  follow(guest, GUEST_COUNTERS, figures, guest.now, GUEST_UNITS);
  guest.now = figures;
  guest.name = nameText(figures.name);
  guest.state = stateOf(figures);
  guest.errors = figures.full_errors + figures.io_errors + figures.other_errors;
  takeTimes(guest, latency, guest.isNew ? NOTHING : latencyBefore);
  guest.isNew = false;
  return guest;
}

const byId = latency => new Map(latency ? latency.guests.map(g => [g.id, g]) : []);

// Forgets what another process counted; its history stays to be seen.
function forgetCounters() {
  model.now = model.latency = null;
  for (const guest of model.guests.values()) guest.now = null;
}

const isSameProcess = server => model.now && model.now.server.pid === server.pid &&
  model.now.server.start_time === server.start_time;

// Takes over the answers of a moment ("at", in seconds).
function modelTake(now, latency, at) {
  const names = Object.keys(POOL_COUNTERS);
  if (!isSameProcess(now.server)) forgetCounters();
  const before = model.now, earlier = byId(model.latency), current = byId(latency);
  model.seconds = before ? (now.clock_ns - before.clock_ns) / 1e9 : null;
  if (!(model.seconds > 0)) model.seconds = null;
  model.times.push(at);
  while (model.times[1] < at - SPAN) model.times.shift(); // one is before the span
  model.now = now;
  model.latency = latency;
  model.pool = model.pool || makeTrack(names);
  follow(model.pool, POOL_COUNTERS, now.pool, before && before.pool);
  model.guests = new Map(now.guests.map(g =>
    [g.id, takeGuest(g, current.get(g.id), earlier.get(g.id))]));
  model.byName = new Map(now.guests.map(g => [g.name, model.guests.get(g.id)]));
  takePoolTimes();
  model.hints = findHints();
}
