import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from PIL import Image

from mien.data import Dataset, Split
from mien.errors import InputError, NotComparable, RunError, ShapeError
from mien.evaluate import save
from mien.evaluate.evaluation import Evaluation
from mien.evaluate.paired import differences
from mien.labels import FER2013
from mien.report.candidates import open_candidate, pool
from mien.report.compare import compare
from tests.fakes import an_evaluation

N = 3589


def evaluation(name: str, skill: float, seed: int = 0, **more: Any) -> Evaluation:
    """A network that is right on about `skill` of the images."""
    rng = np.random.default_rng(seed)
    truth = np.arange(N) % 7
    chosen = np.where(rng.random(N) < skill, truth, rng.integers(0, 7, N))
    probabilities = np.full((N, 7), 0.05)
    probabilities[np.arange(N), chosen] = 0.7
    told = {"parameters": 2_000_000, "macs": 80_000_000, "size_mb": 8.0, "latency_ms": 2.0}
    told["network"] = f"{seed:064d}"
    return an_evaluation(truth, probabilities, name=name, **told | more)


def a_run(folder: Path, found: Evaluation, *, epochs: int = 3) -> Path:
    save(found, folder / "evaluation" / "public")
    rows = [f"{e},0.1,{2 / e},{0.2 * e},{2.1 / e},{0.19 * e},12" for e in range(1, epochs + 1)]
    heading = "epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,seconds"
    (folder / "history.csv").write_text("\n".join([heading, *rows]) + "\n")
    (folder / "recipe.yaml").write_text("name: x\n")
    (folder / "data.json").write_text(json.dumps({"validation": {"split": "public"}}))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [
        a_run(tmp_path / "weak", evaluation("weak", 0.3)),
        a_run(tmp_path / "strong", evaluation("strong", 0.8)),
    ]


def test_the_page_stands_alone_and_says_who_is_better(runs: list[Path], tmp_path: Path):
    page = compare(runs, tmp_path / "out", "public").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page), "nothing is fetched"
    assert "strong is more accurate than weak by" in page
    assert "26.41" in page, "the report's own value stands beside ours"
    assert "were chosen on these same images" in page or "was chosen on these same images" in page
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert {"index.html", "comparison.md", "comparison.csv", "curves_all.png"} <= names
    assert {"curves_weak.png", "confusion_strong.png", "recall.png"} <= names


def test_markdown_has_a_column_per_model_best_first(runs: list[Path], tmp_path: Path):
    compare(runs, tmp_path / "out", "public")
    text = (tmp_path / "out" / "comparison.md").read_text()
    assert "| | strong | weak |" in text
    assert "| training, s/epoch | 12 | 12 |" in text
    assert "| complexity | medium | medium |" in text


def test_views_cost_a_pass_each(tmp_path: Path):
    plain = open_candidate(a_run(tmp_path / "plain", evaluation("a", 0.5)), "public")
    mirrored = dataclasses.replace(plain.evaluation, views="flip")
    assert plain.macs == 80_000_000
    assert dataclasses.replace(plain, evaluation=mirrored).macs == 160_000_000
    compare([tmp_path / "plain"], tmp_path / "out", "public")
    assert Image.open(tmp_path / "out" / "cost.png").width > 600


def test_different_images_are_refused(runs: list[Path], tmp_path: Path):
    other = dataclasses.replace(evaluation("other", 0.5), digest="e" * 64)
    runs.append(a_run(tmp_path / "other", other))
    with pytest.raises(NotComparable, match="different images"):
        compare(runs, tmp_path / "out", "public")
    assert not (tmp_path / "out").exists()


def test_different_labels_are_refused(runs: list[Path], tmp_path: Path):
    turned = dataclasses.replace(evaluation("turned", 0.5), labels=tuple(reversed(FER2013)))
    runs.append(a_run(tmp_path / "turned", turned))
    with pytest.raises(NotComparable, match="different labels"):
        compare(runs, tmp_path / "out", "public")


def test_equal_models_are_not_told_apart(tmp_path: Path):
    twins = [a_run(tmp_path / n, evaluation(n, 0.6, seed)) for n, seed in (("a", 1), ("b", 2))]
    page = compare(twins, tmp_path / "out", "public").read_text()
    assert "cannot be told apart" in page


def test_a_difference_is_paired(tmp_path: Path):
    strong, weak = (
        open_candidate(a_run(tmp_path / n, evaluation(n, s)), "public")
        for n, s in (("s", 0.8), ("w", 0.3))
    )
    (found,) = differences({c.name: c.right for c in (weak, strong)})
    assert (found.better, found.worse) == ("s", "w")
    gap = strong.metrics.accuracy.value - weak.metrics.accuracy.value
    assert found.accuracy.value == pytest.approx(gap)
    assert found.real


def test_one_run_and_a_bare_evaluation_can_be_shown(tmp_path: Path):
    save(evaluation("alone", 0.5), tmp_path / "alone")
    page = compare([tmp_path / "alone"], tmp_path / "out", "public").read_text()
    assert "Learning curves" not in page


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda r: (r / "history.csv").write_text("epoch,lr\n"), RunError, "not a whole history"),
        (lambda r: (r / "history.csv").write_text("epoch\nx\n"), RunError, "not a whole history"),
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


def test_every_figure_has_its_numbers(runs: list[Path], tmp_path: Path):
    compare(runs, tmp_path / "out", "public")
    tables = {p.stem: pandas.read_csv(p) for p in (tmp_path / "out").glob("*.csv")}
    assert set(tables) == {
        *("comparison", "differences", "classes", "confusion", "reliability", "coverage"),
        "history",
    }
    assert tables["differences"]["p_holm"].item() < 0.001
    assert len(tables["classes"]) == 2 * 7
    strong = tables["confusion"].query("model == 'strong'")
    assert strong[list(FER2013)].to_numpy().sum() == N
    assert (tables["coverage"].groupby("model")["coverage"].max() == 1).all()
    assert len(tables["history"]) == 6
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert told["models"]["strong"]["accuracy"]["value"] > told["models"]["weak"]["ece"]["value"]
    assert told["differences"]["better"] == ["strong"]


def test_runs_that_differ_in_their_seed_are_pooled(tmp_path: Path):
    skills = (0.5, 0.6, 0.7)
    found = [evaluation("net", skill, seed) for seed, skill in enumerate(skills)]
    paths = [a_run(tmp_path / f"net-{seed}", e) for seed, e in enumerate(found)]
    (pooled,) = pool([open_candidate(path, "public") for path in paths])
    values = [e.metrics().accuracy.value for e in found]
    assert (pooled.recipe, pooled.runs) == ("net", 3)
    assert pooled.accuracy == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    page = compare(paths, tmp_path / "out", "public").read_text()
    assert "net, 3 runs:" in page
    assert (tmp_path / "out" / "seeds.csv").is_file()


def test_one_network_with_other_views_is_a_candidate_but_no_other_seed(tmp_path: Path):
    run = a_run(tmp_path / "net", evaluation("net", 0.5))
    save(evaluation("net", 0.6, views="flip"), run / "evaluation" / "public-flip")
    paths = [run / "evaluation" / views for views in ("public", "public-flip")]
    found = [open_candidate(path, "public") for path in paths]
    assert [c.name for c in found] == ["net", "net-flip"]
    assert not pool(found)
    page = compare(paths, tmp_path / "out", "public").read_text()
    assert page.count("Learning curves of net") == 1
    assert "epoch of net was chosen" in page
    other = a_run(tmp_path / "net-1", evaluation("net", 0.7, seed=1, views="flip"))
    (pooled,) = pool([*found, open_candidate(other, "public")])
    assert (pooled.recipe, pooled.runs) == ("net-flip", 2)


def test_the_gallery_shows_the_images_that_were_scored(tmp_path: Path):
    images = np.random.default_rng(0).integers(0, 256, (N, 8, 8)).astype(np.uint8)
    split = Split("public", images, np.arange(N) % 7, np.array([f"{i}.png" for i in range(N)]))
    data = Dataset("d", FER2013, {"public": split})
    found = dataclasses.replace(evaluation("net", 0.5), digest=split.digest)
    run = a_run(tmp_path / "net", found)
    page = compare([run], tmp_path / "out", "public", data).read_text()
    assert "The surest answers" in page
    assert (tmp_path / "out" / "gallery.png").stat().st_size > 10_000
    other = Dataset("d", FER2013, {"public": split.take(np.arange(N)[::-1])})
    with pytest.raises(NotComparable, match="does not hold the images"):
        compare([run], tmp_path / "again", "public", other)


def test_probabilities_that_are_no_numbers_are_refused(tmp_path: Path):
    found = evaluation("net", 0.5)
    run = a_run(tmp_path / "net", found)
    table = pandas.read_parquet(run / "evaluation/public/predictions.parquet")
    table.loc[7, "happy"] = np.nan
    table.to_parquet(run / "evaluation/public/predictions.parquet")
    with pytest.raises(ShapeError, match="not numbers"):
        compare([run], tmp_path / "out", "public")


@pytest.mark.parametrize("images", [1, 5])
def test_one_image_and_one_class_can_be_compared_and_nothing_is_claimed(
    tmp_path: Path, images: int
):
    paths = []
    for name, answer in (("a", 3), ("b", 4)):
        whole = evaluation(name, 0.5)
        probabilities = np.full((images, 7), 0.1)
        probabilities[:, answer] = 0.4
        few = dataclasses.replace(
            whole,
            names=whole.names[:images],
            truth=np.full(images, 3),
            probabilities=probabilities,
        )
        paths.append(a_run(tmp_path / name, few))
    page = compare(paths, tmp_path / "out", "public").read_text()
    assert "a and b cannot be told apart" in page
    classes = pandas.read_csv(tmp_path / "out" / "classes.csv").set_index(["model", "class"])
    assert classes.loc[("a", "happy"), "recall"] == 1
    assert np.isnan(classes.loc[("a", "angry"), "recall"]), "no image, nothing to say"
