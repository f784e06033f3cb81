// SPDX-License-Identifier: BSD-3-Clause
// Numbers and names as text.  Sizes, ratios and times read as in vmswapctl.

const UNKNOWN = "-";

function sizeText(bytes) {
  if (bytes === null || bytes === undefined || Number.isNaN(bytes)) return UNKNOWN;
  if (bytes < 0) return "\u2212" + sizeText(-bytes);
  bytes = Math.round(bytes);
  if (bytes < 1024) return String(bytes);
  let unit = 0;
  while (unit < 5 && bytes >= 1024 ** (unit + 2)) unit++;
  const size = 1024 ** (unit + 1);
  const whole = Math.floor(bytes / size);
  const rest = bytes % size;
  const tenths = whole * 10 + Math.floor((rest * 10 + size / 2) / size);
  const letter = "KMGTPE"[unit];
  if (tenths < 100)
    return (tenths % 10 ? (tenths / 10).toFixed(1) : tenths / 10) + letter;
  return whole + (rest >= size / 2 ? 1 : 0) + letter;
}

const perSecond = bytes => bytes === null ? UNKNOWN : sizeText(bytes) + "/s";

const grouped = new Intl.NumberFormat("en");
const countText = n => n === null ? UNKNOWN : grouped.format(Math.round(n));

function ratioText(ratio) {
  return ratio > 0 ? ratio.toFixed(ratio < 100 ? 2 : 0) : UNKNOWN;
}

function percentText(part, whole) {
  if (!(whole > 0)) return UNKNOWN;
  const percent = 100 * part / whole;
  // Neither "0 %" of something nor "100 %" of what is not all of it.
  if (percent > 0 && percent < 1) return "<1 %";
  if (percent < 100 && percent > 99) return ">99 %";
  return Math.round(percent) + " %";
}

function timeText(seconds) {
  if (!(seconds > 0)) return UNKNOWN;
  if (seconds < 1e-3) return (seconds * 1e6).toFixed(seconds < 1e-5 ? 1 : 0) + " \u00b5s";
  if (seconds < 1) return (seconds * 1e3).toFixed(seconds < 1e-2 ? 1 : 0) + " ms";
  return seconds.toFixed(1) + " s";
}

function durationText(seconds) {
  seconds = Math.max(0, Math.round(seconds));
  if (seconds < 120) return seconds + " s";
  if (seconds < 7200) return Math.floor(seconds / 60) + " min";
  if (seconds < 172800) return Math.floor(seconds / 3600) + " h";
  return Math.floor(seconds / 86400) + " days";
}

const two = n => String(n).padStart(2, "0");

const clockText = date =>
  two(date.getHours()) + ":" + two(date.getMinutes()) + ":" + two(date.getSeconds());

const dateText = date =>
  date.getFullYear() + "-" + two(date.getMonth() + 1) + "-" + two(date.getDate()) +
  " " + clockText(date);

// A figure as people read it, and all its digits.
function figureText(figure, value) {
  switch (figure.unit) {
  case "bytes": return sizeText(value);
  case "ratio": return ratioText(value);
  case "seconds": return timeText(value);
  case "time": return value > 0 ? dateText(new Date(value * 1000)) : "never";
  case "flag": return value ? "yes" : "no";
  case "pages": return countText(value) + " pages";
  default: return countText(value);
  }
}

const isRounded = figure => ["bytes", "ratio", "seconds", "time"].includes(figure.unit);

const exactText = (figure, value) => isRounded(figure) ? value + " " + figure.unit : "";

// Names come from clients.  What would be invisible, or would turn the text
// around, is shown as its number.
function nameText(name) {
  if (name === "") return "(no name)";
  return name.replace(/[\p{C}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0\ufe00-\ufe0f]|(?! )\p{Zs}/gu,
    c => "\u27e8U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0") + "\u27e9");
}
