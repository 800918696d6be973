from pathlib import Path

import numpy as np
import pytest

from mien.audit.exclude import read_exclude, without
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
    assert kept.split("test").names.tolist() == ["a", "b", "c"]


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
        ("split,name\ntrain,a\ntrain,b\ntrain,c\n", "leaves no picture in train"),
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
