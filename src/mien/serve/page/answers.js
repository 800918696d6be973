// Where the page's answers come from: the service. `mien page` puts a module of this name in its place that reads in the browser.

import { drawn } from "./bitmaps.js";
import { ask, askJson, openStream } from "./service.js";

export { followFilm, known, sendFilm } from "./films.js";

const MOST_BYTES = 6_000_000;

// What answers, in words.
export async function about() {
  const { mien, model, detector } = await askJson("version");
  return `mien ${mien}, ${model}, ${detector}`;
}

// The readings of a picture made `scale` as large, and the boxes of faces that are not read, as they are too many; without a
// `bitmap` it is sent as it is.
export async function read(file, bitmap, scale, signal) {
  const asItIs = !bitmap || (scale === 1 && file.size <= MOST_BYTES);
  const sent = asItIs ? file : await drawn(bitmap, scale).canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
  const form = new FormData();
  form.append("pictures", sent, file.name);
  const answer = await askJson("v1/recognize", { method: "POST", body: form, signal });
  return answer.pictures[0];
}

// Before a camera is used: a socket does not say that it wants a key.
export const ready = () => ask("v1/models");

// Somebody to send a camera's frames to, one after the other: `begin` is called once they may come, `take` with each answer,
// `over` with why there will be no more.
export function openCamera({ begin, take, over }) {
  const socket = openStream();
  const send = (blob) => blob && socket.readyState === WebSocket.OPEN && socket.send(blob);
  socket.onopen = begin;
  socket.onmessage = (event) => take(JSON.parse(event.data));
  socket.onclose = (event) => over(event.reason || "The service closed the stream.");
  return { send: (frame) => frame.toBlob(send, "image/jpeg", 0.85), close: () => socket.close() };
}
