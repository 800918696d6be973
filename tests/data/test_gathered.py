from pathlib import Path

import numpy as np
import pytest

from mien.data import gathered
from mien.data.dataset import Split, join
from mien.data.gathered import Gathered, chunks, gather, kept

RNG = np.random.default_rng(0)
SMALL = RNG.integers(0, 256, (5, 4, 4), np.uint8)
LARGE = RNG.integers(0, 256, (3, 8, 8), np.uint8)


@pytest.fixture
def lazy(monkeypatch):
    monkeypatch.setattr(gathered, "IN_MEMORY", 0)


def test_few_images_are_an_array():
    found = gather([SMALL], [np.array([3, 0])])
    assert isinstance(found, np.ndarray)
    assert (found == SMALL[[3, 0]]).all()


@pytest.mark.parametrize(
    "wanted",
    [slice(None), slice(1, 4), np.array([4, 0, 4]), np.array([], np.int64), 2, -1],
    ids=str,
)
def test_many_images_are_read_as_an_array_is(lazy, wanted):
    rows = [np.array([4, 1]), np.array([2, 0, 3])]
    images = np.concatenate([SMALL[rows[0]], SMALL[rows[1]]])
    many = gather([SMALL, SMALL], rows)
    assert isinstance(many, Gathered)
    assert (many.shape, many.ndim, len(many), many.dtype) == (images.shape, 3, 5, np.uint8)
    assert np.array_equal(many[wanted], images[wanted])
    assert np.array_equal(np.asarray(many), images)
    assert all(np.array_equal(one, other) for one, other in zip(many, images, strict=True))


def test_parts_of_two_sizes_get_the_larger():
    flat = np.full((2, 4, 4), 7, np.uint8)
    found = gather([flat, LARGE], [np.arange(2), np.arange(3)])
    assert found.shape == (5, 8, 8)
    assert (found[:2] == 7).all()
    assert (found[2:] == LARGE).all()


def test_a_digest_is_the_same_however_the_images_are_kept(lazy, monkeypatch):
    monkeypatch.setattr(gathered, "_CHUNK", 2)
    labels, names = np.arange(5), np.array(list("abcde"))
    kept = Split("train", SMALL, labels, names)
    many = join("train", [kept])
    assert isinstance(many.images, Gathered)
    assert many.digest == kept.digest
    assert (
        many.take(np.array([1, 3])).digest
        == Split("train", SMALL[[1, 3]], labels[[1, 3]], names[[1, 3]]).digest
    )
    assert [len(part) for part in chunks(many.images)] == [2, 2, 1]


def test_a_cache_of_many_images_gives_back_what_it_has_read(lazy, tmp_path):
    """Read as they are, and not held: the pages of the file are no memory of the process."""
    np.save(tmp_path / "images.npy", RNG.integers(0, 256, (4000, 64, 64), np.uint8))
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    many = kept(mapped)
    assert isinstance(many, Gathered)
    before = mapped_kb()
    rows = RNG.permutation(4000)
    for start in range(0, 4000, 100):
        assert (many[rows[start : start + 100]] == mapped[rows[start : start + 100]]).all()
        many[0:1]
    assert sum(int(image.sum()) for image in many) == int(mapped[:].astype(np.int64).sum())
    many[0:1]
    assert mapped_kb() - before < 8000, "of 16,000"


def mapped_kb() -> int:
    if not Path("/proc/self/status").exists():
        pytest.skip("the memory of mapped files is known on Linux alone")
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("RssFile")).split()[1])
