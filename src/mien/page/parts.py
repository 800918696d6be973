"""What both skins of the page have: its modules, and files that are made from the rest of mien."""

import json
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Final

from mien.demo import PORTRAIT
from mien.style import font, ink_on, palette

MODULES: Final = Path(str(resources.files("mien.serve") / "page"))
BROWSER: Final = Path(str(resources.files("mien.page") / "browser"))
SERVICE: Final = frozenset({"service.js", "films.js"})
"""Modules that only the service's `answers.js` needs."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'"
)
"""What browsers may load: nothing from elsewhere."""
BROWSER_POLICY: Final = (
    POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")
    + "; worker-src 'self'"
)
"""The same where they run networks."""


def made(labels: Sequence[str]) -> dict[str, bytes]:
    """Name → file: the colours of all drawings, their typeface, and the portrait to try."""
    colours = {label: (colour, ink_on(colour)) for label, colour in palette(labels).items()}
    script = f"export const COLOURS = {json.dumps(colours)}; // and of words on them"
    return {
        "colours.js": script.encode(),
        "aileron.ttf": font(16).font_bytes,
        "sample.jpg": PORTRAIT.read_bytes(),
    }


def for_browser(html: str, loaded_bytes: int) -> str:
    """The service's page without what is in `<!-- service -->`, with what is in `<!-- browser`."""
    html = re.sub(r"<!-- service -->.*?<!-- /service -->", "", html, flags=re.DOTALL)
    html = re.sub(r"<!-- browser\s+(.*?)\s*-->", r"\1", html, flags=re.DOTALL)
    filled = {
        "POLICY": BROWSER_POLICY,
        "SIZE": f"{loaded_bytes / 1e6:.0f} MB",
        ",video/*": "",  # films are not offered to choose
    }
    for words, instead in filled.items():
        html = html.replace(words, instead)
    return html
