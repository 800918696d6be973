// Pictures in, readings out, as the service tells them: a port of mien/recognizer.py.

import { Classifier, Quality, crop, statusOf } from "./classifier.js";
import { within } from "./boxes.js";
import { Follower, Tracker } from "./following.js";
import { YuNet } from "./yunet.js";

export class Recognizer {
  // Networks are {outputs, run}: `run` maps planes and their shape to tensors by name.
  constructor(card, detector, classifier, cover) {
    const first = ({ outputs: [name], run }) => async (...given) => (await run(...given))[name].data;
    this.card = card;
    this.yunet = new YuNet(detector.run);
    this.classifier = new Classifier(first(classifier), card);
    this.quality = new Quality(first(cover));
  }

  // The readings of a photo, the largest face first.
  async read(picture) {
    return this.told(picture, await this.yunet.detectInPhoto(picture));
  }

  camera() {
    return new Camera(this);
  }

  // What the networks say of faces that were found.
  async told(picture, found) {
    const { labels, unsure_below: unsureBelow } = this.card;
    const seen = found.filter(({ box }) => within(box, picture));
    const crops = seen.map((face) => crop(picture, face)); // of a box that ends beyond the picture, too
    const faces = seen.map((face) => ({ ...face, box: within(face.box, picture) }));
    const [scores, looks] = [await this.classifier.scores(crops), await this.quality.looks(crops)];
    return faces.map((face, i) => {
      const confidence = Math.max(...scores[i]);
      const expressions = Object.fromEntries(labels.map((label, at) => [label, scores[i][at]]));
      const status = statusOf(face, looks[i], confidence, unsureBelow);
      return { ...face, label: labels[scores[i].indexOf(confidence)], confidence, expressions, status, face_id: null, smoothed: null };
    });
  }
}

// The frames of one camera.
class Camera {
  constructor(recognizer) {
    Object.assign(this, { recognizer, follower: new Follower(recognizer.yunet), tracker: new Tracker(), frames: 0, since: performance.now() });
  }

  async read(picture) {
    const time = (performance.now() - this.since) / 1000;
    const readings = await this.recognizer.told(picture, await this.follower.find(picture, time));
    const { labels } = this.recognizer.card;
    const tracks = this.tracker.update(time, readings, readings.map(({ expressions }) => Object.values(expressions)));
    tracks.forEach(({ id, smoothed }, i) => Object.assign(readings[i], {
      face_id: id, smoothed: Object.fromEntries(labels.map((label, at) => [label, smoothed[at]])),
    }));
    return { frame: this.frames++, time_s: Number(time.toFixed(3)), readings };
  }
}
