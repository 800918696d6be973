import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.bundle import Classifier
from mien.cli import main
from mien.data import Dataset, Split, open_dataset
from mien.errors import InputError, NotComparable
from mien.evaluate import evaluate, robustness, save
from mien.evaluate.corruptions import CORRUPTIONS
from mien.evaluate.evaluation import Evaluation
from mien.evaluate.intervals import Estimate, mean_interval
from mien.evaluate.robustness import (
    OCCLUDED,
    Robustness,
    Score,
    corruption_errors,
    load_robustness,
    mce,
    relative_errors,
    robustness_of,
    same_pictures,
    save_robustness,
    score_corruptions,
    stratified,
    tally,
)
from mien.labels import FER2013
from mien.report.compare import compare
from mien.report.entries import open_entries
from mien.report.robustness import robust_entries
from mien.values import as_json, from_json
from tests.fakes import brightness_bundle

NONE = (np.nan,) * 3
NOTHING = Estimate(*NONE)
BY_NAME = {c.name: c for c in CORRUPTIONS}
STRENGTHS = {c.name: c.strengths for c in CORRUPTIONS}


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory):
    """A network that reads brightness on faces whose brightness tells their label."""
    truth = np.arange(21) % 7
    images = np.stack([np.full((8, 8), 255 * t // 6, np.uint8) for t in truth])
    split = Split("public", images, truth, np.array([f"{i}.png" for i in range(21)]))
    bundle = brightness_bundle(tmp_path_factory.mktemp("bundle"))
    evaluation = evaluate(bundle, Dataset("greys", FER2013, {"public": split}), "public")
    return evaluation, bundle, images


@pytest.fixture(scope="module")
def found(scored) -> Robustness:
    return score_corruptions(*scored)


def by_hand(name: str, right: dict[str, tuple[int, ...]], clean: int, images: int) -> Robustness:
    """A result of which only the counts are known."""
    return Robustness(
        name=name,
        data="d",
        split="public",
        digest="d" * 64,
        network="n" * 64,
        views="plain",
        images=images,
        strengths={kind: tuple(range(len(counts))) for kind, counts in right.items()},
        clean=Score(clean, *NONE),
        scores={kind: tuple(Score(n, *NONE) for n in counts) for kind, counts in right.items()},
        means=dict.fromkeys(right, NOTHING),
        mean=NOTHING,
    )


def _all(found: Robustness) -> list[Score]:
    return [score for scores in found.scores.values() for score in scores]


def test_light_fools_a_network_that_reads_brightness_and_covers_less(found: Robustness):
    assert found.clean.accuracy.value == 1
    assert found.means["contrast"].value == 1, "the mean brightness stays"
    assert found.means["darkness"].value < 0.6
    assert found.mean.value == pytest.approx(1 - found.errors.mean())
    assert found.mean.low <= found.mean.value <= found.mean.high


def test_how_much_light_fools_it_by_hand(found: Robustness):
    """Labels are sixths of white. Less light keeps 0, and 1 of 0.7; 0.08 more is under half a
    sixth, 0.16 almost a whole; white stays white."""
    right = {name: [score.right for score in scores] for name, scores in found.scores.items()}
    assert right["darkness"] == [6, 3, 3, 3, 3]
    assert right["brightness"] == [21, 3, 3, 3, 3]
    assert right["contrast"] == right["JPEG"] == right["defocus blur"] == [21] * 5
    assert found.scores["darkness"][0].accuracy == mean_interval(
        np.repeat([1.0, 0, 1, 0, 1, 0], [2, 5] * 3)
    )
    by_image = np.tile([1, 0.2, 0, 0, 0, 0, 0], 3)
    assert found.means["darkness"] == mean_interval(by_image)
    assert found.errors[CORRUPTIONS.index(BY_NAME["darkness"])] == pytest.approx(
        [15 / 21, *[18 / 21] * 4]
    )


def test_a_result_says_what_was_scored_on_what(scored, found: Robustness):
    evaluation = scored[0]
    for name in ("name", "data", "split", "digest", "network", "views"):
        assert getattr(found, name) == getattr(evaluation, name)
    assert found.images == 21
    assert found.strengths == {c.name: c.strengths for c in CORRUPTIONS}
    assert list(found.scores) == list(found.means) == [c.name for c in CORRUPTIONS]
    assert found.relative is None


def test_each_score_is_that_of_its_corruption_severity_and_images(scored):
    """Also of a part: pictures are spoilt by their numbers in the whole split."""
    evaluation, bundle, images = scored
    part = score_corruptions(evaluation, bundle, images, limit=14)
    rows = stratified(evaluation.truth, 14)
    assert part.clean == tally(np.ones(14, bool))
    classifier = Classifier(bundle)
    for name in ("patch", "covered side", "uneven light", "gaussian noise", "covered mouth"):
        for severity in (1, 4, 5):
            spoilt = BY_NAME[name](images[rows], severity, rows)
            right = classifier.probabilities(spoilt).argmax(1) == evaluation.truth[rows]
            assert part.scores[name][severity - 1] == tally(right), (name, severity)


def test_what_is_wrong_without_corruption_is_wrong_in_the_clean_score(scored):
    evaluation, bundle, images = scored
    blind = dataclasses.replace(evaluation, probabilities=np.eye(7)[np.full(21, 3)])
    found = score_corruptions(blind, bundle, images, limit=14)
    assert (found.clean.right, found.clean_error) == (2, pytest.approx(12 / 14))


def test_a_score_is_a_count_and_a_share():
    right = np.array([True, True, False, True])
    assert tally(right).right == 3
    assert tally(right).accuracy == mean_interval(np.array([1.0, 1, 0, 1]))
    assert as_json(tally(right)) == {"right": 3, **as_json(tally(right).accuracy)}
    assert from_json(Score, as_json(tally(right))) == tally(right)


def test_the_batch_and_the_subset_change_no_picture(
    scored, found: Robustness, monkeypatch: pytest.MonkeyPatch
):
    evaluation, bundle, images = scored
    monkeypatch.setattr(robustness, "_BATCH", 8)
    done: list[int] = []
    again = score_corruptions(evaluation, bundle, images, limit=500, progress=done.append)
    assert again == found
    assert done == [8, 8, 5] * len(CORRUPTIONS) * 5
    part = score_corruptions(evaluation, bundle, images, limit=14)
    assert part.images == 14
    assert all(s.right <= w.right for s, w in zip(_all(part), _all(found), strict=True))


def test_progress_counts_every_face(scored):
    done: list[int] = []
    score_corruptions(*scored, limit=7, progress=done.append)
    assert done == [7] * len(CORRUPTIONS) * 5


def test_a_subset_keeps_the_shares_and_is_drawn_once():
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    rows = stratified(labels, 100)
    assert np.bincount(labels[rows]).tolist() == [60, 30, 10]
    assert (rows == stratified(labels, 100)).all()
    assert (np.diff(rows) > 0).all()
    assert (rows != stratified(labels, 100, seed=1)).any()
    assert 200 < rows[:60].mean() < 400, "from anywhere in a class"
    for whole in (None, 1000, 5000):
        assert (stratified(labels, whole) == np.arange(1000)).all()
    assert len(stratified(labels, 999)) == 999
    assert stratified(np.repeat([0, 1], [6, 4]), 5).tolist() == [1, 4, 5, 6, 8], (
        "the published ones"
    )


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.data())
def test_a_subset_holds_each_class_in_its_share(classes: list[int], data):
    limit = data.draw(st.integers(1, len(classes)))
    labels = np.array(classes)
    rows = stratified(labels, limit)
    assert len(set(rows.tolist())) == limit
    for label in set(classes):
        share = limit * (labels == label).mean()
        assert abs((labels[rows] == label).sum() - share) < 2


def test_the_mean_corruption_error_by_hand():
    one = by_hand("one", {"noise": (80, 60), "blur": (90, 90)}, clean=100, images=100)
    base = by_hand("base", {"noise": (60, 20), "blur": (80, 60)}, clean=90, images=100)
    # noise: (0.2 + 0.4) / (0.4 + 0.8), blur: (0.1 + 0.1) / (0.2 + 0.4)
    assert mce(one, base) == pytest.approx((0.5 + 1 / 3) / 2)
    assert mce(base, base) == pytest.approx(1)
    # beyond clean errors of 0 and 0.1: 0.6 / 1.0 and 0.2 / 0.4
    extra = relative_errors(one.errors[..., None], np.zeros(1), base.errors, base.clean_error)
    assert extra[:, 0] == pytest.approx([0.6, 0.5])


def test_a_corruption_that_does_no_harm_has_no_error_to_divide_by():
    wrong = np.array([[[1, 0], [1, 0]], [[1, 1], [0, 0]]], bool)
    errors = corruption_errors(wrong, np.array([[0.5, 0.5], [0.0, 0.0]]))
    assert errors[0].tolist() == [2, 0]
    assert np.isnan(errors[1]).all()
    extra = relative_errors(wrong, np.array([True, False]), np.full((2, 2), 0.4), 0.5)
    assert np.isnan(extra).all()


def test_against_oneself_the_error_is_one(scored, found: Robustness):
    relative = score_corruptions(*scored, baseline=found).relative
    assert relative is not None
    errors = np.array(list(relative.errors.values()))
    harmed = found.errors.sum(1) > 0
    assert errors[harmed] == pytest.approx(1)
    assert np.isnan(errors[~harmed]).all()
    assert np.isnan(relative.mce.value), "one of them does the baseline no harm"


def test_a_mean_corruption_error_has_an_interval_around_it(scored, found: Robustness):
    worse = {
        name: tuple(dataclasses.replace(s, right=s.right // 2) for s in scores)
        for name, scores in found.scores.items()
    }
    base = dataclasses.replace(found, scores=worse, name="worse")
    relative = score_corruptions(*scored, baseline=base).relative
    assert relative is not None
    assert relative.mce.value == pytest.approx(mce(found, base))
    assert relative.mce.low < relative.mce.value < relative.mce.high < 1
    assert (relative.baseline, relative.network) == ("worse", found.network)
    # darkness: 15 and 18 of 21 are wrong; the baseline has 18 and 20
    assert relative.errors["darkness"] == pytest.approx((15 + 4 * 18) / (18 + 4 * 20))


def test_errors_beyond_the_clean_ones_by_hand(scored, found: Robustness):
    """The baseline errs on 3 of 21 clean images, and never more than this network otherwise."""
    clean = dataclasses.replace(found.clean, right=18)
    worse = {
        name: tuple(dataclasses.replace(s, right=s.right // 2) for s in scores)
        for name, scores in found.scores.items()
    }
    base = dataclasses.replace(found, scores=worse, clean=clean, name="worse")
    relative = score_corruptions(*scored, baseline=base).relative
    assert relative is not None
    by_kind = [
        sum(21 - s.right for s in found.scores[name]) / sum(18 - s.right for s in worse[name])
        for name in found.scores
    ]
    assert relative.relative_mce.value == pytest.approx(np.mean(by_kind))
    assert relative.relative_mce.low < relative.relative_mce.value < relative.relative_mce.high


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"name": "other", "network": "x", "views": "flip"}, True),
        ({"digest": "x"}, False),
        ({"images": 20}, False),
        ({"strengths": {}}, False),
    ],
)
def test_results_of_the_same_pictures(found: Robustness, changes, same: bool):
    assert same_pictures(found, dataclasses.replace(found, **changes)) is same


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"images": 20},
            "the baseline brightness was scored on 20 images of greys public, these are 21 of "
            "greys public; score both on the same split with the same --limit",
        ),
        ({"digest": "e" * 64}, "score both on the same split"),
        ({"strengths": STRENGTHS | {"fog": (1, 2, 3, 4, 5)}}, r"other .* strengths \(fog\); score"),
        ({"strengths": STRENGTHS | {"shift": (0,) * 5, "JPEG": (9,) * 5}}, r"\(JPEG, shift\)"),
    ],
)
def test_a_baseline_on_other_pictures_is_refused(scored, found: Robustness, changes, message):
    done: list[int] = []
    with pytest.raises(NotComparable, match=message):
        score_corruptions(
            *scored, baseline=dataclasses.replace(found, **changes), progress=done.append
        )
    assert not done, "before anything is run"


def test_what_is_saved_comes_back(scored, found: Robustness, tmp_path: Path):
    save_robustness(found, tmp_path)
    assert load_robustness(tmp_path) == found
    raw = json.loads((tmp_path / "robustness.json").read_text())
    assert list(raw) == [
        *("name", "data", "split", "digest", "network", "views", "images"),
        *("clean", "mean", "corruptions", "relative"),
    ]
    assert raw["corruptions"]["darkness"] == {
        "strengths": [0.7, 0.5, 0.4, 0.3, 0.2],
        "mean": as_json(found.means["darkness"]),
        "severities": as_json(found.scores["darkness"]),
    }
    assert raw["relative"] == {
        "baseline": None,
        "reason": "no baseline was named: --baseline FOLDER",
    }
    base = dataclasses.replace(found, name="other", network="m" * 64)
    against = score_corruptions(*scored, baseline=base)
    save_robustness(against, tmp_path)
    assert str(load_robustness(tmp_path)) == str(against)  # NaN is not equal to itself
    raw = json.loads((tmp_path / "robustness.json").read_text())["relative"]
    assert (raw["baseline"], raw["network"]) == ("other", "m" * 64)
    assert raw["errors"]["darkness"] == pytest.approx(1)
    assert raw["errors"]["contrast"] is raw["mce"]["value"] is None
    assert raw["reason"] == "under a corruption, other makes no error to divide by"


def test_what_is_saved_is_noted_with_the_evaluation(scored, found: Robustness, tmp_path: Path):
    save(scored[0], tmp_path)
    save_robustness(found, tmp_path)
    told = json.loads((tmp_path / "metrics.json").read_text())["robustness"]
    assert list(told) == ["images", "clean", "mean", "corruptions", "relative"]
    assert told["mean"] == as_json(found.mean)


def test_a_result_of_another_network_or_of_none_is_passed_over(
    scored, found: Robustness, tmp_path: Path
):
    evaluation: Evaluation = scored[0]
    assert robustness_of(evaluation, tmp_path) is None
    save_robustness(found, tmp_path)
    assert robustness_of(evaluation, tmp_path) == found
    assert robustness_of(dataclasses.replace(evaluation, network="x"), tmp_path) is None
    assert robustness_of(dataclasses.replace(evaluation, views="flip"), tmp_path) is None
    assert robustness_of(dataclasses.replace(evaluation, digest="x"), tmp_path) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"name": 1}'])
def test_a_spoilt_result_is_named(tmp_path: Path, text: str):
    with pytest.raises(InputError, match="--corruptions"):
        load_robustness(tmp_path)
    (tmp_path / "robustness.json").write_text(text)
    with pytest.raises(InputError, match="is not whole"):
        load_robustness(tmp_path)


def test_a_comparison_shows_it_if_all_have_it(
    scored, found: Robustness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("mien.report.compare.png", lambda figure: b"")  # figures take seconds
    monkeypatch.setattr("mien.report.compare_page.drawing", lambda draw: {"wide": ""})
    evaluation: Evaluation = scored[0]
    worse = dataclasses.replace(
        evaluation, name="worse", probabilities=np.roll(evaluation.probabilities, 1, axis=1)
    )
    for one in (evaluation, worse):
        save(one, tmp_path / one.name)
    folders = [tmp_path / one.name for one in (evaluation, worse)]
    save_robustness(found, folders[0])
    assert not robust_entries(open_entries(folders, "public"))
    save_robustness(dataclasses.replace(found, name="worse"), folders[1])
    compare(folders, tmp_path / "out", "public")
    table = pandas.read_csv(tmp_path / "out" / "robustness.csv")
    assert len(table) == 2 * (1 + 5 * len(CORRUPTIONS))
    page = (tmp_path / "out" / "index.html").read_text()
    assert "mean corruption error, %" in page
    assert "<td>worse</td>" in page, "what the error is relative to"
    assert page.count('<span class="faced"><img') == 1 + len(CORRUPTIONS)
    assert (tmp_path / "out" / "robustness.png").is_file()


def test_the_command_from_faces_to_page(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    brightness_bundle(tmp_path / "bundle")
    assert len(open_dataset(drawn).split("public")) == 21

    def mien(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
        try:
            main()
        except SystemExit as stop:
            return int(stop.code or 0), "".join(capsys.readouterr())
        return 0, "".join(capsys.readouterr())

    command = ("evaluate", tmp_path / "bundle", "--data", drawn, "--out")
    first = (*command, tmp_path / "first", "--corruptions", "--limit", 14)
    code, out = mien(*first)
    assert code == 0
    assert "no --baseline was named" in out
    assert load_robustness(tmp_path / "first").images == 14
    assert "## Corrupted faces" in (tmp_path / "first" / "evaluation.md").read_text()
    again = (*command, tmp_path / "again", "--corruptions", "--baseline", tmp_path / "first")
    code, out = mien(*again)
    assert code == 2
    assert "same --limit" in out
    code, out = mien(*again, "--limit", 14)
    assert code == 0
    assert "mean corruption error 100.0" in out
    code, out = mien(*command, tmp_path / "covered", "--occlusions", "--limit", 7)
    assert (code, load_robustness(tmp_path / "covered", OCCLUDED).images) == (0, 7)
    assert "mean of 7 covers" in out
    assert "## Covered faces" in (tmp_path / "covered" / "evaluation.md").read_text()
    for wrong in (("--limit", 5), ("--baseline", tmp_path / "first"), ("--adversarial",)):
        code, out = mien(*command, tmp_path / "no", *wrong)
        assert code == 2
    assert "give the run folder" in out
