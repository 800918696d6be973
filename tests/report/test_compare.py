import csv
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from PIL import Image
from sklearn import metrics as sklearn

from mien.data import Dataset, Split
from mien.errors import InputError, NotComparable, RunError, ShapeError
from mien.evaluate import save
from mien.evaluate.evaluation import Evaluation
from mien.evaluate.paired import differences
from mien.labels import FER2013
from mien.report import compare as comparing
from mien.report import compare_page
from mien.report.compare import compare
from mien.report.entries import open_entries, open_entry, pools
from mien.report.references import read_reference
from mien.runs import Images, RunData, RunFolder
from tests.fakes import an_evaluation

N = 3589


def evaluation(name: str, skill: float, seed: int = 0, n: int = 70, **more: Any) -> Evaluation:
    """A network that is right on about `skill` of the images."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 7
    chosen = np.where(rng.random(n) < skill, truth, rng.integers(0, 7, n))
    probabilities = np.full((n, 7), 0.05)
    probabilities[np.arange(n), chosen] = 0.7
    told = {"parameters": 2_000_000, "macs": 80_000_000, "size_mb": 8.0, "latency_ms": 2.0}
    told["network"] = f"{seed:064d}"
    return an_evaluation(truth, probabilities, name=name, **told | more)


def a_run(folder: Path, found: Evaluation, *, epochs: int = 3, best: int = 0) -> Path:
    """A run of which an epoch, the last if none is named, was the best in validation."""
    save(found, folder / "evaluation" / "public")
    rows = [
        f"{e},0.1,{2 / e},{0.2 * e},{2.1 / e},{0.9 if e == best else 0.19 * e},{11 + e}"
        for e in range(1, epochs + 1)
    ]
    heading = "epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,seconds"
    (folder / "history.csv").write_text("\n".join([heading, *rows]) + "\n")
    (folder / "recipe.yaml").write_text(f"name: {found.name}\nmodel: {found.name}\n")
    split = {"train": Images("train", 5, "t"), "validation": Images("public", 5, "v")}
    RunFolder(folder).write_data(RunData("d", FER2013, 48, **split))
    return folder


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made but not painted, where only words and numbers are looked at."""
    monkeypatch.setattr(comparing, "png", lambda figure: b"")
    monkeypatch.setattr(compare_page, "drawing", lambda draw: {"wide": ""})


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [
        a_run(tmp_path / "weak", evaluation("weak", 0.3)),
        a_run(tmp_path / "strong", evaluation("strong", 0.8)),
    ]


@pytest.fixture(scope="module")
def split() -> Split:
    images = np.random.default_rng(0).integers(0, 256, (N, 8, 8)).astype(np.uint8)
    return Split("public", images, np.arange(N) % 7, np.array([f"{i}.png" for i in range(N)]))


@pytest.fixture(scope="module")
def compared(split: Split, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A comparison of a strong and a weak run and a bare evaluation, all drawn, with a gallery."""
    folder = tmp_path_factory.mktemp("compared")
    strong = evaluation("strong", 0.8, n=N, digest=split.digest, temperature=1.25, latency_ms=7.25)
    weak = evaluation("weak", 0.3, n=N, digest=split.digest, parameters=1_234_567, views="flip")
    bare = evaluation("bare", 0.5, n=N, digest=split.digest, model="mien-s", macs=1_000_000)
    copies = np.arange(N) < 100
    paths = [
        a_run(folder / "w", weak, epochs=4, best=2),
        a_run(folder / "strong", dataclasses.replace(strong, copies=copies)),
        folder / "bare",
    ]
    save(bare, paths[-1])
    data = Dataset("d", FER2013, {"public": split})
    compare(paths, folder / "out", "public", data, read_reference("report"))
    yield folder / "out"


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def test_everything_is_written_and_the_page_stands_alone(compared: Path):
    names = {path.name for path in compared.iterdir()}
    pictures = {
        *("cost.png", "curves_strong.png", "curves_w.png", "curves_all.png"),
        *("confusion_strong.png", "confusion_bare.png", "confusion_w-flip.png"),
        *("reliability.png", "coverage.png", "gallery.png"),
    }
    tables = ("comparison", "differences", "classes", "confusion", "reliability", "coverage")
    assert names == {
        *("index.html", "comparison.md", "metrics.json", "history.csv"),
        *(f"{name}.csv" for name in tables),
        *pictures,
    }
    for name in pictures:
        assert Image.open(compared / name).width > 400
    page = (compared / "index.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page), "nothing is fetched"
    assert page.count("data:image/png;base64,") == 1
    assert "Most confident answers" in page
    assert page.count('aria-label="Learning curves of') == 2 * 2, "for a desk and for a phone"


def test_the_table_has_a_row_per_model_best_first(compared: Path):
    strong, bare, weak = rows(compared / "comparison.csv")
    assert [row["model"] for row in (strong, bare, weak)] == ["strong", "bare", "w-flip"]
    told = {
        "temperature": ("1.25", "1", "1"),
        "views": ("plain", "plain", "flip"),
        "val_accuracy": ("0.57", "", "0.9"),
        "val_loss": ("0.7", "", "1.05"),
        "published": ("0.2641", "", "0.2641"),
        "published_n": ("7178", "", "7178"),
        "complexity": ("medium", "low", "medium"),
        "parameters": ("2000000", "2000000", "1234567"),
        "macs": ("80000000", "1000000", "80000000"),
        "size_mb": ("8", "8", "8"),
        "latency_ms": ("7.25", "2", "2"),
        "epochs": ("3", "", "4"),
        "epoch_s": ("13", "", "13.5"),
        "training_s": ("39", "", "54"),
    }
    found = {key: (strong[key], bare[key], weak[key]) for key in told}
    assert found == told
    assert strong["deduplicated"] and not bare["deduplicated"], "not every one has every figure"
    assert (
        float(strong["accuracy_low"]) < float(strong["accuracy"]) < float(strong["accuracy_high"])
    )


def test_the_figures_of_the_table_are_those_of_scikit_learn(compared: Path):
    found = evaluation("strong", 0.8, n=N)
    answers, truth = found.probabilities.argmax(1), found.truth
    row = rows(compared / "comparison.csv")[0]
    untempered = found.probabilities**1.25
    untempered /= untempered.sum(1, keepdims=True)
    expected = {
        "accuracy": sklearn.accuracy_score(truth, answers),
        "macro_recall": sklearn.balanced_accuracy_score(truth, answers),
        "macro_f1": sklearn.f1_score(truth, answers, average="macro"),
        "loss": sklearn.log_loss(truth, found.probabilities),
        "deduplicated": (answers == truth)[100:].mean(),
        "sure": (answers == truth).mean(),
        "ece": abs(0.7 - (answers == truth).mean()),
        "brier": ((found.probabilities - np.eye(7)[truth]) ** 2).sum(1).mean(),
        "loss_at_1": sklearn.log_loss(truth, untempered),
    }
    assert {key: float(row[key]) for key in expected} == pytest.approx(expected, rel=1e-5)


def test_what_people_read_has_a_row_per_model_and_six_columns_at_most(compared: Path):
    text = (compared / "comparison.md").read_text()
    lines = text.splitlines()
    assert lines[0] == "# 3 models on public of fer2013"
    assert lines[2].startswith("3,589 images. Intervals are 95 % bootstrap intervals over images.")
    tables = [line for line in lines if line.startswith("|")]
    assert max(line.count(" | ") for line in tables) < 6
    assert "| w-flip | 90.00 | 1.0500 | 4 | 14 | 0.9 |" in tables
    assert "| bare | 2.00 | 1 | 8.0 | 2.0 | low |" in tables
    assert sum(line.startswith("| strong |") for line in tables) == 6
    assert "## Published figures" in lines
    assert "![confusion w-flip](confusion_w-flip.png)" in lines
    assert sum(line.startswith("![") for line in lines) == 10
    assert any(line.startswith("- strong is more accurate than bare by ") for line in lines)


def test_every_figure_has_its_numbers(compared: Path):
    tables = {path.stem: pandas.read_csv(path) for path in compared.glob("*.csv")}
    found = evaluation("strong", 0.8, n=N)
    confusion = sklearn.confusion_matrix(found.truth, found.probabilities.argmax(1))
    strong = tables["confusion"].query("model == 'strong'")
    assert (strong[list(FER2013)].to_numpy() == confusion).all()
    assert strong["label"].tolist() == list(FER2013)
    classes = tables["classes"].query("model == 'strong'").set_index("class")
    assert classes.index.tolist() == list(FER2013)
    shares = np.diag(confusion) / confusion.sum(1)
    assert classes["recall"].to_numpy() == pytest.approx(shares, abs=1e-5)
    precision = np.diag(confusion) / confusion.sum(0)
    assert classes["precision"].to_numpy() == pytest.approx(precision, abs=1e-5)
    assert (classes["recall_low"] < classes["recall"]).all()
    assert (classes["f1"] < classes["f1_high"]).all()
    assert classes["images"].sum() == N
    history = tables["history"]
    assert history["model"].tolist() == ["strong"] * 3 + ["w"] * 4
    assert history["epoch"].tolist() == [1, 2, 3, 1, 2, 3, 4]
    assert history["val_accuracy"].tolist() == pytest.approx(
        [0.19, 0.38, 0.57, 0.19, 0.9, 0.57, 0.76]
    )
    assert history["train_loss"].tolist()[:3] == pytest.approx([2, 1, 2 / 3], abs=1e-5)
    bins = tables["reliability"].query("model == 'strong' and images > 0")
    assert bins["temperature"].tolist() == [1, 1.25]
    assert bins["confidence"].tolist()[1] == pytest.approx(0.7)
    assert bins["images"].tolist() == [N, N]
    assert (tables["coverage"].groupby("model")["coverage"].max() == 1).all()


def test_differences_are_in_a_table_and_in_json(compared: Path):
    found = pandas.read_csv(compared / "differences.csv")
    pairs = list(zip(found["better"], found["worse"], strict=True))
    assert pairs == [("strong", "bare"), ("strong", "w-flip"), ("bare", "w-flip")]
    values = {
        name: evaluation(name, skill, n=N).metrics().accuracy.value
        for name, skill in (("strong", 0.8), ("bare", 0.5))
    }
    first = found.iloc[0]
    assert first["difference"] == pytest.approx(values["strong"] - values["bare"], abs=1e-5)
    assert first["difference_low"] < first["difference"] < first["difference_high"]
    wins, losses = first["only_better_right"], first["only_worse_right"]
    assert (wins - losses) / N == pytest.approx(first["difference"], abs=1e-5)
    assert (found["p"] <= found["p_holm"]).all()
    assert (found["p_holm"] < 0.001).all()
    told = json.loads((compared / "metrics.json").read_text())
    assert told["models"]["strong"]["accuracy"]["value"] == values["strong"]
    assert told["differences"]["better"] == ["strong", "strong", "bare"]
    assert told["differences"]["only_better_right"][0] == wins
    assert (told["seeds"], told["robustness"]) == ({}, {})


def test_a_coverage_curve_is_thinned_from_its_first_to_its_last_point(tmp_path: Path, undrawn):
    found = evaluation("net", 0.5, n=250)
    sure = np.linspace(0.3, 0.9, 250)[:, None]
    many = np.where(found.probabilities > 0.5, sure, (1 - sure) / 6)
    save(dataclasses.replace(found, probabilities=many), tmp_path / "net")
    compare([tmp_path / "net"], tmp_path / "out", "public")
    table = pandas.read_csv(tmp_path / "out" / "coverage.csv")
    assert len(table) == 100
    assert table["coverage"].iloc[[0, -1]].tolist() == [0.004, 1]
    assert table["threshold"].iloc[[0, -1]].tolist() == pytest.approx([0.9, 0.3], abs=1e-5)


def test_views_cost_a_pass_each(tmp_path: Path):
    plain = open_entry(a_run(tmp_path / "plain", evaluation("a", 0.5)), "public")
    mirrored = dataclasses.replace(plain.evaluation, views="flip")
    assert plain.macs == 80_000_000
    assert dataclasses.replace(plain, evaluation=mirrored).macs == 160_000_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"digest": "e" * 64, "split": "private"},
            r"weak and other were scored on different images \(70 of fer2013 public, "
            r"70 of fer2013 private\); evaluate both on one split",
        ),
        ({"digest": "e" * 64, "shape": (48, 48)}, "were scored on different images"),
        ({"labels": FER2013[::-1]}, "weak and other have different labels"),
    ],
)
def test_what_cannot_be_compared_is_refused(runs, tmp_path: Path, changes, message: str):
    save(dataclasses.replace(evaluation("other", 0.1), **changes), tmp_path / "other")
    with pytest.raises(NotComparable, match=message):
        compare([*runs, tmp_path / "other"], tmp_path / "out", "public")
    assert not (tmp_path / "out").exists()


def test_networks_that_read_the_same_files_in_colour_and_grey_are_compared(tmp_path: Path):
    grey = dataclasses.replace(evaluation("grey", 0.5), shape=(96, 96))
    colour = dataclasses.replace(evaluation("colour", 0.8), digest="e" * 64, shape=(224, 224, 3))
    for one in (grey, colour):
        save(one, tmp_path / one.name)
    entries = open_entries([tmp_path / "grey", tmp_path / "colour"], "public")
    assert [entry.name for entry in entries] == ["colour", "grey"]
    save(dataclasses.replace(colour, truth=colour.truth[::-1]), tmp_path / "colour")
    with pytest.raises(NotComparable, match="different images"):
        open_entries([tmp_path / "grey", tmp_path / "colour"], "public")


def test_two_of_one_name_are_refused(runs: list[Path], tmp_path: Path):
    save(evaluation("weak", 0.5), tmp_path / "elsewhere")
    with pytest.raises(NotComparable, match="same name: weak, strong, weak; rename a folder"):
        open_entries([*runs, tmp_path / "elsewhere"], "public")


def test_equal_models_are_not_told_apart(tmp_path: Path, undrawn):
    twins = [a_run(tmp_path / n, evaluation(n, 0.6, seed)) for n, seed in (("a", 1), ("b", 2))]
    page = compare(twins, tmp_path / "out", "public").read_text()
    assert "cannot be told apart" in page


def test_a_difference_is_paired(tmp_path: Path):
    strong, weak = (
        open_entry(a_run(tmp_path / n, evaluation(n, s)), "public")
        for n, s in (("s", 0.8), ("w", 0.3))
    )
    (found,) = differences({c.name: c.right for c in (weak, strong)})
    assert (found.better, found.worse) == ("s", "w")
    gap = strong.metrics.accuracy.value - weak.metrics.accuracy.value
    assert found.accuracy.value == pytest.approx(gap)
    assert found.real


def test_a_bare_evaluation_alone_has_no_history_and_no_differences(tmp_path: Path, undrawn):
    save(evaluation("alone", 0.5), tmp_path / "alone")
    page = compare([tmp_path / "alone"], tmp_path / "out", "public").read_text()
    assert "Learning curves" not in page
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert not names & {"history.csv", "differences.csv", "seeds.csv", "curves_all.png"}
    assert {"cost.png", "confusion_alone.png"} <= names


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda r: (r / "history.csv").write_text("epoch,lr\n"), RunError, "not a whole history"),
        (lambda r: (r / "history.csv").write_text("epoch\nx\n"), RunError, "not a whole history"),
        (lambda r: (r / "history.csv").unlink(), RunError, "has no history.csv"),
        (lambda r: r.rename(r.with_name("gone")), InputError, "no run folder"),
    ],
)
def test_spoilt_runs(runs: list[Path], tmp_path: Path, spoil, error, message):
    spoil(runs[0])
    with pytest.raises(error, match=message):
        compare(runs, tmp_path / "out", "public")


def test_a_split_that_was_not_evaluated(runs: list[Path], tmp_path: Path):
    with pytest.raises(InputError, match="holds no evaluation"):
        compare(runs, tmp_path / "out", "private")


def seeds(folder: Path, skills: dict[int, float], **more: Any) -> list[Path]:
    """Runs of one recipe with these seeds."""
    found = []
    for seed, skill in skills.items():
        run = a_run(folder / f"net-{seed}", evaluation("net", skill, seed, **more))
        (run / "recipe.yaml").write_text(f"name: net-{seed}\nseed: {seed}\n")
        found.append(run)
    return found


def test_runs_that_differ_in_their_seed_are_pooled(tmp_path: Path, undrawn):
    paths = seeds(tmp_path, {0: 0.5, 1: 0.6, 2: 0.7})
    other = a_run(tmp_path / "other", evaluation("else", 0.9, seed=3))
    page = compare([*paths, other], tmp_path / "out", "public").read_text()
    values = [evaluation("net", s, seed).metrics() for seed, s in enumerate((0.5, 0.6, 0.7))]
    accuracies = [100 * m.accuracy.value for m in values]
    shown = f"{np.mean(accuracies):.2f} ± {np.std(accuracies, ddof=1):.2f}"
    assert f"net, 3 seeds: {shown} %" in page
    text = (tmp_path / "out" / "comparison.md").read_text()
    assert f"| net, 3 seeds | {shown} |" in text, "one row for the three"
    assert "| net-1 |" not in text
    assert "| other |" in text, "another recipe"
    single = rows(tmp_path / "out" / "comparison.csv")
    assert [row["model"] for row in single] == ["other", "net-2", "net-1", "net-0"]
    (row,) = rows(tmp_path / "out" / "seeds.csv")
    assert (row["recipe"], row["seeds"]) == ("net", "3")
    for key, found in (
        ("accuracy", [m.accuracy.value for m in values]),
        ("macro_recall", [m.macro_recall.value for m in values]),
        ("loss", [m.loss.value for m in values]),
        ("ece", [m.calibration.ece.value for m in values]),
    ):
        assert float(row[f"{key}_mean"]) == pytest.approx(np.mean(found), rel=1e-5)
        assert float(row[f"{key}_sd"]) == pytest.approx(np.std(found, ddof=1), rel=1e-4)


def test_all_that_differs_between_seeds_has_its_deviation(tmp_path: Path, undrawn):
    both = [
        a_run(tmp_path / f"net-{seed}", evaluation("net", 0.6, seed, **more), epochs=epochs)
        for seed, (epochs, more) in enumerate(
            [
                (3, {"temperature": 1.25, "latency_ms": 2.0}),
                (5, {"temperature": 0.75, "latency_ms": 3.0}),
            ]
        )
    ]
    for seed, run in enumerate(both):
        (run / "recipe.yaml").write_text(f"name: net\nseed: {seed}\n")
    compare(both, tmp_path / "out", "public")
    text = (tmp_path / "out" / "comparison.md").read_text()
    assert "1.0000 ± 0.3536 |" in text, "temperature"
    assert "| 2.5 ± 0.7 |" in text, "milliseconds"
    assert "| 4.0 ± 1.4 |" in text, "epochs"
    assert "Spread(" not in text


def test_one_network_with_other_views_is_an_entry_but_no_other_seed(tmp_path: Path, undrawn):
    (run,) = seeds(tmp_path, {0: 0.5})
    save(evaluation("net", 0.6, views="flip"), run / "evaluation" / "public-flip")
    paths = [run / "evaluation" / views for views in ("public", "public-flip")]
    found = [open_entry(path, "public") for path in paths]
    assert [e.name for e in found] == ["net-0", "net-0-flip"]
    assert [(e.run and e.run.name, e.validation) for e in found] == [("net-0", "public")] * 2
    assert [pool.seeds for pool in pools(found)] == [1, 1]
    page = compare(paths, tmp_path / "out", "public").read_text()
    assert page.count("<summary>net-0</summary>") == 1
    assert "epoch of net-0 was chosen" in page
    (other,) = seeds(tmp_path, {1: 0.7}, views="flip")
    both = pools([*found, open_entry(other, "public")])
    assert sorted((pool.name, pool.seeds) for pool in both) == [("net-0", 1), ("net-flip", 2)]


def test_field_accuracy_stands_beside_accuracy(tmp_path: Path, undrawn):
    found = dataclasses.replace(evaluation("net", 0.5), field=np.arange(70) % 5)
    save(found, tmp_path / "net")
    compare([tmp_path / "net"], tmp_path / "out", "public")
    (row,) = rows(tmp_path / "out" / "comparison.csv")
    assert float(row["field"]) == pytest.approx(0.5)
    lines = (tmp_path / "out" / "comparison.md").read_text().splitlines()
    assert any(line.startswith("| model | accuracy, % | field accuracy") for line in lines)


def test_a_gallery_of_other_images_is_refused(split: Split, tmp_path: Path, undrawn):
    found = evaluation("net", 0.5, digest=split.digest)
    other = Dataset("d", FER2013, {"public": split.take(np.arange(N)[::-1])})
    with pytest.raises(NotComparable, match="d does not hold the images of public scored here"):
        compare([a_run(tmp_path / "net", found)], tmp_path / "out", "public", other)


def test_probabilities_that_are_no_numbers_are_refused(tmp_path: Path):
    run = a_run(tmp_path / "net", evaluation("net", 0.5))
    table = pandas.read_parquet(run / "evaluation/public/predictions.parquet")
    table.loc[7, "happy"] = np.nan
    table.to_parquet(run / "evaluation/public/predictions.parquet")
    with pytest.raises(ShapeError, match="not numbers"):
        compare([run], tmp_path / "out", "public")


def test_one_image_can_be_compared_and_nothing_is_claimed(tmp_path: Path, undrawn):
    paths = []
    for name, answer in (("a", 3), ("b", 4)):
        probabilities = np.full((1, 7), 0.1)
        probabilities[:, answer] = 0.4
        one = dataclasses.replace(
            evaluation(name, 0.5, n=1), truth=np.full(1, 3), probabilities=probabilities
        )
        paths.append(a_run(tmp_path / name, one))
    page = compare(paths, tmp_path / "out", "public").read_text()
    assert "a and b cannot be told apart" in page
    classes = pandas.read_csv(tmp_path / "out" / "classes.csv").set_index(["model", "class"])
    assert classes.loc[("a", "happy"), "recall"] == 1
    assert np.isnan(classes.loc[("a", "angry"), "recall"]), "no image, nothing to say"
