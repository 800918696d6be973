import dataclasses
import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
from scipy.special import softmax

from mien.bundle import Classifier, open_bundle
from mien.data import Dataset, Split
from mien.errors import DataError, InputError, NotComparable
from mien.evaluate import check_place, evaluate, load, note, save
from mien.evaluate import evaluation as evaluating
from mien.evaluate.evaluation import METRICS, PREDICTIONS, Evaluation, Subset
from mien.evaluate.intervals import mean_interval
from mien.labels import FER2013
from mien.values import as_json
from tests.fakes import an_evaluation, brightness_bundle


def greys(labels: tuple[str, ...] = FER2013, n: int = 40) -> Dataset:
    """Images whose brightness tells their label."""
    truth = np.arange(n) % len(labels)
    images = np.stack([np.full((8, 8), 255 * t // (len(labels) - 1), np.uint8) for t in truth])
    names = np.array([f"{i}.png" for i in range(n)])
    return Dataset("greys", labels, {"public": Split("public", images, truth, names)})


@pytest.fixture
def evaluation(tmp_path: Path) -> Evaluation:
    return evaluate(brightness_bundle(tmp_path / "b"), greys(), "public")


def expected(data: Dataset) -> np.ndarray:
    """(N, 7) what the fake's formula says of flat images."""
    centres = np.linspace(0, 1, 7)
    light = data.split("public").images[:, 0, :1] / 255
    return softmax(20 * centres * light - 10 * centres**2, axis=1)


def test_an_evaluation_says_what_was_scored_on_what(tmp_path: Path):
    bundle, data = brightness_bundle(tmp_path / "b"), greys()
    found = evaluate(bundle, data, "public")
    assert found.probabilities == pytest.approx(expected(data), abs=1e-5)
    assert found.truth.tolist() == data.split("public").labels.tolist()
    assert found.names.tolist() == [f"{i}.png" for i in range(40)]
    told = {
        "name": "brightness",
        "model": "brightness",
        "data": "greys",
        "split": "public",
        "digest": data.split("public").digest,
        "network": bundle.card.digest,
        "views": "plain",
        "temperature": 1.0,
        "labels": FER2013,
        "parameters": 14,
        "macs": 71,
        "size_mb": bundle.model_file.stat().st_size / 1_000_000,
        "copies": None,
        "ferplus": None,
        "field": None,
    }
    assert {name: getattr(found, name) for name in told} == told
    assert found.metrics().accuracy.value == 1


def test_progress_is_told_of_each_batch_and_batches_change_nothing(tmp_path: Path):
    data, done = greys(n=300), []
    found = evaluate(brightness_bundle(tmp_path / "b"), data, "public", done.append)
    assert done == [128, 128, 44]
    assert found.probabilities == pytest.approx(expected(data), abs=1e-5)


def test_views_and_temperature_are_the_card_s_unless_others_are_asked_for(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    card = dataclasses.replace(bundle.card, views="flip", temperature=2.0)
    card.save(bundle.folder / "card.json")
    bundle = open_bundle(bundle.folder)
    found = evaluate(bundle, greys(), "public")
    assert (found.views, found.temperature) == ("flip", 2)
    root = np.sqrt(expected(greys()))
    assert found.probabilities == pytest.approx(root / root.sum(1, keepdims=True), abs=1e-5)
    assert found.untempered == pytest.approx(expected(greys()), abs=1e-5)
    assert found.uncalibrated().loss.value == pytest.approx(
        -np.log(expected(greys())[np.arange(40), found.truth]).mean(), abs=1e-5
    )
    assert evaluate(bundle, greys(), "public", views="plain").views == "plain"


def test_latency_is_the_median_of_thirty_faces_in_milliseconds(tmp_path: Path, monkeypatch):
    """A clock by which every face takes 3 ms but for some that are disturbed."""
    took = [0.003] * 20 + [0.5] * 10
    ticks = itertools.accumulate(itertools.chain([0], *((s, 1) for s in took)))
    monkeypatch.setattr(evaluating, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    found = evaluate(brightness_bundle(tmp_path / "b"), greys(n=7), "public")
    assert found.latency_ms == pytest.approx(3)
    assert len(list(ticks)) == 1, "of thirty"


def test_latency_is_that_of_one_thread_of_the_cpu_with_the_same_views(tmp_path: Path, monkeypatch):
    asked: list[dict[str, object]] = []

    class Listening(Classifier):
        def __init__(self, bundle, **how):
            asked.append(how)
            super().__init__(bundle, **how)

    monkeypatch.setattr(evaluating, "Classifier", Listening)
    evaluate(brightness_bundle(tmp_path / "b"), greys(n=7), "public", views="flip")
    assert asked == [{"views": "flip"}, {"threads": 1, "device": "cpu", "views": "flip"}]


def test_labels_are_matched_by_name_not_by_number(tmp_path: Path):
    turned = tuple(reversed(FER2013))
    found = evaluate(brightness_bundle(tmp_path / "b", turned), greys(), "public")
    assert [turned[t] for t in found.truth[:7]] == list(FER2013)


def test_unknown_labels_are_refused(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b", ("angry", "happy"))
    message = "does not know: disgust, fear, neutral, sad, surprise; it knows: angry, happy"
    with pytest.raises(NotComparable, match=message):
        evaluate(bundle, greys(), "public")


def test_an_unknown_label_without_images_does_no_harm(tmp_path: Path):
    public = greys(n=2).split("public")
    data = Dataset("greys", ("disgust", *FER2013[:1], "contempt"), {"public": public})
    found = evaluate(brightness_bundle(tmp_path / "b"), data, "public")
    assert found.truth.tolist() == [FER2013.index("disgust"), FER2013.index("angry")]


def test_a_split_that_is_not_there(tmp_path: Path):
    with pytest.raises(DataError, match="has no split 'private'"):
        evaluate(brightness_bundle(tmp_path / "b"), greys(), "private")


def test_saved_predictions_give_the_same_figures_again(evaluation: Evaluation, tmp_path: Path):
    saved = save(evaluation, tmp_path / "e")
    again = load(tmp_path / "e")
    assert np.allclose(again.probabilities, evaluation.probabilities)
    assert (again.names == evaluation.names).all()
    assert again.metrics().accuracy == saved.accuracy
    told = json.loads((tmp_path / "e" / METRICS).read_text())
    sure = evaluation.sure()
    names = (
        *("name", "model", "data", "split", "digest", "network", "views", "temperature"),
        *("parameters", "macs", "size_mb", "latency_ms"),
    )
    assert {name: told.pop(name) for name in names} == {n: getattr(evaluation, n) for n in names}
    assert told.pop("metrics")["accuracy"] == as_json(saved.accuracy)
    assert told == {
        "labels": list(FER2013),
        "images": 40,
        "shape": [8, 8],
        "uncalibrated": as_json(evaluation.uncalibrated()),
        "sure": {
            "from": evaluation.unsure_below,
            "images": sure.images,
            "accuracy": as_json(sure.accuracy),
        },
        "subsets": {},
        "field": None,
    }
    report = (tmp_path / "e" / "classification_report.txt").read_text()
    assert report == saved.report
    assert "macro avg" in report
    for name in (*names, "labels"):
        assert getattr(again, name) == getattr(evaluation, name)
    assert (again.truth == evaluation.truth).all()
    assert again.copies is again.ferplus is None


def test_predictions_are_a_table_of_names(evaluation: Evaluation, tmp_path: Path):
    copies = np.arange(40) < 3
    ferplus = np.where(np.arange(40) == 1, -1, 3)
    save(dataclasses.replace(evaluation, copies=copies, ferplus=ferplus), tmp_path)
    table = pandas.read_parquet(tmp_path / PREDICTIONS)
    assert list(table) == [*("name", "label", "predicted", *FER2013, "copy_of_training", "ferplus")]
    first = table.iloc[1]
    assert (first["name"], first["label"], first["predicted"]) == ("1.png", "disgust", "disgust")
    assert first["disgust"] == np.float32(evaluation.probabilities[1, 1])
    assert table["copy_of_training"].tolist() == copies.tolist()
    assert table["ferplus"].tolist()[:3] == ["happy", "", "happy"]
    again = load(tmp_path)
    assert (again.copies == copies).all()
    assert (again.ferplus == ferplus).all()


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
    save(evaluation, tmp_path / "e")
    table = pandas.read_parquet(tmp_path / "e" / PREDICTIONS)
    table.head(30).to_parquet(tmp_path / "e" / PREDICTIONS)
    with pytest.raises(DataError, match=r"has 30 images, metrics.json says 40; evaluate again"):
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


def test_training_images_are_no_copies_of_themselves(tmp_path: Path):
    assert evaluate(brightness_bundle(tmp_path / "b"), with_copies(), "train").copies is None


def test_a_subset_without_images_is_none(evaluation: Evaluation):
    every = dataclasses.replace(
        evaluation, copies=np.ones(40, bool), ferplus=np.full(40, -1, np.int64)
    )
    assert every.subsets() == {}


def test_subsets_by_hand():
    """Six images: two copies, of which one is right; voters say something of four."""
    found = an_evaluation(
        np.array([0, 1, 2, 0, 1, 2]),
        np.eye(7)[[0, 0, 2, 0, 1, 1]],
        copies=np.array([1, 1, 0, 0, 0, 0], bool),
        ferplus=np.array([1, 0, 2, 0, -1, -1]),
    )
    assert found.subsets() == {
        "deduplicated": Subset(4, mean_interval(np.array([1.0, 1, 1, 0]))),
        "ferplus": Subset(4, mean_interval(np.array([0.0, 1, 1, 1]))),
        "ferplus_agreed": Subset(2, mean_interval(np.array([1.0, 1]))),
    }


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


def test_ferplus_is_matched_by_name_not_by_number(tmp_path: Path):
    table = tmp_path / "votes.csv"
    columns = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    votes = (4, 5, 6, 1, 0, 3, 2)  # the columns of angry, disgust, fear, ...
    rows = [
        f"{i}.png," + ",".join("10" if j == k else "0" for j in range(10))
        for i, k in enumerate(votes)
    ]
    table.write_text("\n".join([f"path,{columns}", *rows]) + "\n")
    bundle = brightness_bundle(tmp_path / "b", tuple(reversed(FER2013)))
    found = evaluate(bundle, greys(n=7), "public", votes=table)
    assert found.ferplus is not None
    assert found.ferplus.tolist() == found.truth.tolist() == [6, 5, 4, 3, 2, 1, 0]


def test_four_of_five_images_are_sure(evaluation: Evaluation):
    rows = np.random.default_rng(0).dirichlet(np.ones(7), len(evaluation.truth))
    doubtful = dataclasses.replace(evaluation, probabilities=rows)
    assert doubtful.sure().images == 32
    assert doubtful.sure().accuracy.value == pytest.approx(
        (rows.argmax(1) == evaluation.truth)[rows.max(1) >= doubtful.unsure_below].mean()
    )


def sure_of(*confidences: float) -> Evaluation:
    """An image of the first label for each confidence, all answered right."""
    sure = np.array(confidences)[:, None]
    return an_evaluation(np.zeros(len(sure), int), np.hstack([sure, np.repeat(1 - sure, 6, 1) / 6]))


def test_a_fifth_of_the_images_stays_below_the_threshold():
    found = sure_of(*np.linspace(0.3, 0.9, 101))
    assert found.unsure_below == pytest.approx(0.42)
    assert found.sure() == Subset(81, mean_interval(np.ones(81)))
    assert sure_of(*np.linspace(0.30006, 0.90006, 101)).unsure_below == 0.4201, "not 0.42006"
    assert sure_of(0.5, 0.612345, 0.7, 0.8, 0.9, 0.95).unsure_below == 0.6123


@pytest.mark.parametrize("confidence", [0.999977, 0.69999998, 0.7, 1.0])
def test_images_that_are_as_sure_as_one_another_are_all_sure(confidence: float):
    """Though the threshold is said in four digits, and might be rounded up."""
    found = sure_of(*[confidence] * 40)
    assert confidence - 1e-4 < found.unsure_below <= confidence
    assert found.sure().images == 40
    some = sure_of(*[confidence] * 35, *[1.0] * 5)
    assert some.sure().images == 40


def test_what_is_measured_later_is_noted_beside_the_rest(evaluation: Evaluation, tmp_path: Path):
    note(tmp_path / "e", "robustness", {"mean": 0.5})
    assert not (tmp_path / "e").exists(), "without an evaluation there is nothing to note it in"
    save(evaluation, tmp_path / "e")
    note(tmp_path / "e", "robustness", {"mean": 0.5})
    told = json.loads((tmp_path / "e" / METRICS).read_text())
    assert told["robustness"] == {"mean": 0.5}
    note(tmp_path / "e", "robustness", {"mean": 0.75})
    again = json.loads((tmp_path / "e" / METRICS).read_text())
    assert again == told | {"robustness": {"mean": 0.75}}
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
    assert not noted(dataclasses.replace(evaluation, digest="other"))
    assert not noted(dataclasses.replace(evaluation, views="flip"))
    (tmp_path / METRICS).write_text("damaged")
    save(evaluation, tmp_path)
    assert load(tmp_path).metrics().accuracy.value == 1


def test_the_place_of_another_evaluation_is_not_free(evaluation: Evaluation, tmp_path: Path):
    same, others = greys().split("public"), greys(n=39).split("public")
    check_place(tmp_path / "e", "brightness", others)
    save(evaluation, tmp_path / "e")
    check_place(tmp_path / "e", evaluation.name, same)
    for name, split in ((evaluation.name, others), ("another", same)):
        with pytest.raises(InputError, match=r"e holds the evaluation of .*; choose another --out"):
            check_place(tmp_path / "e", name, split)


def test_field_accuracy_is_saved_with_the_predictions(tmp_path: Path):
    bundle, done = brightness_bundle(tmp_path / "b"), []
    found = evaluate(bundle, greys(), "public", done.append, jitter=True)
    assert sum(done) == 5 * 40
    assert found.field.tolist() == [4] * 40, "flat images stay flat"
    assert found.field_accuracy == mean_interval(np.ones(40))
    half = dataclasses.replace(found, field=np.arange(40) % 5)
    save(half, tmp_path / "e")
    again = load(tmp_path / "e")
    assert (again.field == half.field).all()
    told = json.loads((tmp_path / "e" / METRICS).read_text())["field"]
    assert told == {"draws": 4, "accuracy": as_json(mean_interval(half.field / 4))}
    save(dataclasses.replace(found, field=None), tmp_path / "e")
    assert load(tmp_path / "e").field_accuracy is None
    assert json.loads((tmp_path / "e" / METRICS).read_text())["field"] is None
