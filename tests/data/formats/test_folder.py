import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data import Asked, open_dataset
from mien.data.formats.folder import read, record
from mien.data.tree import Tree, wanted
from mien.errors import DataError
from mien.labels import FER2013
from tests.conftest import FER2013_FILES


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


@pytest.mark.parametrize(
    ("name", "split", "label"),
    [
        ("train/sad/a.png", "train", "sad"),
        ("Training/sad/a.png", "train", "sad"),
        ("val/sad/a.png", "val", "sad"),
        ("valid/sad/a.png", "val", "sad"),
        ("Validation/sad/a.png", "val", "sad"),
        ("test/sad/a.png", "test", "sad"),
        ("public/sad/a.png", "public", "sad"),
        ("PublicTest/sad/a.png", "public", "sad"),
        ("private/sad/a.png", "private", "sad"),
        ("PrivateTest/sad/a.png", "private", "sad"),
        ("test/sad/PublicTest_1.png", "public", "sad"),
        ("test/sad/PrivateTest_1.png", "private", "sad"),
        ("test/sad/Training_1.png", "test", "sad"),
        ("train/sad/PublicTest_1.png", "train", "sad"),
        ("val/sad/PrivateTest_1.png", "val", "sad"),
        ("my data/fer/test/Anger/a.png", "test", "angry"),
        ("train/test/a.png", "train", "test"),
        ("sad/a.png", "train", "sad"),
        ("my data/Happiness/PublicTest_1.png", "train", "happy"),
        ("train/bored/a.png", "train", "bored"),
    ],
)
def test_a_path_tells_split_and_label(tmp_path, name, split, label):
    found = record(name, Tree(tmp_path, (name,)))
    assert (found.split, found.label, found.name) == (split, label, name)


@pytest.mark.parametrize("top", ["", "train/"])
def test_a_folder_per_person_is_read_where_it_is_named(tmp_path, picture, top):
    for seed, name in enumerate(("happy/anna/1.png", "happy/ben/1.png", "sad/2.png")):
        file = tmp_path / "data" / top / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture(seed))
    with pytest.raises(DataError, match=r"read a folder per person with --format folder"):
        open_dataset(tmp_path / "data")
    train = open_dataset(tmp_path / "data", Asked("folder")).split("train")
    assert train.labels.tolist() == [3, 3, 5]
    assert train.persons.tolist() == ["anna", "ben", ""]


@pytest.mark.parametrize("form", ["folder", "zip"])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "WEBP"])
def test_pixels_are_those_of_the_file(tmp_path, form, format):
    """Compared with Pillow, grey as ITU-R 601 has it."""
    rng = np.random.default_rng(1)
    colours = np.repeat(np.repeat(rng.integers(0, 256, (4, 6, 3), np.uint8), 8, 0), 8, 1)
    file = tmp_path / "data" / "train" / "sad" / f"a.{format.lower()}"
    file.parent.mkdir(parents=True)
    Image.fromarray(colours).save(file)
    root = tmp_path / "data"
    [found] = read(Tree.open(root if form == "folder" else zipped(root, tmp_path / "a.zip")))
    expected = np.asarray(Image.open(file).convert("L"), np.int64)
    assert (found.pixels.shape, found.pixels.dtype) == ((32, 48), np.uint8)
    assert np.abs(found.pixels - expected).mean() < 1
    assert (found.split, found.label, found.name) == ("train", "sad", f"train/sad/{file.name}")


def test_pictures_come_in_the_order_of_their_paths(tmp_path, picture):
    names = ["train/sad/b.png", "test/sad/a.png", "train/fear/c.png", "train/sad/a.png"]
    for name in names:
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(picture())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.write(tmp_path / "data" / name, name)
    for found in (read(Tree.open(tmp_path / name)) for name in ("data", "a.zip")):
        assert [r.name for r in found] == sorted(names)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", True),
        ("train/sad/a.png", True),
        ("a/", False),
        ("train/", False),
        (".git/a.png", False),
        ("train/.a.png", False),
        ("Thumbs.db", False),
        ("train/DESKTOP.INI", False),
        ("__MACOSX/a.png", False),
        ("my__macosx/a.png", True),
        ("a.b/c.png", True),
    ],
)
def test_which_files_are_wanted(name, expected):
    assert wanted(name) == expected


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


def test_linked_folders_are_read_and_links_back_are_not_followed(kaggle, tmp_path, picture):
    pool = tmp_path / "pool" / "sad"
    pool.mkdir(parents=True)
    (pool / "a.png").write_bytes(picture(9))
    (pool / "back").symlink_to(pool.parent)
    (kaggle / "train" / "sad").symlink_to(pool)
    (kaggle / "val").symlink_to(tmp_path / "pool")
    (kaggle / "train" / "again").symlink_to(kaggle)
    data = open_dataset(kaggle)
    assert "train/sad/a.png" in data.split("train").names
    assert data.split("val").names.tolist() == ["val/sad/a.png"]
    assert sum(map(len, data.splits.values())) == len(FER2013_FILES) + 2


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
    "no folder at all": (
        put("a.png", b"x"),
        r": a\.png has no class folder; expected train/<class",
    ),
    "unknown public label": (
        put("train/bored/PublicTest_9.png", b"x"),
        r"train/bored/PublicTest_9\.png: unknown label 'bored'; expected angry, disgust",
    ),
    "unknown private label": (
        put("test/bored/PrivateTest_9.png", b"x"),
        r"test/bored/PrivateTest_9\.png: unknown label 'bored'; expected angry, disgust",
    ),
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
