"""Pictures of mien's pages in a real Chromium, for `docs/images`.

    python scripts/screenshots.py                    # every scene: NAME.webp
    python scripts/screenshots.py compare audit      # these
    python scripts/screenshots.py --look FOLDER      # whole pages as .png, for a reviewer's eyes

NAME.webp shows a page on a desk (1280 px) and on a phone (390 px), light and dark. No picture of a
data set is shown: faces are drawn, or the portrait in the package.
"""

import argparse
import contextlib
import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZES = {"desk": (1280, 800), "phone": (390, 800)}
SCHEMES = ("light", "dark")
MOST_BYTES = 25_000
_GAP_PX = 24


@dataclass(frozen=True)
class Scene:
    """A page: `open` makes it in a folder and gives its address while it can be looked at; `act`
    does what a user would do before the picture is taken."""

    name: str
    open: Callable[[Path], AbstractContextManager[str]]
    act: Callable[[Any], None] = lambda page: None


SCENES: tuple[Scene, ...] = ()


@contextlib.contextmanager
def file(path: Path) -> Iterator[str]:
    """The address of a page on the disk."""
    yield path.resolve().as_uri()


def views(scene: Scene, browser: Browser, address: str, whole: bool) -> dict[str, Image.Image]:
    """`desk-light` and so on: the page as it is seen first, or the `whole` of it."""
    found = {}
    for size, (width, height) in SIZES.items():
        for scheme in SCHEMES:
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme=scheme
            )
            page.goto(address)
            scene.act(page)
            picture = page.screenshot(full_page=whole)
            found[f"{size}-{scheme}"] = Image.open(io.BytesIO(picture)).convert("RGB")
            page.close()
    return found


def sheet(found: dict[str, Image.Image]) -> Image.Image:
    """Light above dark, desk beside phone."""
    width = sum(size[0] for size in SIZES.values()) + _GAP_PX
    height = SIZES["desk"][1]
    whole = Image.new("RGB", (width, 2 * height + _GAP_PX), "#808790")
    for row, scheme in enumerate(SCHEMES):
        top = row * (height + _GAP_PX)
        whole.paste(found[f"desk-{scheme}"], (0, top))
        whole.paste(found[f"phone-{scheme}"], (SIZES["desk"][0] + _GAP_PX, top))
    return whole


def save(picture: Image.Image, path: Path) -> None:
    """As .webp of at most MOST_BYTES: the best quality, and then size, that fits."""
    for scale in (0.8, 0.7, 0.6, 0.5):
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
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scene in SCENES:
            if asked.names and scene.name not in asked.names:
                continue
            with scene.open(Path(folder) / scene.name) as address:
                found = views(scene, browser, address, whole=asked.look is not None)
            if asked.look is None:
                save(sheet(found), IMAGES / f"{scene.name}.webp")
            else:
                asked.look.mkdir(parents=True, exist_ok=True)
                for name, picture in found.items():
                    picture.save(asked.look / f"{scene.name}-{name}.png")
            print(scene.name)
        browser.close()


if __name__ == "__main__":
    main()
