"use strict";

// The gallery. All text of a run reaches the page as text nodes and attributes, never as markup.

const FILL_AHEAD = "800px"; // rows nearer to the window than this hold their images
const PRINTED = 60; // rows that go on paper
const ALT_LENGTH = 160; // characters of a prompt in an alternative text
const FAINTEST = 0.4; // opacity of a detection without any confidence
const SVG = "http://www.w3.org/2000/svg";

const gallery = JSON.parse(document.getElementById("data").textContent);
const methods = gallery.columns.map((column) => column.method);
const base = methods.indexOf("base");
const byId = (id) => document.getElementById(id);
const choices = ["search", "task", "method", "verdict", "order"].map(byId);

const searchable = new Map(gallery.rows.map((row) => [row, row.prompt.toLowerCase()]));
let rows = []; // those that the controls choose, in their order
let viewed = null; // {place, column} in the viewer

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function decimal(number) {
  return number.toFixed(2).replace("-", "−");
}

function signed(number) {
  return (number < 0 ? "" : "+") + decimal(number);
}

function verdict(tile) {
  if (gallery.graded) return `score ${decimal(tile.score)}`;
  return tile.right ? "✓ right" : "✗ wrong";
}

function verdictClass(tile) {
  return gallery.graded ? "graded" : tile.right ? "right" : "wrong";
}

function picture(row, column) {
  const tile = row.tiles[column];
  const prompt = row.prompt.length > ALT_LENGTH ? row.prompt.slice(0, ALT_LENGTH) + "…" : row.prompt;
  const alt = `${methods[column]} for “${prompt}”: ${verdict(tile)}`;
  return element("img", { src: tile.image, alt, width: gallery.width, height: gallery.height });
}

// Choosing and ordering

function chosen() {
  const [search, task, method, wanted, order] = choices.map((control) => control.value);
  const column = methods.indexOf(method);
  const passes = {
    "": () => true,
    right: (row) => row.tiles[column].right,
    wrong: (row) => !row.tiles[column].right,
    mended: (row) => row.tiles[column].right && !row.tiles[base].right,
    spoiled: (row) => !row.tiles[column].right && row.tiles[base].right,
  }[wanted];
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = gallery.rows.filter(
    (row) =>
      (!task || row.task === task) && passes(row) && words.every((word) => searchable.get(row).includes(word)),
  );
  return order ? found.sort(byGain(column, order === "most" ? -1 : 1)) : found;
}

function byGain(column, direction) {
  const gain = (row) => row.tiles[column].gain;
  const unknown = (row) => Number(gain(row) === null); // these come last, whichever the direction
  return (one, other) => unknown(one) - unknown(other) || direction * (gain(one) - gain(other));
}

function update() {
  rows = chosen();
  const images = rows.length * visibleColumns().length;
  byId("count").value = rows.length
    ? `${rows.length} of ${gallery.rows.length} rows, ${images} images`
    : "No row fits: choose less narrowly.";
  observer.disconnect();
  const shells = rows.map((row, place) => element("li", { "data-place": place }));
  byId("rows").replaceChildren(...shells);
  shells.forEach((shell) => observer.observe(shell));
  remember();
}

// Rows hold their images only near the window

const observer = new IntersectionObserver(
  (entries) => entries.forEach(({ target, isIntersecting }) => (isIntersecting ? fill(target) : clear(target))),
  { rootMargin: FILL_AHEAD },
);

function fill(shell) {
  if (shell.firstChild) return;
  const row = rows[shell.dataset.place];
  shell.style.minHeight = "";
  shell.append(
    element(
      "div",
      { class: "asked" },
      element("p", { class: "prompt", dir: "auto" }, row.prompt),
      element("p", { class: "place" }, `${row.task}, prompt ${row.prompt_index}, seed ${row.seed}`),
    ),
    element("div", { class: "tiles" }, ...visibleColumns().map((column) => tile(row, column))),
  );
}

function clear(shell) {
  if (!shell.firstChild || shell.contains(document.activeElement)) return;
  shell.style.minHeight = `${shell.offsetHeight}px`;
  shell.replaceChildren();
}

function tile(row, column) {
  const { gain } = row.tiles[column];
  const told = gain === null || column === base ? "" : ` ${signed(gain)}`;
  return element(
    "button",
    { type: "button", class: `tile ${verdictClass(row.tiles[column])}`, "data-column": column },
    picture(row, column),
    element("span", { class: "method" }, methods[column]),
    element("span", { class: "verdict" }, verdict(row.tiles[column]) + told),
  );
}

function visibleColumns() {
  const boxes = [...byId("shown").querySelectorAll("input")];
  return boxes.flatMap((box, column) => (box.checked ? [column] : []));
}

function tileAt(place, column) {
  const shell = byId("rows").children[place];
  if (!shell) return null;
  fill(shell);
  return shell.querySelector(`[data-column="${column}"]`);
}

// The viewer

function view(place, column) {
  if (!rows[place]) return;
  viewed = { place, column };
  const row = rows[place];
  const tile = row.tiles[column];
  byId("picture").replaceChildren(picture(row, column), boxes(tile));
  byId("strip").replaceChildren(...visibleColumns().map((each) => stripButton(row, each)));
  byId("viewer-prompt").textContent = row.prompt;
  byId("place").textContent =
    `${methods[column]}, ${row.task}, prompt ${row.prompt_index}, seed ${row.seed}, run ${gallery.columns[column].run}`;
  byId("word").textContent = verdict(tile);
  byId("word").className = verdictClass(tile);
  byId("reason").textContent = tile.reason;
  byId("rewards").hidden = Object.keys(tile.rewards).length === 0;
  byId("rewards").tBodies[0].replaceChildren(...rewardLines(row, column));
  byId("detections").replaceChildren(...detectionLines(tile));
  byId("previous").disabled = place === 0;
  byId("next").disabled = place === rows.length - 1;
  const elsewhere = !byId("viewer").matches(":focus-within");
  if (!byId("viewer").open) byId("viewer").showModal();
  if (elsewhere) byId("strip").querySelector("[aria-pressed=true]").focus();
}

function stripButton(row, column) {
  const pressed = String(column === viewed.column);
  const button = element("button", { type: "button", "aria-pressed": pressed, "data-column": column });
  button.append(picture(row, column), methods[column]);
  return button;
}

function rewardLines(row, column) {
  return Object.entries(row.tiles[column].rewards).map(([name, value]) => {
    const before = base < 0 ? null : row.tiles[base].rewards[name];
    const known = value !== null && typeof before === "number" && column !== base;
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, name),
      element("td", { class: "number" }, value === null ? "not finite" : decimal(value)),
      element("td", { class: "number" }, known ? signed(value - before) : "–"),
    );
  });
}

function named(detection) {
  return [detection.color, detection.class].filter(Boolean).join(" ");
}

function detectionLines(tile) {
  const seen = tile.detections.map((each) => `${named(each)}, confidence ${each.score.toFixed(2)}`);
  const lines = [...seen, ...tile.facts];
  return (lines.length ? lines : ["nothing"]).map((line) => element("li", {}, line));
}

function boxes(tile) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", `0 0 ${gallery.width} ${gallery.height}`);
  drawing.setAttribute("preserveAspectRatio", "xMinYMid"); // as the image below it lies
  drawing.setAttribute("aria-hidden", "true");
  drawing.append(...tile.detections.map(box));
  return drawing;
}

function box(detection) {
  const [left, top, right, bottom] = detection.box;
  const size = gallery.height / 24;
  const above = top > size;
  const frame = shape("rect", { x: left, y: top, width: right - left, height: bottom - top });
  const label = shape("text", { x: left, y: above ? top - size / 4 : bottom + size, "font-size": size });
  label.textContent = `${named(detection)} ${detection.score.toFixed(2)}`;
  const both = shape("g", { opacity: FAINTEST + (1 - FAINTEST) * detection.score });
  both.append(frame, label);
  return both;
}

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function neighbor(column, step) {
  const columns = visibleColumns();
  return columns[columns.indexOf(column) + step] ?? column;
}

// The keyboard: arrows move among tiles and within the viewer, / searches

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function moveInViewer(event) {
  const step = STEPS[event.key];
  if (!step || !byId("viewer").open) return;
  event.preventDefault();
  view(viewed.place + step[0], neighbor(viewed.column, step[1]));
}

function moveInRows(event) {
  const step = STEPS[event.key];
  const from = event.target.closest(".tile");
  if (!step || !from) return;
  event.preventDefault();
  const place = Number(from.parentElement.parentElement.dataset.place) + step[0];
  tileAt(place, neighbor(Number(from.dataset.column), step[1]))?.focus();
}

function startSearch(event) {
  if (event.key !== "/" || byId("viewer").open || event.target.matches("input, select")) return;
  event.preventDefault();
  byId("search").focus();
}

// The address holds what is chosen, so that a view can be passed on

function holdsChoices() {
  return location.hash.includes("=");
}

function remember() {
  const hidden = methods.filter((_, column) => !visibleColumns().includes(column));
  const told = choices.map((control) => [control.id, control.value]);
  if (hidden.length) told.push(["hidden", hidden.join(",")]);
  const text = new URLSearchParams(told.filter(([id, value]) => value !== defaults[id])).toString();
  if (text || holdsChoices()) history.replaceState(null, "", `#${text || "gallery"}`);
}

function recall() {
  const told = new URLSearchParams(location.hash.slice(1));
  for (const control of choices) {
    control.value = told.get(control.id) ?? defaults[control.id];
    if (control.selectedIndex === -1 || control.selectedOptions?.[0].disabled) control.value = defaults[control.id];
  }
  const hidden = (told.get("hidden") ?? "").split(",");
  byId("shown").querySelectorAll("input").forEach((box) => (box.checked = !hidden.includes(box.value)));
  update();
  if (holdsChoices()) byId("gallery").scrollIntoView({ behavior: "instant" });
}

// Paper holds the first rows, all filled

function beforePrint() {
  const shells = [...byId("rows").children];
  shells.slice(0, PRINTED).forEach(fill);
  shells.forEach((shell, place) => shell.classList.toggle("unprinted", place >= PRINTED));
  byId("printed").textContent =
    `Printed: the first ${Math.min(PRINTED, rows.length)} of ${rows.length} rows chosen; ${gallery.rows.length} in all.`;
}

// The start

function option(value, text) {
  return element("option", { value }, text);
}

const first = methods.find((name) => name !== "base") ?? methods[0];
const defaults = { search: "", task: "", method: first, verdict: "", order: "" };

// What the verdicts are called where scores are grades
const GRADES = {
  "": "any score",
  right: "at least 0.5",
  wrong: "below 0.5",
  mended: "at least 0.5 where base is below",
  spoiled: "below 0.5 where base is not",
};

function prepare() {
  byId("task").append(...gallery.tasks.map((task) => option(task, task)));
  byId("method").append(...methods.map((method) => option(method, method)));
  byId("shown").append(
    ...methods.map((method) => element("label", {}, element("input", { type: "checkbox", value: method }), ` ${method}`)),
  );
  if (gallery.graded) for (const each of byId("verdict").options) each.textContent = GRADES[each.value];
  for (const each of byId("order").options) each.disabled = each.value !== "" && !gallery.gains;
  for (const each of byId("verdict").options) each.disabled = base < 0 && ["mended", "spoiled"].includes(each.value);
  byId("remarks").append(...gallery.remarks.map((text) => element("p", {}, text)));
  document.body.classList.toggle("pixels", Math.max(gallery.width, gallery.height) <= 64);
}

function listen() {
  byId("controls").addEventListener("input", update);
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("rows").addEventListener("click", (event) => {
    const chosen = event.target.closest(".tile");
    if (chosen) view(Number(chosen.parentElement.parentElement.dataset.place), Number(chosen.dataset.column));
  });
  byId("rows").addEventListener("keydown", moveInRows);
  byId("strip").addEventListener("click", (event) => {
    const chosen = event.target.closest("button");
    if (chosen) view(viewed.place, Number(chosen.dataset.column));
  });
  byId("viewer").addEventListener("click", (event) => event.target === byId("viewer") && byId("viewer").close());
  byId("viewer").addEventListener("close", () => tileAt(viewed.place, viewed.column)?.focus());
  byId("close").addEventListener("click", () => byId("viewer").close());
  byId("previous").addEventListener("click", () => view(viewed.place - 1, viewed.column));
  byId("next").addEventListener("click", () => view(viewed.place + 1, viewed.column));
  byId("boxes").addEventListener("change", () => byId("viewer").classList.toggle("plain", !byId("boxes").checked));
  document.addEventListener("keydown", moveInViewer);
  document.addEventListener("keydown", startSearch);
  window.addEventListener("beforeprint", beforePrint);
  window.addEventListener("hashchange", () => holdsChoices() && recall());
}

prepare();
listen();
recall();
