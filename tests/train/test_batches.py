import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data.dataset import Split
from mien.preprocess import Preprocess
from mien.recipes import Recipe
from mien.recipes.schema import Augment
from mien.train.augment import COLUMNS
from mien.train.batches import Images, InOrder, Shuffled, ordered_batches, training_batches
from mien.train.lessons import Lessons

PREPROCESS = Preprocess(12, (0.5,), (0.5,), source_px=8)


def split(size: int) -> Split:
    """Image `i` is a plain grey of intensity `i`, and so is its label."""
    rows = np.arange(size)
    images = np.repeat(rows, 64).reshape(size, 8, 8).astype(np.uint8)
    return Split("train", images, rows, rows.astype(str))


def order(batches) -> list[int]:
    return [int(label) for *_, labels in batches for label in labels]


@pytest.fixture
def batches(tiny_recipe):
    """`batches(size, batch, seed=0, number=0, targets=None)`: those of an epoch, images mirrored
    half of the time."""

    def make(size: int, batch: int, seed: int = 0, number: int = 0, targets=None):
        lessons = lessons_of(tiny_recipe, size, seed, targets)
        made = training_batches(split(size), PREPROCESS, batch, seed, lessons)
        made.sampler.set_epoch(number)
        return made

    return make


def lessons_of(recipe: Recipe, size: int, seed: int = 0, targets=None) -> Lessons:
    chosen = {"seed": seed, "augment": Augment(flip=True)}
    return Lessons(recipe.model_copy(update=chosen), size, targets)


def test_a_batch_is_pictures_at_the_network_s_size_with_their_labels(batches):
    for images, drawn, targets, labels in batches(50, 16):
        assert (images.shape, images.dtype) == ((16, 12, 12), torch.uint8)
        assert (drawn.shape, drawn.dtype) == ((16, len(COLUMNS)), torch.float32)
        assert labels.dtype == torch.int64
        assert (images[:, 0, 0] == labels).all()
        assert torch.equal(targets, labels)


def test_soft_targets_travel_beside_the_labels(batches):
    soft = np.random.default_rng(0).dirichlet(np.ones(7), 50).astype(np.float32)
    soft = torch.from_numpy(soft)
    for images, _, targets, labels in batches(50, 16, targets=soft):
        assert (images[:, 0, 0] == labels).all()
        assert torch.equal(targets, soft[labels])


def test_each_image_has_the_changes_that_the_epoch_has_drawn_of_it(batches, tiny_recipe):
    for number in (0, 3):
        expected, _ = lessons_of(tiny_recipe, 50).of(number)
        for _, drawn, _, labels in batches(50, 16, number=number):
            assert torch.equal(drawn, expected[labels])


@pytest.mark.parametrize(("size", "batch", "steps"), [(50, 16, 3), (48, 16, 3), (16, 16, 1)])
def test_an_epoch_shows_every_image_once_but_for_the_incomplete_batch(batches, size, batch, steps):
    made = batches(size, batch)
    shown = order(made)
    assert len(made) == steps
    assert len(shown) == len(set(shown)) == steps * batch


def test_the_order_depends_on_seed_and_epoch_alone(batches):
    def epoch(seed: int, number: int) -> list[int]:
        return order(batches(50, 10, seed, number))

    assert epoch(0, 3) == epoch(0, 3)
    assert len({tuple(epoch(*key)) for key in [(0, 0), (0, 1), (1, 0), (1, 1)]}) == 4


def plain(size: int) -> Images:
    return Images(split(size), PREPROCESS)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(1, 200), st.integers(1, 60), st.integers(0, 2**31), st.integers(0, 99))
def test_every_batch_of_an_epoch_is_full_and_no_image_comes_twice(size, batch, seed, number):
    sampler = Shuffled(plain(size), batch, seed)
    sampler.set_epoch(number)
    batches = [rows.tolist() for rows in sampler]
    assert len(batches) == len(sampler) == max(1, size // batch)
    assert {len(rows) for rows in batches} == {min(batch, size)}
    shown = [row for rows in batches for row in rows]
    assert len(set(shown)) == len(shown)
    assert set(shown) <= set(range(size))
    assert [rows.tolist() for rows in sampler] == batches


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(0, 200), st.integers(1, 60))
def test_batches_in_order_are_full_but_for_the_last(size, batch):
    sampler = InOrder(plain(size), batch)
    batches = [rows.tolist() for rows in sampler]
    assert [row for rows in batches for row in rows] == list(range(size))
    assert len(batches) == len(sampler)
    assert {len(rows) for rows in batches[:-1]} <= {batch}


def test_a_sampler_begins_with_its_first_epoch():
    begun, chosen = Shuffled(plain(20), 5, 7), Shuffled(plain(20), 5, 7)
    chosen.set_epoch(0)
    assert [rows.tolist() for rows in begun] == [rows.tolist() for rows in chosen]


def test_loaders_take_no_number_from_the_randomness_that_augments(batches):
    """A resumed run starts other loaders than an unbroken one."""
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    for made in (batches(8, 4), ordered_batches(split(8), PREPROCESS)):
        list(made)
    assert torch.equal(torch.rand(3), expected)


def test_ordered_batches_hold_256_images_unless_asked():
    assert len(ordered_batches(split(256), PREPROCESS)) == 1
    assert len(ordered_batches(split(257), PREPROCESS)) == 2


@pytest.mark.parametrize("size", [1, 9, 10, 11])
def test_ordered_batches_show_every_image_in_its_own_order(size):
    batches = ordered_batches(split(size), PREPROCESS, batch=10)
    assert order(batches) == list(range(size))
    assert len(batches) == -(-size // 10)


def test_ordered_batches_are_pictures_with_their_labels_and_no_changes():
    [(images, drawn, targets, labels)] = ordered_batches(split(9), PREPROCESS)
    assert torch.equal(images, torch.arange(9, dtype=torch.uint8)[:, None, None].expand(9, 12, 12))
    assert drawn.numel() == 0
    assert torch.equal(targets, labels)


def test_balanced_batches_show_each_class_equally_often_and_rare_ones_repeatedly(tiny_recipe):
    labels = np.repeat([0, 2, 5], [2, 98, 900])
    images = np.zeros((1000, 8, 8), np.uint8)
    some = Split("train", images, labels, np.arange(1000).astype(str))
    lessons = Lessons(tiny_recipe, 1000)
    batches = training_batches(some, PREPROCESS, 100, 0, lessons, balanced=True)
    shown = [label for number in range(3) for label in epoch(batches, number)]
    assert len(shown) == 3000
    assert [shown.count(label) / 3000 for label in (0, 2, 5)] == pytest.approx(
        [1 / 3] * 3, abs=0.03
    )
    assert epoch(batches, 1) == shown[1000:2000] != shown[:1000]


def epoch(batches, number: int) -> list[int]:
    batches.sampler.set_epoch(number)
    return order(batches)
