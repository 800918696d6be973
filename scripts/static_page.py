#!/usr/bin/env python3
"""Does the page of `mien page` read as Python does, and how quickly beside face-api?

    npm pack onnxruntime-web@1.30.0 @vladmandic/face-api@1.7.15 @tensorflow/tfjs-backend-wasm@4.22.0
    scripts/static_page.py agreement --cases ../shared/cases
    scripts/static_page.py speed --peers FOLDER    # where the tarballs of npm lie

Both in a real Chromium. Pictures are chosen on the page, and its table is compared with the
readings of `Recognizer`. For speed, the browser's camera is a film of the portrait, 640x480 px; the
two pages take turns, and CPU time counts all processes of the browser, so that a busy machine
changes it less than frames a second.
"""

import argparse
import contextlib
import csv
import functools
import http.server
import io
import os
import shutil
import statistics
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from mien.demo import PORTRAIT  # noqa: E402
from mien.errors import MienError  # noqa: E402
from mien.page.write import write_page  # noqa: E402
from mien.recognizer import Recognizer  # noqa: E402
from mien.sources import open_source, read_picture  # noqa: E402
from mien.types import Readings  # noqa: E402
from tests.golden.pictures import PICTURES  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
LOSSLESS = {".png", ".bmp", ".tiff"}
SHOWN = (".png", ".bmp", ".jpg", ".webp")
SLOW_MS = 900_000
_TICKS = os.sysconf("SC_CLK_TCK")
PEERS = ("vladmandic-face-api-1.7.15.tgz", "tensorflow-tfjs-backend-wasm-4.22.0.tgz")
WAYS = ("wasm,tiny", "wasm,ssd", "webgl,tiny", "webgl,ssd")
ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}


# ---- Servers and browsers --------------------------------------------------------------------


@contextlib.contextmanager
def served(folder: Path, headers: dict[str, str] | None = None) -> Iterator[str]:
    """The address of a plain static server."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            super().end_headers()

        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextlib.contextmanager
def browser(camera: Path | None = None) -> Iterator[Any]:
    """Chromium, with a film for a camera."""
    arguments = ["--no-sandbox", "--disable-background-networking"]
    if camera is not None:
        arguments += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        arguments += [f"--use-file-for-fake-video-capture={camera}"]
    with sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield found
        found.close()


def until(page: Page, true: Callable[[], Any]) -> None:
    """Wait; the page's policy forbids what Playwright would wait with."""
    end = time.monotonic() + SLOW_MS / 1000
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(page.inner_text("body")[:500])
        page.wait_for_timeout(50)


# ---- Agreement -------------------------------------------------------------------------------


def pictures(folder: Path, cases: Path | None) -> list[Path]:
    """The golden pictures, the awkward ones of `cases`, and the portrait in other files."""
    for name, golden in PICTURES.items():
        (folder / name).write_bytes(golden.make())
    for path in sorted(cases.iterdir()) if cases else ():
        if path.suffix in SHOWN and open_source(path).kind == "picture":
            shutil.copy(path, folder)
    portrait = Image.open(PORTRAIT)
    saved: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "portrait.jpg": (portrait, {"quality": 95, "subsampling": 0}),
        "portrait-75.jpg": (portrait, {"quality": 75}),
        "portrait-40.jpg": (portrait, {"quality": 40}),
        "progressive.jpg": (portrait, {"quality": 85, "progressive": True}),
        "grey.jpg": (portrait.convert("L"), {"quality": 85}),
        "lossy.webp": (portrait, {"quality": 80}),
        "small.jpg": (portrait.resize((200, 200)), {"quality": 90}),
        "large.jpg": (portrait.resize((2400, 2400)), {"quality": 90}),
        "mirrored.png": (portrait.transpose(Image.Transpose.FLIP_LEFT_RIGHT), {}),
        "wide.png": (portrait.resize((900, 512)), {}),
        **{
            f"turned-{angle}.png": (portrait.rotate(angle, fillcolor=(90, 90, 90)), {})
            for angle in (12, 35, 90, 200)
        },
    }
    for name, (image, options) in saved.items():
        image.save(folder / name, **options)
    return sorted(path for path in folder.iterdir() if path.is_file())


def of_page(address: str, files: list[Path]) -> dict[str, list[dict[str, str]]]:
    """Name → rows of the page's table; a file that the browser cannot read has none."""
    with browser() as opened:
        page = opened.new_page(accept_downloads=True)
        page.set_default_timeout(SLOW_MS)
        page.goto(address)
        page.set_input_files("#files", [str(path) for path in files])
        ended = page.locator(".item .head button", has_text="Remove")
        until(page, lambda: ended.count() == len(files))
        failed = page.locator(".failed h2").all_inner_texts()
        with page.expect_download() as download:
            page.click("#csv")
        text = Path(download.value.path()).read_text("utf-8")
    told: dict[str, list[dict[str, str]]] = {f.name: [] for f in files if f.name not in failed}
    for row in csv.DictReader(io.StringIO(text)):
        told[row["path"]].append(row)
    return told


def of_python(recognizer: Recognizer, file: Path) -> Readings | None:
    try:
        return recognizer.recognize(file)
    except MienError:
        return None


def compare(name: str, rows: list[dict[str, str]], readings: Readings) -> dict[str, Any]:
    """By how much the faces of a picture differ at the most."""
    told: dict[str, Any] = {"name": name, "faces": len(readings), "page": len(rows)}
    told |= {"box": 0, "probability": 0.0, "labels": 0, "statuses": 0}
    for row, reading in zip(rows, readings, strict=False):
        box = reading.box
        assert box is not None
        sides = ("x", "y", "width", "height")
        told["box"] = max(told["box"], *(abs(int(row[s]) - getattr(box, s)) for s in sides))
        apart = (abs(float(row[k]) - v) for k, v in reading.expressions.items())
        told["probability"] = max(told["probability"], *apart)
        told["labels"] += row["label"] != reading.label
        told["statuses"] += row["status"] != reading.status
    return told


def agreement(model: str, runtime: Path | None, cases: Path | None) -> None:
    recognizer = Recognizer(model, threads=1)
    with tempfile.TemporaryDirectory() as scratch:
        site, folder = Path(scratch) / "site", Path(scratch) / "pictures"
        folder.mkdir()
        write_page(site, model, runtime)
        files = pictures(folder, cases)
        with served(site) as address:
            page = of_page(address, files)
        python = {file.name: of_python(recognizer, file) for file in files}
    both = [name for name, readings in python.items() if readings is not None and name in page]
    found = [compare(name, page[name], python[name] or Readings()) for name in both]
    for one in found:
        print(
            "{name:24} {faces} {page}  box {box} px  probability {probability:.5f}  "
            "labels {labels}  statuses {statuses}".format(**one)
        )
    for name in sorted(set(python) - set(both)):
        print(f"{name:24} read by Python: {python[name] is not None}, by the page: {name in page}")
    lossless = [f for f in found if Path(f["name"]).suffix in LOSSLESS]
    for kind, some in (("lossless", lossless), ("lossy", [f for f in found if f not in lossless])):
        most = {key: max(f[key] for f in some) for key in ("box", "probability")}
        other = {key: sum(f[key] for f in some) for key in ("labels", "statuses")}
        lost = sum(f["faces"] != f["page"] for f in some)
        print(
            f"{kind}: {len(some)} pictures, {sum(f['faces'] for f in some)} faces; boxes at most "
            f"{most['box']} px apart, probabilities {most['probability']:.5f}; other numbers of "
            f"faces {lost}, labels {other['labels']}, statuses {other['statuses']}"
        )


# ---- Speed -----------------------------------------------------------------------------------

FACE_API = """<!doctype html><video muted playsinline></video><script type="module">
import * as faceapi from "./dist/face-api.esm.js";
const [backend, network] = location.hash.slice(1).split(",");
const video = document.querySelector("video");
try {
  faceapi.tf.setWasmPaths("./wasm/");
  await faceapi.tf.setBackend(backend);
  await faceapi.tf.ready();
  if (faceapi.tf.getBackend() !== backend) throw new Error(`no ${backend}`);
  const tiny = network === "tiny";
  await faceapi.nets[tiny ? "tinyFaceDetector" : "ssdMobilenetv1"].loadFromUri("./model");
  await faceapi.nets.faceExpressionNet.loadFromUri("./model");
  const size = { width: 640, height: 480 };
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: size });
  await video.play();
  const options = new faceapi[tiny ? "TinyFaceDetectorOptions" : "SsdMobilenetv1Options"]();
  window.frames_read = 0;
  for (;;) {
    window.told = (await faceapi.detectAllFaces(video, options).withFaceExpressions()).length;
    window.frames_read += 1;
    await new Promise((done) => setTimeout(done));
  }
} catch (error) { window.failed = `${error}`; }
</script>"""

READ = "() => { if (window.failed) throw Error(window.failed); return window.frames_read ?? 0; }"


def film(path: Path) -> Path:
    """The portrait, moving, as a camera of 640x480 px."""
    scene = np.full((480, 640, 3), 90, np.uint8)
    scene[:, 80:560] = cv2.resize(read_picture(PORTRAIT)[:480, :480, ::-1], (480, 480))
    frames = [cv2.imencode(".jpg", np.roll(scene, i, 1))[1].tobytes() for i in range(20)]
    path.write_bytes(b"".join(frames))
    return path


def cpu_s() -> float:
    """Of the browser: of all of its processes below this one (Linux)."""
    stats = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            name, _, rest = file.read_text().rpartition(")")
            fields = rest.split()
            ticks = (int(fields[11]) + int(fields[12])) * ("(chrom" in name)
            stats[int(file.parent.name)] = int(fields[1]), ticks
    ours, size = {os.getpid()}, 0
    while len(ours) > size:
        size = len(ours)
        ours |= {process for process, (parent, _) in stats.items() if parent in ours}
    return sum(stats[process][1] for process in ours) / _TICKS


def measured(page: Page, count: Callable[[], int], seconds: float) -> tuple[float, float]:
    """Frames a second, and CPU milliseconds a frame."""
    until(page, lambda: count() >= 5)  # compiled, and warm
    begun, since, before = count(), time.monotonic(), cpu_s()
    page.wait_for_timeout(1000 * seconds)
    frames = count() - begun
    used = cpu_s() - before
    return frames / (time.monotonic() - since), 1000 * used / max(1, frames)


def of_mien(opened: Any, address: str, seconds: float, isolated: bool) -> tuple[float, float]:
    context = opened.new_context(permissions=["camera"])
    page = context.new_page()
    page.set_default_timeout(SLOW_MS)
    page.add_init_script(
        "window.frames_read = 0; const post = Worker.prototype.postMessage;"
        "Worker.prototype.postMessage = function (message, ...rest) {"
        "  window.frames_read += message?.kind === 'frame'; post.call(this, message, ...rest); };"
    )
    page.goto(address)
    until(page, lambda: "mien" in page.inner_text("#model"))
    assert page.evaluate("crossOriginIsolated") == isolated
    page.click("#camera")
    told = measured(page, lambda: page.evaluate("window.frames_read"), seconds)
    assert page.locator(".face").count() == 1
    context.close()
    return told


def of_face_api(opened: Any, address: str, how: str, seconds: float) -> tuple[float, float]:
    context = opened.new_context(permissions=["camera"])
    page = context.new_page()
    page.set_default_timeout(SLOW_MS)
    page.goto(f"{address}speed.html#{how}")
    told = measured(page, lambda: page.evaluate(READ), seconds)
    assert page.evaluate("window.told") == 1, "the portrait has one face"
    context.close()
    return told


def unpacked(peers: Path, out: Path) -> None:
    for tarball in PEERS:
        with tarfile.open(peers / tarball) as opened:
            opened.extractall(out / tarball, filter="data")
    (out / PEERS[1] / "package" / "dist").rename(out / PEERS[0] / "package" / "wasm")
    (out / PEERS[0] / "package" / "speed.html").write_text(FACE_API)


def keep(told: dict[str, list[tuple[float, float]]], name: str, run: tuple[float, float]) -> None:
    """A run is said at once: the next one takes a while."""
    told.setdefault(name, []).append(run)
    print(f"{name:36} {run[0]:6.1f} frames/s, {run[1]:7.1f} ms of CPU a frame", flush=True)


def speed(given: argparse.Namespace) -> None:
    model, seconds = given.model, given.seconds
    told: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        site, peer = Path(scratch) / "site", Path(scratch) / "peer"
        write_page(site, model, given.runtime)
        unpacked(given.peers, peer)
        camera = film(Path(scratch) / "me.mjpeg")
        for headers in ({}, ISOLATED):
            threads = "threads" if headers else "one thread"
            ways = [way for way in given.against if not headers or way.startswith("wasm")]
            with (
                served(site, headers) as mien,
                served(peer / PEERS[0] / "package", headers) as other,
                browser(camera) as opened,
            ):
                for _ in range(given.rounds):
                    run = of_mien(opened, mien, seconds, bool(headers))
                    keep(told, f"mien {model}, {threads}", run)
                    for how in ways:
                        run = of_face_api(opened, other, how, seconds)
                        keep(told, f"face-api {how}, {threads}", run)
    for name, runs in told.items():
        rates, costs = zip(*runs, strict=True)
        rate, cost = statistics.median(rates), statistics.median(costs)
        print(
            f"{name:36} {rate:6.1f} frames/s ({min(rates):.1f}-{max(rates):.1f})  "
            f"{cost:7.1f} ms of CPU a frame, {len(runs)} runs"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["agreement", "speed"])
    parser.add_argument("--model", default="mien-s")
    parser.add_argument("--runtime", type=Path, help="onnxruntime-web, as for mien page")
    parser.add_argument("--cases", type=Path, help="folder of more pictures")
    parser.add_argument("--peers", type=Path, default=Path(), help="folder of npm's tarballs")
    parser.add_argument("--against", nargs="*", default=WAYS, help="backend,detector of face-api")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    given = parser.parse_args()
    if given.what == "agreement":
        agreement(given.model, given.runtime, given.cases)
    else:
        speed(given)


if __name__ == "__main__":
    main()
