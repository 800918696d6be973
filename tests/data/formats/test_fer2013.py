import numpy as np
import pytest

from mien.data import open_dataset
from mien.data.formats import find
from mien.data.formats.fer2013 import read_table
from mien.data.tree import Tree
from mien.errors import DataError

FACES = np.random.default_rng(0).integers(0, 256, (6, 48, 48), np.uint8)
TEXTS = [" ".join(map(str, face.ravel())) for face in FACES]
USAGES = ("Training", "Training", "PublicTest", "PrivateTest", "Training", "PublicTest")
EMOTIONS = (0, 6, 3, 4, 1, 5)
IN_MIEN_S_ORDER = (0, 4, 3, 5, 1, 6)


def fer2013(rows=range(6)) -> str:
    lines = [f"{EMOTIONS[i]},{TEXTS[i]},{USAGES[i]}" for i in rows]
    return "\n".join(["emotion,pixels,Usage", *lines]) + "\n"


def icml(_=None) -> str:
    lines = [f"{EMOTIONS[i]},{USAGES[i]}, {TEXTS[i]}" for i in range(6)]
    return "\n".join(["emotion, Usage, pixels", *lines]) + "\n"


FORMS = {
    "fer2013.csv": fer2013(),
    "icml_face_data.csv": icml(),
    "windows.csv": "\ufeff" + fer2013().replace("\n", "\r\n"),
    "quoted.csv": fer2013().replace(f",{TEXTS[0]},", f',"{TEXTS[0]}",'),
}


PUBLISHED = ("fer2013.csv", "icml_face_data.csv")


@pytest.mark.parametrize(
    ("name", "opened"), [(name, name) for name in FORMS] + [(name, "") for name in PUBLISHED]
)
def test_tables_with_usage_open_alike_as_file_or_in_their_folder(tmp_path, name, opened):
    (tmp_path / name).write_bytes(FORMS[name].encode())
    data = open_dataset(tmp_path / opened)
    for split, rows in {"train": [0, 1, 4], "public": [2, 5], "private": [3]}.items():
        found = data.split(split)
        assert (found.images == FACES[rows]).all()
        assert found.labels.tolist() == [IN_MIEN_S_ORDER[row] for row in rows]
        assert found.names.tolist() == [f"row {row}" for row in rows]


@pytest.mark.parametrize(
    ("test_csv", "expected"),
    [
        ("emotion,pixels\n" + f"3,{TEXTS[2]}\n", {"train": 2, "test": 1}),
        (f"pixels\n{TEXTS[2]}\n", {"train": 2}),
        (None, {"train": 2}),
    ],
    ids=["labelled", "unlabelled", "missing"],
)
def test_kaggle_s_pair_opens_with_or_without_labelled_tests(tmp_path, test_csv, expected):
    (tmp_path / "train.csv").write_text(f"emotion,pixels\n0,{TEXTS[0]}\n6,{TEXTS[1]}\n")
    if test_csv:
        (tmp_path / "test.csv").write_text(test_csv)
    data = open_dataset(tmp_path)
    assert {name: len(split) for name, split in data.splits.items()} == expected
    assert data.split("train").labels.tolist() == [0, 4]


@pytest.mark.parametrize(
    ("emotion", "label"),
    [
        ("0", "angry"),
        ("1", "disgust"),
        ("2", "fear"),
        ("3", "happy"),
        ("4", "sad"),
        ("5", "surprise"),
        ("6", "neutral"),
        (" 6 ", "neutral"),
        ("06", "neutral"),
        ("Happiness", "happy"),
        ("sad", "sad"),
    ],
)
def test_labels_are_numbers_in_fer2013_s_order_or_words(tmp_path, emotion, label):
    (tmp_path / "a.csv").write_text(f"emotion,pixels\n{emotion},{TEXTS[0]}\n")
    assert [r.label for r in read_table(tmp_path / "a.csv")] == [label]


@pytest.mark.parametrize(
    ("usage", "split"),
    [
        ("Training", "train"),
        ("PublicTest", "public"),
        ("PrivateTest", "private"),
        (" publictest ", "public"),
        ("", "val"),
        ("  ", "val"),
    ],
)
def test_usage_tells_the_split_and_where_it_is_empty_the_default_does(tmp_path, usage, split):
    (tmp_path / "a.csv").write_text(f"emotion,pixels,Usage\n0,{TEXTS[0]},{usage}\n")
    assert [r.split for r in read_table(tmp_path / "a.csv", "val")] == [split]


def test_rows_without_a_label_are_passed_over_but_counted(tmp_path):
    rows = [f",{TEXTS[0]}", f"3,{TEXTS[1]}", f"  ,{TEXTS[2]}", f"4,{TEXTS[3]}"]
    (tmp_path / "a.csv").write_text("\n".join(["emotion,pixels", *rows]))
    found = list(read_table(tmp_path / "a.csv"))
    assert [(r.split, r.label, r.name) for r in found] == [
        ("train", "happy", "row 1"),
        ("train", "sad", "row 3"),
    ]
    assert (found[1].pixels == FACES[3]).all()
    assert found[1].pixels.dtype == np.uint8


def test_pixels_may_be_black_and_white(tmp_path):
    (tmp_path / "a.CSV").write_text("emotion,pixels\n0," + "0 255 " * 1152)
    images = open_dataset(tmp_path / "a.CSV").split("train").images
    assert (images == np.tile(np.array([0, 255], np.uint8), 1152).reshape(1, 48, 48)).all()


@pytest.mark.parametrize(
    ("there", "read"),
    [
        (("fer2013.csv", "icml_face_data.csv", "train.csv", "test.csv"), "fer2013.csv"),
        (("icml_face_data.csv", "train.csv", "train/sad/a.png"), "icml_face_data.csv"),
        (("train.csv", "train/sad/a.png"), "train.csv"),
    ],
)
def test_of_several_tables_in_a_folder_one_is_read(tmp_path, there, read):
    """Each holds a picture of its own label."""
    for number, name in enumerate(("fer2013.csv", "icml_face_data.csv", "train.csv", "test.csv")):
        if name in there:
            (tmp_path / name).write_text(f"emotion,pixels\n{number},{TEXTS[number]}\n")
    if "train/sad/a.png" in there:
        (tmp_path / "train" / "sad").mkdir(parents=True)
        (tmp_path / "train" / "sad" / "a.png").write_bytes(b"no picture")
    label = {"fer2013.csv": 0, "icml_face_data.csv": 1, "train.csv": 2}[read]
    data = open_dataset(tmp_path)
    assert data.split("train").labels.tolist() == [label]
    assert list(data.splits) == ["train"]
    pictures = sum(name.endswith(".png") for name in there)
    assert sum(data.left_out.values()) == pictures


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "",
            r"has no column path and label \(it begins with ''\); expected the columns path,label",
        ),
        ("image,emotion\na.png,joy\n", r"begins with 'image,emotion'\); expected the columns path"),
        ("path,emotion\na.png,joy\n", r"has no column label \(it begins with 'path,emotion'\)"),
        ("a.png;happy\n", r"it begins with 'a\.png;happy'\); expected the columns path,label\["),
        ("emotion,pixels\n", "holds no pictures"),
        (f"pixels\n{TEXTS[0]}\n", "holds no pictures"),
        ("emotion,pixels\n0,1 2 3\n", r"line 2: expected 2304 pixels \(48x48\), got 3"),
        ("emotion,pixels\n0\n", "line 2: expected 2304 pixels"),
        (f"emotion,pixels\n0,{TEXTS[0]}\n1,{TEXTS[0]} 7\n", "line 3: .* got 2305"),
        ("emotion,pixels\n0," + "256 " * 2304, "line 2: expected pixels from 0 to 255"),
        ("emotion,pixels\n0," + "-1 " * 2304, "line 2: expected pixels from 0 to 255"),
        ("emotion,pixels\n0,256" + " 1" * 2303, "line 2: expected pixels from 0 to 255"),
        ("emotion,pixels\n0,-1" + " 255" * 2303, "line 2: expected pixels from 0 to 255"),
        ("emotion,pixels\n0," + "1 " * 2303, "line 2: expected 2304 pixels .* got 2303"),
        ("emotion,pixels\n0," + "1.5 " * 2304, "line 2: pixels are not all whole numbers"),
        ("emotion,pixels\n0," + "x " * 2304, "line 2: pixels are not all whole numbers"),
        ("emotion,pixels\n0," + "9" * 40 + " 1" * 2303, "line 2: (pixels are|expected pixels)"),
        (f"emotion,pixels\n7,{TEXTS[0]}\n", "line 2: unknown label '7'; expected one of angry"),
        (f"emotion,pixels\n-1,{TEXTS[0]}\n", "line 2: unknown label '-1'"),
        (f"emotion,pixels\n²,{TEXTS[0]}\n", "line 2: unknown label '²'"),
        (f"emotion,pixels\nbored,{TEXTS[0]}\n", "line 2: unknown label 'bored'"),
        (f"emotion,pixels,Usage\n0,{TEXTS[0]},Secret\n", "line 2: unknown Usage 'Secret'"),
        ("emotion,pixels\n0," + "1 " * 2**24, "field larger than"),
    ],
)
def test_a_table_that_does_not_fit_is_told_with_its_line(tmp_path, content, message):
    (tmp_path / "mine.csv").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(tmp_path / "mine.csv")
    assert "mine.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_binary_rubbish_named_csv_is_told(tmp_path):
    (tmp_path / "mine.csv").write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(DataError):
        open_dataset(tmp_path / "mine.csv")


def test_a_folder_with_another_table_of_that_name_is_not_fer2013(tmp_path):
    (tmp_path / "train.csv").write_text("path,label\na.png,happy\n")
    assert find(Tree.open(tmp_path)).name == "folder"


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_spreadsheet_s_separators_are_read(tmp_path, mark):
    heading, row = mark.join(["Emotion", "pixels", "Usage"]), mark.join(["3", TEXTS[0], "Training"])
    (tmp_path / "mine.csv").write_text(f"{heading}\r\n{row}\r\n")
    assert open_dataset(tmp_path / "mine.csv").split("train").labels.tolist() == [3]
