"""The page, in a real browser."""

import base64
import io
import json
import re
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mien.demo import PORTRAIT
from mien.labels import FER2013
from mien.marks import MARK
from mien.output.timeline import Timeline
from mien.sources import read_picture
from mien.style import COLOURS, rgb
from mien.types import Box, Face, Reading, Scores, columns
from tests.clips import film
from tests.serve.conftest import Running, Start
from tests.serve.jobs import FILES

playwright = pytest.importorskip("playwright.sync_api", reason="needs mien[dev]")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs mien[dev]")
expect = playwright.expect

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
KEY = "a key of many letters"
SLOW_MS = 30_000
ARGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """With a camera that sees the portrait."""
    camera = tmp_path_factory.mktemp("camera") / "me.mjpeg"
    scene = np.full((480, 640, 3), 90, np.uint8)
    scene[:, 80:560] = cv2.resize(read_picture(PORTRAIT)[:480, :480, ::-1], (480, 480))
    frames = [cv2.imencode(".jpg", np.roll(scene, i, 1))[1].tobytes() for i in range(20)]
    camera.write_bytes(b"".join(frames))
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(
            executable_path=CHROMIUM, args=[*ARGS, f"--use-file-for-fake-video-capture={camera}"]
        )
        yield found
        found.close()


@pytest.fixture
def page(browser, running: Running) -> Iterator[object]:
    """The page on a telephone; it may complain of nothing and ask nobody else."""
    opened = browser.new_page(viewport={"width": 390, "height": 800})
    opened.set_default_timeout(SLOW_MS)
    complaints, asked = [], []
    opened.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(running.address)
    yield opened
    opened.close()
    assert [text for text in complaints if "422" not in text] == []
    assert {
        url for url in asked if not url.startswith((running.address, "blob:", "data:"))
    } == set()


def said(page, words: str) -> None:
    """What a screen reader has said last."""
    expect(page.locator("#status")).to_contain_text(words, timeout=SLOW_MS)


def no_barrier(page) -> None:
    """By the rules of axe-core (WCAG 2 and good practice)."""
    found = axe.Axe().run(page)
    assert len(found.response["passes"]) > 10
    assert found.violations_count == 0, found.generate_report()


def cards(page):
    return page.locator(".face summary")


def send(page, picture: np.ndarray, name: str = "p.png") -> None:
    data = cv2.imencode(".png", picture)[1].tobytes()
    page.set_input_files("#files", {"name": name, "mimeType": "image/png", "buffer": data})


def reading(x: int, y: int, width: int, height: int, **more: object) -> dict[str, object]:
    """A face, as the service tells it."""
    scores = dict.fromkeys(FER2013, 0.0) | {"happy": 0.6, "sad": 0.4}
    box = {"x": x, "y": y, "width": width, "height": height}
    told = {"label": "happy", "confidence": 0.6, "expressions": scores, "status": "ok"}
    return {"box": box, "score": 0.9, "face_id": None, "smoothed": None, **told, **more}


def answering(page, readings: list[dict[str, object]], unread=()) -> None:
    """Pictures are not read: these faces are in each, and boxes of more."""
    told = {"model": "m", "pictures": [{"name": "p", "readings": readings, "unread": [*unread]}]}
    page.route("**/v1/recognize", lambda route: route.fulfill(json=told))


def test_one_click_gives_a_newcomer_a_labelled_face(page):
    page.click("#sample")
    said(page, "sample.jpg: 1 face, happy.")
    expect(cards(page)).to_contain_text("happy")
    expect(page.locator("#sample")).to_be_hidden()
    assert page.evaluate("document.activeElement.textContent") == "sample.jpg"


def test_the_page_is_light_and_painted_at_once(browser, running: Running):
    for _ in range(6):  # other work on the machine delays one or two
        number, size, painted_ms = opened(browser, running.address)
        assert number > 10
        assert size <= 300_000
        if painted_ms <= 1000:
            return
    pytest.fail(f"painted after {painted_ms} ms")


def opened(browser, address: str) -> tuple[int, int, float]:
    """Answers, their bytes, and milliseconds until something is painted, of a visitor's page."""
    page, sizes = browser.new_page(), []
    page.on("response", lambda answer: sizes.append(len(answer.body())))
    page.goto(address, wait_until="networkidle")
    painted_ms = page.evaluate(
        """() => new Promise((done) => new PerformanceObserver((list) => {
          const paint = list.getEntries().find(({ name }) => name === "first-contentful-paint");
          if (paint) done(paint.startTime);
        }).observe({ type: "paint", buffered: true }))"""
    )
    page.close()
    return len(sizes), sum(sizes), painted_ms


def test_a_photo_shows_a_labelled_face(page):
    page.set_input_files("#files", str(PORTRAIT))
    said(page, "1 face, happy.")
    expect(cards(page)).to_contain_text("happy")
    expect(page.get_by_role("img", name="face 1, happy")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(1)
    with page.expect_download() as download:
        page.click("#csv")
    heading, row = Path(download.value.path()).read_text().splitlines()
    assert heading.split(",") == list(columns(FER2013)), "as a table of the command"
    cells = dict(zip(heading.split(","), row.split(","), strict=True))
    assert (cells["path"], cells["label"], cells["smoothed_happy"]) == (PORTRAIT.name, "happy", "")
    assert float(cells["score"]) > 0.5
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390


def test_a_face_has_one_number_in_picture_cards_and_table(page):
    answering(page, [reading(10 + 90 * n, 50, 70, 70) for n in range(3)])
    page.evaluate(RECORD)
    send(page, np.full((200, 600, 3), 90, np.uint8))
    said(page, "3 faces")
    assert {text.split()[0] for text, _ in page.evaluate("window.written")} == {"1", "2", "3"}
    expect(page.locator(".chip")).to_have_text(["1", "2", "3"])
    expect(page.locator("tbody tr td:nth-child(2)")).to_have_text(["1", "2", "3"])
    heads = page.locator("thead th").all_inner_texts()
    assert heads == ["file", "face", "box (x y w h)", "detector score", "expression", *FER2013]
    send(page, np.full((200, 600, 3), 90, np.uint8), "q.png")
    expect(page.locator("tbody th")).to_have_text(["q.png"] * 3 + ["p.png"] * 3)
    expect(page.locator("tbody tr td:nth-child(2)")).to_have_text([*"123123"])


def test_a_large_photo_of_a_telephone_is_made_smaller_and_its_boxes_are_right(page):
    upright = cv2.resize(read_picture(PORTRAIT), (4032, 4032))[:3024]
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6  # stored lying on its side
    turned = Image.fromarray(np.rot90(upright).copy())
    turned.save(file, "JPEG", quality=80, exif=exif)
    page.evaluate(
        """() => {
          const append = FormData.prototype.append;
          FormData.prototype.append = function (name, file, ...rest) {
            window.sent = createImageBitmap(file);
            append.call(this, name, file, ...rest);
          };
        }"""
    )
    given = {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": file.getvalue()}
    page.set_input_files("#files", given)
    said(page, "1 face, happy.")
    size = page.evaluate("window.sent.then(({ width, height }) => [width, height])")
    assert size == [2560, 1920]
    box = [int(v) for v in page.locator("tbody td:nth-child(3)").inner_text().split()]
    assert box == pytest.approx([7.875 * v for v in (178, 63, 90, 113)], abs=40), "of the photo"
    at = page.evaluate(
        """([x, y, w, h]) => {
          const pen = document.querySelector(".layer").getContext("2d");
          const by = pen.canvas.width / 4032;
          return [[x, y + h / 2], [x + w / 2, y + h / 2]].map(([across, down]) =>
            [...pen.getImageData(across * by, down * by, 1, 1).data]);
        }""",
        box,
    )
    assert at[0][:3] == list(rgb(COLOURS["happy"])), "the left side of the box"
    assert at[1][3] == 0


RECORD = """() => {
  window.written = [];
  const pen = CanvasRenderingContext2D.prototype;
  const [fill, write] = [pen.fillRect, pen.fillText];
  let plate;
  pen.fillRect = function (...at) { plate = at; fill.apply(this, at); };
  pen.fillText = function (text, ...at) {
    window.written.push([text, plate]);
    write.call(this, text, ...at);
  };
}"""


def test_words_on_a_photo_cover_no_face_and_no_other_words(page):
    """Of nine faces in a square the middle one has no room for words: its number remains."""
    corners = [(x, y) for y in (75, 225, 375) for x in (105, 255, 405)]
    answering(page, [reading(x, y, 150, 150) for x, y in corners])
    page.set_viewport_size({"width": 1280, "height": 900})
    page.evaluate(RECORD)
    send(page, np.full((600, 660, 3), 90, np.uint8))
    said(page, "9 faces")
    scale = page.evaluate("document.querySelector('.layer').width") / 660
    written = page.evaluate("window.written")[-9:]
    assert "5" in [text for text, _ in written]
    assert written[0][0] == "1  happy 60 %"
    plates = [at for text, at in written if "%" in text]
    assert len(plates) == 8
    faces = [(x * scale, y * scale, 150 * scale, 150 * scale) for x, y in corners]
    for number, (x, y, width, height) in enumerate(plates):
        for left, top, w, h in (*faces, *plates[:number]):
            apart = x - left - w, left - x - width, y - top - h, top - y - height
            assert max(apart) > -0.01


def test_a_bad_file_is_told_where_it_is_and_the_others_are_read(page):
    bad = {"name": "bad.png", "mimeType": "image/png", "buffer": b"nonsense"}
    good = {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": PORTRAIT.read_bytes()}
    page.set_input_files("#files", [bad, good])
    said(page, "me.jpg: 1 face, happy.")
    told = page.get_by_role("article", name="bad.png").locator(".state")
    expect(told).to_have_text(
        "bad.png is not a readable picture (png, jpeg, webp, bmp, tiff, heic)"
    )
    expect(page.locator(".failed")).to_have_count(1)
    page.get_by_role("button", name="Remove: bad.png").click()
    expect(page.locator(".failed")).to_have_count(0)
    page.click("#clear")
    expect(page.locator("#table")).to_be_hidden()
    expect(page.locator("#sample")).to_be_visible()


CHECKS = np.repeat((np.indices((480, 640)).sum(0) // 4 % 2 * 255)[..., None], 3, 2).astype(np.uint8)
"""Squares of 4 px: even grey when blurred."""
EDGES = [(x, y) for x in (-60, 255, 570) for y in (-60, 175, 410)]


def pixels(page, canvas: str) -> np.ndarray:
    """(H, W, 4) of what a canvas shows."""
    told = page.evaluate("(which) => document.querySelector(which).toDataURL()", canvas)
    image = Image.open(io.BytesIO(base64.b64decode(told.partition(",")[2])))
    return np.asarray(image.convert("RGBA"))


def leak(shown: np.ndarray, x: int, y: int, side: int = 130) -> int:
    """The largest step between neighbours in a blurred face and around it, 0-255."""
    edge = round(0.19 * side)
    left, top = max(0, x - edge), max(0, y - edge)
    part = shown[top : y + side + edge, left : x + side + edge, :3].astype(int)
    return max(int(np.abs(np.diff(part, axis=axis)).max()) for axis in (0, 1))


def test_a_blurred_face_leaks_at_no_edge_and_in_no_corner(page):
    """Of nine faces two are too many for the service to read."""
    faces = [reading(x, y, 130, 130) for x, y in EDGES]
    answering(page, faces[:7], [face["box"] for face in faces[7:]])
    page.locator("#blur").check()
    page.evaluate(RECORD)
    send(page, CHECKS)
    said(page, "7 faces (2 more not read)")
    shown = pixels(page, ".stage canvas")
    assert shown.shape == (480, 640, 4)
    assert (shown[..., 3] == 255).all(), "nothing shines through"
    assert max(leak(shown, x, y) for x, y in EDGES) < 60
    untouched = np.s_[110:140, 110:200]
    assert (shown[untouched][..., :3] == CHECKS[untouched]).all()
    page.locator("#blur").uncheck()
    for _ in range(50):  # the policy forbids what Playwright would wait with
        if (pixels(page, ".stage canvas")[..., :3] == CHECKS).all():
            break
        page.wait_for_timeout(100)
    assert (pixels(page, ".stage canvas")[..., :3] == CHECKS).all()
    page.locator("#blur").check()
    assert max(leak(pixels(page, ".stage canvas"), x, y) for x, y in EDGES) < 60


class Stream:
    """The service's end of a camera; `told` are the answers, the last one again and again."""

    def __init__(self, page) -> None:
        self.told: list[list[dict[str, object]]] = []
        self.unread: list[dict[str, object]] = []
        self.answered = 0
        page.route_web_socket("**/v1/stream", self._open)

    def _open(self, socket) -> None:
        socket.on_message(lambda _: socket.send(json.dumps(self._answer())))

    def _answer(self) -> dict[str, object]:
        readings = self.told.pop(0) if len(self.told) > 1 else self.told[0]
        self.answered += 1
        told = {"readings": readings, "unread": self.unread}
        return {"frame": self.answered, "time_s": self.answered / 25, **told}


def wait_for(page, true) -> None:
    end = time.monotonic() + SLOW_MS / 1000
    while not true():
        assert time.monotonic() < end
        page.wait_for_timeout(20)


def test_the_camera_is_a_mirror_and_shows_smoothed_labels(page):
    stream = Stream(page)
    smoothed = dict.fromkeys(FER2013, 0.0) | {"happy": 0.2, "sad": 0.8}
    stream.told = [[reading(0, 100, 100, 100, face_id=4, smoothed=smoothed)]]
    page.click("#camera")
    expect(cards(page)).to_contain_text("sad")
    expect(page.locator(".chip")).to_have_text("4")
    expect(page.locator(".mirrored")).to_have_count(1)
    drawn = pixels(page, ".layer:last-child")[..., 3] > 0
    assert not drawn[:, : drawn.shape[1] // 2].any(), "what is left in the frame is right here"
    assert drawn[:, drawn.shape[1] * 9 // 10 :].any()


@pytest.mark.parametrize(
    ("every_s", "seen", "runs"), [(0.1, "yyyyy", 1), (2.0, "yyyyy", 1), (2.0, "ynyyy", 2)]
)
def test_a_face_is_away_where_an_answer_lacks_it_not_where_answers_are_slow(
    page, every_s, seen, runs
):
    drawn = page.evaluate(
        """async ([every, seen]) => {
          const { Moments } = await import("./timeline.js");
          const moments = new Moments(30);
          let told;
          [...seen].forEach((one, i) => {
            if (one === "y") moments.add(1, every * i, { scores: {}, status: "ok" });
            told = moments.data(every * i);
          });
          return told.lanes[0].runs.length;
        }""",
        [every_s, seen],
    )
    assert drawn == runs


def test_a_face_of_the_camera_neither_flickers_nor_changes_its_word_for_a_trifle(page):
    stream = Stream(page)

    def showing(happy: float) -> list[dict[str, object]]:
        scores = dict.fromkeys(FER2013, 0.0) | {"happy": happy, "sad": 1 - happy}
        return [reading(200, 100, 100, 100, face_id=4, smoothed=scores)]

    stream.told = [showing(0.52)]
    page.click("#camera")
    expect(cards(page)).to_contain_text("happy")
    page.evaluate("window.card = document.querySelector('.face')")
    for readings, label in ((showing(0.47), "happy"), ([], "happy"), (showing(0.1), "sad")):
        seen, stream.told = stream.answered, [readings]
        wait_for(page, lambda seen=seen: stream.answered > seen + 6)
        assert page.locator(".face .label").inner_text() == label
        assert page.evaluate("window.card.isConnected"), "the same card"
    stream.told = [[]]
    expect(page.locator(".face")).to_have_count(0)


@pytest.mark.parametrize("held", [False, True])
def test_the_camera_hides_faces_before_anything_is_seen(page, held: bool):
    """Also one that is missed for a moment."""
    stream = Stream(page)
    faces = [reading(x, y, 130, 130, face_id=n) for n, (x, y) in enumerate(EDGES)]
    stream.unread = [faces.pop()["box"]]
    stream.told = [faces, *([[]] * 8 if held else []), faces]
    page.evaluate(
        """() => {
          const pen = CanvasRenderingContext2D.prototype;
          const draw = pen.drawImage;
          pen.drawImage = function (what, ...at) {
            draw.call(this, what, ...at);
            if (!(what instanceof HTMLVideoElement)) return;
            for (let y = 0; y < 480; y += 4) {
              for (let x = 0; x < 640; x += 4) {
                this.fillStyle = (x + y) % 8 ? "#fff" : "#000";
                this.fillRect(x, y, 4, 4);
              }
            }
          };
        }"""
    )
    page.locator("#blur").check()
    page.click("#camera")
    expect(page.locator(".stage video")).to_have_css("visibility", "hidden")
    wait_for(page, lambda: stream.answered > (4 if held else 2))
    shown = pixels(page, ".stage .layer")
    assert shown.shape == (480, 640, 4)
    assert max(leak(shown, x, y) for x, y in EDGES) < 60
    assert leak(shown, 125, 125, 40) == 255, "elsewhere the frame is as it was"


def test_the_camera_shows_faces_and_a_timeline(page):
    page.locator("#camera").focus()
    page.keyboard.press("Enter")
    expect(cards(page).first).to_be_visible(timeout=SLOW_MS)
    expect(page.get_by_role("img", name=re.compile("Face 1: happy 100 % of"))).to_be_visible()
    expect(page.locator("#camera")).to_have_attribute("aria-pressed", "true")
    no_barrier(page)
    page.keyboard.press("Enter")
    said(page, "The camera is off.")
    expect(page.locator("video")).to_have_count(0)
    expect(page.locator("tbody tr").first).to_contain_text("Camera")


def test_two_clicks_open_one_camera(page):
    page.evaluate(
        """() => {
          const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          window.opened = [];
          navigator.mediaDevices.getUserMedia = async (what) => {
            const stream = await open(what);
            window.opened.push(...stream.getTracks());
            return stream;
          };
          for (const _ of [1, 2]) document.getElementById("camera").click();
        }"""
    )
    said(page, "The camera is on.")
    page.click("#camera")
    said(page, "The camera is off.")
    assert page.evaluate("window.opened.map((track) => track.readyState)") == ["ended"]


def test_a_video_is_shown_with_its_timeline(page, tmp_path):
    clip = film(tmp_path / "c.mp4", [i / 25 for i in range(5)])
    page.set_input_files("#files", str(clip))
    said(page, "5 frames.")
    links = page.locator(".links button").all_inner_texts()
    assert links == [name for name in FILES if "metadata" not in name]
    expect(page.get_by_role("img", name=re.compile("Face 1: happy 100 % of"))).to_be_visible()
    no_barrier(page)
    with page.expect_download() as download:
        page.click("#all")
    with zipfile.ZipFile(download.value.path()) as saved:
        assert saved.testzip() is None
        assert set(saved.namelist()) == {"mien.csv", *(f"c.mp4/{name}" for name in links)}
        assert saved.read("c.mp4/table.csv").startswith(b"path,index,time_s")
        assert len(saved.read("mien.csv").splitlines()) == 6


def test_all_is_saved_as_one_zip(page):
    answering(page, [reading(200, 100, 130, 130)])
    for _ in range(2):
        send(page, CHECKS, "naïve.png")
    said(page, "1 face")
    expect(page.locator(".face")).to_have_count(2)
    page.locator("#blur").check()
    with page.expect_download() as download:
        page.click("#all")
    with zipfile.ZipFile(download.value.path()) as saved:
        assert saved.testzip() is None
        names = ["mien.csv", "naïve-faces.jpg", "naïve-faces-2.jpg"]
        assert saved.namelist() == names
        file = Image.open(io.BytesIO(saved.read(names[1])))
    assert file.getexif()[0x0131] == MARK, "no photo, where its folder is read"
    picture = np.asarray(file)
    assert picture.shape == (480, 640, 3)
    assert leak(picture, 230, 130, 60) < 60, "blurred, too"


class Job:
    """A film that the service reads as the test says."""

    def __init__(self, page, clip: Path, timeline: Path) -> None:
        self.state: dict[str, object] = {"state": "waiting", "frames": 0, "total": 100}
        self.deleted = False
        lines = [reading(5, 5, 50, 50, face_id=0) | {"frame": n, "time_s": n / 10} for n in (0, 1)]
        self._files = {
            "overlay.mp4": clip.read_bytes(),
            "table.jsonl": "\n".join(map(json.dumps, lines)).encode(),
            "timeline.html": timeline.read_bytes(),
        }
        page.route("**/v1/videos**", self._answer)
        page.route("**/v1/videos/**", self._answer)

    def _answer(self, route) -> None:
        name = route.request.url.rpartition("/")[2]
        if route.request.method == "DELETE":
            self.deleted = True
            route.fulfill(status=204)
        elif name in self._files:
            route.fulfill(body=self._files[name])
        else:
            rest = {"id": "film-1", "error": None, "warnings": [], "expires_in_s": 3600}
            files = [*self._files] if self.state["state"] == "done" else []
            route.fulfill(json=rest | self.state | {"files": files})


@pytest.fixture
def job(page, tmp_path) -> Job:
    """Its face is there from 0 to 2 s and from 8 to 9 s of 10."""
    timeline = Timeline()
    scores = Scores(FER2013, (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0))
    face = Face(Box(5, 5, 50, 50), 0.9)
    for n in range(101):
        there = n <= 20 or 80 <= n <= 90
        seen = Reading(face, scores, face_id=0, smoothed=scores, time_s=n / 10)
        timeline.add(seen if there else Reading(None, None, "no_face", time_s=n / 10))
    timeline.save(tmp_path / "timeline.html")
    return Job(page, film(tmp_path / "c.mp4", [0, 5, 10]), tmp_path / "timeline.html")


def choose_film(page, tmp_path: Path) -> None:
    page.set_input_files("#files", str(tmp_path / "c.mp4"))


def test_a_film_tells_its_progress_and_outlives_a_reload(page, job: Job, tmp_path):
    choose_film(page, tmp_path)
    state = page.locator(".item .state")
    expect(state).to_have_text("waits for its turn")
    for frames in (10, 20, 30):
        job.state |= {"state": "running", "frames": frames}
        expect(state).to_contain_text(f"{frames} of 100 frames", timeout=SLOW_MS)
    job.state["frames"] = 40
    expect(state).to_have_text(re.compile("40 of 100 frames, (about|a few).* left"))
    expect(page.get_by_role("progressbar")).to_have_js_property("value", 0.4)
    page.reload()
    expect(page.get_by_role("article", name="c.mp4")).to_be_visible()
    expect(state).to_contain_text("40 of 100 frames")
    job.state |= {"state": "done", "frames": 100}
    expect(state).to_contain_text("100 frames; kept until")
    assert not job.deleted
    page.reload()
    expect(state).to_contain_text("100 frames; kept until")
    page.get_by_role("button", name="Remove: c.mp4").click()
    wait_for(page, lambda: job.deleted)
    page.reload()
    expect(page.locator("#sample")).to_be_visible()


def test_a_film_with_clear_faces_is_covered_where_they_are_to_be_blurred(page, job: Job, tmp_path):
    job.state |= {"state": "done", "frames": 101}
    choose_film(page, tmp_path)
    video = page.locator("video")
    expect(video).to_be_visible()
    page.locator("#blur").check()
    expect(video).to_be_hidden()
    with page.expect_download() as download:
        page.click("#all")
    with zipfile.ZipFile(download.value.path()) as saved:
        assert "c.mp4/table.jsonl" in saved.namelist()
        assert "c.mp4/overlay.mp4" not in saved.namelist()
    choose_film(page, tmp_path)
    expect(page.locator("video:visible")).to_have_count(1)
    page.reload()
    page.locator("#blur").check()
    expect(page.locator("video:visible")).to_have_count(1)


def test_the_browser_asks_before_a_film_half_sent_is_lost(page, tmp_path):
    film(tmp_path / "c.mp4", [0, 5, 10])
    asks = """() => {
      const leaving = new Event("beforeunload", { cancelable: true });
      return !dispatchEvent(leaving);
    }"""
    page.route("**/v1/videos", lambda _: None)
    assert not page.evaluate(asks)
    choose_film(page, tmp_path)
    wait_for(page, lambda: page.evaluate(asks))
    page.get_by_role("button", name="Cancel: c.mp4").click()
    wait_for(page, lambda: not page.evaluate(asks))


def test_a_film_is_cancelled(page, job: Job, tmp_path):
    choose_film(page, tmp_path)
    expect(page.locator(".item .state")).to_have_text("waits for its turn")
    page.get_by_role("button", name="Cancel: c.mp4").click()
    wait_for(page, lambda: job.deleted)
    expect(page.locator(".item")).to_have_count(0)


def test_a_film_that_cannot_be_read_says_why(page, job: Job, tmp_path):
    job.state |= {"state": "failed", "error": "the video breaks off"}
    choose_film(page, tmp_path)
    expect(page.locator(".failed .state")).to_have_text("the video breaks off")


def test_a_timeline_spans_the_film_and_shows_its_gaps(page, job: Job, tmp_path):
    job.state |= {"state": "done", "frames": 101}
    choose_film(page, tmp_path)
    expect(page.locator(".axis span").first).to_have_text("0")
    assert page.locator(".axis span").all_text_contents() == [str(n) for n in range(11)]
    lane = pixels(page, ".lane canvas")
    there = lane[lane.shape[0] // 2, :, 3] > 0
    at = {s: bool(there[round(s / 10 * (len(there) - 1))]) for s in (1, 3, 7, 8.5, 9.5)}
    assert at == {1: True, 3: False, 7: False, 8.5: True, 9.5: False}
    time_slider = page.get_by_role("slider", name="Time in c.mp4")
    time_slider.focus()
    for key, told in (("ArrowRight", "0.1 s  ·  face 0: happy 100 %"), ("ArrowLeft", "0.0 s")):
        page.keyboard.press(key)
        expect(page.locator(".told")).to_contain_text(told)
    time_slider.click(position={"x": time_slider.bounding_box()["width"] / 2, "y": 20})
    expect(page.locator(".told")).to_contain_text("face 0: away")


def test_everything_can_be_reached_by_keyboard_and_has_a_name(page):
    names = []
    for _ in range(4):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.id"))
    assert names == ["files", "camera", "blur", "sample"]
    for control in ("Choose pictures or films", "Blur faces"):
        expect(page.get_by_label(control)).to_have_count(1)
    expect(page.get_by_role("button", name="Use the camera")).to_have_count(1)
    expect(page.get_by_role("button", name="Try this picture")).to_have_count(1)
    expect(page.get_by_role("status")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier(page, scheme):
    page.emulate_media(color_scheme=scheme)
    no_barrier(page)
    bad = {"name": "bad.png", "mimeType": "image/png", "buffer": b"nonsense"}
    page.set_input_files("#files", bad)
    said(page, "bad.png")
    page.set_input_files("#files", str(PORTRAIT))
    said(page, "1 face, happy.")
    no_barrier(page)


def test_a_key_is_asked_for_once(browser, start: Start, tmp_path):
    file = tmp_path / "key"
    file.write_text(KEY)
    page = browser.new_page()
    page.set_default_timeout(SLOW_MS)
    page.goto(start("--api-key-file", str(file)).address)
    for key in ("wrong", KEY):
        if key == "wrong":
            page.set_input_files("#files", str(PORTRAIT))
        expect(page.locator("#ask-key")).to_be_visible()
        no_barrier(page)
        page.fill("#key", key)
        page.keyboard.press("Enter")
    said(page, "1 face, happy.")
    page.click("#camera")
    expect(cards(page).first).to_be_visible(timeout=SLOW_MS)
    page.close()
