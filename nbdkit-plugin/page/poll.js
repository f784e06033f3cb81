// SPDX-License-Identifier: BSD-3-Clause
// Asking the server: once a second while somebody looks; less often while it
// does not answer, or while an answer takes long.

const POLL_MS = 1000;
const TIMEOUT_MS = 10000;
const BACKOFF_MAX_MS = 15000;
const API = 1;

const poll = { timer: 0, busy: false, failures: 0, since: null, why: "", next: 0, told: null,
               again: false };

const whyNot = error => new Error(error.name === "TimeoutError"
  ? "no answer within " + TIMEOUT_MS / 1000 + " s" : "no connection");

async function ask(path) {
  const options = { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) };
  const answer = await fetch(path, options).catch(error => { throw whyNot(error); });
  const text = await answer.text().catch(error => { throw whyNot(error); });
  if (!answer.ok) throw new Error("/" + path + ": " + answer.status + " " + text.slice(0, 200));
  return JSON.parse(text);
}

// A live region: only what changed, in few words.
function announce(text) {
  setText(byIdOf("announce"), text);
}

function announceHints(soon) {
  if (poll.told !== soon && (soon > 0 || poll.told > 0))
    announce(soon > 0 ? soon + (soon === 1 ? " thing needs" : " things need") + " action now"
                      : "Nothing needs action now");
  poll.told = soon;
}

function schedule(delay) {
  clearTimeout(poll.timer);
  poll.next = Date.now() + delay;
  poll.timer = setTimeout(askAll, delay);
}

function drawStale() {
  if (poll.failures === 0) return;
  const left = Math.max(0, Math.ceil((poll.next - Date.now()) / 1000));
  setText(byIdOf("stale-text"), (poll.since === null
    ? "The server has not answered yet (" + poll.why + ")."
    : "The server does not answer (" + poll.why + "): what is below is of " +
      clockText(poll.since) + ", " + durationText((Date.now() - poll.since) / 1000) + " ago.") +
    (poll.busy ? " Asking\u2026" : " Asking again in " + left + " s."));
}

function setStale(stale) {
  byIdOf("stale").hidden = !stale;
  setClass(document.body, "stale", stale);
  setText(byIdOf("link-text"), stale ? "stale" : "live, " + clockText(poll.since));
  if (stale) document.title = "(stale) vmswap";
}

// The page belongs to the server that sent it.
function checkServer(server) {
  const before = model.now && model.now.server;
  if (server.api !== API) throw new Error("this server has another interface: reload the page");
  if (!before) return false;
  if (before.version !== server.version) location.reload();
  return before.pid !== server.pid || before.start_time !== server.start_time;
}

async function askAnswers() {
  const [now, latency] = await Promise.all([ask("json"), ask("latency")]);
  const anew = checkServer(now.server);
  if (model.table === null || anew) {
    model.table = await ask("figures");
    explainHeads();
  }
  if (anew) announce("The server was started anew");
  modelTake(now, latency, Date.now() / 1000);
}

function drawAll() {
  byIdOf("main").hidden = false;
  drawPool();
  drawTable(false);
  drawDetail();
}

function fail(error) {
  poll.why = error.message;
  if (poll.failures++ === 0) announce("The server does not answer: the figures are stale");
  setStale(true);
  schedule(poll.again ? 0 : Math.min(POLL_MS * 2 ** (poll.failures - 1), BACKOFF_MAX_MS));
  poll.again = false;
}

function succeed(took) {
  poll.since = new Date();
  if (poll.failures > 0) announce("The server answers again");
  poll.failures = 0;
  setStale(false);
  // A page that is open all night must not be what the server is busy with.
  schedule(Math.max(POLL_MS - took, 2 * took));
}

async function askAll() {
  if (poll.busy || document.hidden) return;
  clearTimeout(poll.timer);
  const start = performance.now();
  poll.busy = true;
  try {
    await askAnswers();
    drawAll();
    poll.busy = false;
    succeed(performance.now() - start);
  } catch (error) {
    poll.busy = false;
    fail(error);
  }
  drawStale();
}

// By hand: if the server is being asked already, then once more.
function askNow() {
  poll.again = poll.busy;
  askAll();
}

startTable();
startDetail();
byIdOf("stale-ask").addEventListener("click", askNow);
document.addEventListener("visibilitychange", askAll);
addEventListener("online", askAll);
setInterval(drawStale, 1000);
askAll();
