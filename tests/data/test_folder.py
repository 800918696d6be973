import shutil
import zipfile
from pathlib import Path

import pytest

from mien.data import open_dataset
from mien.errors import DataError
from mien.labels import FER2013


def zipped(folder: Path, target: Path, top: str = "") -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, top + file.relative_to(folder).as_posix())
    return target


def in_top_folder(folder: Path) -> Path:
    top = folder.parent / "outer" / "archive"
    shutil.copytree(folder, top / "fer2013")
    return top


FORMS = {
    "folder": lambda folder: folder,
    "folder in a folder": in_top_folder,
    "zip": lambda folder: zipped(folder, folder.parent / "a.zip"),
    "zip with a top folder": lambda folder: zipped(folder, folder.parent / "b.ZIP", "fer2013/"),
}


@pytest.mark.parametrize("form", FORMS)
def test_kaggle_s_layout_opens_alike_in_every_form(kaggle, form):
    data = open_dataset(FORMS[form](kaggle))
    assert data.labels == FER2013
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 3,
        "public": 1,
        "private": 1,
    }
    assert data.split("train").labels.tolist() == [0, 3, 3]
    same = open_dataset(kaggle)
    for name in ("train", "public", "private", "test"):
        assert data.split(name).digest == same.split(name).digest


@pytest.mark.parametrize("split", ["train", "Training", "valid", "Validation", "test"])
def test_split_folders_have_several_spellings(tmp_path, picture, split):
    (tmp_path / split / "cat").mkdir(parents=True)
    (tmp_path / split / "cat" / "a.jpg").write_bytes(picture(format="JPEG"))
    names = {"Training": "train", "valid": "val", "Validation": "val"}
    assert list(open_dataset(tmp_path).splits) == [names.get(split, split)]


@pytest.mark.parametrize("top", ["", "my pictures/"])
def test_a_folder_per_class_without_splits_is_all_training(tmp_path, picture, top):
    for seed, label in enumerate(["Contempt", "happiness"]):
        folder = tmp_path / "data" / top / label
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(picture(seed))
    data = open_dataset(tmp_path / "data")
    assert data.labels == ("contempt", "happy")
    assert data.split("train").labels.tolist() == [0, 1]


def test_hidden_files_and_system_litter_are_passed_over(kaggle, picture):
    expected = open_dataset(kaggle).split("train").digest
    for name in (".DS_Store", "train/Thumbs.db", "__MACOSX/train/angry/._Training_1.png"):
        (kaggle / name).parent.mkdir(parents=True, exist_ok=True)
        (kaggle / name).write_bytes(b"litter")
    assert open_dataset(kaggle).split("train").digest == expected


def put(name: str, content: bytes):
    def damage(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return damage


def truncate(folder: Path) -> None:
    file = folder / "train/angry/Training_1.png"
    file.write_bytes(file.read_bytes()[:500])


DAMAGES = {
    "stray text": (
        put("train/angry/notes.txt", b"hello"),
        r"train/angry/notes\.txt is not a picture; move it out of the data set",
    ),
    "text named png": (
        put("train/angry/notes.png", b"hello"),
        r"train/angry/notes\.png is not a readable picture .*; replace it or move it out",
    ),
    "empty picture": (put("train/sad/a.png", b""), r"train/sad/a\.png is empty \(0 bytes\)"),
    "truncated picture": (truncate, r"train/angry/Training_1\.png is truncated"),
    "no class folder": (put("train/a.png", b"x"), r"train/a\.png has no class folder; expected"),
    "folder too deep": (put("train/a/b/c.png", b"x"), r"train/a/b/c\.png has no class folder"),
    "unknown label": (
        put("train/bored/Training_9.png", b"x"),
        r"train/bored/Training_9\.png: unknown label 'bored'; expected angry, disgust",
    ),
}


@pytest.mark.parametrize("form", ["folder", "zip"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_data_set_is_told_in_one_line_with_the_file(kaggle, damage, form, mien_home):
    spoil, message = DAMAGES[damage]
    spoil(kaggle)
    kept = set((mien_home / "data").glob("*"))
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(FORMS[form](kaggle))
    assert "\n" not in str(caught.value)
    assert set((mien_home / "data").glob("*")) == kept


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(DataError, match=r"holds no pictures; expected train/<class>/"):
        open_dataset(tmp_path)


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flip_bytes(data: bytes) -> bytes:
    return data[:200] + bytes(255 - b for b in data[200:600]) + data[600:]


def encrypt(data: bytes) -> bytes:
    """Set the `encrypted` bit of every entry."""
    spoiled = bytearray(data)
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := data.find(mark, place + 1)) >= 0:
            spoiled[place + flags] |= 1
    return bytes(spoiled)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut, "not a whole zip file"),
        (lambda _: b"", "not a whole zip file"),
        (lambda _: b"no zip", "not a whole zip file"),
        (flip_bytes, "not a whole zip file"),
        (encrypt, "encrypted"),
    ],
    ids=["cut", "empty", "text", "flipped bytes", "encrypted"],
)
def test_a_broken_zip_is_told(kaggle, spoil, message):
    archive = zipped(kaggle, kaggle.parent / "a.zip")
    archive.write_bytes(spoil(archive.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(archive)
    assert str(archive) in str(caught.value)
