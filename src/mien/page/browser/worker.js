// Reads pictures and the frames of a camera, beside the page so that it stays quick. Nothing leaves this machine.

import * as ort from "./ort.js";
import { decode, drawn } from "./bitmaps.js";
import { Recognizer } from "./recognizer.js";

const MOST_THREADS = 4;

ort.env.wasm.wasmPaths = { mjs: new URL("ort-wasm.js", import.meta.url).href, wasm: new URL("ort-wasm.wasm", import.meta.url).href };
ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
ort.env.logLevel = "error";

async function fetched(name) {
  const answer = await fetch(new URL(name, import.meta.url));
  if (!answer.ok) throw new Error(`${name.split("/").pop()} is not there (status ${answer.status}); write the page again: mien page`);
  return answer;
}

let last = Promise.resolve(); // the networks share a memory, so that they run one after the other

// ONNX Runtime does not say so where a host lacks one of its files.
async function explained(error) {
  for (const file of Object.values(ort.env.wasm.wasmPaths)) await fetched(file);
  throw error;
}

// What runs a network: planes and their shape in, tensors by name out.
async function opened(name) {
  const session = await ort.InferenceSession.create(await (await fetched(name)).arrayBuffer()).catch(explained);
  const [input] = session.inputNames;
  const run = (planes, shape) => {
    last = last.catch(() => {}).then(() => session.run({ [input]: new ort.Tensor("float32", planes, shape) }));
    return last;
  };
  return { outputs: session.outputNames, run };
}

async function open() {
  const about = await (await fetched("about.json")).json();
  const [detector, classifier, cover] = [await opened("yunet.onnx"), await opened("model.onnx"), await opened("cover.onnx")];
  return { about, recognizer: new Recognizer(about.card, detector, classifier, cover) };
}

const networks = open();
let camera = null;

function pixels(pen) {
  const { data, width, height } = pen.getImageData(0, 0, pen.canvas.width, pen.canvas.height);
  return { data, width, height, channels: 4 };
}

const asked = {
  about: async () => ({ ...(await networks).about, threads: ort.env.wasm.numThreads }),
  // The faces of a picture's file that is read `scale` as large.
  picture: async ({ file, scale }) => {
    const bitmap = await decode(file, "none"); // as mien does: colours as they are stored
    if (!bitmap) throw new Error(`${file.name} is no picture that this browser can read; save it as JPEG or PNG`);
    return (await networks).recognizer.read(pixels(drawn(bitmap, scale)));
  },
  camera: async () => { camera = (await networks).recognizer.camera(); },
  frame: ({ picture }) => camera.read(picture),
};

self.onmessage = async ({ data: { id, kind, ...given } }) => {
  try {
    self.postMessage({ id, answer: await asked[kind](given) });
  } catch (error) {
    self.postMessage({ id, error: error.message ?? `${error}` });
  }
};
