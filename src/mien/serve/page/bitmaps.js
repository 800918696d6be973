// Pictures as the browser decodes them, and their pixels.

// Turned as its EXIF says; null where this browser cannot read it. With `colours` "none" they are as stored, without their profile.
export const decode = (file, colours = "default") => createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: colours }).catch(() => null);

// By how much a picture is made smaller that may have `most` pixels on a side.
export const least = (most, { width, height }) => Math.min(1, most / Math.max(width, height));

export function drawn(bitmap, scale, canvas = new OffscreenCanvas(1, 1)) {
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "#fff"; // below what is transparent, as the service has it
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return pen;
}
