import json
from pathlib import Path

import numpy as np
import pytest

from mien.data import Dataset, Split
from mien.errors import DataError, InputError, NotComparable
from mien.evaluate import evaluate, load, save
from mien.evaluate.evaluation import METRICS, PREDICTIONS, Evaluation
from mien.labels import FER2013
from tests.fakes import brightness_bundle


def greys(labels: tuple[str, ...] = FER2013, n: int = 40) -> Dataset:
    """Images whose brightness tells their label."""
    truth = np.arange(n) % len(labels)
    images = np.stack([np.full((8, 8), 255 * t // (len(labels) - 1), np.uint8) for t in truth])
    names = np.array([f"{i}.png" for i in range(n)])
    return Dataset("greys", labels, {"public": Split("public", images, truth, names)})


@pytest.fixture
def evaluation(tmp_path: Path) -> Evaluation:
    return evaluate(brightness_bundle(tmp_path / "b"), greys(), "public")


def test_a_network_that_knows_scores_one(evaluation: Evaluation):
    assert evaluation.metrics().accuracy.value == 1
    assert evaluation.latency_ms > 0
    assert evaluation.digest == greys().split("public").digest


def test_labels_are_matched_by_name_not_by_number(tmp_path: Path):
    turned = tuple(reversed(FER2013))
    found = evaluate(brightness_bundle(tmp_path / "b", turned), greys(), "public")
    assert [turned[t] for t in found.truth[:7]] == list(FER2013)


def test_unknown_labels_are_refused(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b", ("angry", "happy"))
    with pytest.raises(NotComparable, match="does not know: disgust"):
        evaluate(bundle, greys(), "public")


def test_a_split_that_is_not_there(tmp_path: Path):
    with pytest.raises(DataError, match="has no split 'private'"):
        evaluate(brightness_bundle(tmp_path / "b"), greys(), "private")


def test_saved_predictions_give_the_same_figures_again(evaluation: Evaluation, tmp_path: Path):
    saved = save(evaluation, tmp_path / "e")
    again = load(tmp_path / "e")
    assert np.allclose(again.probabilities, evaluation.probabilities)
    assert (again.names == evaluation.names).all()
    assert again.metrics().accuracy == saved.accuracy
    assert json.loads((tmp_path / "e" / METRICS).read_text())["images"] == 40
    assert "macro avg" in (tmp_path / "e" / "classification_report.txt").read_text()


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda f: (f / METRICS).unlink(), InputError, "holds no evaluation"),
        (lambda f: (f / PREDICTIONS).unlink(), InputError, "holds no evaluation"),
        (lambda f: (f / METRICS).write_text("{}"), InputError, "not a whole evaluation"),
        (lambda f: (f / PREDICTIONS).write_bytes(b"PAR1"), InputError, "not a whole evaluation"),
    ],
)
def test_a_spoilt_evaluation_is_refused(
    evaluation: Evaluation, tmp_path: Path, spoil, error, message
):
    save(evaluation, tmp_path / "e")
    spoil(tmp_path / "e")
    with pytest.raises(error, match=message):
        load(tmp_path / "e")


def test_missing_predictions_are_noticed(evaluation: Evaluation, tmp_path: Path):
    import pandas

    save(evaluation, tmp_path / "e")
    table = pandas.read_parquet(tmp_path / "e" / PREDICTIONS)
    table.head(30).to_parquet(tmp_path / "e" / PREDICTIONS)
    with pytest.raises(DataError, match="has 30 images"):
        load(tmp_path / "e")
