import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from mien.bundle import open_bundle
from mien.data import Dataset, Split
from mien.errors import DataError, InputError, NotComparable
from mien.evaluate import calibrate, evaluate, load, note, record, save
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


def with_copies() -> Dataset:
    """The six public images of the first label are training images, too."""
    public = greys().split("public")
    noisy = public.images.copy()
    noisy[public.labels > 0] ^= 1
    training = Split("train", noisy, public.labels, public.names)
    return Dataset("greys", FER2013, {"train": training, "public": public})


def test_copies_of_training_images_are_told_and_left_out_of_a_score(tmp_path: Path):
    found = evaluate(brightness_bundle(tmp_path / "b"), with_copies(), "public")
    assert found.copies is not None
    assert np.flatnonzero(found.copies).tolist() == [0, 7, 14, 21, 28, 35]
    assert found.subsets()["deduplicated"].images == 34
    save(found, tmp_path / "e")
    again = load(tmp_path / "e")
    assert (again.copies == found.copies).all()
    saved = json.loads((tmp_path / "e" / METRICS).read_text())
    assert saved["subsets"]["deduplicated"]["images"] == 34


def test_without_training_images_nothing_is_said_of_copies(evaluation: Evaluation):
    assert evaluation.copies is None
    assert evaluation.subsets() == {}


def test_ferplus_gives_a_second_score(tmp_path: Path):
    data = with_copies()
    table = tmp_path / "votes.csv"
    columns = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    rows = [f"{i}.png,{'0,' * 4}10,0,0,0,0,0" for i in range(39)]  # anger; nothing on the last
    table.write_text("\n".join([f"path,{columns}", *rows]) + "\n")
    found = evaluate(brightness_bundle(tmp_path / "b"), data, "public", votes=table)
    subsets = found.subsets()
    angry = int((found.truth[:39] == 0).sum())
    assert subsets["ferplus"].images == 39
    assert subsets["ferplus"].accuracy.value == pytest.approx(angry / 39)
    assert subsets["ferplus_agreed"].images == angry
    save(found, tmp_path / "e")
    again = load(tmp_path / "e").ferplus
    assert again is not None
    assert (again == found.ferplus).all()
    assert again[39] == -1


def test_recording_calibrates_and_tells_the_card(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    data = greys(n=140)
    found, told = record(evaluate(bundle, data, "public", views="flip"), bundle)
    assert found.temperature < 1, "a network that is always right may be surer"
    card = open_bundle(bundle.folder).card
    assert card == told.card
    assert (card.views, card.temperature) == ("flip", found.temperature)
    assert card.unsure_below == found.unsure_below > 0
    assert card.measured[0].accuracy == 1
    again = evaluate(told, data, "public")
    assert np.allclose(again.probabilities, found.probabilities)
    assert again.uncalibrated().loss.value > again.metrics().loss.value


@pytest.mark.parametrize("split", ["private", "test"])
def test_nothing_is_fitted_on_a_test(tmp_path: Path, split: str):
    public = greys().split("public")
    data = Dataset(
        "greys", FER2013, {split: Split(split, public.images, public.labels, public.names)}
    )
    bundle = brightness_bundle(tmp_path / "b")
    found, told = record(evaluate(bundle, data, split, views="flip"), bundle)
    assert (told.card.temperature, told.card.views, told.card.unsure_below) == (1, "plain", 0)
    assert told.card.measured[0].split == split
    with pytest.raises(InputError, match=f"{split} is a test"):
        calibrate(found)


def test_four_of_five_images_are_sure(evaluation: Evaluation):
    rows = np.random.default_rng(0).dirichlet(np.ones(7), len(evaluation.truth))
    doubtful = dataclasses.replace(evaluation, probabilities=rows)
    assert doubtful.sure().images == 32
    assert doubtful.sure().accuracy.value == pytest.approx(
        (rows.argmax(1) == evaluation.truth)[rows.max(1) >= doubtful.unsure_below].mean()
    )


def test_training_images_set_no_temperature(tmp_path: Path):
    public = greys(n=140).split("public")
    seen = Split("train", public.images, public.labels, public.names)
    bundle = brightness_bundle(tmp_path / "b")
    _, told = record(evaluate(bundle, Dataset("greys", FER2013, {"train": seen}), "train"), bundle)
    assert (told.card.temperature, told.card.unsure_below) == (1, 0)


def test_a_handful_of_images_sets_no_temperature(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    found, told = record(evaluate(bundle, greys(n=40), "public"), bundle)
    assert found.temperature == told.card.temperature == 1
    assert told.card.measured[0].images == 40


def test_what_is_measured_later_is_noted_beside_the_rest(evaluation: Evaluation, tmp_path: Path):
    note(tmp_path / "e", "robustness", {"mean": 0.5})
    assert not (tmp_path / "e").exists(), "without an evaluation there is nothing to note it in"
    save(evaluation, tmp_path / "e")
    note(tmp_path / "e", "robustness", {"mean": 0.5})
    told = json.loads((tmp_path / "e" / METRICS).read_text())
    assert told["robustness"] == {"mean": 0.5}
    assert told["metrics"]["accuracy"]["value"] == 1
    assert load(tmp_path / "e").name == evaluation.name


def test_what_was_noted_outlives_a_second_evaluation_of_the_same_alone(evaluation, tmp_path):
    def noted(again: Evaluation) -> bool:
        save(evaluation, tmp_path)
        note(tmp_path, "robustness", {"mean": 0.5})
        save(again, tmp_path)
        return "robustness" in json.loads((tmp_path / METRICS).read_text())

    assert noted(dataclasses.replace(evaluation, temperature=2.0))
    assert not noted(dataclasses.replace(evaluation, network="other"))
    assert not noted(dataclasses.replace(evaluation, views="flip"))
    (tmp_path / METRICS).write_text("damaged")
    save(evaluation, tmp_path)
    assert load(tmp_path).metrics().accuracy.value == 1
