// Faces from frame to frame of a camera: found again near where they were, and given ids and smoothed probabilities.
// A port of `YuNet.look`, mien/faces/following.py and mien/faces/tracking.py; cuts are for films.

import { around, centre, longer, roll, rounded } from "./boxes.js";
import { applied, even, turn } from "./pixels.js";
import { isSmall, lies, withoutRepeats } from "./yunet.js";

const STEP_DEG = 30;
const STEPS = [-STEP_DEG, 0, STEP_DEG];
const HOLD = 0.85;
const [HELD, FREE] = [0.1, 0.25];
const [FOLLOWED_UPRIGHT, FOLLOWED_GAIN] = [0.87, 0.04];
const SEARCH_S = 0.3;
const ANEW = 4;
const NEAR_S = 0.21;
const GAP_S = 1;
const MEMORY_S = 0.4;
const NEAR = 0.6;
const DECIMALS = 6;

// The `faces` of the frame before, where they are in this one.
async function look(yunet, picture, faces) {
  const found = await yunet.near(picture, faces.map((face) => way(face)));
  const pairs = faces.map((was, i) => ({ face: found[i], was })).filter(({ face }) => face);
  const unsure = pairs.filter(({ face }) => face.score < FOLLOWED_UPRIGHT && !isSmall(face));
  const kept = pairs.filter((pair) => !unsure.includes(pair)).map(({ face, was }) => held(face, was));
  const told = [];
  for (const step of STEPS) told.push(await yunet.near(picture, unsure.map(({ was }) => way(was, step))));
  unsure.forEach(({ face }, i) => kept.push(surestTurned(face, told.map((faces) => faces[i]))));
  return withoutRepeats(kept);
}

// Where a face is looked for, and by how many degrees it is expected to be rolled.
function way(was, step = null) {
  const degrees = step !== null || lies(was) ? STEP_DEG * even(roll(was) / STEP_DEG) : 0;
  return [was.box, degrees + (step ?? 0)];
}

// A face where a small look finds it, about as large and as tilted as it was, unless it has clearly grown.
function held(face, was) {
  if (lies(was)) return face;
  const middle = centre(face.box);
  const [width, height] = ["width", "height"].map((side) => mixed(was.box[side], face.box[side]));
  const map = turn(middle, roll(face) - roll(was));
  const landmarks = face.landmarks.map((point) => applied(map, point).map((value) => rounded(value, 2)));
  return { box: around(middle, width, height), score: face.score, landmarks };
}

// A side, between what it was and what it is now.
function mixed(before, now) {
  const [from, to] = [Math.max(before, 1), Math.max(now, 1)];
  const free = (Math.abs(Math.log(to / from)) - HELD) / (FREE - HELD);
  const share = HOLD * (1 - Math.min(Math.max(free, 0), 1));
  return from ** share * to ** (1 - share);
}

// The face as it was, unless it is clearly surer turned.
function surestTurned(face, turned) {
  const best = turned.filter(Boolean).reduce((a, b) => (a && a.score >= b.score ? a : b), null) ?? face;
  return best.score > face.score + FOLLOWED_GAIN ? best : face;
}

export class Follower {
  constructor(yunet) {
    Object.assign(this, { yunet, faces: [], last: -Infinity });
  }

  // The faces of the next frame, the largest first.
  async find(picture, time) {
    const last = this.last;
    this.last = time;
    if (!(time - last >= 0 && time - last <= NEAR_S) || isDue(ANEW * SEARCH_S, last, time)) {
      this.faces = await this.yunet.search(picture, []);
      return this.faces;
    }
    let found = await look(this.yunet, picture, this.faces);
    if (found.length < this.faces.length || isDue(SEARCH_S, last, time)) found = await this.yunet.search(picture, found);
    this.faces = found;
    return found;
  }
}

// Whether a multiple of `every` seconds has passed since the last frame.
const isDue = (every, last, time) => Math.floor(time / every + 1e-6) > Math.floor(last / every + 1e-6);

export class Tracker {
  constructor() {
    Object.assign(this, { tracks: new Map(), next: 1, now: -Infinity });
  }

  // Of each face its id and its smoothed probabilities.
  update(time, faces, scores) {
    this.advance(rounded(time, DECIMALS));
    const ids = this.match(faces.map(({ box }) => box));
    return ids.map((id, i) => ({ id, smoothed: this.see(id, faces[i].box, scores[i]) }));
  }

  // Forget faces that were away for long; those of the last frame stay.
  advance(time) {
    if (time <= this.now) return;
    for (const [id, { seen }] of this.tracks) {
      if (seen < this.now && rounded(time - seen, DECIMALS) > GAP_S) this.tracks.delete(id);
    }
    this.now = time;
  }

  see(id, box, scores) {
    const track = this.tracks.get(id);
    const weight = track ? -Math.expm1(-(this.now - track.seen) / MEMORY_S) : 1;
    const average = scores.map((now, i) => {
      const before = track?.average[i] ?? now;
      return rounded(before + weight * (rounded(now, DECIMALS) - before), DECIMALS);
    });
    this.tracks.set(id, { box, seen: this.now, average });
    return average;
  }

  // The nearest pair of all is matched first, then the next.
  match(boxes) {
    const pairs = [...this.tracks].flatMap(([id, track]) => boxes.map((box, place) => ({ apart: distance(track.box, box), id, place })));
    const found = new Map();
    for (const { id, place } of pairs.filter(({ apart }) => apart < 1).sort((a, b) => a.apart - b.apart || a.id - b.id || a.place - b.place)) {
      if (!found.has(place) && ![...found.values()].includes(id)) found.set(place, id);
    }
    return boxes.map((_, place) => found.get(place) ?? this.next++);
  }
}

// 0 for the same box; 1 or more for boxes that cannot be the same face.
function distance(one, other) {
  const [[x, y], [u, v], a, b] = [centre(one), centre(other), longer(one), longer(other)];
  return Math.hypot(x - u, y - v) / ((NEAR * (a + b)) / 2) + Math.abs(Math.log2(a / b));
}
