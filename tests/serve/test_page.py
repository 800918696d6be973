"""The page, in a real browser."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.demo import PORTRAIT
from mien.labels import FER2013
from mien.sources import read_picture
from mien.types import columns
from tests.clips import film
from tests.serve.conftest import Running, Start

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
    expect(page.locator("#status")).to_contain_text(words, timeout=SLOW_MS)


def no_barrier(page) -> None:
    """By the rules of axe-core (WCAG 2 and good practice)."""
    found = axe.Axe().run(page)
    assert len(found.response["passes"]) > 10
    assert found.violations_count == 0, found.generate_report()


def test_a_photo_shows_a_labelled_face(page):
    page.set_input_files("#files", str(PORTRAIT))
    said(page, "1 face, happy.")
    expect(page.locator(".face h2")).to_contain_text("happy")
    expect(page.locator("figure canvas")).to_have_attribute("aria-label", re.compile("happy"))
    expect(page.locator("tbody tr")).to_have_count(1)
    with page.expect_download() as download:
        page.click("#download")
    heading, row = Path(download.value.path()).read_text().splitlines()
    assert heading.split(",") == list(columns(FER2013)), "as a table of the command"
    cells = dict(zip(heading.split(","), row.split(","), strict=True))
    assert (cells["path"], cells["label"], cells["smoothed_happy"]) == (PORTRAIT.name, "happy", "")
    assert float(cells["score"]) > 0.5
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390


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
    corners = [(x, y) for y in (75, 225, 375) for x in (75, 225, 375)]
    told = {"label": "happy", "confidence": 0.5, "expressions": {"happy": 1.0}, "status": "ok"}
    boxes = [{"box": {"x": x, "y": y, "width": 150, "height": 150}, **told} for x, y in corners]
    answer = {"model": "m", "pictures": [{"name": "p", "readings": boxes}]}
    page.route("**/v1/recognize", lambda route: route.fulfill(json=answer))
    page.evaluate(RECORD)
    data = cv2.imencode(".png", np.full((600, 600, 3), 90, np.uint8))[1].tobytes()
    page.set_input_files("#files", {"name": "p.png", "mimeType": "image/png", "buffer": data})
    said(page, "9 faces")
    written = page.evaluate("window.written")
    assert "5" in [text for text, _ in written]
    assert written[0][0] == "1: happy 50 %"
    plates = [at for text, at in written if ":" in text]
    faces = [(x, y, 150, 150) for x, y in corners]
    for number, (x, y, width, height) in enumerate(plates):
        for left, top, w, h in (*faces, *plates[:number]):
            assert x >= left + w or left >= x + width or y >= top + h or top >= y + height


def test_a_bad_file_is_told_and_the_others_are_read(page):
    bad = {"name": "bad.png", "mimeType": "image/png", "buffer": b"nonsense"}
    good = {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": PORTRAIT.read_bytes()}
    page.set_input_files("#files", [bad, good])
    said(page, "bad.png is not a readable picture (png, jpeg, webp, bmp, tiff, heic)")
    expect(page.locator("#status")).to_have_class("error")
    expect(page.locator(".face")).to_have_count(1)


def test_the_camera_shows_faces_and_a_timeline(page):
    page.locator("#blur").focus()
    page.keyboard.press("Space")
    page.locator("#camera").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#faces .face h2").first).to_be_visible(timeout=SLOW_MS)
    expect(page.locator("#timeline canvas").first).to_have_attribute(
        "aria-label", re.compile("mostly")
    )
    expect(page.locator("#camera")).to_have_attribute("aria-pressed", "true")
    no_barrier(page)
    page.keyboard.press("Enter")
    said(page, "The camera is off.")
    expect(page.locator("#live")).to_be_hidden()


def leaks(page, box: dict[str, int], picture: np.ndarray) -> float:
    """The largest step between neighbouring pixels of a blurred face, 0-255, off its frame."""
    scores = dict.fromkeys(("happy", "sad"), 0.5)
    face = {"box": box, "label": "happy", "confidence": 0.5, "expressions": scores, "status": "ok"}
    told = {"model": "m", "pictures": [{"name": "p.png", "readings": [face]}]}
    page.route("**/v1/recognize", lambda route: route.fulfill(json=told))
    page.locator("#blur").check()
    data = cv2.imencode(".png", picture)[1].tobytes()
    page.set_input_files("#files", {"name": "p.png", "mimeType": "image/png", "buffer": data})
    said(page, "1 face, happy.")
    flat = page.evaluate(
        """([x, y, w, h]) => {
          const pen = document.querySelector("figure canvas").getContext("2d");
          return [...pen.getImageData(x, y, w, h).data];
        }""",
        inside := _inside(box, picture),
    )
    shown = np.array(flat).reshape(inside[3], inside[2], 4)[:, :, :3]
    return max(np.abs(np.diff(shown, axis=axis)).max() for axis in (0, 1))


def _inside(box: dict[str, int], picture: np.ndarray) -> list[int]:
    """x, y, width, height of the part of a face that its frame of 5 px leaves free."""
    left, top = max(0, box["x"] + 5), max(0, box["y"] + 5)
    right = min(picture.shape[1], box["x"] + box["width"] - 5)
    bottom = min(picture.shape[0], box["y"] + box["height"] - 5)
    return [left, top, right - left, bottom - top]


@pytest.mark.parametrize(
    ("x", "y"), [(100, 60), (-40, 60), (-60, -60), (250, 60), (100, 190), (260, 200), (100, -70)]
)
def test_a_blurred_face_is_hidden_up_to_the_picture_s_edge(page, x: int, y: int):
    checks = np.indices((240, 320)).sum(0) // 2 % 2 * 255  # fine enough to be even when blurred
    picture = np.repeat(checks[..., None], 3, 2).astype(np.uint8)
    assert leaks(page, {"x": x, "y": y, "width": 100, "height": 100}, picture) < 60


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
    said(page, "5 frames read.")
    links = page.locator("figcaption a")
    expect(links).to_have_count(5)
    assert not any("metadata" in link for link in links.all_inner_texts())
    expect(page.locator("figure .timeline canvas")).to_have_count(1)


def test_everything_can_be_reached_by_keyboard_and_has_a_name(page):
    names = []
    for _ in range(3):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.id"))
    assert names == ["files", "camera", "blur"]
    for control in ("Pictures or a video", "Blur faces"):
        expect(page.get_by_label(control)).to_have_count(1)
    expect(page.get_by_role("button", name="Camera")).to_have_count(1)
    expect(page.get_by_role("status")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier(page, tmp_path, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_input_files("#files", str(PORTRAIT))
    said(page, "1 face, happy.")
    no_barrier(page)
    clip = film(tmp_path / "c.mp4", [i / 25 for i in range(5)])
    page.set_input_files("#files", str(clip))
    said(page, "5 frames read.")
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
    expect(page.locator("#faces .face h2").first).to_be_visible(timeout=SLOW_MS)
    page.close()
