// The detector, and how it searches a picture: a port of mien/faces/yunet.py, which says why. A test compares the numbers.

import { longer, overlap, roll, rounded, square, surest, within } from "./boxes.js";
import { averaged, even, image, linear, mapped, part } from "./pixels.js";
import { fromCell, lookAgain, put, quarter, samePlace, toCell, turned, turnedBack } from "./poses.js";

const MIN_FACE_PX = 30;
const COARSE_FACE_PX = 18;
const LEAST_SHARE = 0.6;
const LARGE_FACE_PX = 15;
const SEARCHED_PX = [320, 640];
const [CLOSE_SIDES, WIDE_SIDES, FOLLOW_SIDES] = [1.25, 3, 1.6];
const CLOSE_PX = [128, 192];
const CLOSE_SMALL_PX = 60;
const FOLLOW_PX = 128;
const BATCH = 16;
const [MAYBE, LIKELY, SURE, CERTAIN] = [0.1, 0.5, 0.65, 0.86];
const [SURE_OF_LARGE, SURE_OF_SMALL, SMALL_PX] = [0.55, 0.8, 100];
const UPRIGHT = 0.89;
const [LYING, TURNED] = [0.85, 0.87];
const TURNED_LEAST_PX = 30;
const LIES_DEG = 45;
const [WHEEL_PX, TURNED_PX] = [640, 448];
const SAME = 0.3;
const STRIDES = [8, 16, 32];

export class YuNet {
  // `run` gives the answers to (N, 3, height, width) planes, {told_8, told_16, told_32}.
  constructor(run) {
    this.run = run;
  }

  // The faces of a photo, the largest first; one without a face, or with one that lies, is searched turned, too.
  async detectInPhoto(picture) {
    const faces = await this.search(picture, []);
    const quarters = faces.length ? quarter(faces[0]) : await this.quarters(picture);
    if (!quarters) return faces;
    const found = await this.search(turned(picture, quarters), []);
    const back = found.filter(({ score }) => score >= TURNED).map((face) => turnedBack(face, quarters, picture));
    return withoutRepeats([...back, ...faces]);
  }

  // The `known` faces of a picture, measured anew, and the others.
  async search(picture, known) {
    const measured = await this.measured(picture, known);
    const found = await this.candidates(picture, measured);
    const told = [];
    for (const face of withoutRepeats(found.map((one) => one.face))) {
      const { searched } = found.find((one) => one.face === face);
      const settled = await this.settled(picture, face, searched);
      if (settled) told.push(settled);
    }
    return withoutRepeats(told, measured);
  }

  // What a close look takes for a face, and the score of the search for its place.
  async candidates(picture, known) {
    const scale = searchScale(Math.max(picture.width, picture.height));
    const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, even(side * scale)));
    const canvas = image(32 * Math.ceil(width / 32), 32 * Math.ceil(height / 32), picture.channels);
    put(canvas, scaled(picture, width, height), 0, 0);
    const [rows] = await this.answers([canvas], MAYBE);
    const wanted = rows.map((row) => faceOf(row, scale)).filter(({ box }) => longer(box) >= LEAST_SHARE * MIN_FACE_PX);
    const places = elsewhere(wanted, known);
    const looks = await this.looks(picture, places.map(({ box }) => box), CLOSE_SIDES);
    return places.flatMap(({ score }, i) => looks[i].map((face) => ({ face, searched: score }))).filter(({ face }) => face.score >= LIKELY);
  }

  // A face as it lies; null where a look is unsure, and nothing bears it out.
  async settled(picture, face, searched) {
    if (face.score >= UPRIGHT) return face;
    const again = isSmall(face) ? face : await lookAgain(picture, face, (canvas) => this.sure(canvas), TURNED_PX);
    if (again !== face && again.score >= LYING) return again;
    return face.score >= CERTAIN || await this.isBorneOut(picture, face, searched) ? face : null;
  }

  async isBorneOut(picture, face, searched) {
    if (longer(face.box) >= SMALL_PX) return (searched + face.score) / 2 >= SURE_OF_LARGE;
    const [looks] = await this.looks(picture, [face.box], WIDE_SIDES);
    return (Math.max(searched, face.score) + (surest(looks)?.score ?? 0)) / 2 >= SURE_OF_SMALL;
  }

  // By how many quarters a picture without a face must be turned to show one.
  async quarters(picture) {
    const half = WHEEL_PX / 2;
    const scale = Math.min(1, half / Math.max(picture.width, picture.height));
    const small = scaled(picture, ...[picture.width, picture.height].map((side) => Math.max(1, even(side * scale))));
    const canvas = image(WHEEL_PX, WHEEL_PX, picture.channels);
    for (const quarters of [1, 2, 3]) put(canvas, turned(small, quarters), (quarters % 2) * half, Math.floor(quarters / 2) * half);
    const best = surest(await this.sure(canvas));
    if (!best) return 0;
    const { x, y, width, height } = best.box;
    return 2 * Number(y + height / 2 >= half) + Number(x + width / 2 >= half);
  }

  async sure(canvas) {
    const [rows] = await this.answers([canvas], SURE);
    return rows.map((row) => faceOf(row, 1));
  }

  // The faces as a close look has them, but for those that lie.
  async measured(picture, faces) {
    const upright = faces.filter((face) => !lies(face));
    const looks = await this.looks(picture, upright.map(({ box }) => box), CLOSE_SIDES);
    const told = new Map(upright.map((face, i) => [face, surest(looks[i]) ?? face]));
    return faces.map((face) => told.get(face) ?? face);
  }

  // The surest face at each place, [box, degrees]; null if there is none.
  async near(picture, ways) {
    const looks = ways.map(([place, degrees]) => (degrees % 360
      ? new TurnedLook(picture, place, FOLLOW_PX, degrees) : new Look(picture, place, FOLLOW_PX, FOLLOW_SIDES)));
    return (await this.asked(looks, SURE)).map((faces) => surest(faces));
  }

  // What may be a face at each place, seen with surroundings of so many of its sides.
  async looks(picture, places, sides) {
    const told = new Map();
    for (const px of CLOSE_PX) {
      const alike = places.filter((place) => CLOSE_PX[Number(longer(place) > CLOSE_SMALL_PX)] === px);
      const faces = await this.asked(alike.map((place) => new Look(picture, place, px, sides)), MAYBE);
      alike.forEach((place, i) => told.set(place, faces[i]));
    }
    return places.map((place) => told.get(place));
  }

  async asked(looks, least) {
    const told = [];
    for (let at = 0; at < looks.length; at += BATCH) {
      const some = looks.slice(at, at + BATCH);
      const rows = await this.answers(some.map(({ canvas }) => canvas), least);
      told.push(...some.map((look, i) => look.faces(rows[i])));
    }
    return told;
  }

  // The faces of each canvas, in its pixels, with a score of `least`, as rows.
  async answers(canvases, least) {
    const { width, height } = canvases[0];
    const grids = await this.run(planes(canvases), [canvases.length, 3, height, width]);
    return canvases.map((_, i) => distinct(STRIDES.flatMap((stride) => decoded(grids[`told_${stride}`].data, i, stride, width, height, least))));
  }
}

export const isSmall = ({ box }) => longer(box) < TURNED_LEAST_PX;
export const lies = (face) => Math.abs(roll(face)) > LIES_DEG;

// That of the coarse search of a picture whose longer side has so many pixels.
function searchScale(longest) {
  const [least, most] = SEARCHED_PX.map((side) => side / longest);
  const wanted = Math.min(COARSE_FACE_PX / MIN_FACE_PX, most);
  return Math.min(1, Math.max(least, LARGE_FACE_PX / MIN_FACE_PX, wanted));
}

// The surroundings of a place in a picture, and what they are when the network is asked.
class Look {
  constructor(picture, place, side, sides) {
    const area = square(place, sides);
    const seen = within(area, picture);
    Object.assign(this, { picture, place, scale: side / area.width, left: Math.max(0, area.x), top: Math.max(0, area.y) });
    this.canvas = image(side, side, picture.channels);
    if (!seen) return;
    const [columns, rows] = [seen.width, seen.height].map((length) => Math.max(1, even(length * this.scale)));
    put(this.canvas, (side === FOLLOW_PX ? quicklyScaled : scaled)(part(picture, seen), columns, rows), 0, 0);
  }

  // Those of `rows`, in pixels of the canvas, that are at the place.
  faces(rows) {
    return rows.map((row) => faceOf(row, this.scale, this.left, this.top))
      .filter(({ box }) => overlap(box, this.place) > SAME && within(box, this.picture));
  }
}

// The same of a face that is rolled by about so many degrees, turned upright.
class TurnedLook {
  constructor(picture, place, side, degrees) {
    Object.assign(this, { place, side, turn: toCell(place, degrees, side) });
    this.canvas = mapped(picture, this.turn, side, side);
  }

  faces(rows) {
    return rows.map((row) => fromCell(faceOf(row, 1), [this.turn], this.side)).filter((one) => one && samePlace(one.box, this.place));
  }
}

function planes(canvases) {
  const { width, height, channels } = canvases[0];
  const size = width * height;
  const found = new Float32Array(3 * size * canvases.length);
  canvases.forEach(({ data }, n) => {
    for (let i = 0, from = 0, to = 3 * n * size; i < size; i += 1, from += channels, to += 1) {
      found[to] = data[from + 2]; // blue first
      found[to + size] = data[from + 1];
      found[to + 2 * size] = data[from];
    }
  });
  return found;
}

// The faces that the cells of a grid tell of, {box: [x, y, width, height], score, points}.
function decoded(told, n, stride, width, height, least) {
  const [columns, rows] = [Math.floor(width / stride), Math.floor(height / stride)];
  const cells = columns * rows;
  const at = (channel, cell) => told[(16 * n + channel) * cells + cell];
  const doubt = (channel, cell) => 1 + Math.exp(-Math.max(-40, at(channel, cell)));
  const found = [];
  for (let cell = 0; cell < cells; cell += 1) {
    const score = Math.fround(1 / Math.sqrt(doubt(0, cell) * doubt(1, cell)));
    if (score < Math.fround(least)) continue;
    const [column, row] = [cell % columns, Math.floor(cell / columns)];
    const [wide, high] = [Math.exp(at(4, cell)), Math.exp(at(5, cell))];
    const box = [column + at(2, cell) - wide / 2, row + at(3, cell) - high / 2, wide, high].map((value) => value * stride);
    const points = [6, 8, 10, 12, 14].map((channel) => [(column + at(channel, cell)) * stride, (row + at(channel + 1, cell)) * stride]);
    found.push({ box, score, points });
  }
  return found;
}

// The picture in another size; averaging is needed only where much is left out.
function scaled(picture, width, height) {
  if (picture.width === width && picture.height === height) return picture;
  return (2 * width < picture.width ? averaged : linear)(picture, width, height);
}

function quicklyScaled(picture, width, height) {
  const much = 2 * width < picture.width && picture.width <= 4 * width;
  return scaled(much ? linear(picture, 2 * width, 2 * height) : picture, width, height);
}

// The surest of those that overlap.
function distinct(rows) {
  const kept = [];
  const box = ({ box: [x, y, width, height] }) => ({ x, y, width, height });
  for (const row of rows.sort((a, b) => b.score - a.score)) {
    if (kept.every((one) => overlap(box(one), box(row)) <= SAME)) kept.push(row);
  }
  return kept;
}

// A row as a face, in pixels of the picture from which (left, top) was cut and scaled.
function faceOf({ box, score, points }, scale, left = 0, top = 0) {
  const [x, y, width, height] = box.map((value) => value / scale);
  return {
    box: { x: even(x + left), y: even(y + top), width: Math.max(1, even(width)), height: Math.max(1, even(height)) },
    score: rounded(score, 4),
    landmarks: points.map(([a, b]) => [rounded(a / scale + left, 2), rounded(b / scale + top, 2)]),
  };
}

// Those where no face is known.
const elsewhere = (faces, known) => faces.filter(({ box }) => known.every((one) => overlap(box, one.box) <= SAME));

// One face, the surest, for those that were found from several places; the largest first. The `known` ones are kept before all others.
export function withoutRepeats(faces, known = []) {
  const kept = [...known];
  for (const face of [...faces].sort((a, b) => b.score - a.score)) {
    if (elsewhere([face], kept).length) kept.push(face);
  }
  return kept.sort(({ box: a }, { box: b }) => b.width * b.height - a.width * a.height || a.x - b.x || a.y - b.y);
}
