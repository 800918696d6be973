// What is drawn on a picture: blurred faces first, then boxes, then words that cover no face and no other words.

import { colour, inkOn, words } from "./faces.js";

const WIDER = 1.4;
const AVERAGES = 6; // both as in mien/output/veil.py

// Blur the faces in `boxes`: averages of a square that is wider than the face, as coarse at the picture's edge as elsewhere.
export function hide(pen, boxes) {
  for (const { x, y, width, height } of boxes) {
    const side = WIDER * Math.max(width, height);
    const [left, top] = [Math.max(0, Math.floor(x + (width - side) / 2)), Math.max(0, Math.floor(y + (height - side) / 2))];
    const across = Math.min(pen.canvas.width, Math.ceil(x + (width + side) / 2)) - left;
    const down = Math.min(pen.canvas.height, Math.ceil(y + (height + side) / 2)) - top;
    if (across <= 0 || down <= 0) continue;
    const cell = Math.max(1, side / AVERAGES);
    const small = averages(pen.getImageData(left, top, across, down), Math.max(1, Math.round(across / cell)), Math.max(1, Math.round(down / cell)));
    pen.imageSmoothingEnabled = true;
    pen.drawImage(small, left, top, across, down);
  }
}

// A picture of so few pixels, each the mean of its part of `image`.
function averages({ data, width, height }, columns, rows) {
  const sums = new Float64Array(4 * columns * rows);
  for (let y = 0; y < height; y += 1) {
    const row = Math.floor((y * rows) / height) * columns;
    for (let x = 0; x < width; x += 1) {
      const to = 4 * (row + Math.floor((x * columns) / width));
      const from = 4 * (y * width + x);
      for (let i = 0; i < 3; i += 1) sums[to + i] += data[from + i];
      sums[to + 3] += 1;
    }
  }
  const small = new OffscreenCanvas(columns, rows);
  const pixels = new ImageData(columns, rows);
  pixels.data.set(sums.map((sum, i) => (i % 4 === 3 ? 255 : sum / sums[i - (i % 4) + 3])));
  small.getContext("2d").putImageData(pixels, 0, 0);
  return small;
}

const MANY = 6;
const ROOM = 100; // screen pixels that words need beside each of many faces

// Boxes and words of `faces`; `unit` is the size of a screen's pixel in those of the canvas. `slots` remembers where the words
// of each number stood, so that they stay there. Where words have no room, the number remains.
export function mark(pen, faces, unit, { active = null, slots = new Map() } = {}) {
  const line = Math.max(1, 2 * unit);
  const size = (faces.length > MANY ? 11 : 14) * unit;
  const short = Number(faces.length > MANY && pen.canvas.width / unit < ROOM * Math.sqrt(faces.length));
  pen.font = `${size}px Aileron, system-ui, sans-serif`;
  pen.textBaseline = "middle";
  pen.textAlign = "center";
  pen.lineJoin = "round";
  const solid = faces.map(({ box }) => [box.x, box.y, box.x + box.width, box.y + box.height]);
  for (const face of faces) frame(pen, face, active === face.number ? 2 * line : line);
  for (const [place, face] of faces.entries()) {
    const texts = [`${face.number}  ${words(face)}`, `${face.number}`].slice(short);
    const { text, at, slot } = placed(pen, solid[place], texts, size, solid, slots.get(face.number));
    pen.globalAlpha = active === null || active === face.number ? 1 : 0.35;
    plate(pen, text, at, face.label);
    slots.set(face.number, slot);
    solid.push(at);
  }
  pen.globalAlpha = 1;
}

// The first of `texts` that has room, and where; the last one in the box's corner if none has.
function placed(pen, box, texts, size, solid, before) {
  const high = Math.round(1.6 * size);
  const wide = (text) => pen.measureText(text).width + 0.8 * size;
  for (const text of texts) {
    const free = freePlace(box, wide(text), high, solid, pen.canvas, before);
    if (free) return { text, ...free };
  }
  const [text, left, top] = [texts.at(-1), Math.max(0, box[0]), Math.max(0, box[1])];
  return { text, at: [left, top, left + wide(text), top + high] };
}

// A box, and around it a border that contrasts; dashed where the status is not ok.
function frame(pen, { box, label, status }, line) {
  pen.setLineDash([]);
  pen.strokeStyle = inkOn(label);
  pen.lineWidth = 2 * line;
  pen.strokeRect(box.x, box.y, box.width, box.height);
  pen.setLineDash(status === "ok" ? [] : [4 * line, 3 * line]);
  pen.strokeStyle = colour(label);
  pen.lineWidth = line;
  pen.strokeRect(box.x, box.y, box.width, box.height);
  pen.setLineDash([]);
}

function plate(pen, text, [left, top, right, bottom], label) {
  pen.fillStyle = colour(label);
  pen.fillRect(left, top, right - left, bottom - top);
  pen.fillStyle = inkOn(label);
  pen.fillText(text, (left + right) / 2, (top + bottom) / 2);
}

// Where a box has words at it that touch nothing solid, the place of `before` first; undefined if there is none.
function freePlace([left, top, right, bottom], width, height, solid, room, before) {
  const places = [
    [left, top - height], [right - width, top - height], [left, bottom], [right - width, bottom],
    [right, top], [right, bottom - height], [left - width, top], [left - width, bottom - height],
  ].map(([x, y], slot) => {
    const [at, over] = [Math.min(Math.max(0, x), room.width - width), Math.min(Math.max(0, y), room.height - height)];
    return { slot, at: [at, over, at + width, over + height] };
  });
  if (before !== undefined) places.unshift(places[before]);
  return places.find(({ at }) => at[0] >= 0 && at[1] >= 0 && !solid.some((s) => at[0] < s[2] && s[0] < at[2] && at[1] < s[3] && s[1] < at[3]));
}
