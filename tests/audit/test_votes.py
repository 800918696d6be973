import csv
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")

from mien.audit.pool import Pool, pool
from mien.audit.votes import check_votes, join
from mien.data import Dataset, Split
from mien.errors import DataError
from mien.labels import FER2013, FERPLUS


def seen(*splits: str) -> Pool:
    """Per split a happy picture for each row of votes below."""
    parts = {}
    for name in splits:
        names = np.array([f"{name}/happy/{number}.png" for number in range(len(VOTES))])
        images = np.zeros((len(VOTES), 48, 48), np.uint8)
        parts[name] = Split(name, images, np.full(len(VOTES), FER2013.index("happy")), names)
    return pool(Dataset("voted", FER2013, parts))


VOTES = (
    ({"happy": 10}, None),
    ({"sad": 8, "happy": 2}, "MD402"),
    ({"sad": 7, "happy": 3}, None),
    ({"contempt": 9, "happy": 1}, "MD402"),
    ({"no_face": 6, "happy": 4}, "MD203"),
    ({"unknown": 9, "happy": 1}, "MD403"),
    ({"happy": 5, "sad": 5}, "MD403"),
    (None, "MD203"),
    ({"no_face": 5, "happy": 4, "sad": 1}, "MD203"),
    ({"no_face": 4, "happy": 6}, None),
    ({"sad": 4, "angry": 4, "happy": 2}, "MD403"),
    ({"unknown": 4, "happy": 6}, None),
    ({"surprise": 10}, "MD402"),
    ({"happy": 0}, "MD203"),
)
TOLD = {
    "MD203": [
        (4, "6 of 10 say no_face", 0.6),
        (7, "dropped by FER+", 1),
        (8, "5 of 10 say no_face", 0.5),
        (13, "dropped by FER+", 1),
    ],
    "MD402": [
        (12, "10 of 10 say surprise", 1),
        (3, "9 of 10 say contempt", 0.9),
        (1, "8 of 10 say sad", 0.8),
    ],
    "MD403": [
        (5, "9 of 10 say unknown", 0.9),
        (6, "5 of 10 say happy", 0.5),
        (10, "4 of 10 say sad", 0.4),
    ],
}
"""Number, words and score by code; of labels that voters are against, the clearest come first."""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    with (tmp_path / "votes.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", *FERPLUS])
        for number, (votes, _) in enumerate(VOTES):
            if votes:
                rows.writerow(
                    [f"train/happy/{number}.png", *(votes.get(name, 0) for name in FERPLUS)]
                )
    return tmp_path / "votes.csv"


@pytest.mark.parametrize("splits", [("train",), ("train", "private")])
def test_each_kind_of_vote_has_its_code(table: Path, splits: tuple[str, ...]) -> None:
    pictures = seen(*splits)
    found = list(check_votes(pictures, join(pictures, table)))
    codes = {finding.name: finding.check.code for finding in found}
    assert len(found) == len(codes)
    assert codes == {
        f"train/happy/{number}.png": code for number, (_, code) in enumerate(VOTES) if code
    }
    for code, expected in TOLD.items():
        rows = [(f.row, f.detail, pytest.approx(f.score)) for f in found if f.check.code == code]
        assert (sorted(rows, key=lambda row: row[0]) if code == "MD203" else rows) == expected


def test_a_clear_vote_proposes_its_class_where_the_data_has_it(table: Path) -> None:
    pictures = seen("train")
    found = check_votes(pictures, join(pictures, table))
    proposed = {finding.row: finding.proposed for finding in found if finding.proposed}
    assert proposed == {1: "sad", 12: "surprise"}


def test_a_table_of_other_pictures_is_told(table: Path) -> None:
    pictures = seen("private")
    with pytest.raises(DataError, match="is it the table of these pictures"):
        join(pictures, table)
