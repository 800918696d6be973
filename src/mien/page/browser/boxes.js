// Boxes, {x, y, width, height}, and faces, {box, score, landmarks}, in whole pixels: as mien.types has them.

import { even } from "./pixels.js";

export const longer = ({ width, height }) => Math.max(width, height);
export const centre = ({ x, y, width, height }) => [x + width / 2, y + height / 2];
export const rounded = (value, digits) => Number(value.toFixed(digits));

// Intersection over union.
export function overlap(one, other) {
  const width = Math.min(one.x + one.width, other.x + other.width) - Math.max(one.x, other.x);
  const height = Math.min(one.y + one.height, other.y + other.height) - Math.max(one.y, other.y);
  if (width <= 0 || height <= 0) return 0;
  const both = width * height;
  return both / (one.width * one.height + other.width * other.height - both);
}

// The part in a picture of that size; null if there is none.
export function within(box, { width, height }) {
  const [left, top] = [Math.max(0, box.x), Math.max(0, box.y)];
  const [right, bottom] = [Math.min(width, box.x + box.width), Math.min(height, box.y + box.height)];
  return left < right && top < bottom ? { x: left, y: top, width: right - left, height: bottom - top } : null;
}

// The square around the same centre, of so many of the longer side.
export function square(box, scale = 1) {
  const side = Math.max(1, even(longer(box) * scale));
  return { x: even(box.x + (box.width - side) / 2), y: even(box.y + (box.height - side) / 2), width: side, height: side };
}

// The box of that size around a place.
export const around = ([x, y], width, height) => ({
  x: even(x - width / 2), y: even(y - height / 2), width: Math.max(1, even(width)), height: Math.max(1, even(height)),
});

// By how much the eyes are off the level, in degrees, clockwise.
export function roll({ landmarks: [[x, y], [u, v]] }) {
  return (Math.atan2(v - y, u - x) * 180) / Math.PI;
}

export const surest = (faces, otherwise = null) => faces.reduce((best, face) => (best === null || face.score > best.score ? face : best), otherwise);
