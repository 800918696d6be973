// Films: jobs of the service, followed until they are read, after a reload, too.

import { Card, LABELS, faceOf, make, percent, save } from "./faces.js";
import { Failure, ask, askJson, send } from "./service.js";
import { note } from "./table.js";
import { Timeline, durations } from "./timeline.js";

const POLL_S = 0.6;
const SILENT_S = 2;
const STORE = "films";
const COVERED = "It was read without blurring its faces. Choose it again to have them blurred.";
const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

// The films of this tab that the service has, as {id, name, blur}.
export const known = () => JSON.parse(sessionStorage.getItem(STORE) ?? "[]");
const keep = (films) => sessionStorage.setItem(STORE, JSON.stringify(films));

// The browser asks before it leaves the page: what is half sent would be lost.
const stay = (event) => event.preventDefault();

// Send a film; what is known of it.
export async function sendFilm(item, file, blur) {
  const form = new FormData();
  form.append("blur", blur);
  form.append("video", file);
  const sent = (share) => {
    item.advance(share < 1 ? share : null);
    item.tell(share < 1 ? `sending, ${percent(share)}` : "sent; the service looks at it …");
  };
  sent(0);
  addEventListener("beforeunload", stay);
  let id;
  try {
    ({ id } = await send("v1/videos", form, { signal: item.signal, sent }));
  } finally {
    removeEventListener("beforeunload", stay);
  }
  const film = { id, name: item.name, blur };
  keep([...known(), film]);
  return film;
}

// Follow a job and show what was read; what is said of it.
export async function followFilm(item, { id, blur }, isBlurred) {
  item.signal.addEventListener("abort", () => {
    forget(id);
    ask(`v1/videos/${id}`, { method: "DELETE" }).catch(() => {}); // it may be gone already
  });
  let job;
  try {
    job = await finished(item, id);
  } catch (error) {
    if (error.status === 404) forget(id);
    throw error;
  }
  if (job.state === "failed") throw new Failure(job.error);
  await show(item, job, () => blur || !isBlurred());
  const told = [`${job.frames} frames`, ...job.warnings].join("; ");
  item.finish(`${told}; kept until ${until(job.expires_in_s)}`);
  return told;
}

const forget = (id) => keep(known().filter((film) => film.id !== id));

const until = (seconds) => new Date(Date.now() + 1000 * seconds).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

async function finished(item, id) {
  const pace = new Pace();
  for (;;) {
    item.signal.throwIfAborted();
    try {
      const job = await askJson(`v1/videos/${id}`, { signal: item.signal });
      if (job.state === "done" || job.state === "failed") return job;
      item.advance(job.total ? job.frames / job.total : null);
      item.tell(job.state === "waiting" ? "waits for its turn" : pace.tell(job));
      await pause(POLL_S);
    } catch (error) {
      if (error.status !== 0) throw error;
      item.tell(`${error.message} Asking again …`); // a service that is started again goes on with its films
      await pause(SILENT_S);
    }
  }
}

const WINDOW = 16;

// How fast frames are read, by the last few answers.
class Pace {
  constructor() {
    this.marks = [];
  }

  tell({ frames, total }) {
    this.marks = [...this.marks, [performance.now() / 1000, frames]].slice(-WINDOW);
    const [[since, before], [now, done]] = [this.marks[0], this.marks.at(-1)];
    const told = total ? `${frames} of ${total} frames` : `${frames} frames`;
    const left = ((total - done) * (now - since)) / (done - before);
    return total && now - since >= 1 && done > before ? `${told}, ${words(left)} left` : told;
  }
}

function words(seconds) {
  if (seconds < 8) return "a few seconds";
  if (seconds < 55) return `about ${5 * Math.ceil(seconds / 5)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes === 1 ? "about a minute" : `about ${minutes} minutes`;
}

// `allowed`: whether its faces may be seen as they are in it.
async function show(item, job, allowed) {
  const fetched = async (file) => (await ask(`v1/videos/${job.id}/${file}`, { signal: item.signal })).blob();
  const names = job.files.filter((file) => !file.endsWith("-metadata.json"));
  const [film, lines, page] = await Promise.all(["overlay.mp4", "table.jsonl", "timeline.html"].map(fetched));
  const data = JSON.parse(/<script id="data"[^>]*>(.*?)<\/script>/s.exec(await page.text())[1]);
  for (const line of (await lines.text()).split("\n").filter(Boolean)) {
    const reading = JSON.parse(line);
    if (reading.label) note(item, reading, { place: 1, time: reading.time_s, frame: reading.frame });
  }
  const address = URL.createObjectURL(film); // a video sends no key
  item.signal.addEventListener("abort", () => URL.revokeObjectURL(address));
  const video = make("video", { controls: true, playsInline: true, src: address, ariaLabel: `${item.name} with its faces marked` });
  const timeline = new Timeline(item.name, (time) => { video.currentTime = time - data.span[0]; timeline.point(time); });
  video.addEventListener("timeupdate", () => timeline.point(data.span[0] + video.currentTime));
  const stage = make("div", { className: "stage" }, video, make("p", { className: "hint", textContent: COVERED }));
  item.veil = () => stage.classList.toggle("covered", !allowed());
  item.veil();
  item.body.append(stage, cards(data), timeline.element, links(item, names, fetched));
  timeline.show(data);
  timeline.point(data.span[0]);
  const wanted = () => names.filter((name) => name !== "overlay.mp4" || allowed());
  item.files = () => Promise.all(wanted().map(async (name) => [`${item.name}/${name}`, await fetched(name)]));
}

// Of each face its mean, as many as the timeline has.
function cards(data) {
  const labels = Object.keys(data.colours);
  const made = data.lanes.map((lane) => {
    const shares = lane.runs.flatMap((run) => run.shares);
    const mean = labels.map((_, place) => shares.reduce((sum, share) => sum + share[place], 0) / shares.length / 100);
    const face = faceOf({ face_id: lane.face, expressions: Object.fromEntries(LABELS.map((label) => [label, mean[labels.indexOf(label)]])), status: "ok" });
    const seconds = durations(lane, labels).reduce((sum, [, lasts]) => sum + lasts, 0);
    return new Card(lane.face, data.lanes.length === 1).update(face, `mean of ${seconds.toFixed(1)} s`).element;
  });
  return make("div", { className: "faces" }, ...(made.length ? made : [make("p", { className: "hint", textContent: "No face was found." })]));
}

function links(item, names, fetched) {
  const buttons = names.map((name) => make("button", {
    type: "button", textContent: name, onclick: async () => { save(await fetched(name), name); },
  }));
  const title = make("span", { className: "hint", textContent: "Download" });
  return make("div", { className: "links", role: "group", ariaLabel: `Files of ${item.name}` }, title, ...buttons);
}
