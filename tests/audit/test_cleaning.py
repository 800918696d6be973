from pathlib import Path

import numpy as np
import pytest

from mien.audit.checks import Check, Finding
from mien.audit.cleaning import (
    cleaned,
    read_exclude,
    read_relabel,
    read_weights,
    relabelled,
    weighted,
    without,
    write_exclude,
    write_relabel,
    write_weights,
)
from mien.data import Dataset, Split
from mien.data.dataset import join
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


def doubt(name: str, proposed: str, check: Check = Check.OUTVOTED, split: str = "train") -> Finding:
    return Finding(check, name, "", split, "sad", proposed=proposed)


def test_training_pictures_get_the_label_that_all_who_doubt_theirs_propose(tmp_path: Path) -> None:
    findings = [
        doubt("b", "happy"),
        doubt("a", "fear"),
        doubt("b", "happy", Check.SUSPECT),
        doubt("c", "fear", Check.SUSPECT),
        doubt("d", "happy"),
        doubt("d", "fear", Check.SUSPECT),
        doubt("e", ""),
        doubt("t", "happy", split="public"),
        Finding(Check.LEAK, "z", "", "train", "sad"),
    ]
    assert write_relabel(tmp_path / "r.csv", findings) == 3
    assert (tmp_path / "r.csv").read_text().splitlines() == [
        "split,name,label,was,codes",
        "train,a,fear,sad,MD402",
        "train,b,happy,sad,MD402 MD401",
        "train,c,fear,sad,MD401",
    ]
    told = {("train", "a"): "fear", ("train", "b"): "happy", ("train", "c"): "fear"}
    assert read_relabel(tmp_path / "r.csv") == told


def two_labels() -> Dataset:
    data = dataset()
    return Dataset("letters", ("x", "y"), data.splits)


def test_labels_change_in_their_split_alone_and_before_pictures_go(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("split,name,label\ntrain,b,y\ntrain,a,x\n")
    found = cleaned(two_labels(), None, str(tmp_path / "r.csv"), None)
    assert found.split("train").labels.tolist() == [0, 1, 0]
    assert found.split("test").labels.tolist() == [0, 0, 0]
    assert found.split("train").names.tolist() == ["a", "b", "c"]
    assert found.split("train").digest != two_labels().split("train").digest
    excluded = str(table(tmp_path, "split,name\ntrain,a\n"))
    both = cleaned(two_labels(), excluded, str(tmp_path / "r.csv"), None)
    assert both.split("train").labels.tolist() == [1, 0]
    assert cleaned(two_labels(), None, None, None).split("train").labels.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("split,name\ntrain,a\n", "has no column label; expected the relabel.csv"),
        ("split,name,label\ntrain,q,y\n", "1 of 1 relabelled pictures are not in letters"),
        ("split,name,label\ntrain,a,z\n", "the relabel table says 'z'; letters has: x, y"),
        ("split,name,label\ntrain,a\n", "the relabel table says ''"),
    ],
)
def test_a_relabel_table_that_does_not_fit_is_told(tmp_path: Path, text, message) -> None:
    with pytest.raises(DataError, match=message):
        relabelled(two_labels(), read_relabel(table(tmp_path, text)))


def test_a_doubted_label_counts_as_much_as_a_model_believes_it(tmp_path: Path) -> None:
    doubts = [("c", "train", -0.5), ("b", "train", 0.0), ("a", "test", -1.0)]
    findings = [
        Finding(Check.SUSPECT, name, "", split, "x", score) for name, split, score in doubts
    ]
    assert write_weights(tmp_path / "w.csv", [*findings, doubt("a", "happy")]) == 2
    assert (tmp_path / "w.csv").read_text().splitlines() == [
        "split,name,weight",
        "train,b,0.5000",
        "train,c,0.2500",
    ]
    excluded = str(table(tmp_path, "split,name\ntrain,b\n"))
    found = cleaned(two_labels(), excluded, None, str(tmp_path / "w.csv")).split("train")
    assert found.weights is not None and found.weights.tolist() == [1, 0.25]
    assert join("both", [found, two_labels().split("test")]).weights.tolist() == [1, 0.25, 1, 1, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("split,name\ntrain,a\n", "has no column weight; expected the weights.csv"),
        ("split,name,weight\ntrain,q,1\n", "1 of 1 weighted pictures are not in letters"),
        ("split,name,weight\ntrain,a,much\n", "a has the weight 'much'; expected 0 or more"),
        ("split,name,weight\ntrain,a,-1\n", "a has the weight '-1'; expected 0 or more"),
        ("split,name,weight\ntrain,a,nan\n", "a has the weight 'nan'; expected 0 or more"),
        ("split,name,weight\ntrain,a,inf\n", "a has the weight 'inf'; expected 0 or more"),
    ],
)
def test_a_table_of_weights_that_does_not_fit_is_told(tmp_path: Path, text, message) -> None:
    with pytest.raises(DataError, match=message):
        weighted(two_labels(), read_weights(table(tmp_path, text)))


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_tables_that_a_spreadsheet_saved_are_read(tmp_path: Path, mark: str) -> None:
    weight = "0.5" if mark == "," else "0,5"
    text = "split,name,label,weight\ntrain,a,Joy,{}\n".replace(",", mark).format(weight)
    path = table(tmp_path, "\ufeff" + text)
    assert read_exclude(path) == {("train", "a")}
    assert read_relabel(path) == {("train", "a"): "happy"}
    assert read_weights(path) == {("train", "a"): 0.5}
