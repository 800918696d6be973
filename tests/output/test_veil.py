"""Hidden faces: nothing of them is left, at no edge of the picture and in no frame of a film."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.output.veil import HELD_S, Veil, hide
from mien.stream import Result
from mien.types import Box, Face, Reading, Readings, Scores

CHECKS = np.repeat((np.indices((240, 320)).sum(0) // 2 % 2 * 255)[..., None], 3, 2).astype(np.uint8)
"""Squares of 2 px: what is blurred is grey, what is not has steps of 255."""


def steps(part: NDArray[np.uint8]) -> int:
    """The largest difference of neighbours."""
    return max(int(np.abs(np.diff(part.astype(int), axis=a)).max(initial=0)) for a in (0, 1))


@pytest.mark.parametrize("size", [(100, 100), (60, 90), (9, 9)])
@pytest.mark.parametrize("x", [-40, -8, 0, 110, 260, 315])
@pytest.mark.parametrize("y", [-40, -8, 0, 70, 180, 237])
def test_a_hidden_face_leaks_at_no_edge_and_in_no_corner(x: int, y: int, size: tuple[int, int]):
    canvas, box = CHECKS.copy(), Box(x, y, *size)
    hide(canvas, [box])
    square = box.square(1.4).within(320, 240)
    if square is None:
        assert (canvas == CHECKS).all()
        return
    at = np.s_[square.y : square.y + square.height, square.x : square.x + square.width]
    assert steps(canvas[at]) < 140
    if min(square.width, square.height) > 24:
        assert steps(canvas[at]) < 40
    canvas[at] = CHECKS[at]
    assert (canvas == CHECKS).all(), "nothing else is changed"


def test_at_an_edge_a_face_is_hidden_as_well_as_elsewhere():
    """A strip of a face is not told in more averages than the same strip within a whole one."""
    canvas = np.zeros((240, 320, 3), np.uint8)
    canvas[:, 8:] = 255
    hide(canvas, [Box(-90, 100, 100, 100)])
    assert steps(canvas[110:190, :20]) == 0


def result(time_s: float, faces: dict[int | None, int], **more: bool) -> Result:
    """A frame of a film with faces, each by its id and its left edge."""
    scores = Scores(("happy",), (1.0,))
    readings = [
        Reading(Face(Box(x, 80, 60, 60), 0.9), scores, face_id=name) for name, x in faces.items()
    ]
    none = [Reading(None, None, "no_face")]
    return Result("f", 0, time_s, Readings(readings or none, labels=("happy",)), CHECKS, **more)


def hidden(results: list[Result]) -> list[tuple[bool, ...]]:
    """Of each frame, whether the places with their left edges at 40, 120 and 200 are hidden."""
    found = []

    def write(_: Result, pixels: NDArray[np.uint8]) -> None:
        found.append(tuple(steps(pixels[90:130, x : x + 60]) < 60 for x in (40, 120, 200)))

    with Veil(write) as veil:
        for one in results:
            veil.add(one)
    assert steps(CHECKS[90:130, 40:100]) == 255, "the frames that came are not drawn on"
    return found


def test_a_missed_face_stays_hidden_and_a_new_one_is_hidden_before_it_is_found():
    times = [0.1 * n for n in range(16)]
    found = hidden([result(t, {1: 120} if n == 7 else {}) for n, t in enumerate(times)])
    expected = [abs(n - 7) * 0.1 <= HELD_S + 1e-9 for n in range(16)]
    assert [middle for _, middle, _ in found] == expected
    assert not any(left or right for left, _, right in found)


def test_a_face_that_moves_is_hidden_where_it_is():
    assert hidden([result(0.0, {1: 40}), result(0.04, {1: 200})]) == [
        (True, False, False),
        (False, False, True),
    ]


def test_a_cut_ends_what_is_held():
    frames = [result(0.0, {1: 40}), result(0.04, {2: 200}, new_shot=True), result(0.08, {})]
    assert hidden(frames) == [(True, False, False), (False, False, True), (False, False, True)]


def test_a_film_that_fails_writes_no_more():
    def refuse(*_: object) -> None:
        raise AssertionError("nothing is to be written")

    with pytest.raises(KeyError), Veil(refuse) as veil:
        veil.add(result(0.0, {1: 40}))
        raise KeyError


def test_large_frames_do_not_pile_up():
    written = []
    large = np.zeros((4000, 5000, 3), np.uint8)  # 60 MB each, never touched
    with Veil(lambda one, _: written.append(one.time_s)) as veil:
        for n in range(3):
            one = result(n / 25, {})
            veil.add(Result("f", n, one.time_s, one.readings, large))
            assert len(written) == n
