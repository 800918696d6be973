// A face as it is shown: its number, its expression and its card, the same for pictures, films and the camera.

import { COLOURS } from "./colours.js";

export const colour = (label) => COLOURS[label][0];
export const inkOn = (label) => COLOURS[label][1];
export const LABELS = Object.keys(COLOURS);
export const percent = (value) => `${Math.round(100 * value)} %`;

export function make(tag, properties = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "role" || name.startsWith("aria")) element.setAttribute(name.replace("aria", "aria-").toLowerCase(), value);
    else element[name] = value;
  }
  element.append(...inside);
  return element;
}

export function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const WARNINGS = {
  small: "few pixels", rotated: "turned", blurred: "blurred", occluded: "partly covered", unsure: "no expression is clear",
};

// What is shown of a reading; smoothed where it is of a film.
export function faceOf(reading, place) {
  const scores = reading.smoothed ?? reading.expressions;
  const [label, confidence] = Object.entries(scores).reduce((a, b) => (b[1] > a[1] ? b : a));
  return { number: reading.face_id ?? place + 1, box: reading.box, status: reading.status, label, confidence, scores };
}

export const words = ({ label, confidence, status }) => `${label} ${percent(confidence)}${status === "ok" ? "" : `, ${status}`}`;

export class Card {
  constructor(number, open = true) {
    this.chip = make("b", { className: "chip", textContent: number });
    this.title = make("span", { className: "label" });
    this.share = make("span", { className: "share" });
    this.note = make("span", { className: "note" });
    this.bars = new Map(LABELS.map((label) => [label, { part: make("i"), fill: make("span"), share: make("dd") }]));
    const [strip, list] = [make("span", { className: "strip", ariaHidden: "true" }), make("dl")]; // the strip while the list is closed
    for (const [label, { part, fill, share }] of this.bars) {
      part.style.background = fill.style.background = colour(label);
      strip.append(part);
      list.append(make("dt", { textContent: label }), make("dd", { className: "bar", ariaHidden: "true" }, fill), share);
    }
    const summary = make("summary", {}, make("span", { className: "unseen", textContent: "Face " }), this.chip, this.title, this.share, strip, this.note);
    this.element = make("details", { className: "face", open }, summary, list);
  }

  update({ label, confidence, status = "ok", scores }, note = "") {
    this.chip.style.background = colour(label);
    this.chip.style.color = inkOn(label);
    this.title.textContent = label;
    this.share.textContent = percent(confidence);
    this.note.textContent = status === "ok" ? note : `check: ${WARNINGS[status] ?? status}`;
    for (const [name, { part, fill, share }] of this.bars) {
      part.style.width = fill.style.width = `${100 * scores[name]}%`;
      share.textContent = percent(scores[name]);
    }
    return this;
  }
}
