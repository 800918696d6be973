// What was chosen: each file or the camera with its state, its progress, its results and its own button to end it.

import { make } from "./faces.js";
import { forget } from "./table.js";

export const items = new Set();

export class Item {
  constructor(name) {
    this.name = name;
    this.ending = new AbortController();
    this.signal = this.ending.signal;
    this.files = null; // what of it goes into a download, as [name, blob]
    this.veil = null; // called when faces are to be blurred, or no longer
    this.title = make("h2", { textContent: name, tabIndex: -1 });
    this.state = make("p", { className: "state" });
    this.end = make("button", { type: "button" });
    this.endWith("Cancel", () => this.remove());
    this.bar = make("progress", { ariaLabel: `Progress of ${name}`, hidden: true });
    this.body = make("div", { className: "body" });
    this.element = make("article", { className: "item" }, make("div", { className: "head" }, this.title, this.state, this.end), this.bar, this.body);
    this.element.setAttribute("aria-label", name);
    items.add(this);
    document.body.classList.remove("empty");
  }

  // What the button says and does.
  endWith(text, does) {
    this.end.textContent = text;
    this.end.setAttribute("aria-label", `${text}: ${this.name}`);
    this.end.onclick = does;
  }

  tell(text) {
    this.state.textContent = text;
  }

  // How much is done, 0-1; null if that is not known.
  advance(share) {
    this.bar.hidden = false;
    if (share === null) this.bar.removeAttribute("value");
    else this.bar.value = share;
  }

  finish(text) {
    this.bar.hidden = true;
    this.endWith("Remove", () => this.remove());
    this.tell(text);
  }

  fail(text) {
    this.finish(text);
    this.element.classList.add("failed");
  }

  remove() {
    this.ending.abort(new DOMException("it was removed", "AbortError"));
    items.delete(this);
    forget(this);
    if (this.element.contains(document.activeElement)) document.getElementById("files").focus();
    this.element.remove();
    document.body.classList.toggle("empty", items.size === 0);
  }
}
