"""What covers faces: bars, dark glasses, masks, hands and text, drawn by arithmetic alone.

Training (torch, in batches) and `mien evaluate --occlusions` (NumPy) run the same lines. Places are
those of FER-2013's frame, in which eyes and mouth lie alike from face to face; no detector is
needed.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

EYES_AT, MOUTH_AT = 0.40, 0.75
"""Height of eyes and mouth from the top of a FER-2013 picture, as a share of its side: medians of
YuNet's landmarks on 584 training faces."""
DRAWN: Final = ("tone", "right", "down", "size", "slope", "look")
"""What is drawn of a cover, each uniform in 0-1."""

Values = Mapping[str, Any]
"""Each of `DRAWN`: a number, or (N, 1, 1, 1)."""
Shape = tuple[Any, Any]
"""How far each pixel lies outside of a cover, in sides of the picture, and the cover's tone."""


def covered(kind: str, images: Any, x: Any, y: Any, drawn: Values) -> Any:
    """(..., S, S) float in 0-1 from the same, with a cover of `kind` over each.

    `x` (..., 1, S) and `y` (..., S, 1) are the places of the pixels, 0-1 across the picture. NumPy
    arrays and torch tensors alike.
    """
    outside, tone = COVERS[kind](images, x, y, drawn)
    there = (0.5 - outside * images.shape[-1]).clip(0, 1)  # an edge is a pixel wide
    return images * (1 - there) + tone * there


def eyes(_: Any, x: Any, y: Any, v: Values) -> Shape:
    """A bar over both eyes, of any tone."""
    return _bar(x, y, EYES_AT + _around(v["down"], 0.03), 0.14 + 0.18 * v["size"]), v["tone"]


def mouth(_: Any, x: Any, y: Any, v: Values) -> Shape:
    """A bar over the mouth, of any tone."""
    return _bar(x, y, MOUTH_AT + _around(v["down"], 0.03), 0.14 + 0.22 * v["size"]), v["tone"]


def half(_: Any, x: Any, y: Any, v: Values) -> Shape:
    """30 to 55 % of the width from the left or the right edge, of any tone."""
    return 0.2 - 0.25 * v["size"] - (x - 0.5) * _side(v["right"]) + 0 * y, v["tone"]


def sunglasses(_: Any, x: Any, y: Any, v: Values) -> Shape:
    """Two dark lenses with a bridge and temples; some mirror the sky."""
    across, down = x - 0.5 - _around(v["right"], 0.05), y - EYES_AT - _around(v["down"], 0.04)
    across, down = _turned(across, down, _around(v["slope"], 0.14))
    wide, high = 0.13 + 0.06 * v["size"], 0.09 + 0.06 * v["size"]
    lens = (((abs(across) - 0.21) / wide) ** 4 + (down / high) ** 4) ** 0.25 - 1
    frame = abs(down + 0.3 * high) - 0.012
    sky = (v["look"] > 0.5) * 0.35 * (0.5 - 0.5 * down / high).clip(0, 1)
    return _less(lens * high, frame), 0.02 + 0.2 * v["tone"] + sky


def mask(_: Any, x: Any, y: Any, v: Values) -> Shape:
    """A cloth from the nose to the chin, darker toward its sides, with folds."""
    across = x - 0.5 - _around(v["right"], 0.05)
    top = 0.62 - 0.1 * v["size"] + _around(v["down"], 0.02)
    above = top + 0.5 * across**2 - y
    beside = abs(across) - 0.42 + 0.5 * (y - 0.7).clip(0, 1) ** 2
    folds = (((y - top) / 0.09) % 1 < 0.25) * 0.12 * (v["look"] > 0.4)
    tone = (0.08 + 0.9 * v["tone"]) * (1 - (0.4 + v["look"]) * across**2 - folds)
    return _more(_more(above, beside), y - 0.98), tone


def hand(images: Any, x: Any, y: Any, v: Values) -> Shape:
    """Four fingers of the face's own tone, from below or from a side, up to cheek or eyes."""
    side = images.shape[-1]
    face = images[..., side // 3 : 2 * side // 3, side // 4 : 3 * side // 4]
    skin = face.mean(axis=(-2, -1), keepdims=True) * (0.75 + 0.5 * v["tone"])
    below = (v["look"] < 0.6) * 1
    along = below * (1 - y) + (1 - below) * (0.5 + (x - 0.5) * _side(v["right"]))
    across = below * (x - 0.2 - 0.6 * v["right"]) + (1 - below) * (y - 0.35 - 0.4 * v["down"])
    across, along = _turned(across, along, _around(v["slope"], 0.5))
    finger = across / (0.1 + 0.03 * v["tone"]) + 2
    within = finger % 1 - 0.5
    tips = 0.3 + 0.35 * v["size"] - 0.03 * abs(finger - within - 2)
    outside = _more(abs(finger - 2) - 2, abs(within) - 0.47) * 0.11
    return _more(outside, along - tips + 0.2 * within**2), skin * (1 - 1.2 * within**2)


def text(_: Any, x: Any, y: Any, v: Values) -> Shape:
    """A line of letters anywhere across the face, on a bar or without."""
    high = 0.08 + 0.14 * v["size"]
    down = y - 0.1 - 0.8 * v["down"]
    place = x / high * 2.5 + 9 * v["right"]
    strokes = (place % 1 < 0.4) | ((place % 2.7 < 1.1) & (abs(down) % (high / 3) < 0.02))
    letters = strokes & (place % 5.3 > 0.8) & (abs(down) < 0.35 * high)
    bare = (v["look"] > 0.5) * 1
    tone = v["tone"] * (1 - letters * 1) + (v["tone"] < 0.5) * letters
    return abs(down) - high / 2 + bare * (1 - letters * 1), tone


COVERS: Final[dict[str, Callable[[Any, Any, Any, Values], Shape]]] = {
    each.__name__: each for each in (eyes, mouth, half, sunglasses, mask, hand, text)
}
"""Each maps images, the places of their pixels and what is drawn to a cover's shape and tone."""


def _around(uniform: Any, reach: float) -> Any:
    return (2 * uniform - 1) * reach


def _side(uniform: Any) -> Any:
    """-1 or 1."""
    return (uniform > 0.5) * 2 - 1


def _bar(x: Any, y: Any, middle: Any, height: Any) -> Any:
    return abs(y - middle) - height / 2 + 0 * x


def _turned(across: Any, along: Any, slope: Any) -> tuple[Any, Any]:
    """Both, in a frame whose axes have that slope."""
    scale = (1 + slope**2) ** -0.5
    return (across + slope * along) * scale, (along - slope * across) * scale


def _more(one: Any, other: Any) -> Any:
    return (one + other + abs(one - other)) / 2


def _less(one: Any, other: Any) -> Any:
    return -_more(-one, -other)
