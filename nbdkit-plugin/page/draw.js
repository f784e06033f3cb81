// SPDX-License-Identifier: BSD-3-Clause
// Small things to draw with.  Text is only ever set as text, and only when it
// changed; elements are kept and moved, so that focus and scrolling stay.

const byIdOf = id => document.getElementById(id);

// make("button", {class: "name", type: "button"}, "text" or elements...)
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const name in attributes) element.setAttribute(name, attributes[name]);
  element.append(...children);
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function setClass(element, name, on) {
  if (element.classList.contains(name) !== on) element.classList.toggle(name, on);
}

// Makes the children of parent those of items, in their order: one for each key,
// made by create(item) and brought up to date by update(element, item).  The one
// with the focus is never moved: others move around it.
function arrange(parent, items, keyOf, create, update) {
  const had = parent.elementsByKey || new Map();
  const has = new Map();
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const element = had.get(key) || create(item);
    has.set(key, element);
    if (element !== at && element.isConnected && element.contains(document.activeElement))
      while (at && at !== element) {
        const next = at.nextElementSibling;
        at.remove();
        at = next;
      }
    if (element === at) at = at.nextElementSibling;
    else parent.insertBefore(element, at);
    update(element, item);
  }
  while (at) {
    const next = at.nextElementSibling;
    at.remove();
    at = next;
  }
  parent.elementsByKey = has;
}

const SVG = "http://www.w3.org/2000/svg";
const GRAPH_HEIGHT = 24;

// A line of the last two minutes.  Its number is always beside it.
function makeGraph() {
  const graph = document.createElementNS(SVG, "svg");
  graph.setAttribute("viewBox", "0 -1 " + SPAN + " " + (GRAPH_HEIGHT + 2));
  graph.setAttribute("preserveAspectRatio", "none");
  graph.setAttribute("aria-hidden", "true");
  graph.setAttribute("class", "graph");
  for (const part of ["area", "line"]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", part);
    graph.append(path);
  }
  return graph;
}

// Returns the largest value.  Each graph has a scale of its own, from zero.
function drawGraph(graph, history) {
  const first = model.times.length - history.length;
  const end = model.times[model.times.length - 1];
  const most = history.reduce((a, b) => b > a ? b : a, 0);
  let line = "", area = "", start = null, x = 0;
  const close = () => {
    if (start !== null) area += "V" + GRAPH_HEIGHT + "H" + start + "Z";
    start = null;
  };
  history.forEach((value, i) => {
    if (value === null) return close();
    x = (SPAN - (end - model.times[first + i])).toFixed(1);
    const y = (GRAPH_HEIGHT - (most > 0 ? value / most : 0) * GRAPH_HEIGHT).toFixed(1);
    line += (start === null ? "M" : "L") + x + " " + y;
    area += start === null ? "M" + x + " " + GRAPH_HEIGHT + "V" + y : "L" + x + " " + y;
    if (start === null) start = x;
  });
  close();
  setAttribute(graph.firstChild, "d", area);
  setAttribute(graph.lastChild, "d", line);
  return most;
}

// The meaning of figures, for a tooltip.
function meaningOf(scope, ...names) {
  const lines = model.table[scope].filter(figure => names.includes(figure.name));
  return lines.map(figure => figure.name + ": " + figure.meaning).join("\n");
}

function makeFigureRow(figure) {
  return make("tr", {},
    make("th", { scope: "row" }, figure.name),
    make("td", { class: "number" },
      make("span", { class: "human" }), make("small", { class: "exact" })),
    make("td", {}, figure.meaning));
}

// A table of all figures of an object.
function drawFigures(body, scope, values) {
  arrange(body, model.table[scope], figure => figure.name, makeFigureRow, (row, figure) => {
    const value = values[figure.name];
    if (value === undefined) return;
    setText(row.querySelector(".human"), figureText(figure, value));
    setText(row.querySelector(".exact"), exactText(figure, value));
  });
}
