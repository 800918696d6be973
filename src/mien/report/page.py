"""HTML pages that stand alone: one file, no outside resource, light and dark."""

import base64
import html
import re
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien import __version__
from mien.extras import need
from mien.marks import MARK
from mien.style import page_look

_SECTION = re.compile(r"<section(?: id=\"([^\"]*)\")?>\s*<h2>(.*?)</h2>", re.DOTALL)


def render(template: str, **context: Any) -> str:
    """The HTML of `pages/<template>` filled with `context`.

    Values are escaped; a name the template uses and `context` lacks is an error
    (`jinja2.UndefinedError`), never a blank. Pages extend `base.html.j2`, which has the blocks
    `title`, `lead` and `content`; `parts.html.j2` has macros for figures and tables. Sections are
    listed as the page's contents.
    MissingExtra without jinja2.
    """
    jinja2 = need("jinja2", extra="report")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mien.report", "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found = environment.get_template(template).render(
        version=__version__, mark=MARK, look=page_look(), **context
    )
    return _with_contents(str(found))


def _with_contents(page: str) -> str:
    """The page with names for its sections, and the list of them."""
    entries: list[tuple[str, str]] = []

    def name(section: re.Match[str]) -> str:
        title = section[2].strip()
        words = html.unescape(re.sub("<.*?>", "", title)).lower()
        entries.append((section[1] or re.sub(r"[^a-z0-9]+", "-", words).strip("-"), title))
        return f'<section id="{entries[-1][0]}">\n<h2>{title}</h2>'

    page = _SECTION.sub(name, page)
    items = "".join(f'<li><a href="#{place}">{title}</a></li>' for place, title in entries)
    contents = f'<nav id="contents" aria-label="Contents"><ul>{items}</ul></nav>'
    return page.replace("<!-- contents -->", contents, 1)


def data_uri(png: bytes) -> str:
    """`data:image/png;base64,...`: a picture that travels inside the page."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def webp(picture: NDArray[np.uint8]) -> str:
    """The same of (H, W) grey or (H, W, 3) BGR pixels, packed small."""
    data = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, 80])[1].tobytes()
    return "data:image/webp;base64," + base64.b64encode(data).decode("ascii")
