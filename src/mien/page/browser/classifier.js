// Crops in, probabilities out: ports of mien/preprocess.py, mien/views.py, mien/bundle.py and mien/quality.py.

import { edged, even, grey, image, mapped, part, squared, turn } from "./pixels.js";
import { centre, longer, roll, square, within } from "./boxes.js";

const LEVEL_DEG = 10;
const BATCH = 16;
const SIDE_PX = 48;
const SMALL_PX = 30;
const SHARPNESS = 0.02;
const COVERED = 3;
const CROP = 11 / 12;
const FLOOR = 1e-12;

// A face framed as FER-2013 frames it; one whose eyes are off the level is turned upright.
export function crop(picture, face) {
  const frame = square(face.box);
  if (Math.abs(roll(face)) > LEVEL_DEG) return upright(picture, frame, roll(face));
  const seen = within(frame, picture);
  return (seen?.width === frame.width && seen.height === frame.height ? part : edged)(picture, frame);
}

function upright(picture, frame, degrees) {
  const near = square(frame, 1.5);
  const [left, top] = [Math.min(Math.max(0, near.x), picture.width - 1), Math.min(Math.max(0, near.y), picture.height - 1)];
  const right = Math.min(picture.width, Math.max(1, near.x + near.width));
  const bottom = Math.min(picture.height, Math.max(1, near.y + near.height));
  const [x, y] = centre(frame);
  const map = turn([x - left, y - top], degrees);
  map[2] -= frame.x - left;
  map[5] -= frame.y - top;
  return mapped(part(picture, { x: left, y: top, width: right - left, height: bottom - top }), map, frame.width, frame.height);
}

export class Classifier {
  // `run` gives the logits to (N, channels, side, side) planes.
  constructor(run, card) {
    Object.assign(this, { run, card });
  }

  // Of each crop its probabilities, in the order of the card's labels.
  async scores(crops) {
    const found = [];
    for (let at = 0; at < crops.length; at += BATCH) found.push(...await this.batch(crops.slice(at, at + BATCH)));
    return found;
  }

  async batch(crops) {
    const { preprocess, views, labels, temperature } = this.card;
    const faces = crops.map((each) => resized(each, preprocess));
    const seen = VIEWS[views](faces);
    const logits = await this.run(standardised(seen, preprocess), [seen.length, preprocess.mean.length, preprocess.size_px, preprocess.size_px]);
    const rows = seen.map((_, i) => softmax([...logits.slice(i * labels.length, (i + 1) * labels.length)]));
    return faces.map((_, face) => {
      const told = rows.filter((_, i) => i % faces.length === face);
      return tempered(labels.map((_, label) => told.reduce((sum, row) => sum + row[label], 0) / told.length), temperature);
    });
  }
}

const resized = (picture, { color, source_px: source, size_px: size }) => squared(squared(color ? picture : grey(picture), source), size);

function standardised(images, { mean, std, size_px: size, color }) {
  const planes = new Float32Array(images.length * mean.length * size * size);
  let to = 0;
  for (const { data, channels } of images) {
    for (let c = 0; c < mean.length; c += 1) {
      for (let from = color ? c : 0; from < data.length; from += channels) planes[to++] = (data[from] / 255 - mean[c]) / std[c];
    }
  }
  return planes;
}

function mirrored({ data, width, height, channels }) {
  const found = image(width, height, channels);
  for (let i = 0; i < width * height; i += 1) {
    const from = (i - (i % width) + width - 1 - (i % width)) * channels;
    for (let c = 0; c < channels; c += 1) found.data[i * channels + c] = data[from + c];
  }
  return found;
}

const flip = (faces) => [...faces, ...faces.map(mirrored)];

function tenCrop(faces) {
  const size = faces[0].width;
  const side = even(CROP * size);
  const [end, middle] = [size - side, Math.floor((size - side) / 2)];
  const places = [[0, 0], [end, 0], [0, end], [end, end], [middle, middle]];
  return flip(places.flatMap(([x, y]) => faces.map((face) => squared(part(face, { x, y, width: side, height: side }), size))));
}

const VIEWS = { plain: (faces) => faces, flip, "ten-crop": tenCrop };

function softmax(logits) {
  const most = Math.max(...logits);
  const shifted = logits.map((value) => Math.exp(value - most));
  const sum = shifted.reduce((a, b) => a + b);
  return shifted.map((value) => value / sum);
}

const tempered = (row, temperature) => (temperature === 1 ? row : softmax(row.map((value) => Math.log(Math.max(value, FLOOR)) / temperature)));

// What can be seen of faces in their crops: whether they are sharp, and whether something covers them.
export class Quality {
  // `run` tells of (N, 1, 48, 48) planes how much is covered.
  constructor(run) {
    this.run = run;
  }

  async looks(crops) {
    if (!crops.length) return [];
    const small = crops.map((each) => squared(grey(each), SIDE_PX).data);
    const planes = new Float32Array(small.length * SIDE_PX * SIDE_PX);
    small.forEach((data, i) => {
      const { mean, variance } = spread(data);
      data.forEach((value, at) => { planes[i * data.length + at] = (value - mean) / (Math.sqrt(variance) + 5); });
    });
    const covered = await this.run(planes, [small.length, 1, SIDE_PX, SIDE_PX]);
    return small.map((data, i) => ({ sharpness: spread(edges(data)).variance / (spread(data).variance + 1), covered: covered[i] }));
  }
}

function spread(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length };
}

// The Laplacian; beyond the edge the picture is mirrored about its last pixel.
function edges(data) {
  const at = (x, y) => data[inside(y) * SIDE_PX + inside(x)];
  const inside = (place) => Math.abs(place) - 2 * Math.max(0, Math.abs(place) - SIDE_PX + 1);
  return Float32Array.from(data, (value, i) => {
    const [x, y] = [i % SIDE_PX, Math.floor(i / SIDE_PX)];
    return at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4 * value;
  });
}

export function statusOf(face, { sharpness, covered }, confidence, unsureBelow) {
  if (longer(face.box) < SMALL_PX) return "small";
  if (sharpness < SHARPNESS) return "blurred";
  if (covered > COVERED) return "occluded";
  return confidence < unsureBelow ? "unsure" : "ok";
}
