"""Covers: the same by NumPy and torch, over the part of the face that they are named after."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mien.covers import COVERS, DRAWN, EYES_AT, MOUTH_AT, covered

SIDE, FACES = 48, 60
each = pytest.mark.parametrize("kind", COVERS)
LINE = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE


def drawn(**fixed: float) -> dict[str, NDArray[np.float32]]:
    """(N, 1, 1) of each number that is drawn."""
    rng = np.random.default_rng(0)
    values = {name: rng.random((FACES, 1, 1), np.float32) for name in DRAWN}
    return values | {name: np.full((FACES, 1, 1), v, np.float32) for name, v in fixed.items()}


def share(kind: str, rows: slice = slice(None), **fixed: float) -> NDArray[np.float64]:
    """(N,) the share of these rows that is covered: of a face that no cover looks like."""
    face = np.full((FACES, SIDE, SIDE), -5, np.float32)
    found = covered(kind, face, LINE[None], LINE[:, None], drawn(**fixed))
    return np.asarray((found[:, rows] > -4).mean((1, 2)))


@each
def test_training_and_evaluation_draw_the_same(kind: str):
    faces = np.random.default_rng(1).random((FACES, SIDE, SIDE), np.float32)
    one = covered(kind, faces, LINE[None], LINE[:, None], drawn())
    line = torch.from_numpy(LINE)
    values = {name: torch.from_numpy(v)[:, None] for name, v in drawn().items()}
    images = torch.from_numpy(faces)[:, None]
    other = covered(kind, images, line[None, None, None], line[None, None, :, None], values)
    assert (other.shape, other.dtype) == (images.shape, torch.float32)
    # An edge between two letters or folds may fall a pixel further by a rounding.
    assert (abs(other[:, 0].numpy() - one) > 1e-3).mean() < 1e-3


@each
def test_each_face_gets_its_own_cover_which_leaves_much_of_it(kind: str):
    faces = np.full((FACES, SIDE, SIDE), 0.4, np.float32)
    found = covered(kind, faces, LINE[None], LINE[:, None], drawn())
    assert len({face.tobytes() for face in found}) == FACES
    assert -0.5 < found.min() <= found.max() < 1.5
    if kind != "hand":  # one of -5 has skin of no tone
        assert 0.02 < share(kind).min() <= share(kind).max() < 0.6


@each
def test_a_larger_cover_hides_more(kind: str):
    sizes = [share(kind, size=size, tone=0.5).mean() for size in (0, 0.5, 1)]
    assert (np.diff(sizes) > 0).all() or kind == "hand", sizes


@pytest.mark.parametrize(
    ("kind", "at", "hidden"),
    [
        *(("eyes", EYES_AT, 0.99), ("eyes", MOUTH_AT, 0), ("mouth", MOUTH_AT, 0.99)),
        *(("mouth", EYES_AT, 0), ("sunglasses", EYES_AT, 0.4), ("sunglasses", MOUTH_AT, 0)),
        *(("mask", MOUTH_AT, 0.7), ("mask", EYES_AT, 0), ("half", EYES_AT, 0.3)),
    ],
)
def test_a_cover_hides_what_it_is_named_after(kind: str, at: float, hidden: float):
    row = round(at * SIDE)
    found = share(kind, slice(row - 1, row + 1), size=0.5)
    assert (found >= hidden).all() if hidden else (found == 0).all()


def test_a_hand_has_the_tone_of_the_face():
    for tone in (0.2, 0.6):
        faces = np.full((FACES, SIDE, SIDE), tone, np.float32)
        found = covered("hand", faces, LINE[None], LINE[:, None], drawn(size=1))
        skin = found[found != np.float32(tone)] / tone
        assert 0.4 < skin.min() <= skin.max() < 1.3
