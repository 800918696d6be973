// Every reading: the table that is shown, as the command shows it, and the one that is saved, as `mien recognize --csv` has it.

import { LABELS, make, percent } from "./faces.js";

const MOST_SHOWN = 200;
const TITLES = { "detector score": "How surely this is a face, 0 to 1" };
const MOST_KEPT = 200_000; // a camera may be on for hours
const $ = (id) => document.getElementById(id);
let rows = [];
let [drawing, dropped] = [0, 0];

// Keep a reading of `item`; `place` counts the faces of a picture from 1.
export function note(item, reading, { place = null, time = "", frame = "" } = {}) {
  rows.push({ item, reading, place, time, frame });
  if (rows.length > 1.1 * MOST_KEPT) {
    dropped += rows.length - MOST_KEPT;
    rows = rows.slice(-MOST_KEPT);
  }
  later();
}

export function forget(item) {
  rows = rows.filter((row) => row.item !== item);
  later();
}

const later = () => { drawing ||= setTimeout(draw, 300); };

function draw() {
  drawing = 0;
  $("table").hidden = rows.length === 0;
  const films = rows.some((row) => row.time !== "");
  const shown = rows.slice(-MOST_SHOWN);
  const told = rows.length > shown.length ? [`the last ${shown.length} of ${rows.length.toLocaleString("en")}`] : [];
  if (films) told.push("of each frame alone, not smoothed");
  if (dropped) told.push(`${dropped.toLocaleString("en")} older ones are no longer kept`);
  $("count").textContent = told.join("; ");
  const heads = ["file", ...(films ? ["time"] : []), "face", "box (x y w h)", "detector score", "expression", ...LABELS];
  document.querySelector("thead").replaceChildren(make("tr", {}, ...heads.map((text) => make("th", { scope: "col", textContent: text, title: TITLES[text] ?? "" }))));
  document.querySelector("tbody").replaceChildren(...asAbove(shown).map((row) => line(row, films)));
}

// The newest file first, as they stand above the table; each in its own order, of faces and of time.
const asAbove = (given) => [...new Set(given.map(({ item }) => item))].sort(above).flatMap((item) => given.filter((row) => row.item === item));
const above = (a, b) => (a.element.compareDocumentPosition(b.element) & Node.DOCUMENT_POSITION_PRECEDING ? 1 : -1);

function line({ item, reading, place, time }, films) {
  const { x, y, width, height } = reading.box;
  const row = make("tr", {}, make("th", { scope: "row", textContent: item.name }));
  const add = (text, strong = false) => row.append(make("td", { className: strong ? "best" : "" }, `${text}`));
  if (films) add(time === "" ? "" : `${time.toFixed(2)} s`);
  add(reading.face_id ?? place);
  add([x, y, width, height].join(" "));
  add(reading.score === null || reading.score === undefined ? "" : reading.score.toFixed(2));
  add(`${reading.label} ${percent(reading.confidence)}${reading.status === "ok" ? "" : ` (${reading.status})`}`, true);
  for (const label of LABELS) add(reading.expressions[label].toFixed(3), label === reading.label);
  return row;
}

// The columns are those of `mien recognize --csv`.
export function csv() {
  const heading = [
    ..."path index time_s frame face_id x y width height score label confidence status".split(" "),
    ...LABELS, ...LABELS.map((label) => `smoothed_${label}`), "error",
  ];
  const lines = rows.map(({ item, reading, time, frame }) => {
    const { x, y, width, height } = reading.box;
    return [
      item.name, "", time, frame, reading.face_id, x, y, width, height, reading.score, reading.label, reading.confidence, reading.status,
      ...LABELS.map((label) => reading.expressions[label]), ...LABELS.map((label) => reading.smoothed?.[label]), "",
    ].map(cell).join(",");
  });
  return new Blob([[heading.join(","), ...lines, ""].join("\n")], { type: "text/csv" });
}

// A name that begins like a formula stays text in a spreadsheet.
function cell(value) {
  const text = String(value ?? "");
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
