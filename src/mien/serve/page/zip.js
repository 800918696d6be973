// A .zip of files as they are, not packed: pictures and films are packed already. (PKWARE APPNOTE 6.3.10)

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

async function crc32(blob) {
  let sum = 0xffffffff;
  for (let at = 0; at < blob.size; at += 1 << 22) {
    for (const byte of new Uint8Array(await blob.slice(at, at + (1 << 22)).arrayBuffer())) sum = CRC[(sum ^ byte) & 255] ^ (sum >>> 8);
  }
  return ~sum >>> 0;
}

const UTF8 = 1 << 11;

// Numbers of 2 or 4 bytes, the lowest byte first.
function record(fields) {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [bytes]) => sum + bytes, 0)));
  let at = 0;
  for (const [bytes, value] of fields) {
    if (bytes === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += bytes;
  }
  return view.buffer;
}

// The blob of a .zip with `files`, [name, blob] each; a name that comes twice gets a number.
export async function zip(files) {
  const now = new Date();
  const time = (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1);
  const date = ((now.getFullYear() - 1980) << 9) | ((now.getMonth() + 1) << 5) | now.getDate();
  const [parts, directory, taken] = [[], [], new Set()];
  let offset = 0;
  for (const [wanted, blob] of files) {
    const name = new TextEncoder().encode(unique(wanted, taken));
    const about = [[2, 20], [2, UTF8], [2, 0], [2, time], [2, date], [4, await crc32(blob)], [4, blob.size], [4, blob.size], [2, name.length], [2, 0]];
    parts.push(record([[4, 0x04034b50], ...about]), name, blob);
    directory.push(record([[4, 0x02014b50], [2, 20], ...about, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]]), name);
    offset += 30 + name.length + blob.size;
  }
  const index = new Blob(directory);
  const end = record([[4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, index.size], [4, offset], [2, 0]]);
  return new Blob([...parts, index, end], { type: "application/zip" });
}

function unique(name, taken) {
  const [, stem, suffix] = /^(.*?)(\.[^./]*)?$/s.exec(name);
  let found = name;
  for (let n = 2; taken.has(found); n += 1) found = `${stem}-${n}${suffix ?? ""}`;
  taken.add(found);
  return found;
}
