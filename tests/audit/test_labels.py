from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")

from scipy.special import log_softmax

from mien.audit.labels import (
    Suspects,
    check_labels,
    confident_joint,
    confident_learning,
    evaluated,
    log_probabilities,
    out_of_fold,
)
from mien.audit.pool import pool
from mien.audit.run import Evidence, audit
from mien.bundle import open_bundle
from mien.data import Dataset, Split, open_dataset
from mien.errors import BundleError, InputError, NotComparable
from mien.evaluate import evaluate, load, save
from tests.fakes import an_evaluation, brightness_bundle


def test_the_confident_joint_of_a_hand_made_case() -> None:
    sure = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.2, 0.8], [0.45, 0.55]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    # Usual: 0.6 for the first class, 0.683 for the second; the last picture is in neither.
    assert confident_joint(sure, labels).tolist() == [[2, 1], [0, 3]]
    found = confident_learning(sure, labels)
    assert found.rows.tolist() == [2]
    assert found.likely.tolist() == [1]
    assert found.margin == pytest.approx([-0.8])


def test_as_many_are_suspected_as_the_joint_says_the_most_doubtful_ones() -> None:
    """Of five with the first label, the model is confident of the second class for two; a third is
    as far above, but the label is what the model finds most probable of all."""
    sure = np.array(
        [
            *([0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.9, 0.0], [0.4, 0.3, 0.3]),
            *([0.2, 0.6, 0.2], [0.1, 0.8, 0.1], [0.3, 0.1, 0.6], [0.1, 0.1, 0.8]),
        ]
    )
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 2, 2])
    joint = confident_joint(sure, labels)
    # Usual: 0.44, 0.7 and 0.7. Two of the first label are the second's, two its own, one neither;
    # those four stand for five. Of the others one each is confident.
    assert joint == pytest.approx(np.array([[2.5, 2.5, 0], [0, 2, 0], [0, 0, 2]]))
    found = confident_learning(sure, labels)
    assert found.rows.tolist() == [3, 2], "worst first"
    assert found.likely.tolist() == [1, 1]
    assert found.margin == pytest.approx([-0.8, -0.5])
    assert found.joint == pytest.approx(joint)


def test_labels_the_model_agrees_with_are_never_suspected() -> None:
    rng = np.random.default_rng(0)
    sure = rng.dirichlet(np.ones(4), 300)
    found = confident_learning(sure, sure.argmax(1))
    assert len(found.rows) == 0


def test_a_label_that_no_picture_is_confident_of_counts_as_one() -> None:
    sure = np.array([[0.6, 0.4], [0.6, 0.4], [0.7, 0.3], [0.95, 0.05]])
    joint = confident_joint(sure, np.array([0, 0, 1, 1]))
    # The two of the second label are both the first's; three thirds stand for two pictures.
    assert joint == pytest.approx(np.array([[2, 0], [4 / 3, 2 / 3]]))


def test_a_class_without_pictures_does_no_harm() -> None:
    sure = np.array([[0.9, 0.0, 0.1], [0.2, 0.0, 0.8], [0.9, 0.0, 0.1]])
    joint = confident_joint(sure, np.array([0, 2, 2]))
    assert joint[1].tolist() == [0, 0, 0]
    assert joint.sum() == pytest.approx(3)


def test_a_group_is_never_on_both_sides_of_a_fold() -> None:
    """Features that name the group: only a model that saw the twin could know the label."""
    rng = np.random.default_rng(0)
    labels = np.repeat(rng.integers(0, 2, 60), 2)
    groups = np.repeat(np.arange(60), 2)
    features = np.eye(60)[groups] * 10
    apart = out_of_fold(features, labels, groups, 5, 2)
    mixed = out_of_fold(features, labels, np.arange(120), 5, 2)
    assert (mixed.argmax(1) == labels).mean() > 0.8
    assert (apart.argmax(1) == labels).mean() < 0.65


@pytest.mark.parametrize(
    ("folds", "labels", "got"),
    [
        (1, [0, 0, 1, 1], "got 1 folds, 2 classes, the smallest of 2 pictures"),
        (3, [0, 0, 1, 1, 1], "got 3 folds, 2 classes, the smallest of 2 pictures"),
        (2, [1, 1], "got 2 folds, 1 classes, the smallest of 2 pictures"),
        (2, [], "got 2 folds, 0 classes, the smallest of 0 pictures"),
    ],
)
def test_too_few_pictures_for_the_folds_are_told(folds: int, labels: list[int], got: str) -> None:
    numbers = np.array(labels, int)
    with pytest.raises(InputError, match=f"a picture of each class for each fold; {got}"):
        out_of_fold(np.zeros((len(labels), 2)), numbers, numbers, folds, 2)


def test_two_pictures_of_each_class_are_enough_for_two_folds() -> None:
    labels = np.array([0, 0, 1, 1])
    found = out_of_fold(labels[:, None] * 2.0, labels, np.arange(4), 2, 2)
    assert found.argmax(1).tolist() == [0, 0, 1, 1]


def test_a_saved_evaluation_takes_the_place_of_a_model(drawn: Path, tmp_path: Path) -> None:
    data = open_dataset(drawn)
    save(evaluate(open_bundle("mien-s"), data, "test"), tmp_path / "evaluation")
    found = audit(drawn, Evidence(predictions=tmp_path / "evaluation"))
    splits = {f.split for f in found.findings if f.check.code == "MD401"}
    assert splits <= {"public", "private"}
    assert found.counts["MD401"] > 0
    assert "the evaluation" in found.predictor
    part = data.splits["public"]
    rows, probabilities = evaluated(pool(data), tmp_path / "evaluation")
    seen = pool(data)
    assert set(seen.splits[rows].tolist()) == {"public", "private"}
    assert len(rows) == len(probabilities) == (seen.splits != "train").sum()
    assert seen.names[rows].tolist() == load(tmp_path / "evaluation").names.tolist()
    other = replace(data, splits={**data.splits, "public": part.take(np.arange(5))})
    with pytest.raises(NotComparable, match="made of other pictures"):
        evaluated(pool(other), tmp_path / "evaluation")
    with pytest.raises(InputError, match="holds no evaluation"):
        evaluated(pool(data), tmp_path)


def test_probabilities_of_an_evaluation_come_in_the_data_s_order_of_labels(tmp_path: Path) -> None:
    """Two labels that the network has the other way round, in the second of two splits."""
    images = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8)
    parts = {
        name: Split(name, images[rows], np.array([0, 1]), np.array([f"{name}{r}" for r in rows]))
        for name, rows in (("train", [0, 1]), ("val", [2, 3]))
    }
    data = Dataset("d", ("no", "yes"), parts)
    found = an_evaluation(
        np.array([1, 0]),
        np.array([[0.25, 0.75], [0.5, 0.5]]),
        labels=("yes", "no"),
        split="val",
        digest=parts["val"].digest,
    )
    save(found, tmp_path)
    rows, probabilities = evaluated(pool(data), tmp_path)
    assert rows.tolist() == [2, 3]
    assert probabilities.tolist() == [[0.75, 0.25], [0.5, 0.5]]
    found = replace(found, labels=("yes", "maybe"))
    save(found, tmp_path)
    with pytest.raises(NotComparable, match="other pictures or labels than val of d"):
        evaluated(pool(data), tmp_path)


def test_what_the_model_says_is_told_of_each_suspect() -> None:
    images = np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8)
    split = Split("val", images, np.array([0, 1, 0]), np.array(["a", "b", "c"]))
    seen = pool(Dataset("d", ("no", "yes"), {"val": split}))
    suspects = Suspects(np.array([1, 0]), np.array([1, 0]), np.array([-0.5, -0.1]), np.eye(2))
    found = list(check_labels(seen, np.array([1, 2]), suspects))
    assert [(f.check.code, f.name, f.detail, f.score, f.label) for f in found] == [
        ("MD401", "c", "the model says yes", -0.5, "no"),
        ("MD401", "b", "the model says no", -0.1, "yes"),
    ]


def test_log_probabilities_of_all_splits_in_their_order(tmp_path: Path) -> None:
    tones = np.array([0, 85, 255], np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    parts = {
        name: Split(name, images, np.zeros(len(images), np.int64), np.array([name] * len(images)))
        for name, images in (("train", tones[:2]), ("public", tones[2:]))
    }
    bundle = brightness_bundle(tmp_path / "b", labels=("dark", "bright"))
    told: list[str] = []

    def track(items, unit):
        told.append(unit)
        return items

    found = log_probabilities(pool(Dataset("d", ("x",), parts)), bundle.folder, track)
    # logits 20 c b - 10 c^2 of brightness 0, 1/3 and 1: 0 against -10, -10/3 and 10
    logits = np.array([[0, -10], [0, -10 / 3], [0, 10]])
    assert found == pytest.approx(log_softmax(logits, axis=1), abs=1e-4)
    assert told == ["batches read"]


def test_folds_are_fitted_on_the_other_folds_and_classes_keep_their_place() -> None:
    """Two classes of three, far apart."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 2], 20)
    features = labels[:, None] + rng.normal(0, 0.1, (40, 2))
    found = out_of_fold(features, labels, np.arange(40), 4, 3)
    assert found.sum(1) == pytest.approx(1)
    assert (found[:, 1] == 0).all()
    assert (found.argmax(1) == labels).all()
    assert (found == out_of_fold(features, labels, np.arange(40), 4, 3)).all()


def test_an_unknown_bundle_is_told(drawn: Path) -> None:
    with pytest.raises(BundleError, match="no bundle"):
        audit(drawn, Evidence(model="none-such"))
