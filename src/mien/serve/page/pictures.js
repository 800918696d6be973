// Pictures: made smaller where they are large, read, and shown with their faces beside them.

import { read } from "./answers.js";
import { decode, drawn, least } from "./bitmaps.js";
import { Card, faceOf, make, words } from "./faces.js";
import { hide, mark } from "./marks.js";
import { note } from "./table.js";

const MOST_READ = 2560; // px on a side: a face that is read has 30 px at least
const MOST_SHOWN = 1280;
const LEAST_SHOWN = 480;
const MOST_SAVED = 4096;
const [OF_WIDTH, OF_SIDE, WORDS] = [0.026, 0.045, 14]; // words as large as in mien/style.py
const MOST_OPEN = 2; // cards

const scaled = ({ x, y, width, height }, by) => ({ x: x * by, y: y * by, width: width * by, height: height * by });

// A box in the picture as it was chosen, in whole pixels.
function original({ x, y, width, height }, scale) {
  const [left, top, right, bottom] = [x, y, x + width, y + height].map((at) => Math.round(at / scale));
  return { x: left, y: top, width: right - left, height: bottom - top };
}

// Read `file`; what is said of it.
export async function readPicture(item, file, isBlurred) {
  item.tell("reading …");
  item.advance(null);
  const bitmap = await decode(file);
  const scale = bitmap ? least(MOST_READ, bitmap) : 1;
  const answer = await read(file, bitmap, scale, item.signal);
  const readings = answer.readings.map((reading) => ({ ...reading, box: original(reading.box, scale) }));
  const unread = answer.unread.map((box) => original(box, scale));
  const faces = readings.map(faceOf);
  readings.forEach((reading, place) => note(item, reading, { place: place + 1 }));
  const more = unread.length ? ` (${unread.length} more not read)` : "";
  const told = faces.length ? `${faces.length} face${faces.length > 1 ? "s" : ""}${more}` : "no face found";
  show(item, file, bitmap, faces, unread, isBlurred);
  item.finish(told);
  return faces.length ? `${told}, ${faces.map((face) => face.label).join(", ")}` : told;
}

function show(item, file, bitmap, faces, unread, isBlurred) {
  const cards = make("div", { className: "faces" });
  for (const face of faces) {
    const card = new Card(face.number, faces.length <= MOST_OPEN).update(face);
    cards.append(card.element);
    face.card = card.element;
  }
  if (!faces.length) cards.append(make("p", { className: "hint", textContent: "A face needs about 30 pixels to be found." }));
  if (!bitmap) {
    item.body.append(make("p", { className: "hint", textContent: "This browser cannot show such a file; its faces were read all the same." }), cards);
    return;
  }
  const view = new View(file, bitmap, faces, unread, isBlurred);
  view.stage.setAttribute("aria-label", `${item.name}: ${faces.map((face) => `face ${face.number}, ${words(face)}`).join("; ") || "no face"}`);
  item.body.append(view.stage, cards);
  view.draw();
  item.veil = () => view.veil();
  item.files = async () => [[`${item.name.replace(/\.[^.]*$/, "")}-faces.jpg`, await view.saved()]];
}

// A picture on the screen: the pixels, with blurred faces where asked, and a layer of boxes and words over them.
class View {
  constructor(file, bitmap, faces, unread, isBlurred) {
    Object.assign(this, { file, faces, unread, isBlurred, active: null });
    const longer = Math.max(bitmap.width, bitmap.height);
    this.scale = Math.min(MOST_SHOWN, Math.max(LEAST_SHOWN, longer)) / longer;
    const [pixels, layer] = [make("canvas", { ariaHidden: "true" }), make("canvas", { ariaHidden: "true", className: "layer" })];
    this.pen = drawn(bitmap, this.scale, pixels);
    bitmap.close();
    this.stage = make("div", { className: "stage", role: "img" }, pixels, layer);
    this.layer = layer.getContext("2d");
    if (isBlurred()) hide(this.pen, this.boxes(this.scale));
    for (const face of faces) this.light(face);
    new ResizeObserver(() => this.draw()).observe(this.stage);
  }

  // Of all faces, those that are not read, too: they are hidden with the others.
  boxes(scale) {
    return [...this.faces.map(({ box }) => box), ...this.unread].map((box) => scaled(box, scale));
  }

  // A card that is pointed at shows its face.
  light({ card, number }) {
    const set = (active) => () => { this.active = active; this.draw(); };
    for (const kind of ["pointerenter", "focusin"]) card.addEventListener(kind, set(number));
    for (const kind of ["pointerleave", "focusout"]) card.addEventListener(kind, set(null));
  }

  draw() {
    const width = this.stage.clientWidth;
    if (!width) return;
    const ratio = (window.devicePixelRatio * width) / this.pen.canvas.width;
    const layer = this.layer.canvas;
    layer.width = this.pen.canvas.width * ratio;
    layer.height = this.pen.canvas.height * ratio;
    mark(this.layer, this.at(this.scale * ratio), window.devicePixelRatio, { active: this.active });
  }

  at(scale) {
    return this.faces.map((face) => ({ ...face, box: scaled(face.box, scale) }));
  }

  async veil() {
    if (this.isBlurred()) {
      hide(this.pen, this.boxes(this.scale));
      return;
    }
    const bitmap = await decode(this.file);
    if (!bitmap || this.isBlurred()) return; // asked for again meanwhile
    drawn(bitmap, this.scale, this.pen.canvas);
  }

  // The marked picture in its own size, as a file.
  async saved() {
    const bitmap = await decode(this.file);
    if (!bitmap) throw new Error(`${this.file.name} is no longer where it was; choose it again.`);
    const scale = least(MOST_SAVED, bitmap);
    const pen = drawn(bitmap, scale);
    if (this.isBlurred()) hide(pen, this.boxes(scale));
    const { width, height } = pen.canvas;
    mark(pen, this.at(scale), Math.max(12, Math.min(OF_WIDTH * width, OF_SIDE * Math.min(width, height))) / WORDS);
    return signed(await pen.canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 }));
  }
}

// A JPEG whose EXIF says what has made it, as in src/mien/output/drawing.py: it is not taken for a photo when its folder is read.
async function signed(jpeg) {
  const mark = new TextEncoder().encode("drawn by mien\0");
  const tag = [0x01, 0x31, 0, 2, 0, 0, 0, mark.length, 0, 0, 0, 26]; // Software, a text, how long and where it is
  const exif = [...new TextEncoder().encode("Exif\0\0MM"), 0, 42, 0, 0, 0, 8, 0, 1, ...tag, 0, 0, 0, 0, ...mark];
  const head = new Uint8Array([0xff, 0xd8, 0xff, 0xe1, 0, exif.length + 2, ...exif]);
  return new Blob([head, jpeg.slice(2)], { type: jpeg.type });
}
