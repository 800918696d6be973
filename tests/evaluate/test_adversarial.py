import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from torch import Tensor, nn

from mien.cli import main
from mien.data.drawn import draw_face
from mien.errors import InputError
from mien.evaluate.adversarial import (
    ATTACKS,
    EPSILONS,
    Attack,
    adversarial_of,
    save_adversarial,
    score_attacks,
)
from mien.evaluate.evaluation import Evaluation, save
from mien.evaluate.robustness import stratified, tally
from mien.labels import FER2013
from mien.preprocess import Preprocess
from mien.report.robustness import attacks_as_markdown, sections, write_adversarial
from mien.values import as_json
from tests.fakes import an_evaluation, brightness_bundle
from tests.test_export import untrained_run

FGSM, PGD10, PGD20 = ATTACKS
PREPROCESS = Preprocess(size_px=16, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), source_px=16)
each = pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.name)


@pytest.fixture(scope="module")
def faces() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(70) % 7
    return np.stack([draw_face(FER2013[t], rng, 16) for t in labels]), labels


@pytest.fixture(scope="module")
def model(faces) -> nn.Module:
    """A small network that has learnt its faces by heart."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 64, 7)
    )
    images, labels = torch.from_numpy(PREPROCESS(faces[0])), torch.from_numpy(faces[1])
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()
    return net.eval()


@pytest.fixture(scope="module")
def evaluation(faces) -> Evaluation:
    return an_evaluation(faces[1], np.eye(7)[faces[1]], name="small", data="drawn")


@pytest.fixture(scope="module")
def found(evaluation: Evaluation, model: nn.Module, faces):
    return score_attacks(evaluation, model, PREPROCESS, faces[0])


def inputs(faces) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(faces[0][:, None]).float() / 255, torch.from_numpy(faces[1])


def loss_of(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    with torch.no_grad():
        logits = model(PREPROCESS.normalise(images))
        return nn.functional.cross_entropy(logits, labels, reduction="none")


@each
@pytest.mark.parametrize("level", EPSILONS)
def test_a_change_stays_within_epsilon_and_the_range(attack: Attack, level: int, model, faces):
    images, labels = inputs(faces)
    images[0], images[1] = 0, 1
    spoilt = attack(lambda x: model(PREPROCESS.normalise(x)), images, labels, level / 255)
    assert (spoilt - images).abs().max() <= level / 255 + 1e-6
    assert spoilt.min() >= 0
    assert spoilt.max() <= 1
    assert (spoilt != images).any()


def test_more_steps_do_more_harm(model, faces):
    images, labels = inputs(faces)
    loss = {
        attack.name: loss_of(
            model,
            attack(lambda x: model(PREPROCESS.normalise(x)), images, labels, 4 / 255),
            labels,
        ).mean()
        for attack in ATTACKS
    }
    assert loss_of(model, images, labels).mean() < loss["FGSM"]
    assert loss["FGSM"] <= loss["PGD-10"] <= loss["PGD-20"] * 1.01


def test_fgsm_is_a_step_along_the_sign_of_the_gradient():
    """On a linear network the gradient is known: class 1 against class 0."""
    weights = torch.tensor([[1.0, -2.0, 0.5, -0.5], [0.0, 0.0, 0.0, 0.0]])
    images = torch.full((1, 1, 2, 2), 0.5)
    found = FGSM(lambda x: x.flatten(1) @ weights.T, images, torch.tensor([0]), 0.1)
    assert found.flatten().tolist() == pytest.approx([0.4, 0.6, 0.4, 0.6])


def test_attacks_are_those_of_the_papers():
    """PGD's step is 2.5 epsilon over the number of steps (Madry et al. 2018)."""
    assert [(a.name, a.steps, a.step, a.random_start) for a in ATTACKS] == [
        ("FGSM", 1, 1.0, False),
        ("PGD-10", 10, 0.25, True),
        ("PGD-20", 20, 0.125, True),
    ]
    assert EPSILONS == (1, 2, 4, 8)


SLOPE = torch.tensor([[1.0, -2.0, 0.5, -0.5], [0.0, 0.0, 0.0, 0.0]])


@pytest.mark.parametrize(
    ("steps", "step", "moved"), [(1, 0.25, 0.025), (2, 0.25, 0.05), (3, 0.5, 0.1), (10, 0.25, 0.1)]
)
def test_steps_add_up_until_epsilon(steps: int, step: float, moved: float):
    images = torch.full((1, 1, 2, 2), 0.5)
    attack = Attack("some", steps, step, random_start=False)
    found = attack(lambda x: x.flatten(1) @ SLOPE.T, images, torch.tensor([0]), 0.1)
    assert found.flatten().tolist() == pytest.approx(
        [0.5 - moved, 0.5 + moved, 0.5 - moved, 0.5 + moved]
    )


def test_a_random_start_lies_anywhere_within_epsilon_and_the_range():
    start = Attack("start", 0, 0, random_start=True)
    images = torch.tensor([0.0, 0.5, 1.0])[:, None, None, None].expand(3, 1, 40, 40)
    dark, grey, white = start(lambda x: x, images, torch.zeros(3), 0.1).flatten(1)
    for found, low, high in ((dark, 0, 0.1), (grey, 0.4, 0.6), (white, 0.9, 1)):
        assert low <= found.min() < low + 0.002
        assert high - 0.002 < found.max() <= high
        assert found.mean() == pytest.approx((low + high) / 2, abs=0.01)


def test_a_start_is_random_but_seeded(model, faces):
    images, labels = inputs(faces)
    network = lambda x: model(PREPROCESS.normalise(x))  # noqa: E731
    one, again, other = (PGD10(network, images, labels, 4 / 255, seed=s) for s in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


class Mean(nn.Module):
    """Class 1 for faces whose mean is above a half, with a loss that never stops pulling."""

    def forward(self, x: Tensor) -> Tensor:
        light = 100 * (x.mean((1, 2, 3)) - 0.5)
        return torch.stack([-light, light], 1)


PLAIN = Preprocess(size_px=4, mean=(0.0,), std=(1.0,), source_px=4)


@pytest.mark.parametrize("batches", [1, 30])
def test_a_face_is_answered_wrongly_from_the_epsilon_of_its_distance_on(batches: int):
    """Between 127 and 128 lies the boundary; some faces are wrong before any attack."""
    tones = np.tile(np.array([128, 129, 130, 133, 137, 126, 120], np.uint8), batches)
    truth = np.tile(np.array([1, 1, 1, 1, 1, 0, 1]), batches)
    evaluation = an_evaluation(truth, np.eye(7)[truth], labels=FER2013)
    images = np.broadcast_to(tones[:, None, None], (len(tones), 4, 4))
    done: list[int] = []
    found = score_attacks(evaluation, Mean(), PLAIN, images, progress=done.append)
    assert found.clean == tally(np.tile(np.array([1, 1, 1, 1, 1, 1, 0], bool), batches))
    for scores in found.scores.values():
        # distances in 255ths: 0.5, 1.5, 2.5, 5.5, 9.5 and, from the other side, 1.5
        assert [score.right for score in scores] == [5 * batches, 3 * batches, 2 * batches, batches]
    assert list(found.scores) == ["FGSM", "PGD-10", "PGD-20"]
    assert sum(done) == len(tones) * 12
    assert len(done) == 12 * -(-len(tones) // 64)


def test_what_is_wrong_is_not_attacked():
    truth = np.zeros(3, int)
    images = np.full((3, 4, 4), 200, np.uint8)
    found = score_attacks(an_evaluation(truth, np.eye(7)[truth]), Mean(), PLAIN, images)
    assert found.clean.right == 0
    assert {score.right for scores in found.scores.values() for score in scores} == {0}


def test_accuracy_falls_with_epsilon_and_steps(found):
    assert found.clean.accuracy.value > 0.9
    assert found.images == 70
    for scores in found.scores.values():
        right = [score.right for score in scores]
        assert right == sorted(right, reverse=True)
        assert right[0] <= found.clean.right
        assert right[-1] < found.clean.right
    fgsm, weak, strong = ([s.right for s in scores] for scores in found.scores.values())
    assert all(s <= w + 1 and w <= f + 1 for f, w, s in zip(fgsm, weak, strong, strict=True))


def test_a_subset_and_its_progress(evaluation: Evaluation, model, faces):
    done: list[int] = []
    part = score_attacks(evaluation, model, PREPROCESS, faces[0], limit=21, progress=done.append)
    assert part.images == 21
    assert done == [21] * len(ATTACKS) * len(EPSILONS)
    rows = stratified(evaluation.truth, 21)
    same = an_evaluation(evaluation.truth[rows], evaluation.probabilities[rows])
    assert score_attacks(same, model, PREPROCESS, faces[0][rows]).scores == part.scores


def test_what_is_saved_comes_back_and_stands_on_the_page(
    found, evaluation: Evaluation, tmp_path: Path
):
    assert adversarial_of(evaluation, tmp_path) is None
    write_adversarial(found, tmp_path)
    assert adversarial_of(evaluation, tmp_path) == found
    assert adversarial_of(dataclasses.replace(evaluation, network="x"), tmp_path) is None
    assert adversarial_of(dataclasses.replace(evaluation, digest="x"), tmp_path) is None
    assert adversarial_of(dataclasses.replace(evaluation, views="flip"), tmp_path) == found
    assert json.loads((tmp_path / "adversarial.json").read_text()) == {
        **{name: getattr(evaluation, name) for name in ("name", "data", "split", "digest")},
        "network": evaluation.network,
        "images": 70,
        "epsilons": ["1/255", "2/255", "4/255", "8/255"],
        "clean": as_json(found.clean),
        "attacks": as_json(found.scores),
    }
    table = pandas.read_csv(tmp_path / "adversarial.csv", keep_default_na=False)
    assert len(table) == 1 + len(ATTACKS) * len(EPSILONS)
    assert (table.right / table.images).to_numpy() == pytest.approx(table.accuracy, abs=1e-5)
    page = sections(evaluation, tmp_path)
    assert set(attacks_as_markdown(found)) <= set(page)


def test_what_is_saved_is_noted_with_the_evaluation(found, evaluation, tmp_path: Path):
    save(evaluation, tmp_path)
    save_adversarial(found, tmp_path)
    told = json.loads((tmp_path / "metrics.json").read_text())["adversarial"]
    assert list(told) == ["images", "epsilons", "clean", "attacks"]
    assert told["images"] == 70


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"name": 1}'])
def test_a_spoilt_result_is_named(found, evaluation: Evaluation, tmp_path: Path, text: str):
    (tmp_path / "adversarial.json").write_text(text)
    with pytest.raises(InputError, match="is not whole"):
        adversarial_of(evaluation, tmp_path)


def test_the_command_attacks_a_run(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    run.mkdir()
    untrained_run(run, "attention")
    brightness_bundle(run / "bundle")  # exporting the run itself would take seconds
    command = ("evaluate", run, "--data", drawn, "--adversarial", "--limit", 14)
    monkeypatch.setattr(sys, "argv", ["mien", *map(str, command)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    assert "right under PGD-20 at 1/255" in capsys.readouterr().out
    folder = run / "evaluation" / "public"
    assert json.loads((folder / "adversarial.json").read_text())["images"] == 14
    assert "## Under attack" in (folder / "evaluation.md").read_text()
