import numpy as np
import pytest

from mien.data import Dataset, Split, class_weights, open_dataset
from mien.errors import DataError, InputError, ShapeError
from mien.labels import FER2013


def split(name: str, labels: list[int], seed: int = 0) -> Split:
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), 8, 8), np.uint8)
    names = np.array([f"{name}/{i}" for i in range(len(labels))], str)
    return Split(name, images, np.array(labels, np.int64), names)


def dataset(**splits: Split) -> Dataset:
    return Dataset("mine", FER2013, splits)


@pytest.mark.parametrize(
    ("images", "labels", "names", "message"),
    [
        (np.zeros((2, 8, 8), np.float32), [0, 1], ["a", "b"], "uint8 images"),
        (np.zeros((2, 8), np.uint8), [0, 1], ["a", "b"], "uint8 images"),
        (np.zeros((2, 8, 8), np.uint8), [0], ["a", "b"], r"\(2\), got 1 and 2"),
        (np.zeros((2, 8, 8), np.uint8), [0, 1], ["a"], r"\(2\), got 2 and 1"),
    ],
)
def test_a_split_checks_itself(images, labels, names, message):
    with pytest.raises(ShapeError, match=message):
        Split("train", images, np.array(labels), np.array(names))


def test_the_digest_tells_pixels_labels_and_order_apart_but_not_names():
    base = split("train", [0, 1, 2])
    same = Split("other", base.images.copy(), base.labels.copy(), np.array(["x", "y", "z"]))
    assert same.digest == base.digest
    relabelled = Split("train", base.images, np.array([0, 1, 3]), base.names)
    others = [relabelled, base.take(np.array([1, 0, 2])), base.take(np.array([0, 1]))]
    assert len({base.digest, *(s.digest for s in others)}) == 4


def test_test_joins_public_and_private_and_lone_parts():
    public, private = split("public", [0, 1]), split("private", [2], seed=1)
    joined = dataset(public=public, private=private).split("test")
    assert joined.labels.tolist() == [0, 1, 2]
    assert joined.names.tolist() == ["public/0", "public/1", "private/0"]
    assert (joined.images[2] == private.images[0]).all()
    assert dataset(private=private).split("test").digest == private.digest


@pytest.mark.parametrize("name", ["test", "public", "nonsense"])
def test_a_missing_split_is_told_with_those_there(name):
    with pytest.raises(DataError, match=f"mine has no split '{name}'; it has: train"):
        dataset(train=split("train", [0])).split(name)


@pytest.mark.parametrize(
    ("present", "validation", "expected"),
    [
        (["public", "val", "private", "test"], "auto", "public"),
        (["val", "test"], "auto", "val"),
        (["private", "test"], "auto", "held-out"),
        (["public", "private"], "private", "private"),
    ],
)
def test_validation_is_chosen_but_never_by_itself_the_final_test(present, validation, expected):
    splits = {name: split(name, [0, 1]) for name in present}
    data = dataset(train=split("train", [0, 1] * 10), **splits)
    assert data.for_training("train", validation, 0)[1].name == expected


def test_a_held_out_tenth_is_stratified_disjoint_and_repeatable():
    data = dataset(train=split("train", [0] * 100 + [1] * 20 + [2] * 3))
    training, validation = data.for_training("train", "auto", 5)
    assert validation.counts(7).tolist() == [10, 2, 1, 0, 0, 0, 0]
    assert training.counts(7).tolist() == [90, 18, 2, 0, 0, 0, 0]
    assert not set(training.names) & set(validation.names)
    assert data.for_training("train", "auto", 5)[1].digest == validation.digest
    assert data.for_training("train", "auto", 6)[1].digest != validation.digest


def test_class_weights_are_scikit_learn_s_balanced():
    sklearn = pytest.importorskip("sklearn.utils.class_weight")
    labels = np.repeat(np.arange(4), [50, 5, 20, 1])
    expected = sklearn.compute_class_weight("balanced", classes=np.arange(4), y=labels)
    assert class_weights(np.bincount(labels)) == pytest.approx(expected)


def test_a_class_without_images_weighs_nothing():
    assert class_weights(np.array([2, 0, 2])).tolist() == [1, 0, 1]


def test_a_missing_path_is_told(tmp_path):
    with pytest.raises(InputError, match=r"data set .*nowhere does not exist"):
        open_dataset(tmp_path / "nowhere")


def test_drawn_faces_open_as_a_data_set(drawn):
    data = open_dataset(drawn)
    assert data.labels == FER2013
    assert sum(map(len, data.splits.values())) == 210
    assert (data.split("train").counts(7) > 0).all()


def test_real_fer2013_has_its_published_counts_and_weights(fer2013):
    counts = fer2013.split("train").counts(7)
    assert counts.tolist() == [3995, 436, 4097, 7215, 4965, 4830, 3171]
    assert fer2013.split("public").counts(7).tolist() == [467, 56, 496, 895, 607, 653, 415]
    expected = [1.0266, 9.4066, 1.0010, 0.5684, 0.8260, 0.8491, 1.2934]
    assert class_weights(counts) == pytest.approx(expected, abs=5e-5)


def test_real_fer2013_opens_at_once_the_second_time(fer2013, shared):
    import time

    started = time.process_time()
    again = open_dataset(shared / "data" / "fer2013.zip")
    assert time.process_time() - started < 1  # work, not waiting: the machine may be busy
    assert again.split("train").digest == fer2013.split("train").digest
