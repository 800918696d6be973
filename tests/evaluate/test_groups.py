import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from mien.cli import main
from mien.errors import DataError, InputError
from mien.evaluate import Evaluation, save
from mien.evaluate.groups import Gap, Grouping, by_groups
from mien.evaluate.intervals import Estimate
from mien.report.groups import summary, write_groups
from tests.fakes import an_evaluation

LABELS = ("happy", "neutral", "sad")
SKILL = {"young": 0.9, "old": 0.6, "middle": 0.85, "few": 0.5}
SIZES = {"young": 600, "old": 400, "middle": 300, "few": 12}


def evaluation(skills: list[float]) -> Evaluation:
    """As many images as skills, each answered right with that probability."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, len(LABELS), len(skills))
    right = rng.random(len(skills)) < skills
    answers = np.where(right, truth, (truth + 1) % len(LABELS))
    return an_evaluation(
        truth,
        np.eye(len(LABELS))[answers] * 0.7 + 0.1,
        split="test",
        labels=LABELS,
        names=np.array([f"test/{LABELS[t]}/{i}.png" for i, t in enumerate(truth)]),
    )


AGES = [age for age, size in SIZES.items() for _ in range(size)]
FAKE = evaluation([SKILL[age] for age in AGES])


def table(folder: Path, rows: list[list[str]], head: str = "name,age") -> Path:
    path = folder / "groups.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head.split(","), *rows])
    return path


@pytest.fixture
def ages(tmp_path: Path) -> Path:
    return table(tmp_path, [[n, age] for n, age in zip(FAKE.names, AGES, strict=True)])


def test_figures_are_those_of_scikit_learn_and_statsmodels(ages: Path):
    (grouping,) = by_groups(FAKE, ages).groupings
    assert [(g.name, g.images) for g in grouping.groups] == list(SIZES.items())
    answers = FAKE.probabilities.argmax(1)
    for group in grouping.groups[:3]:
        rows = np.array(AGES) == group.name
        assert group.accuracy is not None
        assert group.macro_recall is not None
        assert group.accuracy.value == accuracy_score(FAKE.truth[rows], answers[rows])
        expected = balanced_accuracy_score(FAKE.truth[rows], answers[rows])
        assert group.macro_recall.value == pytest.approx(expected)
        for figure in (group.accuracy, group.macro_recall):
            assert figure.low < figure.value < figure.high


def test_gaps_are_those_of_statsmodels(ages: Path):
    (grouping,) = by_groups(FAKE, ages).groupings
    sizes = {g.name: (g.right, g.images) for g in grouping.groups}
    assert len(grouping.gaps) == 3, "the group of twelve is in no pair"
    for gap in grouping.gaps:
        (one, n), (other, m) = sizes[gap.better], sizes[gap.worse]
        assert gap.accuracy.value == pytest.approx(one / n - other / m)
        expected = confint_proportions_2indep(one, n, other, m, method="wald")
        assert (gap.accuracy.low, gap.accuracy.high) == pytest.approx(expected, abs=0.01)
        approximate = proportions_ztest([one, other], [n, m])[1]
        assert gap.p == pytest.approx(approximate, rel=0.6, abs=1e-6)
    corrected = multipletests([gap.p for gap in grouping.gaps], method="holm")[1]
    assert [gap.adjusted for gap in grouping.gaps] == pytest.approx(list(corrected))
    widest = grouping.gaps[0]
    assert (widest.better, widest.worse, widest.real) == ("young", "old", True)


def few(folder: Path, marks: dict[str, str], minimum: int = 2) -> Grouping:
    """A grouping by hand: of each group, `1` where it is answered right; the labels take turns."""
    right = np.array([mark == "1" for row in marks.values() for mark in row])
    truth = np.arange(len(right)) % 3
    answers = np.where(right, truth, (truth + 1) % 3)
    names = np.array([f"{i}.png" for i in range(len(right))])
    found = an_evaluation(truth, np.eye(3)[answers], labels=LABELS, names=names)
    groups = [group for group, row in marks.items() for _ in row]
    path = table(folder, [list(row) for row in zip(names.tolist(), groups, strict=True)])
    (grouping,) = by_groups(found, path, minimum=minimum).groupings
    return grouping


def test_a_gap_by_hand(tmp_path: Path):
    """Of eight answers half are right: 3 of 4 or more on a side in 34 of 70 ways."""
    (gap,) = few(tmp_path, {"worse": "1000", "better": "0111"}).gaps
    assert (gap.better, gap.worse, gap.real) == ("better", "worse", False)
    assert gap.accuracy.value == pytest.approx(0.5)
    assert gap.p == gap.adjusted == pytest.approx(34 / 70)


def test_each_group_s_images_are_drawn_on_their_own(tmp_path: Path):
    """2,000 times, from seed 0."""
    (gap,) = few(tmp_path, {"a": "1" * 30 + "0" * 10, "b": "1" * 10 + "0" * 10}).gaps
    rng = np.random.default_rng(0)
    drawn = rng.binomial(40, 0.75, 2000) / 40 - rng.binomial(20, 0.5, 2000) / 20
    expected = np.percentile(drawn, [2.5, 97.5])
    assert (gap.accuracy.low, gap.accuracy.high) == pytest.approx(tuple(expected))


def test_groups_by_hand(tmp_path: Path):
    found = few(tmp_path, {"small": "11", "large": "110110", "one": "1", "equal": "10"})
    assert [(g.name, g.images, g.right, g.classes) for g in found.groups] == [
        *(("large", 6, 4, 3), ("small", 2, 2, 2), ("equal", 2, 1, 2), ("one", 1, 1, 1))
    ]
    large = found.groups[0]
    assert large.accuracy is not None
    assert large.macro_recall is not None
    assert large.accuracy.value == pytest.approx(4 / 6)
    assert large.macro_recall.value == pytest.approx((1 + 1 + 0) / 3)
    assert [(g.better, g.worse, round(g.accuracy.value, 3)) for g in found.gaps] == [
        *(("small", "equal", 0.5), ("small", "large", 0.333), ("large", "equal", 0.167))
    ]


def test_of_groups_that_are_equally_right_the_larger_is_named_first(tmp_path: Path):
    (gap,) = few(tmp_path, {"a": "10", "b": "1010"}).gaps
    assert (gap.better, gap.worse, gap.accuracy.value, gap.p) == ("b", "a", 0, 1)


def test_a_group_of_just_enough_images_has_figures(tmp_path: Path):
    found = few(tmp_path, {"enough": "110", "less": "11"}, minimum=3)
    assert [group.accuracy is None for group in found.groups] == [False, True]
    assert found.groups[1].right == 2, "which are counted all the same"


@pytest.mark.parametrize(("adjusted", "real"), [(0.0499, True), (0.05, False)])
def test_a_gap_is_real_by_its_corrected_chance(adjusted: float, real: bool):
    assert Gap("a", "b", Estimate(0.1, 0, 0.2), 0.001, adjusted).real is real


def test_the_same_images_have_the_same_gaps_every_time(ages: Path):
    assert by_groups(FAKE, ages) == by_groups(FAKE, ages)


def test_groups_that_are_served_alike_are_not_told_apart(tmp_path: Path):
    """Of 40 random groupings about 2 show a gap: those that chance allows."""
    fair = evaluation([0.7] * 400)
    rng = np.random.default_rng(1)
    head = ",".join(["name", *(f"c{i}" for i in range(40))])
    rows = [[str(n), *rng.choice(["a", "b", "c"], 40)] for n in fair.names]
    found = by_groups(fair, table(tmp_path, rows, head))
    assert sum(grouping.gaps[0].real for grouping in found.groupings) <= 5


def test_small_groups_say_nothing(ages: Path):
    (grouping,) = by_groups(FAKE, ages).groupings
    few = grouping.groups[-1]
    assert (few.name, few.images, few.accuracy, few.macro_recall) == ("few", 12, None, None)
    told = summary(by_groups(FAKE, ages))
    assert "| few | 12 | too few to say (under 30) |" in told
    alone = by_groups(FAKE, ages, minimum=500)
    assert not alone.groupings[0].gaps
    assert "No gap: fewer than two groups have 500 images" in summary(alone)
    with pytest.raises(InputError, match="at least 2 images, got 1"):
        by_groups(FAKE, ages, minimum=1)
    assert len(by_groups(FAKE, ages, minimum=2).groupings[0].gaps) == 6


def test_what_the_table_leaves_out_is_counted(tmp_path: Path):
    rows = [[f"D:\\copy\\{n}".replace("/", "\\"), "x"] for n in FAKE.names[:100]]
    rows += [[str(n), " "] for n in FAKE.names[100:110]] + [["test/sad/other.png", "x"]]
    found = by_groups(FAKE, table(tmp_path, rows, "path,source"))
    assert (found.images, found.missing) == (110, len(FAKE.names) - 110)
    assert (found.groupings[0].groups[0].images, found.groupings[0].empty) == (100, 10)
    assert "1,202 more are not in the table" in summary(found)


def test_one_column_of_several(tmp_path: Path):
    path = table(tmp_path, [[str(n), "a", "b"] for n in FAKE.names], "name,age,tone")
    assert [g.column for g in by_groups(FAKE, path).groupings] == ["age", "tone"]
    assert [g.column for g in by_groups(FAKE, path, ["tone"]).groupings] == ["tone"]
    assert [g.column for g in by_groups(FAKE, path, ["tone", "age"]).groupings] == ["tone", "age"]
    with pytest.raises(InputError, match="no column 'sex'; has: age, tone"):
        by_groups(FAKE, path, ["sex"])


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_table_of_a_spreadsheet(tmp_path: Path, mark: str):
    """A byte-order mark, blanks, a row twice, a short row, a heading without a name."""
    one, two, three = (str(name) for name in FAKE.names[:3])
    rows = [f"x,{one}, a ,p", f"x,{one},a,p", f"x,{two},b", f"x,{three},a,q"]
    text = "\ufeff" + "\n".join([",name,age,path", *rows]) + "\n"
    (tmp_path / "t.csv").write_text(text.replace(",", mark))
    found = by_groups(FAKE, tmp_path / "t.csv")
    assert [(g.column, g.empty) for g in found.groupings] == [("age", 0), ("path", 1)]
    assert [(g.name, g.images) for g in found.groupings[0].groups] == [("a", 2), ("b", 1)]
    assert [(g.name, g.images) for g in found.groupings[1].groups] == [("p", 1), ("q", 1)]
    assert (found.images, found.missing, found.minimum) == (3, len(FAKE.names) - 3, 30)


def test_images_are_known_by_the_last_three_parts_of_their_path(tmp_path: Path):
    """A folder above those may be called anything; one among them not."""
    split, label, file = str(FAKE.names[0]).split("/")
    known = table(tmp_path, [[f"/elsewhere/{split}/{label}/{file}", "a"]])
    assert by_groups(FAKE, known).images == 1
    with pytest.raises(DataError, match=rf"such as '{FAKE.names[0]}'\); is it the table of these"):
        by_groups(FAKE, table(tmp_path, [[f"train/{label}/{file}", "a"]]))


@pytest.mark.parametrize(
    ("head", "rows", "message"),
    [
        ("name,age", [["row 1", "x"]], "names no image of the evaluation"),
        ("name,age", [], "names no image"),
        ("file,age", [["a", "x"]], "has the columns file, age; expected name or path"),
        ("name", [["a"]], "has the columns name; .* and one or more of groups"),
        ("", [], r"has the columns \(none\)"),
        ("name,age", [["a", "x"], ["a", "y"]], "line 3: a has other values above; keep one row"),
    ],
)
def test_tables_that_do_not_do(tmp_path: Path, head: str, rows: list[list[str]], message: str):
    with pytest.raises(DataError, match=message):
        by_groups(FAKE, table(tmp_path, rows, head))


def test_no_table(tmp_path: Path):
    with pytest.raises(InputError, match="does not exist"):
        by_groups(FAKE, tmp_path / "none.csv")
    with pytest.raises(DataError, match="tells nothing of its people"):
        by_groups(FAKE, tmp_path)


def test_a_figure_for_every_kind_of_table(tmp_path: Path):
    path = table(tmp_path, [[str(n), str(i), "a|b"] for i, n in enumerate(FAKE.names)], "name,i,c")
    write_groups(by_groups(FAKE, path), FAKE, tmp_path / "out")
    assert "| a\\|b | 1,312 |" in (tmp_path / "out" / "groups.md").read_text()


def test_the_command_writes_all(ages: Path, tmp_path: Path, monkeypatch, capsys):
    save(FAKE, tmp_path / "e")
    arguments = ["mien", "groups", str(tmp_path / "e"), "--by", str(ages), "--column", "age"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    out = capsys.readouterr().out
    assert "Largest gap: accuracy on young is" in out
    folder = tmp_path / "e" / "groups"
    assert {p.name for p in folder.iterdir()} == {
        *("groups.json", "groups.csv", "groups.md", "groups.png")
    }
    told = json.loads((folder / "groups.json").read_text())["columns"]["age"]
    assert told["groups"]["few"]["accuracy"] is None
    assert told["gaps"][0]["real"] is True
    rows = list(csv.DictReader((folder / "groups.csv").open()))
    assert [row["accuracy"] == "" for row in rows] == [False, False, False, True]
