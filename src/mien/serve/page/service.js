// The service: requests with the key, its errors in words, films sent with their progress.

const BUSY = new Set([429, 503]);
const TRIES = 6;

export class Failure extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status; // 0: no answer came
  }
}

const $ = (id) => document.getElementById(id);
const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

// The key of a service that asks for one; it goes when the tab is closed.
export const key = () => sessionStorage.getItem("key");
const headers = () => (key() ? { Authorization: `Bearer ${key()}` } : {});

// The answer of the service. One that is busy is asked again, one that wants a key has the user asked.
export async function ask(path, options = {}, tries = TRIES) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: headers() });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("The service does not answer; is it still running?");
  }
  if (answer.ok) return answer;
  return again(answer.status, answer.headers.get("Retry-After"), await answer.text(), tries, options.signal, () => ask(path, options, tries - 1));
}

export const askJson = async (path, options) => (await ask(path, options)).json();

async function again(status, wait, text, tries, signal, once) {
  if (status === 401 && await askKey()) return once();
  if (BUSY.has(status) && tries > 1) {
    await pause(Math.min(10, Math.max(1, Number(wait) || 1)));
    signal?.throwIfAborted();
    return once();
  }
  throw new Failure(detail(text) ?? `The service answered ${status}.`, status);
}

function detail(text) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return null;
  }
}

// What the service answers to a form; `sent` is called with the share that has gone out (fetch cannot tell it).
export function send(path, form, { signal, sent }, tries = TRIES) {
  return new Promise((done, fail) => {
    signal.throwIfAborted();
    const request = new XMLHttpRequest();
    request.open("POST", path);
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && sent(event.loaded / event.total);
    request.onerror = () => fail(new Failure("The service does not answer; is it still running?"));
    request.onabort = () => fail(signal.reason);
    request.onload = () => {
      if (request.status < 300) done(JSON.parse(request.responseText));
      else again(request.status, request.getResponseHeader("Retry-After"), request.responseText, tries, signal, () => send(path, form, { signal, sent }, tries - 1)).then(done, fail);
    };
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

// Whether a key was given.
let asking = null;
function askKey() {
  asking ??= new Promise((done) => {
    const dialog = $("ask-key");
    $("key").value = "";
    dialog.returnValue = "";
    dialog.showModal();
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "ok" && $("key").value.trim();
      if (given) sessionStorage.setItem("key", given);
      asking = null;
      done(Boolean(given));
    }, { once: true });
  });
  return asking;
}

// A camera's way to the service.
export function openStream() {
  const hex = (text) => [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const address = new URL("v1/stream", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  return new WebSocket(address, key() ? ["mien", `key.${hex(key())}`] : ["mien"]);
}
