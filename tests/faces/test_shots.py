"""Cuts are found, and neither light nor movement is taken for one."""

from collections.abc import Iterable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.demo import PORTRAIT
from mien.faces.shots import NEAR_S, Shots
from mien.sources import Frame, read_picture

Pixels = NDArray[np.uint8]
SIZE = (320, 180)
BLACK = np.zeros((180, 320, 3), np.uint8)


def texture(seed: int) -> Pixels:
    """A picture of blots of all sizes."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.integers(0, 255, (n, 2 * n, 3), np.uint8), (640, 360), interpolation=3)
        for n in (3, 9, 27)
    ]
    return np.mean(layers, 0).astype(np.uint8)


def seen(picture: Pixels, right: float = 0, zoom: float = 1, turn: float = 0) -> Pixels:
    """(180, 320, 3): the middle of a picture, as a camera shows it that moves."""
    rows, columns = picture.shape[:2]
    move = cv2.getRotationMatrix2D((columns / 2, rows / 2), turn, zoom)
    move[:, 2] += (SIZE[0] / 2 - columns / 2 - right, SIZE[1] / 2 - rows / 2)
    return np.asarray(cv2.warpAffine(picture, move, SIZE, borderMode=cv2.BORDER_REFLECT), np.uint8)


def told(frames: Iterable[Pixels], step_s: float = 0.04) -> tuple[list[int], list[int]]:
    """Numbers of the frames that begin a shot, and of those that differ much."""
    shots = Shots()
    marked = list(shots.mark(Frame(None, f, i, i * step_s) for i, f in enumerate(frames)))
    return [f.frame for f in marked if f.new_shot], [f.frame for f in marked if f.changed]


def test_each_cut_is_told_and_the_first_frame_is_none():
    portrait, scenes = read_picture(PORTRAIT), [texture(i) for i in range(3)]
    frames = [seen(scene, 2 * i) for scene in (scenes[0], portrait, *scenes[1:]) for i in range(5)]
    assert told(frames) == ([5, 10, 15], [5, 10, 15])


def test_a_cut_between_like_shots_is_told_by_their_colours():
    portrait = seen(read_picture(PORTRAIT))
    red, blue = (np.full((180, 320, 3), c, np.uint8) for c in ((200, 40, 40), (30, 30, 160)))
    for shot, x in ((red, 60), (blue, 150)):
        shot[20:160, x : x + 110] = portrait[20:160, 100:210]
    blue[20:160, 150:260] = blue[20:160, 150:260][:, :, [1, 0, 2]]
    assert told([red, red, blue, blue, red])[0] == [2, 4]


CAMERA = {
    "pan": lambda p, i: seen(p, 6 * i),
    "zoom": lambda p, i: seen(p, zoom=1.02**i),
    "turn": lambda p, i: seen(p, turn=1.5 * i),
    "fade": lambda p, i: (seen(p) * abs(i / 10 - 1)).astype(np.uint8),
    "flash": lambda p, i: np.clip(seen(p) * (4.0 if i in (7, 8) else 1), 0, 255).astype(np.uint8),
    "white": lambda p, i: np.full_like(BLACK, 255) if i in (7, 8) else seen(p),
}


@pytest.mark.parametrize("way", CAMERA)
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_movement_and_light_are_no_cuts(way: str, seed: int | None):
    picture = read_picture(PORTRAIT) if seed is None else texture(seed)
    assert told(CAMERA[way](picture, i) for i in range(20))[0] == []


@pytest.mark.parametrize(("dark", "new"), [(10, []), (30, [33])])
def test_what_comes_after_long_darkness_is_another_shot(dark: int, new: list[int]):
    """1 s is long; what comes may be other faces in any case."""
    shown = [seen(texture(1))] * 3
    assert told([*shown, *[BLACK] * dark, *shown]) == (new, [3 + dark])


def test_what_is_another_picture_after_darkness_is_another_shot():
    assert told([seen(texture(1)), BLACK, BLACK, seen(texture(2))])[0] == [3]


def test_frames_far_apart_are_not_compared():
    scenes = [seen(texture(i)) for i in range(4)]
    assert told(scenes, NEAR_S - 0.01)[0] == [1, 2, 3]
    assert told(scenes, NEAR_S + 0.01) == ([], [])


def test_a_frame_without_pixels_stays_as_it_is():
    broken = Frame("f", None, 1, 0.04, "breaks off")
    assert list(Shots().mark([broken])) == [broken]


def test_a_frame_that_repeats_the_one_before_is_told():
    one = seen(texture(0))
    other = one.copy()
    other[-1, -1, -1] ^= 1  # a single value
    shown = [one, one.copy(), other, other.copy(), one]
    frames = [Frame("film", pixels, i, i / 25) for i, pixels in enumerate(shown)]
    assert [frame.repeats for frame in Shots().mark(frames)] == [False, True, False, True, False]
