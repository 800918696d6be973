"""HTML pages that stand alone: one file, no outside resource, light and dark."""

import base64
from typing import Any

from mien import __version__
from mien.extras import need


def render(template: str, **context: Any) -> str:
    """The HTML of `pages/<template>` filled with `context`.

    Values are escaped; a name the template uses and `context` lacks is an error
    (`jinja2.UndefinedError`), never a blank. Pages extend `base.html.j2`, which has the blocks
    `title`, `lead` and `content`; `parts.html.j2` has macros for figures and tables.
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
    return str(environment.get_template(template).render(version=__version__, **context))


def data_uri(png: bytes) -> str:
    """`data:image/png;base64,...`: a picture that travels inside the page."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
