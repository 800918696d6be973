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
from mien.evaluate.evaluation import Evaluation
from mien.labels import FER2013
from mien.preprocess import Preprocess
from mien.report.robustness import attacks_as_markdown, sections, write_adversarial
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


def test_a_start_is_random_but_seeded(model, faces):
    images, labels = inputs(faces)
    network = lambda x: model(PREPROCESS.normalise(x))  # noqa: E731
    one, again, other = (PGD10(network, images, labels, 4 / 255, seed=s) for s in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


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
    assert sum(done) == 21 * len(ATTACKS) * len(EPSILONS)


def test_what_is_saved_comes_back_and_stands_on_the_page(
    found, evaluation: Evaluation, tmp_path: Path
):
    assert adversarial_of(evaluation, tmp_path) is None
    write_adversarial(found, tmp_path)
    assert adversarial_of(evaluation, tmp_path) == found
    assert adversarial_of(dataclasses.replace(evaluation, network="x"), tmp_path) is None
    assert json.loads((tmp_path / "adversarial.json").read_text())["epsilons"][-1] == "8/255"
    table = pandas.read_csv(tmp_path / "adversarial.csv", keep_default_na=False)
    assert len(table) == 1 + len(ATTACKS) * len(EPSILONS)
    assert (table.right / table.images).to_numpy() == pytest.approx(table.accuracy, abs=1e-5)
    page = sections(evaluation, tmp_path)
    assert set(attacks_as_markdown(found)) <= set(page)


def test_a_spoilt_result_is_named(found, evaluation: Evaluation, tmp_path: Path):
    save_adversarial(found, tmp_path)
    (tmp_path / "adversarial.json").write_text("{}")
    with pytest.raises(InputError, match="is not whole"):
        adversarial_of(evaluation, tmp_path)


def test_the_command_attacks_a_run(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    run.mkdir()
    data = json.loads((untrained_run(run, "attention") / "data.json").read_text())
    bundle = brightness_bundle(run / "bundle")  # exporting the run itself would take seconds
    told = {"recipe": "r", "start": "none", "seed": 0, "epochs": 1, "data": "none"}
    told |= {name: data[name] for name in ("train", "validation")}
    dataclasses.replace(bundle.card, training=told).save(bundle.folder / "card.json")
    command = ("evaluate", run, "--data", drawn, "--adversarial", "--limit", 14)
    monkeypatch.setattr(sys, "argv", ["mien", *map(str, command)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    assert "right under PGD-20 at 1/255" in capsys.readouterr().out
    folder = run / "evaluation" / "public"
    assert json.loads((folder / "adversarial.json").read_text())["images"] == 14
    assert "## Under attack" in (folder / "evaluation.md").read_text()
