// The page: what the hands do. Plain modules of the browser, nothing from elsewhere.

import { about, followFilm, known, sendFilm } from "./answers.js";
import { Camera } from "./camera.js";
import { save } from "./faces.js";
import { Item, items } from "./items.js";
import { readPicture } from "./pictures.js";
import { csv } from "./table.js";
import { zip } from "./zip.js";

const $ = (id) => document.getElementById(id);
const isBlurred = () => $("blur").checked;
const isFilm = (file) => file.type.startsWith("video/") || /\.(avi|m4v|mkv|mov|mp4|mpe?g|m?ts|webm)$/i.test(file.name);

// What a screen reader says.
const say = (text) => { $("status").textContent = text; };
// What everybody has to see.
const warn = (text) => { $("notice").textContent = text; };

// An item for each file at once; they are read, and films sent, one after the other.
let queue = Promise.resolve();

function read(files) {
  if (!files.length) return;
  warn("");
  for (const file of files) {
    const item = add(file.name);
    item.tell("waits");
    queue = queue.then(() => (isFilm(file) ? film(item, file) : told(item, () => readPicture(item, file, isBlurred))));
  }
  $("results").firstChild?.scrollIntoView({ block: "nearest" });
}

function add(name) {
  const item = new Item(name);
  $("results").prepend(item.element);
  return item;
}

// The next file is not kept waiting until a film is read.
async function film(item, file) {
  let sent = null;
  await told(item, async () => { sent = await sendFilm(item, file, isBlurred()); return "sent"; });
  if (sent) told(item, () => followFilm(item, sent, isBlurred));
}

async function told(item, does) {
  try {
    item.signal.throwIfAborted();
    say(`${item.name}: ${await does()}.`);
  } catch (error) {
    if (error.name === "AbortError") return;
    item.fail(error.message);
    say(`${item.name}: ${error.message}`);
  }
}

$("files").addEventListener("change", (event) => {
  const files = [...event.target.files];
  event.target.value = ""; // the same file may be chosen again
  read(files);
});

$("sample").addEventListener("click", async () => {
  const answer = await fetch("sample.jpg").catch(() => null);
  if (!answer?.ok) { warn("The picture does not come; is its server still running?"); return; }
  read([new File([await answer.blob()], "sample.jpg", { type: "image/jpeg" })]);
  document.querySelector("#results h2").focus({ preventScroll: true }); // the button is gone
});

for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    if (kind === "dragleave" && event.relatedTarget) return; // it is still over the page
    document.body.classList.toggle("over", kind === "dragover");
    if (kind === "drop") read([...event.dataTransfer.files]);
  });
}
document.addEventListener("paste", (event) => read([...event.clipboardData.files]));

// The camera

let camera = null;

function cameraIs(on) {
  $("camera").setAttribute("aria-pressed", on);
  $("camera").textContent = on ? "Stop the camera" : "Use the camera";
}

$("camera").addEventListener("click", async () => {
  if (camera) { camera.stop("The camera is off."); return; }
  $("camera").disabled = true; // a second click would open a second camera
  warn("");
  camera = new Camera(isBlurred, (reason) => { camera = null; cameraIs(false); say(reason); });
  try {
    await camera.start();
    $("results").prepend(camera.item.element);
    cameraIs(true);
    say("The camera is on.");
  } catch (error) {
    camera?.stop(error.message);
    warn(error.message);
  } finally {
    $("camera").disabled = false;
    $("camera").focus();
  }
});

$("blur").addEventListener("change", () => { for (const item of items) item.veil?.(); });

// The table

$("csv").addEventListener("click", () => save(csv(), "mien.csv"));

$("all").addEventListener("click", async () => {
  $("all").disabled = true;
  try {
    const parts = await Promise.all([...items].map((item) => item.files?.() ?? []));
    save(await zip([["mien.csv", csv()], ...parts.flat()]), "mien.zip");
    say("Saved as mien.zip.");
  } catch (error) {
    warn(error.message);
  } finally {
    $("all").disabled = false;
  }
});

$("clear").addEventListener("click", () => {
  camera?.stop("The camera is off.");
  for (const item of [...items]) item.remove();
  say("Removed.");
  $("files").focus();
});

for (const film of known()) {
  const item = add(film.name);
  told(item, () => followFilm(item, film, isBlurred));
}

about().then((text) => { $("model").textContent = text; }).catch((error) => warn(error.message));
