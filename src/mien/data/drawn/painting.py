"""A face onto a canvas, and the canvas through a lens.

Coordinates are in head heights: the origin between the eyes' and the nose's height, x to the
right, y down, the crown near -1 and the chin near 1.
"""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.data.drawn.anatomy import Actions, Person, View

SIZE_PX = 48
_OVERSAMPLING = 4
_SUBPIXEL_BITS = 4

Points = NDArray[np.float64]
Grey = NDArray[np.uint8]


def paint(
    person: Person, actions: Actions, view: View, size_px: int, rng: np.random.Generator
) -> Grey:
    """(size_px, size_px) uint8 grey: `person` doing `actions`, seen through `view`."""
    canvas = _Canvas(size_px * _OVERSAMPLING, view)
    _draw_behind(canvas, person)
    _draw_head(canvas, person, actions)
    _draw_skin(canvas, person, actions)
    for side in (-1, 1):
        _draw_eye(canvas, person, actions, side)
        _draw_brow(canvas, person, actions, side)
    _draw_mouth(canvas, person, actions)
    _draw_hair(canvas, person)
    canvas.light_up()
    return _photograph(canvas, size_px, rng)


class _Canvas:
    """A square grey picture, drawn on in head coordinates as `view` sees them."""

    def __init__(self, side_px: int, view: View) -> None:
        self.view = view
        self.side_px = side_px
        self.unit_px = side_px * view.scale
        """Pixels in one head coordinate."""
        self._cos, self._sin = np.cos(view.roll), np.sin(view.roll)
        self._middle = (np.array(view.shift) + 0.5) * side_px
        columns, rows = self._grid()
        tone, slope, angle = view.background
        ramp = tone + slope * (columns * np.cos(angle) + rows * np.sin(angle))
        self.pixels = np.clip(ramp, 0, 255).astype(np.uint8)
        self.drawn = np.zeros_like(self.pixels)
        """255 where the person is, 0 where the background is."""

    def _grid(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(1, side) and (side, 1) float32 places of the pixels, from -0.5 to 0.5."""
        places = np.linspace(-0.5, 0.5, self.side_px, dtype=np.float32)
        return places[None], places[:, None]

    def place(self, points: ArrayLike) -> NDArray[np.int32]:
        """(N, 2) int32 picture coordinates with `_SUBPIXEL_BITS`, from (N, 2) head coordinates."""
        x, y = np.asarray(points, np.float64).T
        # The middle of the head bulges towards the camera, so a turn moves it the most.
        bulge = np.maximum(1 - (x / 0.9) ** 2 - (y / 1.2) ** 2, 0)
        x, y = x + self.view.turn * bulge, y + self.view.nod * bulge
        seen = np.empty((len(x), 2))
        seen[:, 0] = x * self._cos - y * self._sin
        seen[:, 1] = x * self._sin + y * self._cos
        seen = seen * self.unit_px + self._middle
        placed: NDArray[np.int32] = np.rint(seen * 2**_SUBPIXEL_BITS).astype(np.int32)
        return placed

    def fill(self, points: ArrayLike, tone: float) -> None:
        """Fill a polygon."""
        outline = self.place(points)
        cv2.fillPoly(self.drawn, [outline], 255, shift=_SUBPIXEL_BITS)
        cv2.fillPoly(self.pixels, [outline], _tone(tone), cv2.LINE_AA, shift=_SUBPIXEL_BITS)

    def fill_inside(self, outline: ArrayLike, shapes: list[tuple[ArrayLike, float]]) -> None:
        """Fill polygons, each with its tone, and keep of them what lies inside `outline`."""
        before = self.pixels.copy()
        for points, tone in shapes:
            self.fill(points, tone)
        mask = np.zeros_like(self.pixels)
        cv2.fillPoly(mask, [self.place(outline)], 255, cv2.LINE_AA, shift=_SUBPIXEL_BITS)
        self.pixels = np.where(mask > 127, self.pixels, before)

    def line(self, points: ArrayLike, tone: float, width: float) -> None:
        """Draw an open line; `width` in head coordinates."""
        cv2.polylines(
            self.pixels,
            [self.place(points)],
            False,
            _tone(tone),
            max(1, round(width * self.unit_px)),
            cv2.LINE_AA,
            shift=_SUBPIXEL_BITS,
        )

    def soften(self, width: float) -> None:
        """Blur what is there; `width` in head coordinates."""
        self.pixels = np.asarray(cv2.GaussianBlur(self.pixels, (0, 0), width * self.unit_px))

    def light_up(self) -> None:
        """Shade the person as a matt ellipsoid lit from the view's direction."""
        columns, rows = self._grid()
        x = (columns - self.view.shift[0]) / self.view.scale / 0.95
        y = (rows - self.view.shift[1]) / self.view.scale / 1.15
        depth = np.sqrt(np.maximum(1 - x**2 - y**2, 0))
        across, down = self.view.light
        shade = self.view.ambient * (0.6 + 0.5 * depth + 0.5 * (x * across + y * down))
        lit = np.where(self.drawn > 0, self.pixels * np.clip(shade, 0.2, 1.4), self.pixels)
        self.pixels = np.minimum(lit, 255).astype(np.uint8)


def _tone(tone: float) -> tuple[float]:
    return (min(max(float(tone), 0.0), 255.0),)


def _ellipse(x: float, y: float, radius_x: float, radius_y: float) -> Points:
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return _curve(x + radius_x * np.cos(angles), y + radius_y * np.sin(angles))


def _curve(x: ArrayLike, y: ArrayLike) -> Points:
    """(N, 2) points of a line."""
    return np.stack([x, y], 1)


def _band(x: ArrayLike, top: ArrayLike, bottom: ArrayLike) -> Points:
    """(2 N, 2) outline of what lies between two lines."""
    return np.concatenate([_curve(x, top), _curve(x, bottom)[::-1]])


def _draw_behind(canvas: _Canvas, person: Person) -> None:
    """Hair behind the head, neck and clothes."""
    if person.long_hair and not person.bald:
        canvas.fill(_ellipse(0, -0.1, person.head_width + 0.16, 1.02), person.hair)
        width = person.head_width + 0.14
        canvas.fill(
            [(-width, 0), (width, 0), (width - 0.02, 1.3), (-width + 0.02, 1.3)], person.hair
        )
    clothes = 255 - person.hair if person.glasses else person.hair * 0.8 + 30
    canvas.fill([(-0.34, 0.5), (0.34, 0.5), (0.42, 1.8), (-0.42, 1.8)], person.skin * 0.72)
    canvas.fill([(-1.6, 1.5), (-0.4, 1.18), (0, 1.32), (0.4, 1.18), (1.6, 1.5), (0, 3)], clothes)


def _draw_head(canvas: _Canvas, person: Person, actions: Actions) -> None:
    if not person.long_hair:
        for side in (-1, 1):
            ear = _ellipse(side * (person.head_width + 0.01), 0.02, 0.09, 0.17)
            canvas.fill(ear, person.skin * 0.86)
    angles = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    x, y = np.sin(angles), -np.cos(angles)
    x = x * person.head_width * (1 - person.jaw * np.clip(y, 0, 1) ** 1.5)
    y = np.where(y > 0, y * (1 + 0.45 * max(actions.mouth_opening, 0)), y)
    canvas.fill(_curve(x, y), person.skin)


def _draw_skin(canvas: _Canvas, person: Person, actions: Actions) -> None:
    """Everything soft: eye sockets, nose, folds, furrows, beard."""
    shadow, dark, bright = person.skin * 0.84, person.skin * 0.62, person.skin * 1.1
    if person.beard:
        canvas.fill(
            _ellipse(0, 0.64, person.head_width * 0.72, 0.36), 0.5 * (person.skin + person.hair)
        )
    for side in (-1, 1):
        canvas.fill(_ellipse(side * person.eye_distance, -0.16, 0.2, 0.13), shadow)
        canvas.fill(_ellipse(side * 0.42, 0.22 - 0.05 * actions.lower_lid, 0.16, 0.1), bright)
    canvas.fill([(-0.05, -0.15), (0.05, -0.15), (0.03, 0.2), (-0.03, 0.2)], bright)
    canvas.fill([(0.05, -0.15), (0.11, person.nose), (0.02, person.nose)], shadow)
    canvas.soften(0.035)
    for side in (-1, 1):
        _draw_wrinkles(canvas, person, actions, side)
        raised = person.nose - 0.025 * actions.nose_wrinkle
        canvas.fill(_ellipse(side * 0.06, raised, 0.032, 0.018), person.skin * 0.4)
        canvas.line([(side * 0.11, raised - 0.06), (side * 0.125, raised)], dark, 0.02)
    for height in (-0.5, -0.42, -0.58):
        amount = min(max((actions.brow_raise - 0.03) / 0.09, 0), 1)
        across = np.linspace(-0.36, 0.36, 9)
        arch = _curve(across, height + 0.12 * across**2)
        canvas.line(arch, person.skin * (1 - 0.22 * amount), 0.018)
    canvas.soften(0.012)


def _draw_wrinkles(canvas: _Canvas, person: Person, actions: Actions, side: int) -> None:
    """Nose wrinkles, brow furrow and the fold beside the nose, as deep as the actions say."""

    def crease(points: list[tuple[float, float]], amount: float) -> None:
        if amount > 0.1:
            canvas.line(points, person.skin * (1 - 0.38 * amount), 0.023)

    for step in range(3):
        y, outer = -0.06 + 0.065 * step, side * (0.1 + 0.015 * step)
        crease([(side * 0.03, y + 0.03), (outer, y - 0.025)], actions.nose_wrinkle)
    crease([(side * 0.045, -0.38), (side * 0.035, -0.22)], 0.9 * actions.brow_pinch)
    if not person.beard:
        width = max(actions.mouth_width, 0.2)
        below = (side * (0.1 + 0.5 * width), 0.3)
        crease([(side * 0.15, 0.2), below, (side * (width + 0.1), 0.5)], 0.8 * actions.folds)


def _draw_eye(canvas: _Canvas, person: Person, actions: Actions, side: int) -> None:
    x, y = side * person.eye_distance, -0.12
    width = 0.145 * person.eye_size
    across = np.linspace(-1, 1, 17)
    arch = np.sqrt(1 - across**2)
    upper = y - 0.068 * person.eye_size * actions.eye_opening * arch
    lower = y + 0.05 * person.eye_size * (1 - 0.85 * actions.lower_lid) * arch
    lids_x = x + width * across
    outline = _band(lids_x, upper, lower)
    iris_y = y - 0.012
    white = min(person.skin * 0.35 + 165, 240)
    canvas.fill_inside(
        outline,
        [
            (outline, white),
            (_ellipse(x, iris_y, 0.068, 0.068), person.iris),
            (_ellipse(x, iris_y, 0.03, 0.03), 10),
            (_ellipse(x - 0.025, iris_y - 0.025, 0.015, 0.015), 250),
        ],
    )
    canvas.line(_curve(lids_x, upper), min(person.skin * 0.25, 40), 0.03)
    canvas.line(_curve(lids_x, lower), person.skin * 0.6, 0.014)
    crease = _curve(lids_x, y - 0.055 + 1.1 * (upper - y))[2:-2]
    canvas.line(crease, person.skin * 0.72, 0.014)
    bag = _curve(lids_x, y + 0.06 + 0.05 * arch - 0.03 * actions.lower_lid)[2:-2]
    canvas.line(bag, person.skin * (0.88 - 0.18 * actions.lower_lid), 0.016)
    if person.glasses:
        rim = _ellipse(x, y + 0.02, 0.23, 0.18)
        canvas.line(np.concatenate([rim, rim[:1]]), 25, 0.026)
        canvas.line([(side * (abs(x) - 0.23), y), (0, y - 0.02)], 25, 0.026)


def _draw_brow(canvas: _Canvas, person: Person, actions: Actions, side: int) -> None:
    along = np.linspace(0, 1, 9)
    """0 at the inner end, 1 at the outer."""
    x = side * (0.13 - 0.055 * actions.brow_pinch + 0.37 * along)
    y = -0.315 - actions.brow_raise - 0.12 * along * (1 - along) - actions.inner_brow * (1 - along)
    half = person.brow_width * (1 - 0.75 * along) * 0.9
    canvas.fill(_band(x, y - half, y + half), min(person.hair, person.skin * 0.75))


def _draw_mouth(canvas: _Canvas, person: Person, actions: Actions) -> None:
    width = actions.mouth_width
    opening = max(actions.mouth_opening, 0)
    across = np.linspace(-1, 1, 25)
    arch = (1 - across**2) ** 0.6
    middle = 0.53 + 0.3 * opening + actions.corners * (0.35 - across**2)
    upper = middle - arch * (0.4 * opening) - actions.upper_lip * (1 - np.abs(across) ** 3)
    lower = middle + arch * (0.6 * opening)
    thick = person.lips * (1 - 0.75 * actions.lip_press)
    bow = 1 - 0.35 * np.exp(-((across / 0.15) ** 2))
    x = width * across

    canvas.fill(_band(x, upper - thick * arch * bow, upper + 0.01), person.lip)
    canvas.fill(_band(x, lower - 0.01, lower + 1.25 * thick * arch), person.lip * 1.08)
    inside = _band(x, upper, lower)
    bite = upper.mean() + 0.03 + 0.5 * (lower - upper).max()
    teeth = _band(x, upper - 0.05, np.full_like(upper, bite))
    tone = 30 + actions.teeth * (min(person.skin * 0.3 + 170, 235) - 30)
    canvas.fill_inside(inside, [(inside, 30), (teeth, tone)])
    canvas.line(_curve(x, upper), person.skin * 0.32, 0.02 + 0.01 * actions.lip_press)
    below = _curve(x, lower + 1.25 * thick + 0.035)[6:-6]
    canvas.line(below, person.skin * 0.75, 0.02)


def _draw_hair(canvas: _Canvas, person: Person) -> None:
    if person.bald:
        return
    angles = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 31)
    sides, tops = np.sin(angles), np.cos(angles)
    crown = _curve(sides * (person.head_width + 0.05), -tops * 1.08)
    across = np.linspace(1, -1, 31)
    from_parting = (across - person.parting) / (1 + abs(person.parting))
    down = -person.hairline + 0.25 * np.abs(from_parting) ** 0.8 + 0.42 * np.abs(across) ** 5
    front = _curve(across * person.head_width, down)
    canvas.fill(np.concatenate([crown, front]), person.hair)
    parting = np.array([person.parting * person.head_width, -person.hairline])
    for end in crown[5:-5:4]:
        strand = parting + np.linspace(0.1, 0.95, 6)[:, None] * (end - parting)
        canvas.line(strand, person.hair * 0.8 + 12, 0.014)


def _photograph(canvas: _Canvas, size_px: int, rng: np.random.Generator) -> Grey:
    """(size_px, size_px) uint8: the drawing through a lens, with contrast and sensor noise."""
    view = canvas.view
    lens = max(view.blur * canvas.side_px / SIZE_PX, 0.1)
    sharp = cv2.GaussianBlur(canvas.pixels, (0, 0), lens)
    small = np.asarray(cv2.resize(sharp, (size_px, size_px), interpolation=cv2.INTER_AREA))
    exposed = (small.astype(np.float64) - 128) * view.contrast + 128 + view.brightness
    noisy = exposed + rng.normal(0, view.noise, exposed.shape)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)
