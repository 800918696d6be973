"""Where words go: beside their faces, over none of them, and not over one another."""

import itertools
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from mien import style
from mien.output.boxes import Mark, Place, arrange, mark, plate
from mien.style import COLOURS, rgb
from mien.types import Box


def apart(one: Place, other: Place) -> bool:
    return one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]


@pytest.mark.parametrize(
    ("face", "place"),
    [
        ((100, 100, 150, 160), (100, 80, 170, 100)),  # above
        ((100, 5, 150, 65), (100, 65, 170, 85)),  # below, where there is no room above
        ((0, 100, 40, 160), (0, 80, 70, 100)),
        ((360, 100, 400, 160), (330, 80, 400, 100)),  # never beside the picture
        ((100, 0, 150, 300), (150, 0, 220, 20)),  # right of a face as high as the picture
        ((350, 0, 400, 300), (280, 0, 350, 20)),
        ((0, 0, 400, 300), None),
    ],
)
def test_words_stand_at_their_box(face: Place, place: Place | None):
    assert arrange([(70, 20)], [face], (400, 300)) == [place]


def test_words_stand_farther_off_where_faces_are_close():
    """Nine faces that touch: all but the middle one have room at their boxes."""
    faces = [(x, y, x + 50, y + 50) for y in (100, 150, 200) for x in (100, 150, 200)]
    places = arrange([(48, 18)] * 9, faces, (400, 400))
    assert None not in places
    assert apart(places[4], (145, 145, 205, 205)), "off its box"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [5, 26, 60])
def test_words_cover_no_face_and_no_other_words(seed: int, count: int):
    dice = np.random.default_rng(seed)
    corners = dice.integers(0, (1240, 680), (count, 2))
    sides = dice.integers(20, 150, (count, 1))
    faces = [tuple(map(int, f)) for f in np.concatenate([corners, corners + sides], 1)]
    caption = (0, 700, 120, 720)
    sizes = [(int(w), 18) for w in dice.integers(60, 130, count)]
    places = arrange(sizes, faces, (1280, 720), [caption])
    found = [place for place in places if place is not None]
    assert len(found) > 0.8 * count
    for place, solid in itertools.product(found, [*faces, caption]):
        assert apart(place, solid)
    assert all(apart(one, other) for one, other in itertools.combinations(found, 2))
    assert all(min(p) >= 0 and p[2] <= 1280 and p[3] <= 720 for p in found)


def test_a_line_leads_to_words_that_stand_off():
    faces = [Box(100 + 50 * i, 100 + 50 * j, 50, 50) for j in range(3) for i in range(3)]
    marks = [Mark(box, "", "happy 99 %", COLOURS["happy"]) for box in faces]
    marks[4] = Mark(faces[4], "", "sad 99 %", COLOURS["sad"])
    canvas = np.full((400, 400, 3), 77, np.uint8)
    mark(canvas, marks)
    blue = np.abs(canvas.astype(int) - rgb(COLOURS["sad"])).max(axis=2) < 40
    rows, columns = np.nonzero(blue)
    outside = (rows < 145) | (rows > 205) | (columns < 145) | (columns > 205)
    assert outside.sum() > 100, "words"
    assert {*range(152, 198)} <= {*rows} or {*range(152, 198)} <= {*columns}


@pytest.mark.parametrize("gap", [0, 14])
def test_in_a_dense_crowd_every_face_keeps_its_number(gap: int):
    """Where faces touch one another, too: numbers stand in the boxes' corners then."""
    colours = [f"#{40 + 7 * n:02x}10{200 - 5 * n:02x}" for n in range(25)]
    boxes = [Box(x * (30 + gap), y * (30 + gap), 30, 30) for y in range(5) for x in range(5)]

    def drawn(number: str) -> list[int]:
        canvas = np.full((4 * (30 + gap) + 30,) * 2 + (3,), 77, np.uint8)
        mark(canvas, [Mark(b, number, "sad 9 %", c) for b, c in zip(boxes, colours, strict=True)])
        return [(canvas == rgb(c)).all(axis=2).sum() for c in colours]

    pairs = zip(drawn("7"), drawn(""), strict=True)
    assert all(with_number > without + 30 for with_number, without in pairs)


def test_a_caption_stands_where_no_face_is():
    canvas = np.full((200, 400, 3), 77, np.uint8)
    mark(canvas, [Mark(Box(0, 120, 80, 80), "", "sad", COLOURS["sad"])], "not smoothed")
    assert (canvas[-10:, -60:] == 255).all(axis=2).any()
    assert not (canvas[-10:, :70] == 255).all(axis=(0, 2)).any()


def test_letters_lose_the_accents_that_the_typeface_lacks():
    assert (plate("überrascht", 20) == plate("uberrascht", 20)).all()


def test_words_of_another_script_are_drawn_by_a_typeface_that_has_it(monkeypatch):
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    monkeypatch.setattr(style, "_OF_SYSTEMS", {"none-such.ttf": "None", str(file): "DejaVu Sans"})
    words, face = style.lettering("счастье 97 %", 20)
    assert (words, face.getname()[0]) == ("счастье 97 %", "DejaVu Sans")
    assert style.lettering("счастье 98 %", 20)[1] is face, "opened once, whatever is written"
    assert style.lettering("快乐", 20)[1] is style.font(20)  # nobody has it here
    assert style.lettering("naïve", 20) == ("naive", style.font(20))


def test_without_such_a_typeface_letters_lose_their_accents_still(monkeypatch):
    monkeypatch.setattr(style, "_OF_SYSTEMS", {})
    assert style.lettering("sœur étonnée", 20) == ("sœur etonnee", style.font(20))
    assert style.lettering("행복", 20)[0] == "행복", "two boxes, not five"


def test_words_are_smaller_where_the_picture_is_narrow():
    canvas = np.full((80, 80, 3), 77, np.uint8)
    mark(canvas, [Mark(Box(20, 30, 30, 30), "12", "disgust 100 %", COLOURS["disgust"])])
    ground = (canvas[:28] == rgb(COLOURS["disgust"])).all(axis=2)
    assert ground.any(axis=0).sum() > 60
