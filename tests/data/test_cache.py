import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mien.data import cache, open_dataset, tree
from mien.data.records import Record
from mien.errors import DataError
from mien.labels import FER2013
from tests.conftest import FER2013_FILES


@pytest.fixture
def decoded(monkeypatch):
    """Names of the pictures decoded so far."""
    names = []
    decode = tree.decode
    monkeypatch.setattr(
        tree, "decode", lambda data, **how: names.append(how["name"]) or decode(data, **how)
    )
    return names


def test_pictures_are_decoded_once(kaggle, decoded):
    first = open_dataset(kaggle)
    assert len(decoded) == 5
    second = open_dataset(kaggle)
    assert len(decoded) == 5
    for name, split in first.splits.items():
        again = second.split(name)
        assert again.digest == split.digest
        assert (again.images == split.images).all()
        assert again.names.tolist() == split.names.tolist()


def test_images_are_memory_mapped_not_read(kaggle):
    open_dataset(kaggle)
    assert isinstance(open_dataset(kaggle).split("train").images, np.memmap)


def test_a_changed_folder_is_decoded_anew(kaggle, decoded, picture):
    before = open_dataset(kaggle).split("train").digest
    (kaggle / "train/sad").mkdir()
    (kaggle / "train/sad/Training_9.png").write_bytes(picture(9))
    assert open_dataset(kaggle).split("train").digest != before
    assert len(decoded) == 11


def test_an_overwritten_picture_of_the_same_size_is_decoded_anew(kaggle, picture):
    file = kaggle / "train/angry/Training_1.png"
    before = open_dataset(kaggle).split("train").digest
    old = file.stat()
    file.write_bytes(picture(7))
    os.utime(file, ns=(old.st_atime_ns, old.st_mtime_ns + 1_000_000))
    assert open_dataset(kaggle).split("train").digest != before


def test_the_key_of_a_file_is_its_content(tmp_path):
    (tmp_path / "a.csv").write_text("pixels\nsame")
    shutil.copy(tmp_path / "a.csv", tmp_path / "b.csv")
    (tmp_path / "c.csv").write_text("pixels\nother")
    keys = [cache.key_of(tmp_path / f"{name}.csv") for name in "abc"]
    assert keys[0] == keys[1] != keys[2]


def test_a_cache_that_could_not_be_written_whole_leaves_nothing(kaggle, monkeypatch, mien_home):
    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    kept = set((mien_home / "data").glob("**/*"))
    monkeypatch.setattr(cache.np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        open_dataset(kaggle)
    assert set((mien_home / "data").glob("**/*")) == kept


def test_the_stored_digest_is_that_of_the_pixels(kaggle):
    split = open_dataset(kaggle).split("train")
    assert split.take(np.arange(len(split))).digest == split.digest


def stored(*pictures: np.ndarray, key: str) -> np.ndarray:
    """What the cache keeps of them."""
    records = [Record("train", "happy", str(n), pixels) for n, pixels in enumerate(pictures)]
    return cache.store(key, "mine", records).split("train").images


@pytest.mark.parametrize("side_px", [1, 48, 256])
def test_square_pictures_of_one_size_are_kept_as_they_are(side_px):
    pictures = np.random.default_rng(0).integers(0, 256, (2, side_px, side_px), np.uint8)
    assert (stored(*pictures, key=f"square-{side_px}") == pictures).all()


@pytest.mark.parametrize(
    "shapes",
    [((48, 48), (64, 64)), ((257, 257),), ((48, 64),), ((64, 48),), ((200, 96), (96, 96))],
    ids=str,
)
def test_other_pictures_are_brought_to_96_pixels(shapes):
    """Dark above, bright below: what was above must stay above."""
    pictures = [np.repeat([[30], [220]], [h // 2, h - h // 2], 0) for h, _ in shapes]
    pictures = [
        np.repeat(p, w, 1).astype(np.uint8) for p, (_, w) in zip(pictures, shapes, strict=True)
    ]
    images = stored(*pictures, key=f"other-{shapes}")
    assert images.shape == (len(shapes), 96, 96)
    assert (images[:, :46] == 30).all()
    assert (images[:, 50:] == 220).all()


def test_splits_come_in_one_order_and_hold_what_the_reader_gave():
    places = [("test", "sad"), ("private", "fear"), ("val", "sad"), ("train", "sad")]
    places += [("public", "happy"), ("train", "fear")]
    records = [
        Record(split, label, f"n{n}", np.full((2, 2), n, np.uint8))
        for n, (split, label) in enumerate(places)
    ]
    data = cache.store("order", "mine", iter(records))
    for found in (data, cache.load("order", "mine")):
        assert found.name == "mine"
        assert found.labels == FER2013
        told = {
            name: (split.name, split.names.tolist(), split.labels.tolist())
            for name, split in found.splits.items()
        }
        assert list(told.items()) == [
            ("train", ("train", ["n3", "n5"], [5, 2])),
            ("val", ("val", ["n2"], [5])),
            ("public", ("public", ["n4"], [3])),
            ("private", ("private", ["n1"], [2])),
            ("test", ("test", ["n0"], [5])),
        ]
        assert found.split("train").images[:, 0, 0].tolist() == [3, 5]
        assert found.split("train").labels.dtype == np.int64


def test_a_name_of_the_data_is_that_of_its_folder_whatever_the_cache_was_called(kaggle):
    assert open_dataset(kaggle).name == "kaggle"
    assert cache.load(cache.key_of(kaggle), "another").name == "another"
    assert open_dataset(str(kaggle)).name == "kaggle"


def test_what_was_never_stored_is_not_there():
    assert cache.load("never", "mine") is None


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "train/angry").rename(folder / "train/sad"),
        lambda folder: (folder / "test/angry/PublicTest_4.png").unlink(),
        lambda folder: rewrite(folder / "train/angry/Training_1.png", b"longer", later_ns=0),
        lambda folder: rewrite(folder / "train/angry/Training_1.png", b"", later_ns=1_000_000),
    ],
    ids=["renamed", "removed", "another size", "another time"],
)
def test_the_key_of_a_folder_knows_names_sizes_and_times(kaggle, change):
    before = cache.key_of(kaggle)
    assert cache.key_of(kaggle) == before
    (kaggle / ".hidden").write_text("litter")
    assert cache.key_of(kaggle) == before
    change(kaggle)
    assert cache.key_of(kaggle) != before


def rewrite(file: Path, more: bytes, later_ns: int) -> None:
    old = file.stat()
    file.write_bytes(file.read_bytes() + more)
    os.utime(file, ns=(old.st_atime_ns, old.st_mtime_ns + later_ns))


def test_a_copy_of_a_folder_elsewhere_has_its_key(kaggle, tmp_path):
    shutil.copytree(kaggle, tmp_path / "elsewhere")  # with its times
    assert cache.key_of(tmp_path / "elsewhere") == cache.key_of(kaggle)


@pytest.mark.parametrize("name", ["notes.txt", "data.tar", "fer2013"])
def test_a_file_of_another_kind_is_told(tmp_path, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(
        DataError, match=r"is not a data set; expected a folder, a \.zip, \.csv or \.parquet"
    ):
        open_dataset(tmp_path / name)


@pytest.mark.parametrize("damaged", ["images.npy", "labels.npy", "names.npy", "splits.json"])
def test_a_damaged_cache_is_decoded_again(kaggle, decoded, damaged):
    images = Path(open_dataset(kaggle).split("train").images.filename)
    file = images.parent / damaged
    whole = file.read_bytes()
    file.write_bytes(whole[:100] if damaged == "images.npy" else whole[:20])
    again = open_dataset(kaggle)
    assert again.split("train").names.tolist() == sorted(
        name for name in FER2013_FILES if name.startswith("train")
    )
    assert len(decoded) == 10
    assert file.read_bytes() == whole
    open_dataset(kaggle)
    assert len(decoded) == 10


def test_a_data_set_that_many_decode_at_once_is_whole_for_each(mien_home, monkeypatch):
    records = [Record("train", "happy", str(n), np.zeros((48, 48), np.uint8)) for n in range(99)]
    together = threading.Barrier(8)
    write = cache.write_json
    monkeypatch.setattr(cache, "write_json", lambda *what: (write(*what), together.wait(60)))
    for turn in range(5):
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda key: cache.store(key, "k", records), [f"race-{turn}"] * 8))
        assert {len(data.split("train")) for data in found} == {99}
        assert len({data.split("train").images.filename for data in found}) == 1
        left = [path.name for path in (mien_home / "data").glob(f"*race-{turn}*")]
        assert left == [f"race-{turn}"]
