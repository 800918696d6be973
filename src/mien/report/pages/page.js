// Tables that are sorted and filtered, with columns on demand; matrices that tell of a cell.
"use strict";
const make = (tag, place, told = {}) => place.appendChild(Object.assign(document.createElement(tag), told));

for (const tools of document.querySelectorAll(".tools")) {
  const table = document.getElementById(tools.dataset.for);
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const show = (place, on) => { for (const row of table.rows) row.cells[place].hidden = !on; };
  const value = (row, place) => {
    const cell = row.cells[place];
    return "v" in cell.dataset ? Number(cell.dataset.v) : cell.textContent.trim();
  };
  const empty = (v) => v === "–" || v === "" || Number.isNaN(v);
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));

  function sort(head, place) {
    const falls = head.ariaSort === "descending" || (head.ariaSort !== "ascending" && head.dataset.first === "ascending");
    for (const other of heads) other.ariaSort = "none";
    head.ariaSort = falls ? "ascending" : "descending";
    const sign = falls ? 1 : -1;
    const rows = [...body.rows].map((row) => [value(row, place), row]);
    rows.sort(([a], [b]) => empty(a) - empty(b) || sign * compare(a, b));
    body.append(...rows.map(([, row]) => row));
  }
  heads.forEach((head, place) => {
    const words = head.textContent;
    head.textContent = "";
    head.ariaSort = "none";
    make("button", head, { type: "button", textContent: words }).addEventListener("click", () => sort(head, place));
  });

  const [field, count, list] = ["input[type=search]", "output", "details > div"].map((one) => tools.querySelector(one));
  const filter = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    count.textContent = shown === body.rows.length ? `${shown} rows` : `${shown} of ${body.rows.length} rows`;
  };
  field.addEventListener("input", filter);
  filter();

  heads.forEach((head, place) => {
    if (place === 0) return;
    const on = !("more" in head.dataset);
    show(place, on);
    const label = make("label", list);
    const box = make("input", label, { type: "checkbox", checked: on });
    make("span", label, { textContent: head.textContent });
    box.addEventListener("change", () => show(place, box.checked));
  });
  tools.hidden = false;
}

for (const button of document.querySelectorAll("button[data-all]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    for (const one of document.querySelectorAll(`#${button.dataset.all} [hidden]`)) one.hidden = false;
    button.remove();
  });
}

for (const table of document.querySelectorAll(".matrix")) {
  const told = document.getElementById(`${table.id}-told`);
  table.addEventListener("click", ({ target }) => {
    const cell = target.closest("td[title]");
    if (cell) told.textContent = cell.title;
  });
  let focused = table.querySelector("tbody td[title]");
  if (focused) focused.tabIndex = 0;
  table.addEventListener("focusin", ({ target }) => { told.textContent = target.title; });
  table.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    for (const by of [1, 2]) { // over the empty diagonal
      const next = table.rows[focused.parentNode.rowIndex + by * step[0]]?.cells[focused.cellIndex + by * step[1]];
      if (!next?.matches("td[title]:not([hidden])") || next.parentNode.hidden) continue;
      [focused.tabIndex, next.tabIndex] = [-1, 0];
      focused = next;
      return focused.focus();
    }
  });
}

for (const frame of document.querySelectorAll("iframe")) {
  const fit = () => {
    frame.style.height = "0";
    frame.style.height = `${frame.contentDocument.documentElement.scrollHeight + 4}px`;
  };
  frame.addEventListener("load", () => {
    fit();
    new ResizeObserver(() => { // what is told of a moment may be longer than of another
      if (frame.contentDocument.documentElement.scrollHeight > frame.clientHeight) fit();
    }).observe(frame.contentDocument.body);
  });
  window.addEventListener("resize", fit);
}

document.addEventListener("click", ({ target }) => {
  for (const open of document.querySelectorAll(".tools details[open]")) if (!open.contains(target)) open.open = false;
});
