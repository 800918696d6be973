"""One look for all that mien draws: the colours of expressions, type and proportions."""

import base64
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import combining, normalize

from mien.files import replacing

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

Colour = tuple[int, int, int]

COLOURS = {
    "angry": "#ec3113",
    "disgust": "#889a6f",
    "fear": "#604589",
    "happy": "#e4bd1e",
    "neutral": "#d6d4d6",
    "sad": "#1861d8",
    "surprise": "#59b7d9",
    "contempt": "#3f270f",
}
"""Found by a search for the largest distances: CIE76 >= 24 for each pair under protanopia,
deuteranopia and tritanopia (Machado et al. 2009), and L* >= 7 in grey. That is enough to see a
border in grey, not to name eight greys: so words or the legend's order stand beside each."""
SPARE = ("#a3457c", "#0f7d70", "#b98a5e", "#7f8fb0")
"""Of other words, in their order; told apart by the words alone."""

SERIES = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"),
    *("#333333", "#999999"),
)
"""Of models and other series in reports, in their order: told apart with any kind of colour vision,
without the yellow that fades on white (Okabe & Ito 2008, https://jfly.uni-koeln.de/color/)."""

INK, SOFT, RULE, PAPER = "#1d2129", "#59616e", "#dfe2e7", "#ffffff"
PANEL, ACCENT, BETTER, WORSE = "#f3f4f6", "#1f5f99", "#0f6b5f", "#a8320b"
_PAGE = {
    **{"ink": (INK, "#e8eaee"), "soft": (SOFT, "#a5adba"), "rule": (RULE, "#333a45")},
    **{"paper": (PAPER, "#14171c"), "panel": (PANEL, "#1d2229"), "accent": (ACCENT, "#7fb8ea")},
    **{"better": (BETTER, "#5fc9b8"), "worse": (WORSE, "#f0926f")},
    **{
        f"series-{number}": (
            colour,
            {"#0072B2": "#3fa0e0", "#333333": "#d3d7de"}.get(colour, colour),
        )
        for number, colour in enumerate(SERIES)
    },
}
"""The colours of pages by name, on light and on dark paper."""
_SIZES = (12, 13, 15, 17, 19, 22, 25, 28, 32, 37, 43, 50, 58, 67, 78, 90, 104, 120, 140, 160)
_OF_SYSTEMS: dict[str, str] = {
    "DejaVuSans.ttf": "DejaVu Sans",
    "NotoSansCJK-Regular.ttc": "Noto Sans CJK JP",
    "wqy-zenhei.ttc": "WenQuanYi Zen Hei",
    "msyh.ttc": "Microsoft YaHei",
    "meiryo.ttc": "Meiryo",
    "malgun.ttf": "Malgun Gothic",
    "PingFang.ttc": "PingFang SC",
    "AppleSDGothicNeo.ttc": "Apple SD Gothic Neo",
    "Hiragino Sans GB.ttc": "Hiragino Sans GB",
    "Arial Unicode.ttf": "Arial Unicode MS",
    "NotoSans-Regular.ttf": "Noto Sans",
    "arial.ttf": "Arial",
}
"""Typefaces of systems for other scripts: the file for Pillow, the name for matplotlib."""
_TRIED_PX = 16
_OF_WIDTH, _OF_SIDE = 0.026, 0.045
"""Words in heights: of a picture's width, so that they are read on a phone, where 10 px of its 390
are left, and at most so much of the shorter side."""
_MANY = 6


def palette(labels: Sequence[str]) -> dict[str, str]:
    """The colour of each of `labels`, as #rrggbb."""
    others = [label for label in labels if label not in COLOURS]
    spare = {label: SPARE[place % len(SPARE)] for place, label in enumerate(others)}
    return {label: COLOURS.get(label) or spare[label] for label in labels}


def page_look() -> str:
    """CSS of pages that stand alone: the typeface (`--type`) and the colours (`--ink`, ...) as
    custom properties, by the reader's light or dark."""
    light, dark = (
        "".join(f"--{name}:{pair[place]};" for name, pair in _PAGE.items()) for place in (0, 1)
    )
    face = base64.b64encode(font(16).font_bytes).decode()
    return (
        f"@font-face{{font-family:Aileron;src:url(data:font/ttf;base64,{face})}}"
        f":root{{--type:Aileron,system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;{light}}}"
        f"@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"
    )


def in_page(drawing: str) -> str:
    """A drawing as SVG whose colours follow the page's (`page_look`)."""
    for name, (light, _) in _PAGE.items():
        drawing = drawing.replace(light.lower(), f"var(--{name})")
    return drawing


@functools.lru_cache
def rgb(colour: str) -> Colour:
    """(red, green, blue), 0-255, of #rrggbb."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def luminance(colour: str) -> float:
    """Relative luminance, 0-1 (WCAG 2.2)."""
    parts = [v / 255 for v in rgb(colour)]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@functools.lru_cache
def ink_on(colour: str) -> str:
    """Black or white, whichever is read better on `colour`: contrast is 4.5 at least."""
    return "#000000" if luminance(colour) > 0.179 else "#ffffff"


def percent(share: float) -> str:
    """A share, 0-1, as it is written everywhere: `98 %`, with a space as in the SI."""
    return f"{100 * share:.0f} %"


def text_px(width: int, height: int, faces: int = 1) -> int:
    """The size of words in a picture, in proportion to it; smaller in a crowd.

    There are twenty sizes, so that words of a film are drawn once and kept.
    """
    size = min(_OF_WIDTH * width, _OF_SIDE * min(width, height)) * min(
        1.0, (_MANY / max(1, faces)) ** 0.5
    )
    return max((s for s in _SIZES if s <= size), default=_SIZES[0])


@functools.lru_cache(64)
def font(px: int) -> "FreeTypeFont":
    """Pillow's own typeface, Aileron, so many pixels high."""
    from PIL import ImageFont

    return ImageFont.load_default(px)  # type: ignore[return-value]  # FreeType is in its wheels


def lettering(words: str, px: int) -> tuple[str, "FreeTypeFont"]:
    """Words as they can be drawn, and the typeface for them: labels may be in any script.

    It is Aileron if it has all letters once they have lost their accents, else the first of the
    system that has them all. Where none has, crossed boxes stand for those that Aileron lacks.
    """
    bare = "".join(c for c in normalize("NFKD", words) if not combining(c))
    if _has_all("", bare):
        return bare, font(px)
    for file in _OF_SYSTEMS:
        if _has_all(file, words):
            return words, _of_system(file, px)
    composed = normalize("NFC", bare)  # what is no accent belongs together
    return composed, font(px)


def _has_all(file: str, words: str) -> bool:
    """Whether a typeface of the system ("": Aileron) has the signs of all words."""
    return _is_there(file) and all(_has(file, sign) for sign in words if not sign.isspace())


@functools.lru_cache
def _is_there(file: str) -> bool:
    try:
        _of_system(file, _TRIED_PX)
    except OSError:
        return False
    return True


@functools.lru_cache(4096)
def _has(file: str, sign: str) -> bool:
    face = _of_system(file, _TRIED_PX)
    return bytes(face.getmask(sign)) != bytes(face.getmask("\uffff"))


@functools.lru_cache(64)
def _of_system(file: str, px: int) -> "FreeTypeFont":
    from PIL import ImageFont

    return ImageFont.truetype(file, px) if file else font(px)


@functools.lru_cache
def figure_type() -> dict[str, list[str]]:
    """matplotlib's setting for the same typeface, and others for the signs that it lacks.

    matplotlib takes files alone: one lies where it keeps what it knows of typefaces.
    """
    import matplotlib
    from matplotlib.font_manager import fontManager

    path = Path(matplotlib.get_cachedir()) / "mien-aileron.ttf"
    if not path.is_file():
        with replacing(path) as file:
            file.write(font(16).font_bytes)
    fontManager.addfont(path)
    there = {known.name for known in fontManager.ttflist}
    return {"font.family": ["Aileron", *(name for name in _OF_SYSTEMS.values() if name in there)]}
