"""What a drawn face is made of, and what varies from one to the next.

What separates the expressions is written once, in `EXPRESSIONS`, after the prototypes of the Facial
Action Coding System (Ekman & Friesen 1978; EMFACS): action-unit numbers stand beside each. Strength
varies and every action is jittered, so that weak expressions lie close to neutral and the classes
overlap a little, as in real pictures.
"""

from dataclasses import dataclass, fields

import numpy as np


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
