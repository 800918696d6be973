// Where the page's answers come from: this browser, so that no picture leaves it. (`mien serve` has a module of this name that asks it.)

const FILMS = "Films are not read in a browser; on a computer: pip install mien, then mien recognize FILM";
const OFFLINE = "sw.js"; // keeps the page for visits without a network, and lets it use several cores

const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const waiting = new Map();
let asked = 0;
let broken = null; // why the worker does not answer, nor will

worker.onmessage = ({ data: { id, answer, error } }) => {
  const { done, fail } = waiting.get(id);
  waiting.delete(id);
  if (error === undefined) done(answer);
  else fail(new Error(error));
};
worker.onerror = (event) => {
  broken = new Error(`The page cannot read here: ${event.message ?? "its worker does not start"}; reload it, or try a newer browser.`);
  for (const { fail } of waiting.values()) fail(broken);
};

// What the worker answers; `given` buffers are handed over.
const ask = (kind, given = {}, buffers = []) => new Promise((done, fail) => {
  if (broken) { fail(broken); return; }
  asked += 1;
  waiting.set(asked, { done, fail });
  worker.postMessage({ id: asked, kind, ...given }, buffers);
});

export async function about() {
  const { mien, card, threads } = await ask("about");
  navigator.serviceWorker?.register(OFFLINE).catch(() => {}); // without it the page needs its server
  return `mien ${mien}, ${card.name}, yunet, in this browser${threads > 1 ? ` on ${threads} cores` : ""}`;
}

// The readings of a picture made `scale` as large, of all its faces.
export async function read(file, _bitmap, scale, signal) {
  const readings = await ask("picture", { file, scale });
  signal.throwIfAborted();
  return { readings, unread: [] };
}

export const known = () => [];
export const sendFilm = async () => { throw new Error(FILMS); };
export const followFilm = sendFilm;

export const ready = () => ask("camera");

export function openCamera({ begin, take, over }) {
  let open = true;
  const send = async (frame) => {
    const { data, width, height } = frame.getContext("2d").getImageData(0, 0, frame.width, frame.height);
    try {
      const answer = await ask("frame", { picture: { data, width, height, channels: 4 } }, [data.buffer]);
      if (open) take(answer);
    } catch (error) {
      if (open) over(error.message);
    }
  };
  queueMicrotask(begin); // once it is known whom to send to
  return { send, close: () => { open = false; } };
}
