import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mien.evaluate.groups import Gap, Group, Grouping, Groups
from mien.evaluate.intervals import Estimate
from mien.report import groups as reporting
from mien.report.groups import summary, to_json, write_groups
from tests.fakes import an_evaluation

YOUNG = Group("young", 1200, 900, 7, Estimate(0.75, 0.71, 0.79), Estimate(0.7, 0.65, 0.74))
OLD = Group("old|er", 40, 20, 6, Estimate(0.5, 0.35, 0.65), Estimate(0.4, 0.3, 0.55))
FEW = Group("few", 3, 1, 2, None, None)
GAP = Gap("young", "old|er", Estimate(0.25, 0.1, 0.4), 0.0001, 0.0003)
AGE = Grouping("age|s", (YOUNG, OLD, FEW), (GAP, GAP), 5)


def told(*gaps: Gap, missing: int = 0, empty: int = 5) -> str:
    grouping = Grouping("age", (YOUNG, OLD, FEW), gaps, empty)
    return summary(Groups((grouping,), 1248, missing, 30))


def test_a_summary_is_a_table_of_the_groups():
    assert summary(Groups((AGE,), 1248, 1100, 30)).splitlines() == [
        "1,248 images; 1,100 more are not in the table of groups. 95 % bootstrap intervals over "
        "images.",
        "",
        "| age\\|s | images | accuracy, % | macro-recall, % | labels |",
        "| --- | --- | --- | --- | --- |",
        "| young | 1,200 | 75.0 [71.0, 79.0] | 70.0 [65.0, 74.0] | 7 |",
        "| old\\|er | 40 | 50.0 [35.0, 65.0] | 40.0 [30.0, 55.0] | 6 |",
        "| few | 3 | too few to say (under 30) | too few to say (under 30) | 2 |",
        "| *(no value)* | 5 | – | – | – |",
        "",
        "Largest gap: accuracy on young is 25.0 points [10.0, 40.0] above that on old|er (Fisher's "
        "exact test, the largest of 2 pairs, Holm-corrected: p < 0.001).",
    ]


def test_what_is_not_so_is_not_said():
    text = told(GAP, empty=0)
    assert "(no value)" not in text
    assert "more are not in the table" not in text
    assert "pairs" not in text, "of a single one"


@pytest.mark.parametrize(
    ("adjusted", "words"),
    [
        (0.0009, "exact test, p < 0.001)."),
        (0.001, "exact test, p = 0.001)."),
        (0.049, "exact test, p = 0.049)."),
        (0.05, "exact test, p = 0.050; chance alone may be the reason)."),
    ],
)
def test_chance_in_words(adjusted: float, words: str):
    assert told(Gap("a", "b", Estimate(0.1, 0, 0.2), 0.0001, adjusted)).endswith(words)


def test_no_gap_in_words():
    assert told().endswith("No gap: fewer than two groups have 30 images.")


def test_figures_of_groups_in_json():
    found = to_json(Groups((AGE,), 1248, 7, 30))
    assert found == {
        "images": 1248,
        "missing": 7,
        "minimum": 30,
        "columns": {
            "age|s": {
                "no_value": 5,
                "groups": {
                    "young": {
                        "images": 1200,
                        "labels": 7,
                        "accuracy": {"value": 0.75, "low": 0.71, "high": 0.79},
                        "macro_recall": {"value": 0.7, "low": 0.65, "high": 0.74},
                    },
                    "old|er": found["columns"]["age|s"]["groups"]["old|er"],
                    "few": {"images": 3, "labels": 2, "accuracy": None, "macro_recall": None},
                },
                "gaps": [
                    {
                        "better": "young",
                        "worse": "old|er",
                        "accuracy": {"value": 0.25, "low": 0.1, "high": 0.4},
                        "p": 0.0001,
                        "adjusted": 0.0003,
                        "real": True,
                    }
                ]
                * 2,
            }
        },
    }


def test_files_of_groups(tmp_path: Path):
    evaluation = an_evaluation(np.zeros(2, int), np.eye(7)[:2])
    groups = Groups((AGE,), 1248, 7, 30)
    write_groups(groups, evaluation, tmp_path)
    assert json.loads((tmp_path / "groups.json").read_text()) == {
        **{"name": "fake", "data": "fer2013", "split": "public", "digest": "d" * 64},
        **to_json(groups),
    }
    lines = (tmp_path / "groups.md").read_text().splitlines()
    assert lines[0] == "# fake on public of fer2013, by groups"
    assert lines[2:-2] == summary(groups).splitlines()
    assert lines[-1] == "![accuracy and macro-recall by group](groups.png)"
    with (tmp_path / "groups.csv").open() as file:
        young, _, few = csv.DictReader(file)
    assert young == {
        **{"column": "age|s", "group": "young", "images": "1200", "labels": "7"},
        **{"accuracy": "0.75", "accuracy_low": "0.71", "accuracy_high": "0.79"},
        **{"macro_recall": "0.7", "macro_recall_low": "0.65", "macro_recall_high": "0.74"},
    }
    assert {few[name] for name in list(few)[4:]} == {""}


def test_the_figure_shows_each_group_that_has_figures(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reporting, "png", lambda figure: figure)
    alone = Grouping("tone", (YOUNG,), (), 0)
    figure = reporting._picture(Groups((AGE, alone), 1248, 7, 30))
    first, second = figure.axes
    assert (first.get_title("left"), second.get_title("left")) == ("age|s", "tone")
    names = [tick.get_text() for tick in first.get_yticklabels()]
    assert names == ["young (1,200)", "old|er (40)"]
    accuracy, recall = first.containers
    assert [accuracy.get_label(), recall.get_label()] == ["accuracy", "macro-recall"]
    assert accuracy[0].get_xdata().tolist() == pytest.approx([75, 50])
    assert recall[0].get_xdata().tolist() == pytest.approx([70, 40])
    (lines,) = accuracy[2]
    assert [line[:, 0].tolist() for line in lines.get_segments()] == [
        pytest.approx([71, 79]),
        pytest.approx([35, 65]),
    ]
    assert first.yaxis_inverted(), "in the order of the table"
