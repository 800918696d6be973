"""`mien data votes`: FER+'s table, joined to a folder by the pixels of fer2013.csv."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mien.cli import app
from mien.data import Dataset, Split, open_dataset
from mien.data.ferplus import join_votes, match_votes
from mien.errors import DataError, InputError
from mien.labels import FER2013_CSV

USAGES = {"train": "Training", "public": "PublicTest", "private": "PrivateTest"}
NAMES = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
HEADER = NAMES.split(",")


def rows_of(data: Dataset) -> list[tuple[str, str, np.ndarray]]:
    """Usage, label and pixels of each picture, in an order that is not the folder's."""
    rows = []
    for name, split in data.splits.items():
        found = [
            (USAGES[name], data.labels[label], image)
            for image, label in zip(split.images, split.labels, strict=True)
        ]
        rows += found[::-1]
    return rows


def write_tables(
    folder: Path, rows: Sequence[tuple[str, str, np.ndarray]], votes: Sequence[Sequence[int]]
) -> tuple[Path, Path]:
    """fer2013new.csv and fer2013.csv; votes of -1 are those of pictures that FER+ dropped."""
    table, pixels = folder / "fer2013new.csv", folder / "fer2013.csv"
    with table.open("w", newline="") as one, pixels.open("w", newline="") as other:
        writer, of_pixels = csv.writer(one), csv.writer(other)
        writer.writerow(["Usage", "Image name", *HEADER])
        of_pixels.writerow(["emotion", "pixels", "Usage"])
        for number, ((usage, label, image), given) in enumerate(zip(rows, votes, strict=True)):
            name, counts = (f"fer{number:07d}.png", given) if given[0] >= 0 else ("", [0] * 10)
            writer.writerow([usage, name, *counts])
            values = " ".join(map(str, image.ravel().tolist()))
            of_pixels.writerow([FER2013_CSV.index(label), values, usage])
    return table, pixels


def test_the_command_makes_the_table_of_a_folder(drawn: Path, tmp_path: Path):
    rows = rows_of(open_dataset(drawn))
    votes = [[i % 10, *(10 - i % 10 - j for j in range(9))] for i in range(len(rows))]
    votes[3] = [-1] * 10
    table, pixels = write_tables(tmp_path, rows, votes)
    out = tmp_path / "votes.csv"
    asked = [table, "--pixels", pixels, "--data", drawn, "--out", out]
    told = CliRunner().invoke(app, ["data", "votes", *map(str, asked)], catch_exceptions=False)
    assert f"{len(rows) - 1:,} pictures" in told.output
    assert "1 that FER+ dropped, 0 not in" in " ".join(told.output.split())
    with out.open() as file:
        assert next(csv.reader(file)) == ["path", *HEADER]
    given = {image.tobytes(): vote for (*_, image), vote in zip(rows, votes, strict=True)}
    for split in open_dataset(drawn).splits.values():
        found = join_votes(split, out).tolist()
        assert found == [given[image.tobytes()] for image in split.images]


def test_the_real_table_comes_back(fer2013: Dataset, shared: Path, tmp_path: Path):
    some = {
        name: split.take(np.flatnonzero(split.labels == 1))
        for name, split in fer2013.splits.items()
    }
    data = Dataset("fer2013", fer2013.labels, some)
    real = shared / "data" / "ferplus_votes.csv"
    expected = np.concatenate([join_votes(split, real) for split in some.values()])
    backward = np.concatenate([join_votes(split, real)[::-1] for split in some.values()])
    table, pixels = write_tables(tmp_path, rows_of(data), backward.tolist())
    found = match_votes(data, open_dataset(pixels), table)
    found.save(tmp_path / "votes.csv")
    assert (found.unknown, found.dropped) == (0, (expected[:, 0] < 0).sum())
    again = [join_votes(split, tmp_path / "votes.csv") for split in some.values()]
    assert (np.concatenate(again) == expected).all()


FACE, OTHER = np.zeros((48, 48), np.uint8), np.full((48, 48), 9, np.uint8)


def pictures(*given: tuple[str, str, str, np.ndarray]) -> Dataset:
    """A data set of (split, label, name, pixels)."""
    splits = {
        split: Split(
            split,
            np.stack([image for s, *_, image in given if s == split]),
            np.array([("angry", "sad").index(label) for s, label, *_ in given if s == split]),
            np.array([name for s, _, name, _ in given if s == split]),
        )
        for split in dict.fromkeys(split for split, *_ in given)
    }
    return Dataset("folder", ("angry", "sad"), splits)


def test_copies_take_rows_of_their_own_split_and_label_in_order(tmp_path: Path):
    usages = ("Training", "Training", "Training", "PublicTest")
    labels = ("angry", "sad", "angry", "angry")
    rows = [(u, label, FACE) for u, label in zip(usages, labels, strict=True)]
    table, pixels = write_tables(tmp_path, rows, [[i + 1] * 10 for i in range(4)])
    data = pictures(
        ("train", "sad", "a", FACE),
        ("train", "angry", "b", FACE),
        ("train", "angry", "c", FACE),
        ("train", "angry", "d", OTHER),
        ("public", "angry", "e", FACE),
        ("public", "angry", "f", FACE),
    )
    found = match_votes(data, open_dataset(pixels), table)
    assert {name: int(votes[0]) for name, votes in found.votes.items()} == {
        "a": 2,
        "b": 1,
        "c": 3,
        "e": 4,
    }
    assert (found.dropped, found.unknown) == (0, 2)


def test_what_needs_no_table_or_has_other_pixels_is_told(tmp_path: Path):
    table, pixels = write_tables(tmp_path, [("Training", "angry", FACE)], [[1] * 10])
    opened = open_dataset(pixels)
    with pytest.raises(InputError, match=r"fer2013\.csv needs no other table: give .*new\.csv"):
        match_votes(opened, opened, table)
    with pytest.raises(DataError, match=r"not one picture of folder is in fer2013\.csv"):
        match_votes(pictures(("train", "sad", "a", OTHER)), opened, table)
