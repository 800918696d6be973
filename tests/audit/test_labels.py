from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pyarrow")

from mien.audit.labels import confident_joint, confident_learning, evaluated, out_of_fold
from mien.audit.pool import pool
from mien.audit.run import Evidence, audit
from mien.bundle import open_bundle
from mien.data import open_dataset
from mien.errors import BundleError, InputError, NotComparable
from mien.evaluate import evaluate, save


def test_the_confident_joint_of_a_hand_made_case() -> None:
    sure = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.2, 0.8], [0.45, 0.55]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    # Usual: 0.6 for the first class, 0.683 for the second; the last picture is in neither.
    assert confident_joint(sure, labels).tolist() == [[2, 1], [0, 3]]
    found = confident_learning(sure, labels)
    assert found.rows.tolist() == [2]
    assert found.likely.tolist() == [1]
    assert found.margin == pytest.approx([-0.8])


def test_labels_the_model_agrees_with_are_never_suspected() -> None:
    rng = np.random.default_rng(0)
    sure = rng.dirichlet(np.ones(4), 300)
    found = confident_learning(sure, sure.argmax(1))
    assert len(found.rows) == 0


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


@pytest.mark.parametrize(("folds", "labels"), [(1, [0, 0, 1, 1]), (3, [0, 0, 1, 1]), (2, [1, 1])])
def test_too_few_pictures_for_the_folds_are_told(folds: int, labels: list[int]) -> None:
    numbers = np.array(labels)
    with pytest.raises(InputError, match="a picture of each class for each fold"):
        out_of_fold(np.zeros((len(labels), 2)), numbers, numbers, folds, 2)


def test_a_saved_evaluation_takes_the_place_of_a_model(drawn: Path, tmp_path: Path) -> None:
    data = open_dataset(drawn)
    save(evaluate(open_bundle("mien-s"), data, "test"), tmp_path / "evaluation")
    found = audit(drawn, Evidence(predictions=tmp_path / "evaluation"))
    splits = {f.split for f in found.findings if f.check.code == "MD401"}
    assert splits <= {"public", "private"}
    assert found.counts["MD401"] > 0
    assert "the evaluation" in found.doubts
    part = data.splits["public"]
    other = replace(data, splits={**data.splits, "public": part.take(np.arange(5))})
    with pytest.raises(NotComparable, match="made of other pictures"):
        evaluated(pool(other), tmp_path / "evaluation")
    with pytest.raises(InputError, match="holds no evaluation"):
        evaluated(pool(data), tmp_path)


def test_an_unknown_bundle_is_told(drawn: Path) -> None:
    with pytest.raises(BundleError, match="no bundle"):
        audit(drawn, Evidence(model="none-such"))
