import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mien.data import cache, folder, open_dataset
from mien.data.records import Record
from mien.errors import DataError


@pytest.fixture
def decoded(monkeypatch):
    """Names of the pictures decoded so far."""
    names = []
    decode = folder.decode
    monkeypatch.setattr(
        folder, "decode", lambda data, **how: names.append(how["name"]) or decode(data, **how)
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
    (tmp_path / "a.csv").write_text("same")
    shutil.copy(tmp_path / "a.csv", tmp_path / "b.csv")
    (tmp_path / "c.csv").write_text("other")
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


@pytest.mark.parametrize(
    ("sizes", "side_px"), [((48, 48), 48), ((64, 64), 64), ((48, 64), 96), ((300, 300), 96)]
)
def test_pictures_of_one_size_keep_it_and_others_share_one(tmp_path, picture, sizes, side_px):
    (tmp_path / "cat").mkdir()
    for seed, size in enumerate(sizes):
        (tmp_path / "cat" / f"{seed}.png").write_bytes(picture(seed, size))
    assert open_dataset(tmp_path).split("train").images.shape == (2, side_px, side_px)


@pytest.mark.parametrize("name", ["notes.txt", "data.tar"])
def test_a_file_of_another_kind_is_told(tmp_path, name):
    (tmp_path / name).write_text("x")
    with pytest.raises(DataError, match=r"is not a data set; expected a folder, a \.zip or a"):
        open_dataset(tmp_path / name)


def test_a_damaged_cache_is_decoded_again(kaggle, decoded):
    images = Path(open_dataset(kaggle).split("train").images.filename)
    images.write_bytes(images.read_bytes()[:100])
    assert len(open_dataset(kaggle).split("train")) == 3
    assert len(decoded) == 10


def test_a_data_set_that_many_decode_at_once_is_whole_for_each(mien_home, monkeypatch):
    records = [Record("train", "happy", str(n), np.zeros((48, 48), np.uint8)) for n in range(99)]
    together = threading.Barrier(8)
    write = cache.write_json
    monkeypatch.setattr(cache, "write_json", lambda *what: (write(*what), together.wait(10)))
    for turn in range(5):
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda key: cache.store(key, "k", records), [f"race-{turn}"] * 8))
        assert {len(data.split("train")) for data in found} == {99}
        assert len({data.split("train").images.filename for data in found}) == 1
        left = [path.name for path in (mien_home / "data").glob(f"*race-{turn}*")]
        assert left == [f"race-{turn}"]
