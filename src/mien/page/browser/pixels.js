// Pictures as {data, width, height, channels}, 8 bits each, and what OpenCV does to them, to the same values: mien's networks
// were trained on its pixels. `scripts/static_page.py` compares.

export const image = (width, height, channels, data = new Uint8Array(width * height * channels)) => ({ data, width, height, channels });

// As Python rounds: a half goes to the even number.
export function even(value) {
  const low = Math.floor(value);
  const past = value - low;
  return past < 0.5 || (past === 0.5 && low % 2 === 0) ? low : low + 1;
}

// What of a picture lies in a box that is within it.
export function part(picture, { x, y, width, height }) {
  const { data, channels } = picture;
  const found = image(width, height, channels);
  for (let row = 0; row < height; row += 1) {
    const from = ((y + row) * picture.width + x) * channels;
    found.data.set(data.subarray(from, from + width * channels), row * width * channels);
  }
  return found;
}

// The same of any box: beyond the picture its edge is repeated.
export function edged(picture, { x, y, width, height }) {
  const { data, channels } = picture;
  const found = image(width, height, channels);
  const within = (at, most) => Math.min(Math.max(0, at), most - 1);
  let to = 0;
  for (let row = 0; row < height; row += 1) {
    const line = within(y + row, picture.height) * picture.width;
    for (let column = 0; column < width; column += 1) {
      const from = (line + within(x + column, picture.width)) * channels;
      for (let c = 0; c < channels; c += 1) found.data[to++] = data[from + c];
    }
  }
  return found;
}

// One channel of red, green and blue.
export function grey(picture) {
  if (picture.channels === 1) return picture;
  const { data, width, height, channels } = picture;
  const found = image(width, height, 1);
  for (let i = 0, from = 0; i < found.data.length; i += 1, from += channels) {
    found.data[i] = (9798 * data[from] + 19235 * data[from + 1] + 3735 * data[from + 2] + 16384) >> 15;
  }
  return found;
}

// A square of `side`: averages down, linear up (mien.preprocess.scale).
export function squared(picture, side) {
  if (picture.width === side && picture.height === side) return picture;
  return (Math.min(picture.width, picture.height) >= side ? averaged : linear)(picture, side, side);
}

const FINE = 2048; // steps between two pixels

// Of each place in a line of `to` pixels: the one before it among `from`, and the weights of this and the next.
function between(from, to, clamped) {
  const [first, one, other] = [new Int32Array(to), new Int32Array(to), new Int32Array(to)];
  for (let i = 0; i < to; i += 1) {
    let past = Math.fround((i + 0.5) * (from / to) - 0.5);
    let at = Math.floor(past);
    past = Math.fround(past - at);
    if (clamped && at < 0) [at, past] = [0, 0];
    if (clamped && at >= from - 1) [at, past] = [from - 1, 0];
    first[i] = at;
    one[i] = even(Math.fround(Math.fround(1 - past) * FINE));
    other[i] = even(Math.fround(past * FINE));
  }
  return { first, one, other };
}

// INTER_LINEAR, in whole numbers.
export function linear(picture, width, height) {
  if (picture.width === 2 * width && picture.height === 2 * height) return averaged(picture, width, height);
  const { data, channels } = picture;
  const [across, down] = [between(picture.width, width, true), between(picture.height, height, false)];
  const found = image(width, height, channels);
  const line = width * channels;
  const rows = [0, 1].map(() => ({ of: -1, values: new Int32Array(line) }));
  const row = (at) => {
    const wanted = Math.min(Math.max(0, at), picture.height - 1);
    const kept = rows.find(({ of }) => of === wanted);
    if (kept) return kept.values;
    const free = rows.reduce((a, b) => (a.of < b.of ? a : b)); // rows come from top to bottom
    free.of = wanted;
    stretched(data, wanted * picture.width * channels, channels, picture.width, across, free.values);
    return free.values;
  };
  for (let y = 0; y < height; y += 1) {
    const [above, below] = [row(down.first[y]), row(down.first[y] + 1)];
    const [one, other] = [down.one[y], down.other[y]];
    for (let i = 0, to = y * line; i < line; i += 1, to += 1) {
      found.data[to] = (((one * (above[i] >> 4)) >> 16) + ((other * (below[i] >> 4)) >> 16) + 2) >> 2;
    }
  }
  return found;
}

function stretched(data, start, channels, width, { first, one, other }, out) {
  for (let x = 0, to = 0; x < first.length; x += 1) {
    const left = start + first[x] * channels;
    const right = first[x] + 1 < width ? left + channels : left;
    for (let c = 0; c < channels; c += 1) out[to++] = data[left + c] * one[x] + data[right + c] * other[x];
  }
}

// Of each place in a line of `to` pixels the ones that it covers among `from`, and how much of each.
function covered(from, to) {
  const scale = from / to;
  return Array.from({ length: to }, (_, i) => {
    const [start, end] = [i * scale, (i + 1) * scale];
    const cell = Math.min(scale, from - start);
    const last = Math.min(Math.floor(end), from - 1);
    const first = Math.min(Math.ceil(start), last);
    const found = [];
    if (first - start > 1e-3) found.push([first - 1, Math.fround((first - start) / cell)]);
    for (let at = first; at < last; at += 1) found.push([at, Math.fround(1 / cell)]);
    if (end - last > 1e-3) found.push([last, Math.fround(Math.min(end - last, 1, cell) / cell)]);
    return found;
  });
}

// INTER_AREA, for fewer pixels.
export function averaged(picture, width, height) {
  if (picture.width % width === 0 && picture.height % height === 0) return blocks(picture, width, height);
  const { data, channels } = picture;
  const [across, down] = [covered(picture.width, width), covered(picture.height, height)];
  const found = image(width, height, channels);
  const [sums, line] = [new Float32Array(width * channels), new Float32Array(width * channels)];
  for (let y = 0; y < height; y += 1) {
    sums.fill(0);
    for (const [row, share] of down[y]) {
      shared(data, row * picture.width * channels, channels, across, line);
      for (let i = 0; i < line.length; i += 1) sums[i] = Math.fround(sums[i] + Math.fround(line[i] * share));
    }
    for (let i = 0, to = y * line.length; i < line.length; i += 1, to += 1) found.data[to] = even(sums[i]);
  }
  return found;
}

function shared(data, start, channels, across, line) {
  for (let x = 0, to = 0; x < across.length; x += 1) {
    for (let c = 0; c < channels; c += 1, to += 1) {
      let sum = 0;
      for (const [at, share] of across[x]) sum = Math.fround(sum + Math.fround(data[start + at * channels + c] * share));
      line[to] = sum;
    }
  }
}

// The same where each pixel is the mean of a whole number of them.
function blocks(picture, width, height) {
  const { data, channels } = picture;
  const [wide, high] = [picture.width / width, picture.height / height];
  const found = image(width, height, channels);
  const share = Math.fround(1 / (wide * high));
  let to = 0;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      for (let c = 0; c < channels; c += 1) {
        let sum = 0;
        for (let row = y * high; row < (y + 1) * high; row += 1) {
          for (let i = 0, from = (row * picture.width + x * wide) * channels + c; i < wide; i += 1, from += channels) sum += data[from];
        }
        found.data[to++] = wide === 2 && high === 2 ? (sum + 2) >> 2 : even(Math.fround(sum * share));
      }
    }
  }
  return found;
}

// Affine maps, [a, b, c, d, e, f]: (x, y) goes to (a x + b y + c, d x + e y + f).
export const applied = ([a, b, c, d, e, f], [x, y]) => [a * x + b * y + c, d * x + e * y + f];

export function inverse([a, b, c, d, e, f]) {
  const by = 1 / (a * e - b * d);
  const [p, q, r, s] = [e * by, -b * by, -d * by, a * by];
  return [p, q, -p * c - q * f, r, s, -r * c - s * f];
}

// A turn about a place, anticlockwise on the screen (cv2.getRotationMatrix2D).
export function turn([x, y], degrees, scale = 1) {
  const [cos, sin] = [scale * Math.cos((degrees * Math.PI) / 180), scale * Math.sin((degrees * Math.PI) / 180)];
  return [cos, sin, (1 - cos) * x - sin * y, -sin, cos, sin * x + (1 - cos) * y];
}

const [PLACES, STEPS] = [1024, 32]; // a pixel has: of places, and of steps to the next

// The picture by such a map, in a new size; beyond the picture its edge is repeated (cv2.warpAffine, INTER_LINEAR).
export function mapped(picture, map, width, height) {
  const { data, channels } = picture;
  const [a, b, c, d, e, f] = inverse(map);
  const found = image(width, height, channels);
  const line = picture.width * channels;
  const columns = (at) => Math.min(Math.max(0, at), picture.width - 1) * channels;
  const rows = (at) => Math.min(Math.max(0, at), picture.height - 1) * line;
  let to = 0;
  for (let y = 0; y < height; y += 1) {
    const [left, top] = [even((b * y + c) * PLACES) + 16, even((e * y + f) * PLACES) + 16];
    for (let x = 0; x < width; x += 1) {
      const [u, v] = [(left + even(a * x * PLACES)) >> 5, (top + even(d * x * PLACES)) >> 5];
      const [past, under] = [u & 31, v & 31];
      const [one, next] = [columns(u >> 5), columns((u >> 5) + 1)];
      const [above, below] = [rows(v >> 5), rows((v >> 5) + 1)];
      for (let i = 0; i < channels; i += 1) {
        const upper = (STEPS - past) * data[above + one + i] + past * data[above + next + i];
        const lower = (STEPS - past) * data[below + one + i] + past * data[below + next + i];
        found.data[to++] = ((STEPS - under) * upper + under * lower + 512) >> 10;
      }
    }
  }
  return found;
}
