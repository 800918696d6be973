"""What a drawn face is made of, and what varies from one to the next.

What separates the expressions is written once, in `EXPRESSIONS`, after the prototypes of the Facial
Action Coding System (Ekman & Friesen 1978; EMFACS): action-unit numbers stand beside each. Strength
varies and every action is jittered, so that weak expressions lie close to neutral and the classes
overlap a little, as in real pictures.
"""

from dataclasses import astuple, dataclass, replace

import numpy as np


@dataclass(frozen=True, slots=True)
class Actions:
    """What the face does; lengths in head heights, amounts from 0 (none) to 1 (full)."""

    brow_raise: float
    """Length, up."""
    inner_brow: float
    """Length that the inner ends go up beyond the rest; below 0 they go down."""
    brow_pinch: float
    """Amount by which the brows are drawn together."""
    eye_opening: float
    """1 is relaxed, 1.5 wide."""
    lower_lid: float
    """Amount by which cheeks push up the lower lids."""
    mouth_width: float
    """Length from middle to corner."""
    corners: float
    """Length that the mouth's corners are pulled up; below 0 down."""
    mouth_opening: float
    """Length from lip to lip."""
    teeth: float
    """Amount of upper teeth seen in the opening."""
    upper_lip: float
    """Length that the middle of the upper lip is raised."""
    lip_press: float
    """Amount by which the lips are pressed thin."""
    nose_wrinkle: float
    """Amount."""
    folds: float
    """Amount of the fold between nose and mouth corner."""


# angry: 4 brow lowerer, 5 + 7 lids, 23 + 24 lips tightened and pressed
# disgust: 9 nose wrinkler, 10 upper lip raiser, 17 chin raiser
# fear: 1 + 2 + 4 brows raised and drawn together, 5 upper lid, 20 lip stretcher, 25 lips part
# happy: 6 cheek raiser, 12 lip corner puller, 25 lips part
# sad: 1 inner brow raiser, 4, 15 lip corner depressor
# surprise: 1 + 2 brows raised, 5 upper lid, 26 jaw drop
_TABLE = """
action         jitter    angry  disgust     fear    happy  neutral      sad surprise
brow_raise      0.012   -0.035    -0.04     0.06        0        0        0    0.115
inner_brow      0.014   -0.085   -0.045     0.06        0        0    0.095        0
brow_pinch        0.1        1      0.5      0.9        0        0      0.5        0
eye_opening       0.1     0.95     0.65      1.5     0.75        1      0.7      1.5
lower_lid        0.08      0.3      0.7        0     0.75        0        0        0
mouth_width     0.018     0.22     0.24     0.32     0.34     0.25     0.22     0.15
corners         0.014    -0.02   -0.045   -0.035     0.11        0   -0.075        0
mouth_opening   0.012        0    0.045    0.075     0.13        0        0     0.24
teeth            0.15        0      0.6      0.5        1        0        0        0
upper_lip       0.008        0    0.075        0        0        0        0        0
lip_press         0.1        1        0        0        0        0      0.3        0
nose_wrinkle     0.08        0        1        0        0        0        0        0
folds            0.12      0.1      0.9      0.1      0.8      0.1      0.3      0.1
"""
_, *_COLUMNS = zip(*(line.split() for line in _TABLE.strip().splitlines()), strict=True)
EXPRESSIONS = {name: Actions(*map(float, values)) for name, *values in _COLUMNS}
_JITTER = EXPRESSIONS.pop("jitter")
"""Standard deviation of each action from face to face."""


@dataclass(frozen=True, slots=True)
class Person:
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
class View:
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


def some_actions(prototype: Actions, rng: np.random.Generator) -> Actions:
    """`prototype` at some strength, each action jittered."""
    strength = rng.uniform(0.55, 1.15)
    rest, full, jitter = (
        np.array(astuple(actions)) for actions in (EXPRESSIONS["neutral"], prototype, _JITTER)
    )
    drawn = Actions(*(rest + strength * (full - rest) + rng.normal(0, jitter)).tolist())
    amounts = ("brow_pinch", "lower_lid", "teeth", "lip_press", "nose_wrinkle", "folds")
    return replace(
        drawn,
        eye_opening=max(drawn.eye_opening, 0.15),
        upper_lip=max(drawn.upper_lip, 0.0),
        **{name: min(max(getattr(drawn, name), 0.0), 1.0) for name in amounts},
    )


def some_person(rng: np.random.Generator) -> Person:
    """Whoever `rng` decides."""
    skin = rng.uniform(85, 205)
    fair_hair = rng.random() < 0.25
    return Person(
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


def some_view(rng: np.random.Generator) -> View:
    """From wherever `rng` decides."""
    angle = rng.uniform(0, 2 * np.pi)
    strength = rng.uniform(0.1, 0.75)
    return View(
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
