// What a peer from npm makes of crops or frames; `scripts/peers.py` calls it and says what comes.
//
//   node scripts/peers_node.cjs PEER crops|film FOLDER INPUT OUTPUT
//
// FOLDER holds node_modules. INPUT is raw: uint32 count, height, width, then uint8 grey crops
// (height x width) or RGB frames (height x width x 3). OUTPUT is JSON.

const fs = require('node:fs');
const path = require('node:path');

const [peer, task, folder, input, output] = process.argv.slice(2);
const modules = path.resolve(folder, 'node_modules');
const wasm = `${modules}/@tensorflow/tfjs-backend-wasm/dist/`;
const WARM = 3;

// TensorFlow.js fetches its files, which node does not do from the disk.
globalThis.fetch = async (url) => {
  const file = String(url).replace('file://', '');
  const type = file.endsWith('.json') ? 'application/json' : 'application/octet-stream';
  return new Response(fs.readFileSync(file), { headers: { 'content-type': type } });
};

async function human() {
  const { Human } = require(`${modules}/@vladmandic/human/dist/human.node-wasm.js`);
  const face = { mesh: { enabled: true }, iris: { enabled: false }, description: { enabled: false } };
  const off = { enabled: false };
  const reader = new Human({
    backend: 'wasm', wasmPath: wasm, modelBasePath: `file://${modules}/@vladmandic/human/models/`,
    face, body: off, hand: off, gesture: off, filter: off, debug: false,
  });
  await reader.load();
  const tf = reader.tf;
  const labels = ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral'];
  const network = await tf.loadGraphModel(`file://${modules}/@vladmandic/human/models/emotion.json`);
  return {
    frame: async (frame) => (await reader.detect(frame)).face.length,
    crop: async (crop) => { // as src/face/emotion does, of the whole crop
      const answer = tf.tidy(() => {
        const small = tf.image.resizeBilinear(tf.expandDims(crop, 0), [64, 64]);
        const light = tf.sub(tf.div(tf.mean(small, 3, true), 127.5), 1);
        return network.execute(light);
      });
      const values = await answer.data();
      answer.dispose();
      return labels[values.indexOf(Math.max(...values))];
    },
    tensor: (values, shape) => tf.tensor(values, shape, 'int32'),
  };
}

async function faceapi() {
  const api = require(`${modules}/@vladmandic/face-api/dist/face-api.node-wasm.js`);
  api.tf.setWasmPaths(wasm);
  await api.tf.setBackend('wasm');
  await api.tf.ready();
  const model = `${modules}/@vladmandic/face-api/model`;
  await api.nets.faceExpressionNet.loadFromDisk(model);
  await api.nets.tinyFaceDetector.loadFromDisk(model);
  const names = { fearful: 'fear', disgusted: 'disgust', surprised: 'surprise' };
  const options = new api.TinyFaceDetectorOptions();
  return {
    frame: async (frame) => (await api.detectAllFaces(frame, options).withFaceExpressions()).length,
    crop: async (crop) => {
      const [first] = (await api.nets.faceExpressionNet.predictExpressions(crop)).asSortedArray();
      return names[first.expression] ?? first.expression;
    },
    tensor: (values, shape) => api.tf.tensor(values, shape, 'int32'),
  };
}

async function main() {
  const reader = await { human, 'face-api': faceapi }[peer]();
  const bytes = fs.readFileSync(input);
  const [count, height, width] = new Uint32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + 12));
  const size = height * width * (task === 'film' ? 3 : 1);
  const tensorAt = (i) => {
    const part = bytes.subarray(12 + i * size, 12 + (i + 1) * size);
    if (task === 'film') return reader.tensor(part, [height, width, 3]);
    const rgb = new Uint8Array(3 * size);
    part.forEach((value, place) => rgb.fill(value, 3 * place, 3 * place + 3));
    return reader.tensor(rgb, [height, width, 3]);
  };
  const read = task === 'film' ? reader.frame : reader.crop;
  for (let i = 0; i < Math.min(WARM, count); i++) await read(tensorAt(i));
  const answers = [];
  let spent = 0;
  const began = performance.now();
  for (let i = 0; i < count; i++) {
    const tensor = tensorAt(i);
    const before = process.cpuUsage();
    answers.push(await read(tensor));
    const { user, system } = process.cpuUsage(before);
    spent += (user + system) / 1e6;
    tensor.dispose();
  }
  const told = { answers, processor_s: spent, wall_s: (performance.now() - began) / 1000 };
  fs.writeFileSync(output, JSON.stringify(told));
}

main().then(() => process.exit(0), (error) => { console.error(String(error)); process.exit(1); });
