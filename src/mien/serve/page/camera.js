// The camera: frames are read one by one, and what they show is drawn over the mirror image.

import { openCamera, ready } from "./answers.js";
import { Card, LABELS, faceOf, make } from "./faces.js";
import { Item } from "./items.js";
import { hide, mark } from "./marks.js";
import { note } from "./table.js";
import { Moments, Timeline } from "./timeline.js";

const HELD_S = 0.6; // a face that is missed for less stays on the screen, and hidden
const LEAD = 0.1; // by so much another expression must lead before the word changes
const EASE = 0.5; // of a new reading, in what is shown
const SHAKE = 0.06; // of its width: how far a box trembles; one that moves is followed
const SHOWN_S = 30;

export class Camera {
  // `over` is called once with why the camera ended.
  constructor(isBlurred, over) {
    Object.assign(this, { isBlurred, over, faces: new Map(), slots: new Map(), moments: new Moments(SHOWN_S) });
    this.frame = document.createElement("canvas"); // the one that was sent
    this.pen = this.frame.getContext("2d", { willReadFrequently: true });
  }

  async start() {
    if (!navigator.mediaDevices) throw new Error("The browser gives the camera only to https pages and to this machine's own.");
    await ready();
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, facingMode: "user" }, audio: false });
    } catch (error) {
      throw new Error(`The camera cannot be used: ${error.message}`);
    }
    this.mirrored = this.stream.getVideoTracks()[0].getSettings().facingMode !== "environment";
    this.show();
    await this.video.play();
    this.reader = openCamera({
      begin: () => { this.item.tell("on"); this.send(); },
      take: (answer) => { this.take(answer); this.send(); },
      over: (reason) => this.stop(reason),
    });
  }

  show() {
    this.item = new Item("Camera");
    this.item.endWith("Stop", () => this.stop("The camera is off."));
    this.video = make("video", { playsInline: true, muted: true, srcObject: this.stream });
    this.shown = make("canvas", { className: "layer", ariaHidden: "true" }); // frames with blurred faces, only then
    this.layer = make("canvas", { className: "layer", ariaHidden: "true" });
    this.cards = make("div", { className: "faces" });
    this.timeline = new Timeline("the camera");
    this.stage = make("div", { className: "stage live", role: "img", ariaLabel: "The camera with its faces marked" }, this.video, this.shown, this.layer);
    this.stage.classList.toggle("mirrored", this.mirrored);
    this.item.body.append(this.stage, this.cards, this.timeline.element);
    this.item.veil = () => this.veil();
    this.veil();
  }

  // With blurred faces, only frames that were read are seen: the film would be ahead of them.
  veil() {
    this.stage.classList.toggle("veiled", this.isBlurred());
    this.shown.width = 0;
  }

  stop(reason) {
    if (!this.over) return;
    const { over } = this;
    this.over = null;
    this.stream?.getTracks().forEach((track) => track.stop());
    this.reader?.close();
    this.item?.body.replaceChildren();
    this.item?.finish(reason);
    over(reason);
  }

  // A frame goes out when the last one is answered: a slow reader gets fewer, not later ones.
  send() {
    const { video, frame } = this;
    if (!this.over) return;
    if (!video.videoWidth) { setTimeout(() => this.send(), 100); return; }
    frame.width = video.videoWidth;
    frame.height = video.videoHeight;
    this.pen.drawImage(video, 0, 0);
    this.reader.send(frame);
  }

  take(answer) {
    if (!this.over) return;
    this.item.tell(answer.error ?? "on");
    const now = answer.time_s;
    const boxes = [...(answer.unread ?? [])]; // too many to be read, but hidden with the others
    for (const [place, reading] of (answer.error ? [] : answer.readings).entries()) {
      const face = faceOf(reading, place);
      boxes.push(reading.box);
      this.faces.set(face.number, eased(face, this.faces.get(face.number), now));
      this.moments.add(face.number, now, face);
      note(this.item, reading, { place: place + 1, time: now });
    }
    for (const [number, face] of this.faces) {
      if (now - face.seen > HELD_S) this.faces.delete(number);
      else if (face.seen < now) boxes.push(face.found);
    }
    this.draw(boxes);
    this.deal();
    this.timeline.show(this.moments.data(now));
  }

  draw(boxes) {
    const { width, height } = this.frame;
    if (this.isBlurred()) {
      hide(this.pen, boxes);
      this.shown.width = width;
      this.shown.height = height;
      this.shown.getContext("2d").drawImage(this.frame, 0, 0);
    }
    const ratio = (window.devicePixelRatio * this.stage.clientWidth) / width;
    this.layer.width = width * ratio;
    this.layer.height = height * ratio;
    const faces = [...this.faces.values()].map((face) => ({ ...face, box: this.placed(face.box, ratio) }));
    mark(this.layer.getContext("2d"), faces, window.devicePixelRatio, { slots: this.slots });
  }

  // Words are not mirrored, so boxes are.
  placed({ x, y, width, height }, ratio) {
    const left = this.mirrored ? this.frame.width - x - width : x;
    return { x: left * ratio, y: y * ratio, width: width * ratio, height: height * ratio };
  }

  // The cards of the faces, each kept as long as its face.
  deal() {
    this.dealt ??= new Map();
    for (const [number, card] of this.dealt) {
      if (this.faces.has(number)) continue;
      card.element.remove();
      this.dealt.delete(number);
      this.slots.delete(number);
    }
    for (const face of this.faces.values()) {
      if (!this.dealt.has(face.number)) {
        this.dealt.set(face.number, new Card(face.number));
        this.cards.append(this.dealt.get(face.number).element);
      }
      this.dealt.get(face.number).update(face);
    }
  }
}

// A face as it is drawn: its box and its probabilities follow, and its word stays until another clearly leads.
function eased(face, before, now) {
  const seen = { ...face, found: face.box, seen: now };
  if (!before) return seen;
  const between = (from, to, share) => from + share * (to - from);
  const moved = Math.hypot(face.box.x - before.box.x, face.box.y - before.box.y) / (SHAKE * face.box.width);
  const box = Object.fromEntries(Object.keys(face.box).map((side) => [side, between(before.box[side], face.box[side], Math.min(1, Math.max(0.3, moved)))]));
  const scores = Object.fromEntries(LABELS.map((name) => [name, between(before.scores[name], face.scores[name], EASE)]));
  const top = LABELS.reduce((a, b) => (scores[b] > scores[a] ? b : a));
  const label = scores[top] - scores[before.label] > LEAD ? top : before.label;
  return { ...seen, box, scores, label, confidence: scores[label] };
}
