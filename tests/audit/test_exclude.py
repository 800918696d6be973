from pathlib import Path

import numpy as np
import pytest

from mien.audit.checks import Check, Finding
from mien.audit.exclude import read_exclude, without, write_exclude
from mien.data import Dataset, Split
from mien.errors import DataError, InputError


def dataset() -> Dataset:
    images = np.arange(3 * 4, dtype=np.uint8).reshape(3, 2, 2)
    names = np.array(["a", "b", "c"])
    parts = {name: Split(name, images, np.zeros(3, np.int64), names) for name in ("train", "test")}
    return Dataset("letters", ("x",), parts)


def table(folder: Path, text: str) -> Path:
    (folder / "exclude.csv").write_text(text)
    return folder / "exclude.csv"


def test_pictures_go_from_their_split_alone(tmp_path: Path) -> None:
    excluded = read_exclude(table(tmp_path, "split,name,codes\ntrain,b,MD301 MD304\n"))
    assert excluded == {("train", "b")}
    kept = without(dataset(), excluded)
    assert kept.split("train").names.tolist() == ["a", "c"]
    assert kept.split("train").images.tolist() == dataset().split("train").images[[0, 2]].tolist()
    assert kept.split("test").names.tolist() == ["a", "b", "c"]
    assert (kept.name, kept.labels) == ("letters", ("x",))


def test_training_pictures_with_an_error_are_written_with_their_codes(tmp_path: Path) -> None:
    findings = [
        Finding(Check.LEAK, "z", "", "train"),
        Finding(Check.REPEATED, "w", "", "train"),
        Finding(Check.BLANK, "a, b", "", "train"),
        Finding(Check.CONFLICT, "z", "", "train"),
        Finding(Check.LEAK, "t", "", "public"),
        Finding(Check.UNREADABLE, "u", ""),
        Finding(Check.UNCLEAR, "h", "", "train"),
    ]
    assert write_exclude(tmp_path / "e.csv", findings) == 2
    assert (tmp_path / "e.csv").read_bytes() == (
        b'split,name,codes\ntrain,"a, b",MD201\ntrain,z,MD301 MD303\n'
    )
    assert read_exclude(tmp_path / "e.csv") == {("train", "a, b"), ("train", "z")}
    assert write_exclude(tmp_path / "none.csv", []) == 0
    assert read_exclude(tmp_path / "none.csv") == frozenset()


def test_pictures_with_line_ends_in_their_names_can_be_left_out(tmp_path: Path) -> None:
    names = ["a\rb", "a\nb", "a\r\nb"]
    write_exclude(tmp_path / "e.csv", [Finding(Check.BLANK, name, "", "train") for name in names])
    assert read_exclude(tmp_path / "e.csv") == {("train", name) for name in names}


def test_nothing_to_exclude_changes_nothing(tmp_path: Path) -> None:
    excluded = read_exclude(table(tmp_path, "split,name\n"))
    assert without(dataset(), excluded).split("train").digest == dataset().split("train").digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column name and split"),
        ("name\na\n", "has no column split"),
        ("split,name\ntrain,b\ntrain,z\n", r"1 of 2 excluded pictures .* \(such as train z\)"),
        ("split,name\nval,a\n", "audit this data set again"),
        ("split,name\ntrain,a\ntrain,b\ntrain,c\n", "leaves no picture in train of letters"),
        ("split,name\ntrain\n", r"1 of 1 excluded pictures are not in letters \(such as train \)"),
    ],
)
def test_a_table_that_does_not_fit_is_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        without(dataset(), read_exclude(table(tmp_path, text)))


def test_a_table_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"exclude table .* does not exist"):
        read_exclude(tmp_path / "none.csv")
    with pytest.raises(DataError, match="not a readable table"):
        read_exclude(tmp_path)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(DataError, match="not a readable table"):
        read_exclude(tmp_path / "picture.png")
