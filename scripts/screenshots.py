"""Pictures of mien's pages in a real Chromium, for `docs/images`.

    python scripts/screenshots.py                    # every scene: NAME.webp
    python scripts/screenshots.py compare audit      # these
    python scripts/screenshots.py --look FOLDER      # whole pages as .png, for a reviewer's eyes

NAME.webp shows a page on a desk (1280 px) in light and on a phone (390 px) in the dark, or the
other way round; --look gives both in both. No picture of a data set is shown: faces are drawn, or
the package's portrait.
"""

import argparse
import contextlib
import functools
import io
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from scipy.ndimage import uniform_filter1d

from mien.data.drawn import draw_clip
from mien.demo import PORTRAIT
from mien.labels import FER2013
from mien.output import Tables
from mien.recognizer import Recognizer
from mien.types import Readings, Scores
from results import has, rows, unpack

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.clips import film

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZES = {"desk": (1280, 800), "phone": (390, 800)}
SCHEMES = ("light", "dark")
MOST_BYTES = 25_000
_GAP_PX = 24
_FAKE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
"""A camera that needs no leave."""


@dataclass(frozen=True)
class Scene:
    """A page: `open` makes it in a folder and gives its address while it can be looked at; `act`
    does what a user would do before the picture is taken."""

    name: str
    open: Callable[[Path], AbstractContextManager[str]]
    act: Callable[[Any], None] = lambda _: None
    shown: tuple[str, str] = SCHEMES
    """Of NAME.webp: the scheme on the desk, and the one on the phone."""


def mien(*words: object) -> None:
    """Run a command."""
    subprocess.run([sys.executable, "-m", "mien", *map(str, words)], check=True)


@contextlib.contextmanager
def comparison(folder: Path) -> Iterator[str]:
    """Of all runs on record."""
    unpack(folder / "evaluated", [name for name in rows() if has(name, "plain")])
    mien("compare", *sorted((folder / "evaluated").iterdir()), "--out", folder / "page")
    yield (folder / "page" / "index.html").as_uri()


@contextlib.contextmanager
def evaluation(folder: Path) -> Iterator[str]:
    """Of a bundle on drawn faces, which it was not made for."""
    mien("data", "draw", folder / "drawn", "--images", 700)
    given = ("--data", folder / "drawn", "--out", folder / "page", "--limit", 70)
    mien("evaluate", "mien-s", *given, "--corruptions", "--occlusions")
    yield (folder / "page" / "index.html").as_uri()


@contextlib.contextmanager
def data(command: str, folder: Path) -> Iterator[str]:
    """Of drawn faces, some of them twice and under other names."""
    mien("data", "draw", folder / "drawn", "--images", 700)
    for number, face in enumerate(sorted((folder / "drawn").rglob("happy/*.png"))[:3]):
        shutil.copy(face, face.with_name(f"again-{number}.png"))
        shutil.copy(face, face.parents[1] / "sad" / f"happy-{number}.png")
    mien("data", command, folder / "drawn", "--out", folder / "page")
    yield (folder / "page" / "index.html").as_uri()


@contextlib.contextmanager
def report(folder: Path) -> Iterator[str]:
    """Of a film of the portrait, with readings that are made up."""
    folder.mkdir()
    clip = film(folder / "talk.mp4", [t / 5 for t in range(150)], faces=2)
    labels, dice = FER2013, np.random.default_rng(4)
    moods = {n: np.repeat(dice.dirichlet([0.4] * 7, 10), 15, axis=0) for n in range(2)}
    smooth = {n: uniform_filter1d(mood, 12, axis=0) for n, mood in moods.items()}
    with Tables([folder / "talk.csv"], labels) as table:
        table.begin()
        for result in Recognizer().stream(clip):
            found = [
                replace(r, scores=one, smoothed=one)
                for r in result.readings
                for one in [
                    Scores(labels, tuple(map(float, smooth[((r.face_id or 1) - 1) % 2][r.frame])))
                ]
            ]
            table.write(Readings(found, labels=labels))
    mien("report", folder / "talk.csv", folder / "report.html")
    yield (folder / "report.html").as_uri()


@contextlib.contextmanager
def timeline(folder: Path) -> Iterator[str]:
    """Of the drawn film."""
    folder.mkdir()
    (folder / "drawn.mp4").write_bytes(drawn_film())
    mien("recognize", folder / "drawn.mp4", "--plot", folder / "timeline.html")
    yield (folder / "timeline.html").as_uri()


@contextlib.contextmanager
def search(folder: Path) -> Iterator[str]:
    """Ten trainings on drawn faces."""
    folder.mkdir()
    mien("data", "draw", folder / "drawn", "--images", 1400)
    space = {
        "training.optimizer.lr": {"low": 0.001, "high": 0.03, "log": True},
        "augment.erase": {"low": 0.0, "high": 0.4},
        "training.batch": [16, 32],
    }
    (folder / "space.yaml").write_text(json.dumps(space))
    given = ("--data", folder / "drawn", "--space", folder / "space.yaml", "--trials", 10)
    mien("search", "drawn", *given, "--set", "training.epochs=6", "--out", folder / "search")
    yield (folder / "search" / "search.html").as_uri()


@contextlib.contextmanager
def static(folder: Path) -> Iterator[str]:
    """The page without a server, from a server that knows files alone."""
    mien("page", folder)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{files.server_port}/"
        files.shutdown()


def go_to(place: str) -> Callable[[Any], None]:
    """Scroll to a part of the page."""
    return lambda page: page.evaluate(f"document.getElementById('{place}').scrollIntoView()")


@contextlib.contextmanager
def service(_: Path) -> Iterator[str]:
    """The address of `mien serve`."""
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--threads", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield next(line.split()[1] for line in process.stderr if line.startswith("mien: http"))
        finally:
            process.terminate()


@contextlib.contextmanager
def descriptions(folder: Path) -> Iterator[str]:
    """What the service says of itself."""
    with service(folder) as address:
        yield f"{address}/docs"


def try_sample(page: Any) -> None:
    page.click("#sample")
    page.wait_for_selector(".face")
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)  # bars grow


def blur(page: Any) -> None:
    page.check("#blur")
    try_sample(page)


def watch(page: Any) -> None:
    page.click("#camera")
    page.wait_for_selector(".face")
    page.wait_for_timeout(3000)


def portraits(path: Path) -> Path:
    """What the camera sees: the portrait in 640x480 px, for two seconds."""
    portrait, canvas = cv2.imread(str(PORTRAIT)), np.full((480, 640, 3), 110, np.uint8)
    canvas[:, 80:560] = cv2.resize(portrait, (480, 480), interpolation=cv2.INTER_AREA)
    path.write_bytes(cv2.imencode(".jpg", canvas)[1].tobytes() * 60)
    return path


def read_film(page: Any) -> None:
    page.set_input_files(
        "#files", {"name": "drawn.mp4", "mimeType": "video/mp4", "buffer": drawn_film()}
    )
    page.wait_for_selector("video", timeout=120_000)
    page.evaluate("document.querySelector('video').currentTime = 2.2")
    page.wait_for_timeout(1000)


@functools.cache
def drawn_film() -> bytes:
    """Two drawn people, of whom one goes away for a moment."""
    people = [
        np.concatenate([draw_clip(what, np.random.default_rng(seed), 30, 300) for what in shown])
        for seed, shown in ((7, ("surprise", "happy", "sad")), (9, ("happy", "surprise", "happy")))
    ]
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        video = out.add_stream("libx264", rate=12)
        video.width, video.height, video.pix_fmt = 800, 450, "yuv420p"
        for number, faces in enumerate(zip(*people, strict=True)):
            canvas = np.full((450, 800, 3), (96, 104, 112), np.uint8)
            for left, face in zip((70, 430), faces, strict=True):
                if left == 70 or not 32 <= number < 56:
                    canvas[75:375, left : left + 300] = face[..., None]
            out.mux(video.encode(av.VideoFrame.from_ndarray(canvas, format="rgb24")))
        out.mux(video.encode())
    return file.getvalue()


SCENES = (
    Scene("compare", comparison),
    Scene("evaluate", evaluation, go_to("corrupted-faces")),
    Scene("data", partial(data, "stats")),
    Scene("audit", partial(data, "audit")),
    Scene("report", report),
    Scene("serve", service),
    Scene("serve-sample", service, try_sample),
    Scene("serve-film", service, read_film, ("dark", "light")),
    Scene("serve-blur", service, blur, ("dark", "light")),
    Scene("serve-camera", service, watch),
    Scene("serve-docs", descriptions),
    Scene("page", static, try_sample, ("dark", "light")),
    Scene("timeline-page", timeline),
    Scene("search", search, shown=("dark", "light")),
)


def views(scene: Scene, browser: Browser, address: str, whole: bool) -> dict[str, Image.Image]:
    """`desk-light` and so on: the page as it is seen first, or the `whole` of it."""
    found = {}
    for size, (width, height) in SIZES.items():
        for scheme in SCHEMES:
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                reduced_motion="reduce",
            )
            page.goto(address)
            scene.act(page)
            picture = page.screenshot(full_page=whole)
            found[f"{size}-{scheme}"] = Image.open(io.BytesIO(picture)).convert("RGB")
            page.close()
    return found


def sheet(scene: Scene, found: dict[str, Image.Image]) -> Image.Image:
    """The desk, and beside it the phone."""
    desk, phone = (
        found[f"{size}-{scheme}"] for size, scheme in zip(SIZES, scene.shown, strict=True)
    )
    whole = Image.new("RGB", (desk.width + _GAP_PX + phone.width, desk.height), "#808790")
    whole.paste(desk, (0, 0))
    whole.paste(phone, (desk.width + _GAP_PX, 0))
    return whole


def save(picture: Image.Image, path: Path) -> None:
    """As .webp of at most MOST_BYTES: the best quality, and then size, that fits."""
    for scale in (0.8, 0.65, 0.5):
        small = picture.resize([round(scale * side) for side in picture.size], Image.LANCZOS)
        for quality in (70, 50, 35):
            packed = io.BytesIO()
            small.save(packed, "WEBP", quality=quality, method=6)
            if packed.tell() <= MOST_BYTES:
                path.write_bytes(packed.getvalue())
                return
    raise SystemExit(f"{path} does not fit into {MOST_BYTES} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenes; default: all")
    parser.add_argument("--look", type=Path, metavar="FOLDER", help="whole pages as .png")
    asked = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as started, tempfile.TemporaryDirectory() as folder:
        camera = portraits(Path(folder) / "me.mjpeg")
        seen = (*_FAKE, f"--use-file-for-fake-video-capture={camera}")
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", *seen])
        for scene in SCENES:
            if asked.names and scene.name not in asked.names:
                continue
            with scene.open(Path(folder) / scene.name) as address:
                found = views(scene, browser, address, whole=asked.look is not None)
            if asked.look is None:
                save(sheet(scene, found), IMAGES / f"{scene.name}.webp")
            else:
                asked.look.mkdir(parents=True, exist_ok=True)
                for name, picture in found.items():
                    picture.save(asked.look / f"{scene.name}-{name}.png")
            print(scene.name)
        browser.close()


if __name__ == "__main__":
    main()
