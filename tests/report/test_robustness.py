"""Robustness in words, tables and figures, from a result made up for them."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image

from mien.evaluate.adversarial import Adversarial
from mien.evaluate.intervals import Estimate
from mien.evaluate.robustness import OCCLUDED, Relative, Robustness, Score
from mien.report import robustness as reporting
from mien.report.robustness import (
    as_markdown,
    attack_summary,
    attack_table,
    attacks_as_markdown,
    comparison_rows,
    comparison_table,
    corruption_table,
    sections,
    summary,
    write_adversarial,
    write_robustness,
)
from tests.fakes import an_evaluation


def score(right: int, images: int = 2000) -> Score:
    share = right / images
    return Score(right, share, share - 0.02, share + 0.01)


def steps(*right: int) -> tuple[Score, ...]:
    return tuple(map(score, right))


EVALUATION = an_evaluation(np.zeros(2, int), np.eye(7)[:2])
FOUND = Robustness(
    name="net",
    data="fer2013",
    split="public",
    digest=EVALUATION.digest,
    network=EVALUATION.network,
    views="plain",
    images=2000,
    strengths={"fog": (1, 2, 3, 4, 5), "rain": (0.1, 0.2, 0.3, 0.4, 0.5)},
    clean=score(1400),
    scores={"fog": steps(1300, 1200, 1100, 1000, 900), "rain": steps(800, 700, 600, 500, 400)},
    means={"fog": Estimate(0.55, 0.5, 0.6), "rain": Estimate(0.3, 0.25, 0.35)},
    mean=Estimate(0.425, 0.4, 0.45),
)
AGAINST = dataclasses.replace(
    FOUND,
    relative=Relative(
        "base", "n", {"fog": 0.9, "rain": 0.8}, Estimate(0.85, 0.8, 0.9), Estimate(0.7, 0.65, 0.751)
    ),
)
ATTACKED = Adversarial(
    name="net",
    data="fer2013",
    split="public",
    digest=EVALUATION.digest,
    network=EVALUATION.network,
    images=2000,
    clean=score(1400),
    scores={"FGSM": steps(1000, 800, 600, 400), "PGD-20": steps(900, 500, 100, 0)},
)


def test_corrupted_faces_in_a_line():
    assert summary(FOUND) == (
        "corrupted faces: 42.50 [40.00, 45.00] % right in the mean of 2 corruptions (clean: 70.00 "
        "[68.00, 71.00]), n=2000; mean corruption error left out: no --baseline was named"
    )
    assert summary(AGAINST).endswith(
        "n=2000; mean corruption error 85.0 [80.0, 90.0] % of base's, relative 70.0 [65.0, 75.1] %"
    )


def test_an_error_that_cannot_be_told_is_told_in_words():
    none, against = Estimate(np.nan, np.nan, np.nan), AGAINST.relative
    assert against is not None
    harmless = dataclasses.replace(against, relative_mce=none)
    flawless = dataclasses.replace(harmless, mce=none)
    told = [summary(dataclasses.replace(FOUND, relative=each)) for each in (harmless, flawless)]
    assert told[0].endswith("of base's, none relative: a corruption does base no harm")
    assert told[1].endswith(
        "; no mean corruption error: under a corruption, base makes no error to divide by"
    )


def test_attacks_in_a_line():
    assert attack_summary(ATTACKED) == (
        "under attack: 45.00 [43.00, 46.00] % right under PGD-20 at 1/255 "
        "(without: 70.00 [68.00, 71.00]), n=2000"
    )


def test_corruptions_as_a_table():
    told, empty, *lines = as_markdown(AGAINST)
    assert told == (
        "Accuracy, %, on 2,000 images by severity (Hendrycks & Dietterich 2019); clean: 70.00 "
        "[68.00, 71.00]; mean of all: 42.50 [40.00, 45.00]; mean corruption error 85.0 "
        "[80.0, 90.0] % of base's, relative 70.0 [65.0, 75.1] %. All 5 severities with "
        "intervals: robustness.csv."
    )
    assert empty == ""
    assert lines == [
        "| corruption | severity 1 | severity 3 | severity 5 | mean [95 %] |",
        "| --- | --- | --- | --- | --- |",
        "| fog | 65.0 | 55.0 | 45.0 | 55.0 [50.0, 60.0] |",
        "| rain | 40.0 | 30.0 | 20.0 | 30.0 [25.0, 35.0] |",
    ]


def test_attacks_as_a_table():
    assert attacks_as_markdown(ATTACKED)[2:] == [
        "| attack | 0 | 1 | 2 | 4 | 8 |",
        "| --- | --- | --- | --- | --- | --- |",
        "| FGSM | 70.0 [68.0, 71.0] | 50.0 [48.0, 51.0] | 40.0 [38.0, 41.0] | 30.0 [28.0, 31.0] "
        "| 20.0 [18.0, 21.0] |",
        "| PGD-20 | 70.0 [68.0, 71.0] | 45.0 [43.0, 46.0] | 25.0 [23.0, 26.0] | 5.0 [3.0, 6.0] "
        "| 0.0 [-2.0, 1.0] |",
    ]
    assert attacks_as_markdown(ATTACKED)[0].startswith("Accuracy, % [95 %], on 2,000 images, the")


def test_the_rows_of_a_csv_are_the_cells():
    found = corruption_table(FOUND).as_columns()
    assert found["corruption"] == ["none"] + ["fog"] * 5 + ["rain"] * 5
    assert found["severity"] == [0, *range(1, 6), *range(1, 6)]
    assert np.isnan(found["strength"][0])
    assert found["strength"][1:] == [1, 2, 3, 4, 5, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert found["images"] == [2000] * 11
    assert found["right"] == [1400, 1300, 1200, 1100, 1000, 900, 800, 700, 600, 500, 400]
    assert found["accuracy"][:2] == [0.7, 0.65]
    assert (found["accuracy_low"][1], found["accuracy_high"][1]) == pytest.approx((0.63, 0.66))
    found = attack_table(ATTACKED).as_columns()
    assert found["attack"] == ["none"] + ["FGSM"] * 4 + ["PGD-20"] * 4
    assert found["epsilon_255"] == [0, 1, 2, 4, 8, 1, 2, 4, 8]
    assert found["right"] == [1400, 1000, 800, 600, 400, 900, 500, 100, 0]


def test_a_page_has_the_sections_of_what_was_scored(tmp_path: Path):
    assert sections(EVALUATION, tmp_path) == []
    write_robustness(FOUND, tmp_path)
    corrupted = [
        *("## Corrupted faces", "", *as_markdown(FOUND), ""),
        *("![accuracy by kind and severity](robustness.png)", ""),
    ]
    assert sections(EVALUATION, tmp_path) == corrupted
    write_robustness(FOUND, tmp_path, OCCLUDED)
    corrupted += [
        *("## Covered faces", "", *as_markdown(FOUND, OCCLUDED), ""),
        *("![accuracy by kind and severity](occlusions.png)", ""),
    ]
    assert sections(EVALUATION, tmp_path) == corrupted
    assert "baseline" not in " ".join(as_markdown(FOUND, OCCLUDED))
    write_adversarial(ATTACKED, tmp_path)
    assert sections(EVALUATION, tmp_path) == [
        *corrupted,
        *("## Under attack", "", *attacks_as_markdown(ATTACKED), ""),
        *("![accuracy by epsilon](adversarial.png)", ""),
    ]
    for name, rows in (("robustness", 11), ("occlusions", 11), ("adversarial", 9)):
        assert Image.open(tmp_path / f"{name}.png").width > 400
        assert len(pandas.read_csv(tmp_path / f"{name}.csv")) == rows


def test_models_side_by_side_against_the_last():
    worse = {name: steps(*[0] * 5) for name in FOUND.scores}
    base = dataclasses.replace(FOUND, name="b", scores=worse, mean=Estimate(0, 0, 0.01))
    rows = comparison_rows({"net": FOUND, "b": base})
    # errors: (700 + ... + 1100) / 10000 of fog and (1200 + ... + 1600) / 10000 of rain
    many = {"robust_images": 2000, "mce_baseline": "b"}
    assert rows == {
        "net": many | {"robust": FOUND.mean, "mce": pytest.approx(0.575)},
        "b": many | {"robust": base.mean, "mce": 1.0},
    }
    assert comparison_rows({}) == {}
    assert not comparison_table({})
    table = comparison_table({"net": FOUND, "b": base}).as_columns()
    alone = corruption_table(FOUND).as_columns()
    assert table["model"] == ["net"] * 11 + ["b"] * 11
    assert table["right"] == [*alone["right"], 1400, *[0] * 10]
    assert list(table) == ["model", *alone]


def test_figures_show_the_shares():
    axes = reporting.heat_map(FOUND).axes[0]
    assert np.asarray(axes.images[0].get_array()) == pytest.approx(
        np.array([[0.7, 0.65, 0.6, 0.55, 0.5, 0.45, 0.55], [0.7, 0.4, 0.35, 0.3, 0.25, 0.2, 0.3]])
    )
    assert [t.get_text() for t in axes.texts][:7] == ["70", "65", "60", "55", "50", "45", "55"]
    assert [t.get_color() for t in axes.texts][:3] == ["white", "white", "0.2"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["clean", *"12345", "mean"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["fog", "rain"]
    axes = reporting.attack_curves(ATTACKED).axes[0]
    fgsm, pgd = axes.containers
    assert (fgsm.get_label(), list(fgsm[0].get_xdata())) == ("FGSM", [0, 1, 2, 4, 8])
    assert fgsm[0].get_ydata().tolist() == pytest.approx([70, 50, 40, 30, 20])
    assert pgd[2][0].get_segments()[1][:, 1].tolist() == pytest.approx([43, 46])
    figure = reporting.comparison_figure({"net": FOUND, "b": AGAINST})
    axes = figure.axes[0]
    one, other = axes.containers
    assert one[0].get_xdata().tolist() == pytest.approx([70, 55, 30])
    assert one[0].get_ydata().tolist() == pytest.approx([-0.06, 0.94, 1.94])
    assert other[0].get_ydata().tolist() == pytest.approx([0.06, 1.06, 2.06])
    assert one[2][0].get_segments()[1][:, 0].tolist() == pytest.approx([50, 60])
    assert [t.get_text() for t in axes.get_yticklabels()] == ["clean", "fog", "rain"]
    assert axes.yaxis_inverted()
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["net", "b"]
