// The page of mien serve: plain modules of the browser, nothing from elsewhere.

const $ = (id) => document.getElementById(id);
const COLOURS = {
  angry: "#ec3113", disgust: "#889a6f", fear: "#604589", happy: "#e4bd1e",
  neutral: "#d6d4d6", sad: "#1861d8", surprise: "#59b7d9", contempt: "#3f270f",
}; // those of mien/style.py
const colour = (label) => COLOURS[label] ?? "#a3457c";
const percent = (value) => `${Math.round(100 * value)} %`;
const rows = []; // everything that was read: what the table shows and the CSV holds
const drawings = []; // of the pictures that are shown, to be drawn again

function say(words, isError = false) {
  $("status").textContent = words;
  $("status").classList.toggle("error", isError);
}

// The key of a service that asks for one; it goes when the tab is closed.
const key = () => sessionStorage.getItem("key");

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: key() ? { Authorization: `Bearer ${key()}` } : {} });
  } catch {
    throw new Error("The service does not answer; is it still running?");
  }
  if (answer.ok) return answer;
  if (answer.status === 401 && await askKey()) return ask(path, options);
  const problem = await answer.json().catch(() => ({}));
  throw new Error(problem.detail ?? `The service answered ${answer.status}.`);
}

const askJson = async (path, options) => (await ask(path, options)).json();

// Whether a key was given.
function askKey() {
  const dialog = $("ask-key");
  $("key").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "ok" && $("key").value.trim();
      if (given) sessionStorage.setItem("key", given);
      done(Boolean(given));
    }, { once: true });
  });
}

// Pictures

async function readPicture(file) {
  say(`Reading ${file.name} …`);
  const form = new FormData();
  form.append("pictures", file);
  const answer = await askJson("v1/recognize", { method: "POST", body: form });
  const [picture] = answer.pictures;
  await showPicture(file, picture);
  picture.readings.forEach((reading) => note(file.name, "", reading));
  const count = picture.readings.length;
  say(count ? `${file.name}: ${count} face${count > 1 ? "s" : ""}, ${picture.readings.map((r) => r.label).join(", ")}.`
    : `${file.name}: no face found.`);
}

async function showPicture(file, picture) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  const figure = document.createElement("figure");
  figure.className = "picture";
  if (bitmap) {
    const canvas = document.createElement("canvas");
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${file.name}: ${picture.readings.map(words).join("; ") || "no face"}`);
    const draw = () => {
      const pen = canvas.getContext("2d");
      pen.drawImage(bitmap, 0, 0);
      mark(pen, picture.readings, bitmap, canvas.width);
    };
    draw();
    drawings.push(draw);
    figure.append(canvas);
  }
  const caption = document.createElement("figcaption");
  caption.textContent = file.name;
  figure.append(caption, cards(picture.readings));
  $("results").prepend(figure);
}

const words = (reading) => `${reading.label} ${percent(reading.confidence)}${reading.status === "ok" ? "" : `, ${reading.status}`}`;

// A face made unrecognisable: 6 x 6 averages, wider than its box, and never from outside the image,
// whose missing pixels would be transparent and let the face through.
function hide(pen, { x, y, width, height }, image) {
  const margin = 0.2;
  const [left, top] = [Math.max(0, x - width * margin), Math.max(0, y - height * margin)];
  const across = Math.min(image.width, x + width * (1 + margin)) - left;
  const down = Math.min(image.height, y + height * (1 + margin)) - top;
  if (across <= 0 || down <= 0) return;
  const small = new OffscreenCanvas(6, 6);
  small.getContext("2d").drawImage(image, left, top, across, down, 0, 0, 6, 6);
  pen.drawImage(small, left, top, across, down);
}

// Boxes, words and, where asked, blur over a picture; `image` is where blurred faces are taken from.
// Words cover no face and no other words; where there is no room, the number remains.
function mark(pen, readings, image, width) {
  const line = Math.max(2, width / 300);
  const size = Math.max(12, (width / 36) * Math.min(1, Math.sqrt(6 / readings.length)));
  pen.font = `600 ${size}px system-ui, sans-serif`;
  const solid = readings.map(({ box }) => [box.x, box.y, box.x + box.width, box.y + box.height]);
  if ($("blur").checked && image) readings.forEach(({ box }) => hide(pen, box, image));
  for (const { box, label, status } of readings) {
    pen.strokeStyle = colour(label);
    pen.lineWidth = line;
    pen.setLineDash(status === "ok" ? [] : [4 * line, 3 * line]);
    pen.strokeRect(box.x, box.y, box.width, box.height);
  }
  for (const [place, reading] of readings.entries()) {
    const number = `${reading.face_id ?? place + 1}`;
    const told = `${number}: ${words(reading)}`;
    const free = freePlace(solid[place], pen.measureText(told).width + size * 0.6, size * 1.4, solid, pen.canvas);
    const [x, y] = free ?? solid[place];
    pen.fillStyle = colour(reading.label);
    pen.fillRect(x, y, pen.measureText(free ? told : number).width + size * 0.6, size * 1.4);
    pen.fillStyle = inkOn(colour(reading.label));
    pen.fillText(free ? told : number, x + size * 0.3, y + size * 1.02);
    if (free) solid.push(free);
  }
}

// Black or white, whichever is read better: at least 4.5 : 1.
function inkOn(hex) {
  const [red, green, blue] = [1, 3, 5].map((at) => (parseInt(hex.slice(at, at + 2), 16) / 255) ** 2.2);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}

// Where a box has words at it that touch nothing solid; undefined if there is no such place.
function freePlace([left, top, right, bottom], width, height, solid, room) {
  const corners = [
    [left, top - height], [right - width, top - height], [left, bottom], [right - width, bottom],
    [right, top], [right, bottom - height], [left - width, top], [left - width, bottom - height],
  ];
  return corners.map(([x, y]) => [
    Math.min(Math.max(0, x), room.width - width), Math.min(Math.max(0, y), room.height - height),
  ]).map(([x, y]) => [x, y, x + width, y + height])
    .find((at) => at[0] >= 0 && !solid.some((s) => at[0] < s[2] && s[0] < at[2] && at[1] < s[3] && s[1] < at[3]));
}

function cards(readings) {
  const box = document.createElement("div");
  box.className = "faces";
  readings.forEach((reading, number) => {
    const card = document.createElement("div");
    card.className = "face";
    const title = document.createElement("h2");
    title.textContent = `Face ${reading.face_id ?? number + 1}: ${words(reading)}`;
    const list = document.createElement("dl");
    for (const [label, value] of Object.entries(reading.smoothed ?? reading.expressions)) {
      const [name, bar, fill, share] = ["dt", "dd", "span", "dd"].map((tag) => document.createElement(tag));
      name.textContent = label;
      bar.className = "bar";
      bar.ariaHidden = "true";
      fill.style.width = `${100 * value}%`;
      fill.style.background = colour(label);
      share.textContent = percent(value);
      bar.append(fill);
      list.append(name, bar, share);
    }
    card.append(title, list);
    box.append(card);
  });
  return box;
}

// Videos

async function readVideo(file) {
  say(`Sending ${file.name} …`);
  const form = new FormData();
  form.append("video", file);
  form.append("blur", $("blur").checked);
  let job = await askJson("v1/videos", { method: "POST", body: form });
  const bar = $("progress");
  bar.hidden = false;
  try {
    while (job.state === "waiting" || job.state === "running") {
      bar.max = job.total ?? 1;
      if (job.total) bar.value = job.frames;
      else bar.removeAttribute("value");
      say(job.state === "waiting" ? `${file.name} waits for its turn …` : `${file.name}: ${job.frames} frames read …`);
      await new Promise((done) => setTimeout(done, 500));
      job = await askJson(`v1/videos/${job.id}`);
    }
  } finally {
    bar.hidden = true;
  }
  if (job.state === "failed") throw new Error(`${file.name}: ${job.error}`);
  await showVideo(file, job);
  say([`${file.name}: ${job.frames} frames read.`, ...job.warnings].join(" "));
}

async function showVideo(file, job) {
  const figure = document.createElement("figure");
  figure.className = "picture";
  const video = document.createElement("video");
  video.controls = true;
  video.setAttribute("aria-label", `${file.name} with its faces marked`);
  const caption = document.createElement("figcaption");
  caption.textContent = `${file.name} `;
  let table = "";
  for (const name of job.files.filter((file) => !file.endsWith("-metadata.json"))) {
    const data = await (await ask(`v1/videos/${job.id}/${name}`)).blob(); // neither links nor videos send a key
    const link = document.createElement("a");
    link.href = URL.createObjectURL(data);
    link.download = name;
    link.textContent = name;
    caption.append(link, " ");
    if (name === "overlay.mp4") video.src = link.href;
    if (name === "table.jsonl") table = await data.text();
  }
  const lines = document.createElement("div");
  lines.className = "timeline";
  figure.append(video, caption, lines);
  $("results").prepend(figure);
  const timelines = new Timelines(lines);
  for (const line of table.split("\n").filter(Boolean)) {
    const reading = JSON.parse(line);
    if (!reading.label) continue;
    timelines.add(reading.face_id ?? 0, reading.time_s, reading.smoothed ?? reading.expressions);
    note(file.name, reading.time_s, reading, reading.frame);
  }
  timelines.draw();
}

// Timelines: for each face, its expressions over time, stacked.

function legend(labels) {
  const key = document.createElement("ul");
  for (const label of labels) {
    const [entry, patch] = ["li", "i"].map((tag) => document.createElement(tag));
    patch.style.background = colour(label);
    entry.append(patch, label);
    key.append(entry);
  }
  return key;
}

class Timelines {
  constructor(place, span = null) {
    this.place = place;
    this.span = span; // seconds that are shown; null for all
    this.faces = new Map();
  }

  add(face, time, expressions) {
    if (!this.place.firstChild) this.place.append(legend(Object.keys(expressions)));
    if (!this.faces.has(face)) {
      const title = document.createElement("p");
      title.textContent = `Face ${face}`;
      const canvas = document.createElement("canvas");
      canvas.width = 900;
      canvas.height = 120;
      canvas.setAttribute("role", "img");
      this.place.append(title, canvas);
      this.faces.set(face, { canvas, title, points: [] });
    }
    const { points } = this.faces.get(face);
    points.push({ time, expressions });
    while (this.span && points[0].time < time - this.span) points.shift();
  }

  draw(now = null) {
    for (const [face, { canvas, title, points }] of this.faces) {
      const end = now ?? points.at(-1).time;
      const start = this.span ? end - this.span : points[0].time;
      if (points.at(-1).time < start) {
        canvas.remove();
        title.remove();
        this.faces.delete(face);
        continue;
      }
      const pen = canvas.getContext("2d");
      pen.clearRect(0, 0, canvas.width, canvas.height);
      const labels = Object.keys(points[0].expressions);
      const mean = (label) => points.reduce((sum, p) => sum + p.expressions[label], 0) / points.length;
      const top = labels.reduce((a, b) => (mean(a) > mean(b) ? a : b));
      canvas.setAttribute("aria-label", `Expressions of face ${face}: mostly ${top}`);
      title.textContent = `Face ${face}: mostly ${top}`;
      const x = ({ time }) => (canvas.width * (time - start)) / Math.max(end - start, 0.1);
      let lower = points.map(() => 0);
      for (const label of labels) {
        const upper = points.map((point, i) => lower[i] + point.expressions[label]);
        pen.fillStyle = colour(label);
        pen.beginPath();
        points.forEach((point, i) => pen.lineTo(x(point), canvas.height * (1 - upper[i])));
        for (let i = points.length; i--;) pen.lineTo(x(points[i]), canvas.height * (1 - lower[i]));
        pen.fill();
        lower = upper;
      }
    }
  }
}

// Camera

const camera = { stream: null, socket: null, timelines: null };

const hex = (text) => [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

async function startCamera() {
  if (!navigator.mediaDevices) throw new Error("The browser gives the camera only to https pages and to this machine's own.");
  await ask("v1/models"); // a socket does not say that it wants a key
  try {
    camera.stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 } }, audio: false });
  } catch (error) {
    throw new Error(`The camera cannot be used: ${error.message}`);
  }
  const video = $("video");
  video.srcObject = camera.stream;
  await video.play();
  $("live").hidden = false;
  $("camera").setAttribute("aria-pressed", "true");
  $("camera").textContent = "Stop the camera";
  $("timeline").replaceChildren();
  camera.timelines = new Timelines($("timeline"), 30);
  const address = new URL("v1/stream", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  camera.socket = new WebSocket(address, key() ? ["mien", `key.${hex(key())}`] : ["mien"]);
  camera.socket.onopen = () => { say("The camera is on."); sendFrame(); };
  camera.socket.onmessage = (event) => { showFrame(JSON.parse(event.data)); sendFrame(); };
  camera.socket.onclose = (event) => { if (camera.stream) stopCamera(event.reason || "The service closed the stream."); };
}

function stopCamera(reason = "The camera is off.") {
  camera.stream?.getTracks().forEach((track) => track.stop());
  camera.stream = null;
  camera.socket?.close();
  camera.socket = null;
  $("video").srcObject = null;
  $("live").hidden = true;
  $("camera").setAttribute("aria-pressed", "false");
  $("camera").textContent = "Camera";
  say(reason);
}

const frame = document.createElement("canvas");

// A frame goes out when the last one is answered: a slow service gets fewer, not later ones.
function sendFrame() {
  const video = $("video");
  if (!camera.socket || camera.socket.readyState !== WebSocket.OPEN) return;
  if (!video.videoWidth) { setTimeout(sendFrame, 100); return; }
  frame.width = video.videoWidth;
  frame.height = video.videoHeight;
  frame.getContext("2d").drawImage(video, 0, 0);
  frame.toBlob((blob) => blob && camera.socket?.readyState === WebSocket.OPEN && camera.socket.send(blob), "image/jpeg", 0.85);
}

function showFrame(answer) {
  if (answer.error) { say(answer.error, true); return; }
  const overlay = $("overlay");
  overlay.width = frame.width;
  overlay.height = frame.height;
  const pen = overlay.getContext("2d");
  if ($("blur").checked) pen.drawImage(frame, 0, 0); // the film behind is ahead of its readings
  mark(pen, answer.readings, frame, overlay.width);
  if ($("status").classList.contains("error")) say("The camera is on.");
  $("faces").replaceChildren(...cards(answer.readings).children);
  for (const reading of answer.readings) {
    camera.timelines.add(reading.face_id ?? 0, answer.time_s, reading.smoothed ?? reading.expressions);
    note("camera", answer.time_s, reading);
  }
  camera.timelines.draw(answer.time_s);
}

// The table

const MOST_SHOWN = 500;
let drawing = 0;

// The columns are those of `mien recognize --csv`.
function note(path, time, reading, frame = "") {
  const { x, y, width, height } = reading.box;
  const smoothed = Object.keys(reading.expressions).map((label) => [`smoothed_${label}`, reading.smoothed?.[label]]);
  rows.push({
    path, index: "", time_s: time, frame, face_id: reading.face_id ?? "", x, y, width, height, score: reading.score,
    label: reading.label, confidence: reading.confidence, status: reading.status, ...reading.expressions,
    ...Object.fromEntries(smoothed), error: "",
  });
  if (!drawing) drawing = setTimeout(() => { drawing = 0; drawTable(); }, 300);
}

function drawTable() {
  $("table").hidden = rows.length === 0;
  if (!rows.length) return;
  const columns = ["path", "time_s", "face_id", "label", "confidence", "status"];
  const line = (cells, tag) => {
    const row = document.createElement("tr");
    for (const value of cells) {
      const cell = document.createElement(tag);
      cell.textContent = typeof value === "number" ? +value.toFixed(3) : value;
      if (tag === "th") cell.scope = "col";
      row.append(cell);
    }
    return row;
  };
  document.querySelector("thead").replaceChildren(line(columns, "th"));
  const shown = rows.slice(-MOST_SHOWN).reverse();
  document.querySelector("tbody").replaceChildren(...shown.map((row) => line(columns.map((c) => row[c]), "td")));
}

function download() {
  const columns = Object.keys(rows[0]);
  // A name that begins like a formula stays text in a spreadsheet.
  const cell = (value) => {
    const text = String(value);
    const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const text = [columns.join(","), ...rows.map((row) => columns.map((c) => cell(row[c] ?? "")).join(","))].join("\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = "mien.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// What the hands do

const isVideo = (file) => file.type.startsWith("video/") || /\.(avi|m4v|mkv|mov|mp4|mpe?g|m?ts|webm)$/i.test(file.name);

async function read(files) {
  const errors = [];
  for (const file of files) {
    try {
      await (isVideo(file) ? readVideo(file) : readPicture(file));
    } catch (error) {
      errors.push(error.message);
    }
  }
  if (errors.length) say(errors.join(" "), true);
}

$("files").addEventListener("change", async (event) => {
  const files = [...event.target.files];
  event.target.value = ""; // the same file may be chosen again
  await read(files);
});
$("camera").addEventListener("click", async () => {
  if (camera.stream) { stopCamera(); return; }
  $("camera").disabled = true; // a second click would open a second camera
  try {
    await startCamera();
  } catch (error) {
    stopCamera();
    say(error.message, true);
  } finally {
    $("camera").disabled = false;
    $("camera").focus();
  }
});
$("blur").addEventListener("change", () => drawings.forEach((draw) => draw()));
$("download").addEventListener("click", download);
$("clear").addEventListener("click", () => {
  rows.length = drawings.length = 0;
  for (const link of document.querySelectorAll("#results a")) URL.revokeObjectURL(link.href);
  $("results").replaceChildren();
  drawTable();
  say("Cleared.");
});
const drop = $("drop");
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop") read([...event.dataTransfer.files]);
  });
}

askJson("version").then((v) => { $("model").textContent = `mien ${v.mien}, ${v.model}, ${v.detector}.`; }).catch((error) => say(error.message, true));
