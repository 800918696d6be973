"""The page of `mien page` in a real browser: without a service, and at last without a server."""

import csv
import functools
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from mien.demo import PORTRAIT
from mien.page.runtime import TARBALL
from mien.page.write import write_page
from mien.recognizer import Recognizer
from tests.serve.test_page import CHROMIUM, browser, cards, expect, no_barrier

__all__ = ["browser"]

SLOW_MS = 120_000  # 14 MB of WebAssembly are compiled, on a machine that may be busy

PLACES = (Path(TARBALL), Path(os.environ.get("MIEN_HOME", "~/.cache/mien")).expanduser() / TARBALL)
"""Where the developer's own may lie: tests have another `MIEN_HOME`."""
RUNTIME = next((place.resolve() for place in PLACES if place.is_file()), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.skipif(RUNTIME is None, reason=f"no {TARBALL}; run: npm pack {TARBALL[:-11]}"),
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[http.server.ThreadingHTTPServer]:
    """A plain one of static files."""
    write_page(tmp_path / "site", "mien-s", RUNTIME)
    handler = functools.partial(Quiet, directory=tmp_path / "site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as started:
        threading.Thread(target=started.serve_forever, daemon=True).start()
        yield started
        started.shutdown()


def test_it_reads_as_python_does_and_goes_on_without_its_server(browser, server, tmp_path: Path):
    address, asked, complaints = f"http://127.0.0.1:{server.server_port}/", [], []
    turned = tmp_path / "turned.png"
    Image.open(PORTRAIT).rotate(35, fillcolor=(90, 90, 90)).save(turned)
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.set_default_timeout(SLOW_MS)
    expect.set_options(timeout=SLOW_MS)
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append((request.method, request.url)))
    page.goto(address)
    page.set_input_files("#files", turned)
    expect(page.locator("#status")).to_contain_text("turned.png: 1 face, happy.")
    no_barrier(page)
    with page.expect_download() as download:
        page.click("#csv")
    with Path(download.value.path()).open() as table:
        (row,) = csv.DictReader(table)
    (reading,) = Recognizer("mien-s", threads=1).recognize(turned)
    box = reading.box
    assert [int(row[k]) for k in ("x", "y", "width", "height")] == pytest.approx(
        [box.x, box.y, box.width, box.height], abs=1
    )
    told = {k: float(row[k]) for k in reading.expressions}
    assert told == pytest.approx(reading.expressions, abs=0.01)
    assert row["status"] == reading.status

    page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
    server.shutdown()
    server.server_close()
    page.reload()
    assert page.evaluate("crossOriginIsolated"), "it may use several cores"
    page.click("#camera")
    expect(cards(page).first).to_contain_text("happy")
    page.click("#camera")
    page.set_input_files(
        "#files", {"name": "film.mp4", "mimeType": "video/mp4", "buffer": b"a film"}
    )
    expect(page.locator(".failed .state")).to_contain_text("Films are not read in a browser")
    page.close()
    assert complaints == []
    assert {method for method, _ in asked} == {"GET"}, "no picture is sent"
    assert [url for _, url in asked if not url.startswith((address, "blob:", "data:"))] == []


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("ort-wasm.wasm", "ort-wasm.wasm is not there (status 404)"),
        ("worker.js", "The page cannot read here: its worker does not start"),
    ],
)
def test_a_host_that_lacks_a_file_is_told_of(browser, server, tmp_path: Path, file, said):
    (tmp_path / "site" / file).unlink()
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.server_port}/")
    page.set_input_files("#files", PORTRAIT)
    told = page.locator(".failed .state")
    expect(told).to_contain_text(said, timeout=SLOW_MS)
    page.close()
