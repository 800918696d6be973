import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data import Dataset, Split, class_weights, open_dataset
from mien.data.dataset import joined
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
        (np.zeros((2, 8, 8, 1), np.uint8), [0, 1], ["a", "b"], r"got \(2, 8, 8, 1\)"),
        (np.zeros((2, 8, 8), np.uint8), [0, 1, 2], ["a", "b", "c"], r"\(2\), got 3 and 3"),
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


def test_the_digest_tells_sizes_apart_but_not_how_arrays_lie_in_memory():
    base = split("train", [0, 1, 2])
    flat = Split("train", base.images.reshape(3, 4, 16), base.labels, base.names)
    assert flat.digest != base.digest
    turned = np.asfortranarray(base.images)
    narrow = Split("train", turned, base.labels.astype(np.int32), base.names)
    assert narrow.digest == base.digest


@pytest.mark.parametrize("rows", [[], [2], [3, 0, 0]])
def test_what_is_taken_comes_in_the_order_asked_for(rows):
    base = split("train", [4, 5, 6, 4])
    taken = base.take(np.array(rows, np.int64))
    assert (taken.name, len(taken)) == ("train", len(rows))
    assert taken.names.tolist() == [f"train/{row}" for row in rows]
    assert taken.labels.tolist() == [[4, 5, 6, 4][row] for row in rows]
    assert (taken.images == base.images[rows]).all()


def test_counts_are_of_all_classes():
    found = split("train", [4, 1, 4]).counts(7)
    assert (found.tolist(), found.dtype) == ([0, 1, 0, 0, 2, 0, 0], np.int64)


def test_test_joins_public_and_private_and_lone_parts():
    public, private = split("public", [0, 1]), split("private", [2], seed=1)
    joined = dataset(public=public, private=private).split("test")
    assert joined.labels.tolist() == [0, 1, 2]
    assert joined.names.tolist() == ["public/0", "public/1", "private/0"]
    assert (joined.images[2] == private.images[0]).all()
    assert joined.name == "test"
    assert dataset(private=private).split("test").digest == private.digest
    own = split("test", [3, 3, 3])
    assert dataset(public=public, private=private, test=own).split("test") is own
    assert dataset(public=public, private=private).split("private") is private


@pytest.mark.parametrize("name", ["test", "public", "nonsense"])
def test_a_missing_split_is_told_with_those_there(name):
    with pytest.raises(DataError, match=f"mine has no split '{name}'; it has: train"):
        dataset(train=split("train", [0])).split(name)


def test_a_missing_split_is_told_what_test_would_join():
    both = dataset(public=split("public", [0]), private=split("private", [0]))
    message = r"it has: public, private; `test` joins public and private$"
    with pytest.raises(DataError, match=message):
        both.split("train")
    with pytest.raises(DataError, match=r"it has: train$"):
        dataset(train=split("train", [0])).split("test")


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
    training, found = data.for_training("train", validation, 0)
    assert found.name == expected
    assert training.name == "train"
    if expected != "held-out":
        assert training is data.splits["train"]
        assert found is data.splits[expected]


def test_any_split_can_train():
    data = dataset(
        train=split("train", [0]), val=split("val", [1] * 9), public=split("public", [2])
    )
    training, validation = data.for_training("val", "auto", 0)
    assert (training.name, validation.name) == ("val", "public")
    with pytest.raises(DataError, match="no split 'private'"):
        data.for_training("train", "private", 0)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(0, 6), min_size=8, max_size=120).filter(
        lambda labels: min(np.unique(labels, return_counts=True)[1]) > 1
    ),
    st.integers(0, 2**32),
)
def test_the_held_out_tenth_is_stratified_disjoint_and_in_order(labels, seed):
    data = dataset(train=split("train", labels))
    training, validation = data.for_training("train", "auto", seed)
    for label in range(7):
        number = labels.count(label)
        held = max(1, number // 10) if number else 0
        assert validation.counts(7)[label] == held
        assert training.counts(7)[label] == number - held
    places = [[int(name.partition("/")[2]) for name in s.names] for s in (training, validation)]
    assert sorted(places[0] + places[1]) == list(range(len(labels)))
    for place, part in zip(places, (training, validation), strict=True):
        assert place == sorted(place)
        assert part.labels.tolist() == [labels[i] for i in place]
        assert (part.images == data.split("train").images[place]).all()
    again = data.for_training("train", "auto", seed)[1]
    assert again.names.tolist() == validation.names.tolist()


def test_the_seed_draws_the_held_out_tenth_from_everywhere():
    data = dataset(train=split("train", [0] * 100))
    drawn = [data.for_training("train", "auto", seed)[1].names.tolist() for seed in range(40)]
    assert len({tuple(names) for names in drawn}) == 40
    assert len({name for names in drawn for name in names}) > 90


def test_class_weights_are_scikit_learn_s_balanced():
    sklearn = pytest.importorskip("sklearn.utils.class_weight")
    labels = np.repeat(np.arange(4), [50, 5, 20, 1])
    expected = sklearn.compute_class_weight("balanced", classes=np.arange(4), y=labels)
    assert class_weights(np.bincount(labels)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("counts", "weights"),
    [
        ([2, 0, 2], [1, 0, 1]),
        ([1, 0, 3], [2, 0, 2 / 3]),
        ([5], [1]),
        ([0, 7, 0], [0, 1, 0]),
        ([1, 2, 5], [8 / 3, 4 / 3, 8 / 15]),
    ],
)
def test_a_rare_class_weighs_more_and_one_without_images_nothing(counts, weights):
    assert class_weights(np.array(counts)) == pytest.approx(weights)


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


def test_real_fer2013_opens_at_once_the_second_time(fer2013, fer2013_home, shared, monkeypatch):
    import time

    monkeypatch.setenv("MIEN_HOME", str(fer2013_home))
    started = time.process_time()
    again = open_dataset(shared / "data" / "fer2013.zip")
    assert time.process_time() - started < 1  # work, not waiting: the machine may be busy
    assert again.split("train").digest == fer2013.split("train").digest


REFUSED = """
import sys
from mien.data import open_dataset
from mien.errors import InputError
for path in sys.argv[1:]:
    try:
        open_dataset(path)
    except InputError as error:
        print(error)
print({"torch", "pandas", "sklearn"} & set(sys.modules))
"""


def test_what_is_no_data_set_is_refused_without_torch_and_before_it_is_read(tmp_path):
    (tmp_path / "film.mp4").touch()
    os.truncate(tmp_path / "film.mp4", 50 * 2**30)  # a hole: it takes no room
    paths = [str(tmp_path / name) for name in ("nowhere", "film.mp4")]
    command = [sys.executable, "-c", REFUSED, *paths]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    assert told.splitlines() == [
        f"data set {paths[0]} does not exist; check the path",
        f"{paths[1]} is not a data set; expected a folder, a .zip, .csv or .parquet",
        "set()",
    ]


def people(*labels: int, persons: list[str]) -> Split:
    return replace(split("train", list(labels)), persons=np.array(persons))


@pytest.mark.parametrize("seed", range(5))
def test_a_person_is_held_out_with_all_pictures_or_with_none(seed):
    persons = [f"p{number // 3}" for number in range(60)]
    data = dataset(train=people(*[0, 1, 2] * 20, persons=persons))
    training, validation = data.for_training("train", "auto", seed)
    assert len(validation) == 6
    assert not set(training.persons) & set(validation.persons)
    assert len(training) + len(validation) == 60


def test_one_person_alone_cannot_be_held_out():
    data = dataset(train=people(0, 1, persons=["KA", "KA"]))
    with pytest.raises(DataError, match="all images show KA; expected two persons or more"):
        data.for_training("train", "auto", 0)


def test_images_of_other_labels_are_left_out_and_counted():
    data = Dataset("mine", ("contempt", "happy", "sad"), {"train": split("train", [0, 1, 2, 0])})
    kept = data.only(FER2013)
    assert (kept.labels, kept.split("train").labels.tolist()) == (FER2013, [3, 5])
    assert kept.split("train").names.tolist() == ["train/1", "train/2"]
    assert (kept.left_out, kept.told) == ({"contempt": 2}, "2 contempt")
    assert data.only(data.labels) is data
    assert data.present == ("contempt", "happy", "sad")
    assert kept.present == ("happy", "sad")
    with pytest.raises(DataError, match="mine has no picture of fear; it has: contempt, happy"):
        data.only(("fear",))


def test_shares_are_the_chances_of_each_data_set():
    one = dataset(train=split("train", [0] * 30), public=split("public", [1]))
    other = dataset(train=split("train", [1] * 10, seed=1))
    both = joined([one, other], "train", "auto", 0, [0.4])
    train = both.split("train")
    assert train.chances[:30].sum() == pytest.approx(0.6)
    assert train.chances[30:].sum() == pytest.approx(0.4)
    assert (train.labels[30:] == 1).all()
    assert both.split("public") is one.splits["public"]
    assert joined([one, other], "train", "auto", 0, [None]).split("train").chances is None
    held = both.for_training("train", "train", 0)[0].take(np.arange(25, 35))
    assert held.chances.sum() == pytest.approx(1)
