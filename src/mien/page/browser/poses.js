// Faces that lie or stand on their head: a port of mien/faces/poses.py.

import { around, centre, longer, roll, rounded } from "./boxes.js";
import { applied, even, image, inverse, mapped, turn } from "./pixels.js";

const STEPS_DEG = Array.from({ length: 12 }, (_, step) => 30 * step);
const CELLS = 4; // a side; twelve of the sixteen are used
const ROOM = 1.5; // side of a cell in longer sides of the box
const APART_DEG = 15;
const GAIN = 0.015;

// The face in the direction in which `search` is surest of it, or as it was.
export async function lookAgain(picture, face, search, side) {
  const cell = Math.floor(side / CELLS);
  const turns = STEPS_DEG.map((step) => toCell(face.box, step, cell));
  const found = await search(wheel(picture, turns, side));
  const near = found.map((one) => fromCell(one, turns, cell)).filter((one) => one && samePlace(one.box, face.box));
  if (!near.length) return face;
  const best = near.reduce((a, b) => (b.score > a.score ? b : a));
  const apart = Math.abs((((roll(best) - roll(face) + 180) % 360) + 360) % 360 - 180);
  return best.score > face.score + GAIN && apart > APART_DEG ? best : face;
}

// By how many quarters the face must be turned anticlockwise to be about upright.
export const quarter = (face) => ((even(roll(face) / 90) % 4) + 4) % 4;

// The picture turned anticlockwise by quarters.
export function turned(picture, quarters) {
  const { data, channels } = picture;
  const lies = quarters % 2 === 1;
  const [width, height] = lies ? [picture.height, picture.width] : [picture.width, picture.height];
  const found = image(width, height, channels);
  let to = 0;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const [u, v] = [[x, y], [height - 1 - y, x], [width - 1 - x, height - 1 - y], [y, width - 1 - x]][quarters];
      const from = (v * picture.width + u) * channels;
      for (let c = 0; c < channels; c += 1) found.data[to++] = data[from + c];
    }
  }
  return found;
}

// A face of the picture that was turned by quarters, in the picture of that size itself.
export function turnedBack({ box, score, landmarks }, quarters, { width, height }) {
  const back = ([x, y]) => [[x, y], [width - y, x], [width - x, height - y], [y, height - x]][quarters];
  const [[x, y], [u, v]] = [back([box.x, box.y]), back([box.x + box.width, box.y + box.height])];
  const upright = { x: Math.min(x, u), y: Math.min(y, v), width: Math.abs(x - u), height: Math.abs(y - v) };
  return { box: upright, score, landmarks: landmarks.map(back).map(twoDigits) };
}

const twoDigits = ([x, y]) => [rounded(x, 2), rounded(y, 2)];

// From the picture to a cell in which a face rolled by `step` degrees is upright.
export function toCell(box, step, cell) {
  const [x, y] = centre(box);
  const map = turn([x, y], step, cell / (ROOM * longer(box)));
  map[2] += cell / 2 - x;
  map[5] += cell / 2 - y;
  return map;
}

function wheel(picture, turns, side) {
  const canvas = image(side, side, picture.channels);
  const size = Math.floor(side / CELLS);
  turns.forEach((map, place) => put(canvas, mapped(picture, map, size, size), (place % CELLS) * size, Math.floor(place / CELLS) * size));
  return canvas;
}

// Lay a picture on a canvas, wholly within it.
export function put(canvas, picture, left, top) {
  const line = picture.width * picture.channels;
  for (let y = 0; y < picture.height; y += 1) {
    canvas.data.set(picture.data.subarray(y * line, (y + 1) * line), ((top + y) * canvas.width + left) * canvas.channels);
  }
}

// A face of the canvas in the picture; null in a cell that is not used.
export function fromCell({ box, score, landmarks }, turns, cell) {
  const [x, y] = centre(box);
  const [column, row] = [Math.floor(x / cell), Math.floor(y / cell)];
  const place = row * CELLS + column;
  if (column < 0 || column >= CELLS || place < 0 || place >= turns.length) return null;
  const back = inverse(turns[place]);
  const [middle, ...points] = [[x, y], ...landmarks].map(([a, b]) => applied(back, [a - column * cell, b - row * cell]));
  const scale = Math.hypot(back[0], back[1]);
  const sides = [box.width * scale, box.height * scale];
  const [width, height] = Math.abs(back[0]) >= Math.abs(back[1]) ? sides : sides.reverse();
  return { box: around(middle, width, height), score, landmarks: points.map(twoDigits) };
}

// Whether two boxes, of which one may be turned, have about the same centre.
export function samePlace(one, other) {
  const [[x, y], [u, v]] = [centre(one), centre(other)];
  return Math.hypot(x - u, y - v) < 0.4 * longer(other);
}
