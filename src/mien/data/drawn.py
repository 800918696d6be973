"""Drawn faces: a small data set for those without FER-2013, and for tests.

A face is a `_Person` (shape, hair, tones) with an `Actions` set (what the muscles do), seen
through a `_View` (pose, light, camera). What separates the expressions is written once, in
`EXPRESSIONS`, after the prototypes of the Facial Action Coding System (Ekman & Friesen 1978;
EMFACS): action-unit numbers stand beside each. Strength varies and every action is jittered, so
that weak expressions lie close to neutral and the classes overlap a little, as in real pictures.

Coordinates are in head heights: the origin between the eyes' and the nose's height, x to the
right, y down, the crown near -1 and the chin near 1.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import InputError
from mien.files import replacing_folder
from mien.labels import FER2013

SIZE_PX = 48
MIN_IMAGES = 10 * len(FER2013)
"""With fewer, a tenth could not hold every class."""
_OVERSAMPLING = 4
_SUBPIXEL_BITS = 4

Points = NDArray[np.float64]
Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Actions:
    """What the face does; lengths in head heights, amounts from 0 (none) to 1 (full)."""

    brow_raise: float = 0.0
    """Length, up."""
    inner_brow: float = 0.0
    """Length that the inner ends go up beyond the rest; below 0 they go down."""
    brow_pinch: float = 0.0
    """Amount by which the brows are drawn together."""
    eye_opening: float = 1.0
    """1 is relaxed, 1.5 wide."""
    lower_lid: float = 0.0
    """Amount by which cheeks push up the lower lids."""
    mouth_width: float = 0.25
    """Length from middle to corner."""
    corners: float = 0.0
    """Length that the mouth's corners are pulled up; below 0 down."""
    mouth_opening: float = 0.0
    """Length from lip to lip."""
    teeth: float = 0.0
    """Amount of upper teeth seen in the opening."""
    upper_lip: float = 0.0
    """Length that the middle of the upper lip is raised."""
    lip_press: float = 0.0
    """Amount by which the lips are pressed thin."""
    nose_wrinkle: float = 0.0
    """Amount."""
    folds: float = 0.1
    """Amount of the fold between nose and mouth corner."""


EXPRESSIONS = {
    # 4 brow lowerer, 5 + 7 lids, 23 + 24 lips tightened and pressed
    "angry": Actions(
        brow_raise=-0.035,
        inner_brow=-0.085,
        brow_pinch=1.0,
        eye_opening=0.95,
        lower_lid=0.3,
        mouth_width=0.22,
        corners=-0.02,
        lip_press=1.0,
    ),
    # 9 nose wrinkler, 10 upper lip raiser, 17 chin raiser
    "disgust": Actions(
        brow_raise=-0.04,
        inner_brow=-0.045,
        brow_pinch=0.5,
        eye_opening=0.65,
        lower_lid=0.7,
        mouth_width=0.24,
        corners=-0.045,
        mouth_opening=0.045,
        teeth=0.6,
        upper_lip=0.075,
        nose_wrinkle=1.0,
        folds=0.9,
    ),
    # 1 + 2 + 4 brows raised and drawn together, 5 upper lid, 20 lip stretcher, 25 lips part
    "fear": Actions(
        brow_raise=0.06,
        inner_brow=0.06,
        brow_pinch=0.9,
        eye_opening=1.5,
        mouth_width=0.32,
        corners=-0.035,
        mouth_opening=0.075,
        teeth=0.5,
    ),
    # 6 cheek raiser, 12 lip corner puller, 25 lips part
    "happy": Actions(
        eye_opening=0.75,
        lower_lid=0.75,
        mouth_width=0.34,
        corners=0.11,
        mouth_opening=0.13,
        teeth=1.0,
        folds=0.8,
    ),
    "neutral": Actions(),
    # 1 inner brow raiser, 4, 15 lip corner depressor
    "sad": Actions(
        inner_brow=0.095,
        brow_pinch=0.5,
        eye_opening=0.7,
        mouth_width=0.22,
        corners=-0.075,
        lip_press=0.3,
        folds=0.3,
    ),
    # 1 + 2 brows raised, 5 upper lid, 26 jaw drop
    "surprise": Actions(
        brow_raise=0.115,
        eye_opening=1.5,
        mouth_width=0.15,
        mouth_opening=0.24,
    ),
}

_JITTER = Actions(
    brow_raise=0.012,
    inner_brow=0.014,
    brow_pinch=0.1,
    eye_opening=0.1,
    lower_lid=0.08,
    mouth_width=0.018,
    corners=0.014,
    mouth_opening=0.012,
    teeth=0.15,
    upper_lip=0.008,
    lip_press=0.1,
    nose_wrinkle=0.08,
    folds=0.12,
)
"""Standard deviation of each action from face to face."""


@dataclass(frozen=True, slots=True)
class _Person:
    """Whose face it is: lengths in head heights, tones in grey levels 0-255."""

    skin: float
    hair: float
    lip: float
    head_width: float
    jaw: float
    eye_distance: float
    eye_size: float
    iris: float
    brow_width: float
    nose: float
    lips: float
    hairline: float
    parting: float
    long_hair: bool
    bald: bool
    beard: bool
    glasses: bool


@dataclass(frozen=True, slots=True)
class _View:
    """Where face, light and camera are. Angles in radians, lengths in picture sides."""

    roll: float
    turn: float
    nod: float
    scale: float
    shift: tuple[float, float]
    light: tuple[float, float]
    ambient: float
    background: tuple[float, float, float]
    contrast: float
    brightness: float
    blur: float
    noise: float


def draw_face(expression: str, rng: np.random.Generator, size_px: int = SIZE_PX) -> Grey:
    """(size_px, size_px) uint8 grey face that shows `expression`; InputError if it is unknown.

    `rng` decides person, pose, light and noise: the same state gives the same face.
    """
    if expression not in EXPRESSIONS:
        raise InputError(
            f"unknown expression {expression!r}; expected one of {', '.join(EXPRESSIONS)}"
        )
    if size_px < 8:
        raise InputError(f"expected a face of at least 8 px, got {size_px}")
    person, view = _some_person(rng), _some_view(rng)
    actions = _some_actions(EXPRESSIONS[expression], rng)
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


def draw_dataset(
    out: Path, images: int, seed: int, *, progress: Callable[[int], None] | None = None
) -> None:
    """Write `images` drawn faces to `out` in the layout of Kaggle's FER-2013.

    `train/<class>/Training_000012.png`, and `test/<class>/` with `PublicTest_` and `PrivateTest_`
    (80, 10 and 10 %); every split holds every class, within one image of equally often. The same
    `seed` writes the same bytes. `progress` is called with 1 after each image.
    InputError if `images` is below 70 or `out` is there and not an empty folder.
    """
    if images < MIN_IMAGES:
        raise InputError(
            f"expected at least {MIN_IMAGES} images, so that each split holds each class; "
            f"got {images}"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is there and not an empty folder; choose another or remove it")
    if seed < 0:
        raise InputError(f"expected a seed of at least 0, got {seed}")
    with replacing_folder(out) as folder:
        for number, place in enumerate(_places(images)):
            _write_png(folder / place, draw_face(Path(place).parent.name, _rng(seed, number)))
            if progress:
                progress(1)


def _rng(seed: int, number: int) -> np.random.Generator:
    """A generator of its own per image: the first 70 faces of 700 are those of 70."""
    return np.random.default_rng([seed, number])


def _places(images: int) -> list[str]:
    tenth = images // 10
    kinds = ["Training"] * (images - 2 * tenth) + ["PublicTest"] * tenth + ["PrivateTest"] * tenth
    return [
        f"{'train' if kind == 'Training' else 'test'}/{FER2013[number % len(FER2013)]}"
        f"/{kind}_{number:06d}.png"
        for number, kind in enumerate(kinds)
    ]


def _write_png(path: Path, image: Grey) -> None:
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


# What varies


def _some_actions(prototype: Actions, rng: np.random.Generator) -> Actions:
    """The prototype at some strength, each action jittered."""
    strength = rng.uniform(0.55, 1.15)
    rest = EXPRESSIONS["neutral"]
    values = {}
    for field in fields(Actions):
        at_rest, full, deviation = (
            getattr(actions, field.name) for actions in (rest, prototype, _JITTER)
        )
        values[field.name] = at_rest + strength * (full - at_rest) + rng.normal(0, deviation)
    for name in ("brow_pinch", "lower_lid", "teeth", "lip_press", "nose_wrinkle", "folds"):
        values[name] = float(np.clip(values[name], 0, 1))
    values["eye_opening"] = max(values["eye_opening"], 0.15)
    values["upper_lip"] = max(values["upper_lip"], 0.0)
    return Actions(**values)


def _some_person(rng: np.random.Generator) -> _Person:
    skin = rng.uniform(85, 205)
    fair_hair = rng.random() < 0.25
    return _Person(
        skin=skin,
        hair=rng.uniform(110, 190) if fair_hair else rng.uniform(15, 70),
        lip=skin * rng.uniform(0.62, 0.78),
        head_width=rng.uniform(0.68, 0.8),
        jaw=rng.uniform(0.08, 0.24),
        eye_distance=rng.uniform(0.28, 0.33),
        eye_size=rng.uniform(0.9, 1.12),
        iris=rng.uniform(25, 85),
        brow_width=rng.uniform(0.028, 0.055),
        nose=rng.uniform(0.24, 0.32),
        lips=rng.uniform(0.045, 0.075),
        hairline=rng.uniform(0.58, 0.78),
        parting=rng.uniform(-0.6, 0.6),
        long_hair=rng.random() < 0.45,
        bald=rng.random() < 0.1,
        beard=rng.random() < 0.15,
        glasses=rng.random() < 0.1,
    )


def _some_view(rng: np.random.Generator) -> _View:
    angle = rng.uniform(0, 2 * np.pi)
    strength = rng.uniform(0.1, 0.75)
    return _View(
        roll=np.deg2rad(rng.uniform(-12, 12)),
        turn=rng.uniform(-0.16, 0.16),
        nod=rng.uniform(-0.06, 0.06),
        scale=rng.uniform(0.4, 0.48),
        shift=(rng.uniform(-0.05, 0.05), rng.uniform(-0.04, 0.04)),
        light=(strength * np.cos(angle), strength * np.sin(angle)),
        ambient=rng.uniform(0.85, 1.0),
        background=(rng.uniform(10, 245), rng.uniform(-70, 70), rng.uniform(0, 2 * np.pi)),
        contrast=rng.uniform(0.75, 1.2),
        brightness=rng.uniform(-25, 25),
        blur=rng.uniform(0.1, 0.7),
        noise=rng.uniform(1.0, 7.0),
    )


# Drawing


class _Canvas:
    """A square grey picture, drawn on in head coordinates as `view` sees them."""

    def __init__(self, side_px: int, view: _View) -> None:
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
        import cv2

        outline = self.place(points)
        cv2.fillPoly(self.drawn, [outline], 255, shift=_SUBPIXEL_BITS)
        cv2.fillPoly(self.pixels, [outline], _tone(tone), cv2.LINE_AA, shift=_SUBPIXEL_BITS)

    def fill_inside(self, outline: ArrayLike, shapes: list[tuple[ArrayLike, float]]) -> None:
        """Fill polygons, each with its tone, and keep of them what lies inside `outline`."""
        import cv2

        before = self.pixels.copy()
        for points, tone in shapes:
            self.fill(points, tone)
        mask = np.zeros_like(self.pixels)
        cv2.fillPoly(mask, [self.place(outline)], 255, cv2.LINE_AA, shift=_SUBPIXEL_BITS)
        self.pixels = np.where(mask > 127, self.pixels, before)

    def line(self, points: ArrayLike, tone: float, width: float) -> None:
        """Draw an open line; `width` in head coordinates."""
        import cv2

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
        import cv2

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
    return np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], 1)


def _draw_behind(canvas: _Canvas, person: _Person) -> None:
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


def _draw_head(canvas: _Canvas, person: _Person, actions: Actions) -> None:
    if not person.long_hair:
        for side in (-1, 1):
            ear = _ellipse(side * (person.head_width + 0.01), 0.02, 0.09, 0.17)
            canvas.fill(ear, person.skin * 0.86)
    angles = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    x, y = np.sin(angles), -np.cos(angles)
    x = x * person.head_width * (1 - person.jaw * np.clip(y, 0, 1) ** 1.5)
    y = np.where(y > 0, y * (1 + 0.45 * max(actions.mouth_opening, 0)), y)
    canvas.fill(np.stack([x, y], 1), person.skin)


def _draw_skin(canvas: _Canvas, person: _Person, actions: Actions) -> None:
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
        arch = np.stack([across, height + 0.12 * across**2], 1)
        canvas.line(arch, person.skin * (1 - 0.22 * amount), 0.018)
    canvas.soften(0.012)


def _draw_wrinkles(canvas: _Canvas, person: _Person, actions: Actions, side: int) -> None:
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


def _draw_eye(canvas: _Canvas, person: _Person, actions: Actions, side: int) -> None:
    x, y = side * person.eye_distance, -0.12
    width = 0.145 * person.eye_size
    across = np.linspace(-1, 1, 17)
    arch = np.sqrt(1 - across**2)
    upper = y - 0.068 * person.eye_size * actions.eye_opening * arch
    lower = y + 0.05 * person.eye_size * (1 - 0.85 * actions.lower_lid) * arch
    lids_x = x + width * across
    outline = np.concatenate([np.stack([lids_x, upper], 1), np.stack([lids_x, lower], 1)[::-1]])
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
    canvas.line(np.stack([lids_x, upper], 1), min(person.skin * 0.25, 40), 0.03)
    canvas.line(np.stack([lids_x, lower], 1), person.skin * 0.6, 0.014)
    crease = np.stack([lids_x, y - 0.055 + 1.1 * (upper - y)], 1)[2:-2]
    canvas.line(crease, person.skin * 0.72, 0.014)
    bag = np.stack([lids_x, y + 0.06 + 0.05 * arch - 0.03 * actions.lower_lid], 1)[2:-2]
    canvas.line(bag, person.skin * (0.88 - 0.18 * actions.lower_lid), 0.016)
    if person.glasses:
        rim = _ellipse(x, y + 0.02, 0.23, 0.18)
        canvas.line(np.concatenate([rim, rim[:1]]), 25, 0.026)
        canvas.line([(side * (abs(x) - 0.23), y), (0, y - 0.02)], 25, 0.026)


def _draw_brow(canvas: _Canvas, person: _Person, actions: Actions, side: int) -> None:
    along = np.linspace(0, 1, 9)
    """0 at the inner end, 1 at the outer."""
    x = side * (0.13 - 0.055 * actions.brow_pinch + 0.37 * along)
    y = -0.315 - actions.brow_raise - 0.12 * along * (1 - along) - actions.inner_brow * (1 - along)
    half = person.brow_width * (1 - 0.75 * along) * 0.9
    outline = np.concatenate([np.stack([x, y - half], 1), np.stack([x, y + half], 1)[::-1]])
    canvas.fill(outline, min(person.hair, person.skin * 0.75))


def _draw_mouth(canvas: _Canvas, person: _Person, actions: Actions) -> None:
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

    def between(top: Points, bottom: Points) -> Points:
        return np.concatenate([np.stack([x, top], 1), np.stack([x, bottom], 1)[::-1]])

    canvas.fill(between(upper - thick * arch * bow, upper + 0.01), person.lip)
    canvas.fill(between(lower - 0.01, lower + 1.25 * thick * arch), person.lip * 1.08)
    inside = between(upper, lower)
    bite = upper.mean() + 0.03 + 0.5 * (lower - upper).max()
    teeth = between(upper - 0.05, np.full_like(upper, bite))
    tone = 30 + actions.teeth * (min(person.skin * 0.3 + 170, 235) - 30)
    canvas.fill_inside(inside, [(inside, 30), (teeth, tone)])
    canvas.line(np.stack([x, upper], 1), person.skin * 0.32, 0.02 + 0.01 * actions.lip_press)
    canvas.line(
        np.stack([x[6:-6], lower[6:-6] + 1.25 * thick + 0.035], 1), person.skin * 0.75, 0.02
    )


def _draw_hair(canvas: _Canvas, person: _Person) -> None:
    if person.bald:
        return
    angles = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 31)
    sides, tops = np.sin(angles), np.cos(angles)
    crown = np.stack([sides * (person.head_width + 0.05), -tops * 1.08], 1)
    across = np.linspace(1, -1, 31)
    from_parting = (across - person.parting) / (1 + abs(person.parting))
    down = -person.hairline + 0.25 * np.abs(from_parting) ** 0.8 + 0.42 * np.abs(across) ** 5
    front = np.stack([across * person.head_width, down], 1)
    canvas.fill(np.concatenate([crown, front]), person.hair)
    parting = np.array([person.parting * person.head_width, -person.hairline])
    for end in crown[5:-5:4]:
        strand = parting + np.linspace(0.1, 0.95, 6)[:, None] * (end - parting)
        canvas.line(strand, person.hair * 0.8 + 12, 0.014)


def _photograph(canvas: _Canvas, size_px: int, rng: np.random.Generator) -> Grey:
    """(size_px, size_px) uint8: the drawing through a lens, with contrast and sensor noise."""
    import cv2

    view = canvas.view
    lens = max(view.blur * canvas.side_px / SIZE_PX, 0.1)
    sharp = cv2.GaussianBlur(canvas.pixels, (0, 0), lens)
    small = np.asarray(cv2.resize(sharp, (size_px, size_px), interpolation=cv2.INTER_AREA))
    exposed = (small.astype(np.float64) - 128) * view.contrast + 128 + view.brightness
    noisy = exposed + rng.normal(0, view.noise, exposed.shape)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)
