import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mien import output
from mien.errors import InputError
from mien.sources import read_picture
from mien.types import Box, Face, Reading, Scores

LABELS = ("angry", "happy", "sad")


def readings(n: int) -> list[Reading]:
    return [
        Reading(Face(Box(10 * i, 5, 20, 24), 0.9), Scores(LABELS, (0.125, 0.75, 0.125)))
        for i in range(n)
    ]


def test_the_table_has_a_row_per_face_with_box_label_and_all_probabilities():
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(output.to_table(readings(2), LABELS))
    text = console.export_text()
    assert len(text.strip().splitlines()) == 3
    assert "10 5 20 24" in text
    assert "happy 75%" in text
    assert "0.125" in text


def test_the_table_takes_no_label_for_markup():
    console = Console(width=120, record=True, file=io.StringIO())
    labels = ("[red]", "[/]")
    face = Face(Box(0, 0, 9, 9), 0.9)
    console.print(output.to_table([Reading(face, Scores(labels, (0.25, 0.75)))], labels))
    text = console.export_text()
    assert "[red]" in text
    assert "[/] 75%" in text


@pytest.mark.parametrize("faces", [0, 1, 3, 20])
@pytest.mark.parametrize("shape", [(40, 60), (700, 300)])
def test_a_drawing_keeps_the_picture_and_adds_panels(faces: int, shape: tuple[int, int]):
    picture = np.full((*shape, 3), 77, np.uint8)
    drawn = output.draw(picture, readings(faces))
    scale = max(1, 480 / shape[0])
    assert drawn.shape[0] >= round(shape[0] * scale)
    assert (drawn.shape[1] > round(shape[1] * scale)) == (faces > 0)
    assert (picture == 77).all(), "the caller's picture is not drawn on"
    assert faces == 0 or len(np.unique(drawn)) > 3


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_saved_picture_can_be_read_back(tmp_path: Path, suffix: str):
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[..., 0] = 200  # red
    output.save_picture(tmp_path / f"p{suffix}", picture)
    again = read_picture(tmp_path / f"p{suffix}")
    assert again.shape == picture.shape
    assert again[..., 0].mean() > 180 > 20 > again[..., 2].mean()


def test_an_unknown_suffix_is_refused_and_writes_nothing(tmp_path: Path):
    with pytest.raises(InputError, match=r"use \.png, \.jpg or \.webp"):
        output.save_picture(tmp_path / "p.xyz", np.zeros((8, 8, 3), np.uint8))
    assert not list(tmp_path.iterdir())
