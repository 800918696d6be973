import numpy as np
import pytest

from mien.data import gathered
from mien.data.dataset import Split, join
from mien.data.gathered import Gathered, chunks, gather

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
