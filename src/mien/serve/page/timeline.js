// The expressions of faces over time: a lane for each face on the time axis of the whole film, with its gaps.
// `data` is as in the file of `mien recognize --plot timeline.html`.

import { LABELS, colour, make, percent } from "./faces.js";

export class Timeline {
  // `seek` is called with a time that was chosen.
  constructor(name, seek = null) {
    this.seek = seek;
    this.title = make("h3", { textContent: "Timeline" });
    this.key = make("ul", { className: "key" });
    this.lanes = make("div");
    this.axis = make("div", { className: "axis", ariaHidden: "true" });
    this.hand = make("div", { className: "hand", hidden: true });
    this.plot = make("div", { className: "plot", role: seek ? "slider" : "group", ariaLabel: seek ? `Time in ${name}` : `Last moments of ${name}` }, this.lanes, this.axis, this.hand);
    this.told = make("p", { className: "told" });
    this.element = make("div", { className: "timeline" }, this.title, this.key, this.plot, this.told);
    this.rows = new Map();
    new ResizeObserver(() => this.draw()).observe(this.plot);
    if (seek) this.listen();
  }

  show(data) {
    this.data = data;
    this.labels = Object.keys(data.colours);
    ["min", "max"].forEach((end, i) => this.seek && this.plot.setAttribute(`aria-value${end}`, data.span[i]));
    this.title.replaceChildren("Timeline", make("span", { textContent: `${data.count}; time in ${data.unit}; smoothed` }));
    this.draw();
  }

  draw() {
    const { data } = this;
    if (!data || !this.plot.clientWidth) return;
    const checked = data.lanes.some((lane) => lane.runs.some(({ check }) => check.includes(1)));
    this.legend(checked, data.cuts.length > 0);
    for (const [face, row] of this.rows) {
      if (!data.lanes.some((lane) => lane.face === face)) {
        row.element.remove();
        this.rows.delete(face);
      }
    }
    for (const lane of data.lanes) this.lane(lane);
    this.axis.replaceChildren(...data.ticks.map(([time, text]) => {
      const tick = make("span", { textContent: text });
      tick.style.left = `${100 * this.across(time)}%`;
      return tick;
    }));
  }

  across(time) {
    const [first, last] = this.data.span;
    return (time - first) / (last - first);
  }

  legend(checked, cut) {
    const shown = [...this.labels, ...(checked ? ["check"] : []), ...(cut ? ["cut"] : []), "away"];
    if (this.key.dataset.shown === `${shown}`) return;
    this.key.dataset.shown = shown;
    this.key.replaceChildren(...shown.map((name) => {
      const patch = make("i", { className: this.labels.includes(name) ? "" : name });
      if (this.labels.includes(name)) patch.style.background = colour(name);
      return make("li", {}, patch, { check: "in doubt" }[name] ?? name);
    }));
  }

  lane(lane) {
    if (!this.rows.has(lane.face)) {
      const canvas = make("canvas", { role: "img" });
      const element = make("div", { className: "lane" }, make("b", { textContent: `Face ${lane.face}` }), canvas);
      this.rows.set(lane.face, { element, canvas });
      this.lanes.append(element);
    }
    const { canvas } = this.rows.get(lane.face);
    canvas.setAttribute("aria-label", `Face ${lane.face}: ${summary(lane, this.labels)}`);
    const ratio = window.devicePixelRatio;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    this.paint(lane, canvas, ratio);
  }

  // Stacked areas: of each label a polygon along its upper edge and back along its lower one. Below, what is to be checked.
  paint(lane, canvas, ratio) {
    const pen = canvas.getContext("2d");
    const { width, height } = canvas;
    const full = height - 6 * ratio;
    const style = getComputedStyle(this.element);
    for (const { times, shares, check } of lane.runs) {
      const x = times.map((time) => width * this.across(time));
      let lower = times.map(() => 0);
      for (const [place, label] of this.labels.entries()) {
        const upper = lower.map((value, i) => (place === this.labels.length - 1 ? 100 : value + shares[i][place])); // they are rounded
        pen.fillStyle = colour(label);
        pen.beginPath();
        upper.forEach((value, i) => pen.lineTo(x[i], full * (1 - Math.min(1, value / 100))));
        for (let i = times.length; i--;) pen.lineTo(x[i], full * (1 - Math.min(1, lower[i] / 100)));
        pen.fill();
        lower = upper;
      }
      pen.fillStyle = style.color;
      check.forEach((doubt, i) => doubt && pen.fillRect(x[i], height - 4 * ratio, Math.max(ratio, (x[i + 1] ?? x[i]) - x[i]), 4 * ratio));
    }
    pen.strokeStyle = style.color;
    pen.lineWidth = ratio;
    pen.setLineDash([4 * ratio, 3 * ratio]);
    for (const time of this.data.cuts) {
      pen.beginPath();
      pen.moveTo(width * this.across(time), 0);
      pen.lineTo(width * this.across(time), height);
      pen.stroke();
    }
  }

  // Show what is at a time.
  point(time) {
    if (!this.data) return;
    this.hand.hidden = false;
    this.hand.style.setProperty("--at", Math.min(1, Math.max(0, this.across(time))));
    const faces = this.data.lanes.map((lane) => `face ${lane.face}: ${at(lane, time, this.labels)}`);
    this.told.textContent = [`${time.toFixed(1)} s`, ...faces].join("  ·  ");
    this.plot.setAttribute("aria-valuenow", time.toFixed(2));
    this.plot.setAttribute("aria-valuetext", this.told.textContent);
    this.time = time;
  }

  listen() {
    this.plot.tabIndex = 0;
    this.plot.setAttribute("aria-valuenow", 0);
    const choose = (event) => {
      const { left, width } = this.lanes.firstChild.lastChild.getBoundingClientRect();
      const [first, last] = this.data.span;
      this.seek(first + (last - first) * Math.min(1, Math.max(0, (event.clientX - left) / width)));
    };
    this.plot.addEventListener("pointerdown", (event) => {
      if (!this.data?.lanes.length) return;
      this.plot.setPointerCapture(event.pointerId);
      choose(event);
    });
    this.plot.addEventListener("pointermove", (event) => { if (this.plot.hasPointerCapture(event.pointerId)) choose(event); });
    this.plot.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1 }[event.key];
      if (!step || !this.data) return;
      event.preventDefault();
      const [first, last] = this.data.span;
      this.seek(Math.min(last, Math.max(first, (this.time ?? first) + (step * (last - first)) / 100)));
    });
  }
}

// How long a face shows what, the longest first.
export function durations(lane, labels) {
  const lasts = new Map();
  for (const { times, shares } of lane.runs) {
    times.slice(0, -1).forEach((time, i) => {
      const label = labels[shares[i].indexOf(Math.max(...shares[i]))];
      lasts.set(label, (lasts.get(label) ?? 0) + times[i + 1] - time);
    });
  }
  return [...lasts].sort((a, b) => b[1] - a[1]);
}

function summary(lane, labels) {
  const lasts = durations(lane, labels);
  const whole = lasts.reduce((sum, [, seconds]) => sum + seconds, 0) || 1;
  return lasts.slice(0, 3).map(([label, seconds]) => `${label} ${percent(seconds / whole)} of ${whole.toFixed(1)} s`).join(", ");
}

function at(lane, time, labels) {
  const run = lane.runs.find(({ times }) => times[0] <= time + 0.02 && time <= times.at(-1) + 0.02);
  if (!run) return "away";
  const nearest = run.times.reduce((best, t, i) => (Math.abs(t - time) < Math.abs(run.times[best] - time) ? i : best), 0);
  const shares = run.shares[nearest];
  const top = shares.indexOf(Math.max(...shares));
  return `${labels[top]} ${shares[top]} %`;
}

// The lanes of a camera's last moments as such data.
export class Moments {
  constructor(seconds) {
    this.seconds = seconds;
    this.faces = new Map();
  }

  add(face, time, { scores, status }) {
    if (!this.faces.has(face)) this.faces.set(face, []);
    const since = time - (this.last ?? time); // a slow service answers seldom: nobody was away for that
    this.faces.get(face).push({ time, since, shares: LABELS.map((label) => 100 * scores[label]), check: Number(status !== "ok") });
  }

  // What is shown once the answer of the moment `now` is added.
  data(now) {
    this.last = now;
    const first = now - this.seconds;
    const lanes = [];
    for (const [face, moments] of this.faces) {
      while (moments.length && moments[0].time < first) moments.shift();
      if (!moments.length) this.faces.delete(face);
      else lanes.push({ face, runs: runs(moments) });
    }
    const ticks = [-30, -20, -10, 0].map((ago) => [now + ago, ago ? `${ago}` : "now"]);
    return { colours: Object.fromEntries(LABELS.map((label) => [label, colour(label)])), span: [first, now], ticks, cuts: [], lanes, count: "the last 30 s", unit: "s" };
  }
}

const [AWAY_S, LONE_S] = [1, 0.3];

function runs(moments) {
  const found = [];
  moments.forEach(({ time, since, shares, check }, i) => {
    if (i === 0 || time - moments[i - 1].time > Math.max(AWAY_S, 1.5 * since)) found.push({ times: [], shares: [], check: [] });
    const run = found.at(-1);
    run.times.push(time);
    run.shares.push(shares);
    run.check.push(check);
  });
  for (const run of found.filter(({ times }) => times.length === 1)) { // of a slow service: it would have no width
    run.times.push(run.times[0] + LONE_S);
    run.shares.push(run.shares[0]);
    run.check.push(run.check[0]);
  }
  return found;
}
