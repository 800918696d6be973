"""Faces marked in a picture: boxes, numbers and words that cover no face and no other words."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.style import INK, PAPER, Colour, ink_on, lettering, rgb, text_px
from mien.types import Box

Pixels = NDArray[np.uint8]
Place = tuple[int, int, int, int]
"""Left, top, right and bottom, in pixels; right and bottom are the first ones outside."""

_SMALLEST_PX = 8
"""Of numbers that stand alone where there is little room."""
_FAR = (1, 2, 3, 5)
"""How far off, in heights of a line, words are placed where there is no room at the box."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is drawn of one face; one that is not `sure` has a dashed box."""

    box: Box
    number: str
    words: str
    colour: str
    sure: bool = True


@functools.lru_cache(2048)
def plate(words: str, px: int, ground: str = PAPER, ink: str = INK) -> Pixels:
    """(H, W, 3) uint8 RGB: words in a line of 1.5 x `px`; not to be drawn on."""
    from PIL import Image, ImageDraw

    (words, face), pad = lettering(words, px), round(0.35 * px)
    size = (round(face.getlength(words)) + 2 * pad, round(1.5 * px))
    image = Image.new("RGB", size, ground)
    ImageDraw.Draw(image).text((pad, size[1] / 2), words, ink, face, anchor="lm")
    return np.asarray(image)


def paste(canvas: Pixels, part: Pixels, left: int, top: int) -> None:
    """Put `part` at (`left`, `top`); what lies outside is cut off."""
    height, width = canvas.shape[:2]
    x, y = max(0, left), max(0, top)
    right, bottom = min(width, left + part.shape[1]), min(height, top + part.shape[0])
    if x < right and y < bottom:
        canvas[y:bottom, x:right] = part[y - top : bottom - top, x - left : right - left]


def mark(canvas: Pixels, marks: Sequence[Mark], caption: str = "") -> None:
    """Draw `marks` on (H, W, 3) RGB, and `caption` at its edge where no face is.

    Words stand beside the box, or farther off at the end of a line. Where there is no room at all
    the number and the colour of the box remain: in its corner, or beside it if the face is small.
    """
    height, width = canvas.shape[:2]
    px = text_px(width, height, len(marks))
    notes = [_fitting(caption, px, width)] if caption else []
    inside = [(m, box) for m in marks if (box := m.box.within(width, height)) is not None]
    faces = [(box.x, box.y, box.x + box.width, box.y + box.height) for _, box in inside]
    for (one, _), face in zip(inside, faces, strict=True):
        _frame(canvas, face, one, _thickness(face, width, height))
    chips = [_chip(one, px, face) for (one, _), face in zip(inside, faces, strict=True)]
    plates = [_words(m, chip, px, width) for (m, _), chip in zip(inside, chips, strict=True)]
    taken = [_at_edge(note, faces, (width, height)) for note in notes]
    places = arrange([_size(part) for part in plates], faces, (width, height), taken)
    solid = [*faces, *taken, *(place for place in places if place is not None)]
    for at, ((one, _), face, chip) in enumerate(zip(inside, faces, chips, strict=True)):
        if places[at] is None and chip is None and one.number:
            plates[at], corner = _number(one, px, face, (width, height), solid)
            places[at] = corner
            solid.append(corner)
    for (one, _), face, place in zip(inside, faces, places, strict=True):
        if place is not None:
            _lead(canvas, face, place, rgb(one.colour), max(1, px // 10))
    for face, chip, part, place in zip(faces, chips, plates, places, strict=True):
        if chip is not None:
            paste(canvas, chip, face[0], face[1])
        if place is not None:
            paste(canvas, part, *place[:2])
    for note, place in zip(notes, taken, strict=True):
        paste(canvas, note, *place[:2])


def _at_edge(note: Pixels, faces: Sequence[Place], room: tuple[int, int]) -> Place:
    """A corner, or else a place at the edge, that no face is at; the lower left corner if all are
    taken."""
    height, width = note.shape[:2]
    right, bottom = max(0, room[0] - width), max(0, room[1] - height)
    corners = [(x, y) for y in (bottom, 0) for x in (0, right)]
    corners += [(x, y) for y in (bottom, 0) for x in range(right // 2 % height, right, height)]
    corners += [(x, y) for x in (0, right) for y in range(0, bottom, height)]
    places = [(x, y, x + width, y + height) for x, y in corners]
    return next((place for place in places if not _covers(place, faces)), places[0])


def _fitting(words: str, px: int, width: int, ground: str = PAPER, ink: str = INK) -> Pixels:
    """A plate of the words, smaller where the picture is narrow."""
    while (part := plate(words, px, ground, ink)).shape[1] > 0.94 * width and px > 4:
        px -= 1
    return part


def _thickness(face: Place, width: int, height: int) -> int:
    side = min(face[2] - face[0], face[3] - face[1])
    return max(1, round(min(min(width, height) / 240, side / 12)), min(2, side // 16))


def _frame(canvas: Pixels, face: Place, one: Mark, thick: int) -> None:
    """A box, and around it a border that contrasts."""
    (height, width), edge = canvas.shape[:2], max(1, thick // 2)
    left, top, right, bottom = face
    outer = max(0, left - edge), max(0, top - edge), min(width, right + edge)
    _outline(canvas, (*outer, min(height, bottom + edge)), thick + edge, rgb(ink_on(one.colour)))
    dash = max(4 * thick, min(right - left, bottom - top) // 9)
    _outline(canvas, face, thick, rgb(one.colour), 0 if one.sure else dash)


def _outline(canvas: Pixels, face: Place, thick: int, colour: Colour, dash: int = 0) -> None:
    """The sides of a box, within it; in dashes of so many pixels, if any."""
    left, top, right, bottom = face
    for x in range(left, right, 2 * dash or right - left):
        end = min(right, x + dash) if dash else right
        _fill(canvas, (x, top, end, min(bottom, top + thick)), colour)
        _fill(canvas, (x, max(top, bottom - thick), end, bottom), colour)
    for y in range(top, bottom, 2 * dash or bottom - top):
        end = min(bottom, y + dash) if dash else bottom
        _fill(canvas, (left, y, min(right, left + thick), end), colour)
        _fill(canvas, (max(left, right - thick), y, right, end), colour)


def _fill(canvas: Pixels, place: Place, colour: Colour) -> None:
    import cv2

    left, top, right, bottom = place
    cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), colour, cv2.FILLED)


def _chip(one: Mark, px: int, face: Place) -> Pixels | None:
    """The number, for the corner of the box; None where it would hide the face."""
    if not one.number:
        return None
    part = plate(one.number, px, one.colour, ink_on(one.colour))
    width, height = face[2] - face[0], face[3] - face[1]
    return part if 3 * part.shape[1] <= width and 3 * part.shape[0] <= height else None


def _words(one: Mark, chip: Pixels | None, px: int, width: int) -> Pixels:
    words = f"{one.number} {one.words}" if one.number and chip is None else one.words
    return _fitting(words, px, width, one.colour, ink_on(one.colour))


def _number(
    one: Mark, px: int, face: Place, room: tuple[int, int], solid: Sequence[Place]
) -> tuple[Pixels, Place]:
    """The number alone and its place at the box, the smaller the less room there is; in the box's
    corner, as small as can be, if there is none."""
    for size in range(px, _SMALLEST_PX - 1, -1):
        part = plate(one.number, size, one.colour, ink_on(one.colour))
        if (place := _beside(_size(part), face, room, solid)) is not None:
            return part, place
    (width, height), (left, top) = _size(part), face[:2]
    left, top = max(0, min(left, room[0] - width)), max(0, min(top, room[1] - height))
    return part, (left, top, left + width, top + height)


def _size(part: Pixels) -> tuple[int, int]:
    return part.shape[1], part.shape[0]


def arrange(
    sizes: Sequence[tuple[int, int]],
    faces: Sequence[Place],
    room: tuple[int, int],
    taken: Sequence[Place] = (),
) -> list[Place | None]:
    """Where words of `sizes` (width, height) go, one for each of the `faces`.

    They cover none of the faces, nothing that is `taken` and one another, and lie in a picture of
    the size `room`; None where there is no such place. The first place that is free is taken, in
    the order of the faces: above, below, beside, then farther off.
    """
    found: list[Place | None] = []
    solid = [*faces, *taken]
    for size, face in zip(sizes, faces, strict=True):
        place = _free(size, face, room, solid)
        found.append(place)
        solid += [] if place is None else [place]
    return found


def _free(
    size: tuple[int, int], face: Place, room: tuple[int, int], solid: Sequence[Place]
) -> Place | None:
    """The best place that has no pixel in common with what is `solid`; None if there is none."""
    if size[0] > room[0] or size[1] > room[1]:
        return None
    if (place := _beside(size, face, room, solid)) is not None:
        return place  # most words end here, without the cost of arrays
    corners = np.clip(_far(size, face), 0, (room[0] - size[0], room[1] - size[1]))
    one, other = np.concatenate([corners, corners + size], 1)[:, None], np.array(solid)[None]
    apart = (one[..., :2] >= other[..., 2:]) | (one[..., 2:] <= other[..., :2])
    free = (apart[..., 0] | apart[..., 1]).all(1)
    x, y = (int(v) for v in corners[free.argmax()])
    return (x, y, x + size[0], y + size[1]) if free.any() else None


def _beside(
    size: tuple[int, int], face: Place, room: tuple[int, int], solid: Sequence[Place]
) -> Place | None:
    """The same at the box alone."""
    for left, top in _near(size, face):
        x, y = min(max(0, left), room[0] - size[0]), min(max(0, top), room[1] - size[1])
        place = x, y, x + size[0], y + size[1]
        if not _covers(place, solid):
            return place
    return None


def _covers(place: Place, solid: Sequence[Place]) -> bool:
    """Whether it has a pixel in common with one of what is `solid`."""
    left, top, right, bottom = place
    return any(left < s[2] and s[0] < right and top < s[3] and s[1] < bottom for s in solid)


def _near(size: tuple[int, int], face: Place) -> Iterator[tuple[int, int]]:
    """Left and top of places at the box, the better the earlier."""
    (width, height), (left, top, right, bottom) = size, face
    yield from ((left, top - height), (right - width, top - height))
    yield from ((left, bottom), (right - width, bottom))
    yield from ((right, top), (right, bottom - height))
    yield from ((left - width, top), (left - width, bottom - height))


def _far(size: tuple[int, int], face: Place) -> list[tuple[int, int]]:
    """Left and top of places away from the box, the nearer the earlier."""
    (width, height), (left, top, right, bottom) = size, face
    middle, corners = (left + right - width) // 2, []
    for off in (step * height for step in _FAR):
        up, down, west, east = top - height - off, bottom + off, left - width - off, right + off
        corners += [(x, y) for y in (up, down) for x in (middle, left, right - width, east, west)]
        corners += [(x, y) for x in (east, west) for y in (top, bottom - height)]
    return corners


def _lead(canvas: Pixels, face: Place, place: Place, colour: Colour, thick: int) -> None:
    """A line from the box to words that do not touch it."""
    import cv2

    (from_x, to_x), (from_y, to_y) = (_nearest(face, place, axis) for axis in (0, 1))
    if max(abs(from_x - to_x), abs(from_y - to_y)) > 2:
        ends = (from_x, from_y), (to_x, to_y)
        cv2.line(canvas, *ends, rgb(PAPER), 3 * thick, cv2.LINE_AA)
        cv2.line(canvas, *ends, colour, thick, cv2.LINE_AA)


def _nearest(face: Place, place: Place, axis: int) -> tuple[int, int]:
    """The points of both that are nearest to one another, along one axis."""
    low, high = max(face[axis], place[axis]), min(face[axis + 2], place[axis + 2])
    if low <= high:
        return (low + high) // 2, (low + high) // 2
    return (high, low) if face[axis + 2] == high else (low, high)
