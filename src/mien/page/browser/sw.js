// Keeps the files of the page, so that it opens without a network, and answers with the headers that a static host may not send.
// Before this text `mien page` writes FILES, VERSION and POLICY.

const [PREFIX, NAME] = [`mien ${self.registration.scope}`, `mien ${self.registration.scope} ${VERSION}`];
const HEADERS = {
  "Content-Security-Policy": POLICY, // a worker does not inherit that of its page
  "Cross-Origin-Opener-Policy": "same-origin", // with the next, the page may use several cores
  "Cross-Origin-Embedder-Policy": "require-corp",
};

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(forget()));
self.addEventListener("fetch", (event) => { if (event.request.method === "GET") event.respondWith(answer(event.request)); });

// All files, or none: each is asked for anew, so that none is of another version.
async function keep() {
  const cache = await caches.open(NAME);
  await cache.addAll(["./", ...FILES].map((file) => new Request(file, { cache: "no-cache" })));
  await self.skipWaiting();
}

async function forget() {
  const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== NAME);
  await Promise.all(old.map((name) => caches.delete(name)));
}

async function answer(request) {
  const kept = await (await caches.open(NAME)).match(request, { ignoreSearch: true });
  if (!kept) return fetch(request);
  const headers = new Headers(kept.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  return new Response(kept.body, { status: kept.status, statusText: kept.statusText, headers });
}
