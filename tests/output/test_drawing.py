"""Tables in the terminal, and drawings: what they say, and where.

`drawn.png` and `overlay.png` are what a person has looked at and found right; after a change that
is meant, `python -m tests.output.test_drawing` makes them anew.
"""

import io
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from mien import output
from mien.errors import InputError
from mien.output import boxes, panels
from mien.sources import read_picture
from mien.style import COLOURS, rgb
from mien.types import Box, Face, Reading, Scores

LABELS = ("angry", "happy", "sad")
HAPPY = rgb(COLOURS["happy"])
HERE = Path(__file__).parent


def reading(box: Box, values: tuple[float, ...] = (0.125, 0.75, 0.125), **more) -> Reading:
    return Reading(Face(box, more.pop("score", 0.9)), Scores(LABELS, values), **more)


def readings(n: int) -> list[Reading]:
    return [reading(Box(10 * i, 5, 20, 24)) for i in range(n)]


NO_FACE = Reading(None, None, "no_face")


def printed(given: list[Reading], labels: tuple[str, ...] = LABELS) -> list[list[str]]:
    """The cells of the table as they are shown, row by row."""
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(output.to_table(given, labels))
    return [line.split("  ") for line in console.export_text().rstrip().splitlines()]


def cells(row: list[str]) -> list[str]:
    return [cell.strip() for cell in row if cell.strip()]


def test_the_table_has_a_row_per_face_with_box_score_label_and_all_probabilities():
    heading, first, second, third = printed(
        [
            reading(Box(10, 5, 20, 24)),
            NO_FACE,
            reading(Box(-1, 0, 7, 8), (0.5, 0.2, 0.3), score=None, status="unsure"),
            reading(Box(0, 0, 9, 9), (0.1, 0.2, 0.7), score=0.456, status="small"),
        ]
    )
    names = ["face", "box (x y w h)", "detector score", "expression", *LABELS]
    assert cells(heading) == names
    assert cells(first) == ["1", "10 5 20 24", "0.90", "happy 75 %", "0.125", "0.750", "0.125"]
    assert cells(second) == [
        *("3", "-1 0 7 8", "-", "angry 50 % (unsure)", "0.500", "0.200", "0.300"),
    ]
    assert cells(third) == [
        *("4", "0 0 9 9", "0.46", "sad 70 % (small)", "0.100", "0.200", "0.700"),
    ]


def test_the_highest_probability_stands_out_and_the_others_stand_back():
    table = output.to_table([reading(Box(0, 0, 9, 9))], LABELS)
    assert [next(iter(c.cells)) for c in table.columns[4:]] == [
        "[dim]0.125[/dim]",
        "[bold]0.750[/bold]",
        "[dim]0.125[/dim]",
    ]


def test_the_table_takes_no_label_for_markup():
    labels = ("[red]", "[/]")
    face = Face(Box(0, 0, 9, 9), 0.9)
    heading, row = printed([Reading(face, Scores(labels, (0.25, 0.75)))], labels)
    assert cells(heading)[4:] == ["[red]", "[/]"]
    assert cells(row)[3] == "[/] 75 %"


@pytest.fixture
def words(monkeypatch) -> list[str]:
    """The words that are drawn, in the order they are."""
    told, plate = [], boxes.plate
    for module in (boxes, panels):
        monkeypatch.setattr(module, "plate", lambda *a: told.append(a[0]) or plate(*a))
    return told


def test_a_drawing_numbers_each_face_and_tells_all_of_its_probabilities(words):
    picture = np.full((480, 480, 3), 77, np.uint8)
    sad = reading(Box(250, 250, 90, 90), (0.1, 0.3, 0.6), status="unsure")
    output.draw(picture, [NO_FACE, reading(Box(10, 10, 90, 90)), sad])
    assert words == [
        *("1", "2", "happy 75 %", "sad 60 %, unsure"),
        *("1   happy 75 %", "angry", "12 %", "happy", "75 %", "sad", "12 %"),
        *("2   sad 60 %, unsure", "angry", "10 %", "happy", "30 %", "sad", "60 %"),
    ]
    assert (picture == 77).all(), "the caller's picture is not drawn on"


def test_a_small_face_has_its_number_beside_it(words):
    output.overlay(np.full((480, 480, 3), 77, np.uint8), [reading(Box(9, 9, 20, 20), face_id=7)])
    assert words[1:] == ["7 happy 75 %"], "the first was measured and not drawn"


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((480, 640), (480, 640)),
        ((700, 300), (700, 300)),
        ((240, 320), (480, 640)),  # enlarged so that the words can be read
        ((481, 100), (481, 100)),
        ((20, 30), (240, 360)),  # but no more than 12 times
        ((40, 1000), (320, 8000)),  # nor to more than 8000 px
        ((40, 9000), (40, 9000)),
        ((1, 1), (12, 12)),
    ],
)
def test_a_small_picture_is_enlarged(shape, expected):
    """Without a face, nothing is beside it."""
    pixels = np.full((*shape, 3), 77, np.uint8)
    drawn = output.draw(pixels, [NO_FACE])
    assert drawn.shape == (*expected, 3)
    assert (drawn == 77).all()


def matching(drawn: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return (drawn == colour).all(axis=2)


@pytest.mark.parametrize("scale", [1, 2])
def test_a_box_is_drawn_around_its_face(scale):
    height = 480 // scale
    drawn = output.draw(np.full((height, 400, 3), 77, np.uint8), [reading(Box(100, 120, 60, 90))])[
        :, : 400 * scale
    ]
    left, top, right, bottom = (v * scale for v in (100, 120, 160, 210))
    for x, y in ((left, top + 40), (right - 1, top + 20), (left + 9, bottom - 1)):
        assert tuple(drawn[y, x]) == HAPPY, (x, y)
    for x, y in ((left - 1, top + 40), (right, top + 20), (left + 9, bottom)):
        assert tuple(drawn[y, x]) == (0, 0, 0), "a border that contrasts"
    assert tuple(drawn[(top + bottom) // 2, (left + right) // 2]) == (77, 77, 77)
    assert tuple(drawn[top - 15, left + 2]) == HAPPY, "the words stand above"
    assert tuple(drawn[top + 4, left + 2]) == HAPPY, "the number is in the corner"


@pytest.mark.parametrize(("status", "shares"), [("ok", {1.0}), ("unsure", {0.5}), ("small", {0.5})])
def test_a_box_is_dashed_unless_its_status_is_ok(status: str, shares: set[float]):
    frame = np.full((480, 400, 3), 77, np.uint8)
    drawn = output.overlay(frame, [reading(Box(100, 100, 180, 180), status=status)])
    side = matching(drawn[102:278, 279:280], HAPPY).mean()
    assert {round(2 * float(side)) / 2} == shares


def test_bars_are_as_long_as_the_probabilities_in_the_colours_of_their_expressions():
    values = (0.2, 0.55, 0.25)
    drawn = output.draw(np.full((480, 100, 3), 77, np.uint8), [reading(Box(9, 9, 9, 9), values)])
    bars = drawn[30:, 100:]
    lengths = [matching(bars, rgb(COLOURS[n])).any(axis=0).sum() for n in LABELS]
    assert lengths == pytest.approx([78 * v for v in values], abs=1)
    rows = [np.flatnonzero(matching(bars, rgb(COLOURS[n])).any(axis=1))[0] for n in LABELS]
    assert rows == sorted(rows), "in the order of the labels"


@pytest.mark.parametrize("faces", [1, 4, 5, 11])
def test_panels_stand_in_columns_beside_the_picture(faces):
    picture = np.full((480, 600, 3), 77, np.uint8)
    drawn = output.draw(picture, [reading(Box(9, 9, 9, 9))] * faces)
    assert drawn.shape[0] == 480
    heads = matching(drawn[:, 600:], HAPPY)
    found, *_ = cv2.connectedComponents(cv2.dilate(heads.astype(np.uint8), np.ones((3, 3))))
    assert found - 1 == 2 * faces, "a heading and a bar for each"
    assert drawn.shape[1] <= 1200 + 20


def test_panels_that_are_higher_than_the_picture_are_not_cut():
    drawn = output.draw(np.full((5, 1000, 3), 77, np.uint8), [reading(Box(1, 1, 3, 3))] * 2)
    assert drawn.shape[0] > 60
    assert (drawn[60:, :8000] == 255).all()


def test_a_frame_shows_the_id_and_the_smoothed_expression(words):
    smoothed = Scores(LABELS, (0.9, 0.05, 0.05))
    frame = np.full((90, 120, 3), 77, np.uint8)
    shown = output.overlay(
        frame,
        [
            reading(Box(10, 40, 20, 20), face_id=0, smoothed=smoothed),
            NO_FACE,
            reading(Box(60, 40, 20, 20), face_id=12),
            reading(Box(90, 40, 20, 20)),
        ],
    )
    told = {"0 angry 90 %", "12 happy 75 %", "happy 75 %", "smoothed over 0.4 s"}
    assert told <= {*words}
    assert shown.shape == frame.shape
    assert (frame == 77).all(), "the caller's frame is not drawn on"


def test_a_frame_without_a_face_is_as_it_was():
    frame = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    for blur in (False, True):
        assert (output.overlay(frame, [NO_FACE], blur=blur) == frame).all()


NOISE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)


def test_all_faces_are_hidden_before_any_is_named():
    """The box of one lies within what is hidden of another."""
    one, other = reading(Box(200, 200, 100, 100)), reading(Box(300, 200, 100, 100))
    hidden = output.overlay(NOISE, [one, other], blur=True)
    for x in (200, 299, 300, 399):
        assert tuple(hidden[250, x]) in (HAPPY, (0, 0, 0)), "not wiped out by the other"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ""])
def test_a_saved_picture_can_be_read_back(tmp_path: Path, suffix: str):
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[..., 0] = 200  # red
    output.save_picture(tmp_path / "new" / f"p{suffix}", picture)
    again = read_picture(tmp_path / "new" / f"p{suffix}")
    assert again.shape == picture.shape
    assert again[..., 0].mean() > 180 > 20 > again[..., 2].mean()
    assert suffix in (".jpg", ".webp") or (again == picture).all()


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("p.xyz", (8, 8, 3), r"p\.xyz: cannot write '\.xyz'; use \.png, \.jpg or \.webp"),
        ("p.webp", (4, 20_000, 3), r"p\.webp: 20000x4 px do not fit; use \.png"),
    ],
)
def test_what_cannot_be_saved_is_refused_and_writes_nothing(tmp_path: Path, name, shape, message):
    with pytest.raises(InputError, match=message):
        output.save_picture(tmp_path / name, np.zeros(shape, np.uint8))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("width", [60, 400])
def test_a_frame_says_whether_its_probabilities_are_smoothed(width: int, words):
    frame = np.full((120, width, 3), 77, np.uint8)
    photo = reading(Box(5, 5, 30, 30))
    raw, smoothed = replace(photo, time_s=0.5), replace(photo, time_s=0.5, smoothed=photo.scores)
    without, caption = (output.overlay(frame, [one])[-25:] for one in (photo, smoothed))
    assert (without == 77).all()
    output.overlay(frame, [raw])
    output.draw(frame, [smoothed])
    assert {"not smoothed", "smoothed over 0.4 s"} <= {*words}
    assert (caption == 255).all(axis=2).sum() > 200
    assert width == 60 or caption.min() < 70
    assert (caption[:, width * 19 // 20 :] == 77).all(), "all its words fit"


def golden() -> dict[str, NDArray[np.uint8]]:
    """A drawing and a frame with everything in them."""
    dice = np.random.default_rng(1).integers(0, 256, (4, 5, 3), np.uint8)
    frame = np.repeat(np.repeat(dice, 60, 0), 60, 1)
    picture = np.full((160, 200, 3), 77, np.uint8)
    picture[140:150, ::20] = 255  # edges, by which enlarging can be seen
    given = [
        reading(Box(20, 60, 50, 60), (0.5, 0.2, 0.3), face_id=0),
        NO_FACE,
        reading(Box(150, 4, 40, 40), (0.02, 0.9, 0.08), face_id=3, status="unsure"),
    ]
    close = [(i, Box(1 + 42 * i, 1 + 60 * j, 41, 59)) for i in (3, 4) for j in (0, 1)]
    crowd = [reading(box, face_id=i) for i, box in close]
    return {
        "drawn.png": output.draw(picture, given),
        "overlay.png": output.overlay(frame, [*given, *crowd], blur=True),
    }


@pytest.mark.parametrize("name", ["drawn.png", "overlay.png"])
def test_drawings_look_as_they_were_found_right(name):
    expected, drawn = read_picture(HERE / name), golden()[name]
    assert drawn.shape == expected.shape
    different = np.abs(drawn.astype(int) - expected.astype(int)).max(axis=2) > 24
    assert different.sum() <= 20, "look at both; if it is meant, make it anew"


if __name__ == "__main__":
    for name, picture in golden().items():
        output.save_picture(HERE / name, picture)
