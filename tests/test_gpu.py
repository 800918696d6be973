"""What is packed for a graphics card, trained there and brought home, rehearsed on drawn faces."""

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch.utils._python_dispatch import TorchDispatchMode

from mien.data import open_dataset
from mien.models import build
from mien.models.registry import entry
from mien.runs import RunFolder
from mien.train.targets import one_hot
from scripts import gpu_home, gpu_pack, gpu_sprint

PLANS = yaml.safe_load(gpu_sprint.PLANS.read_text())
SMALL = {"model": "mien-s", "options": {"widths": [8, 16], "blocks": [1, 1]}, "batch": 16}


@pytest.mark.parametrize("name", PLANS["plans"])
def test_a_plan_can_be_trained(name: str):
    plan = gpu_sprint.Plan.read(name)
    groups = [*plan.teachers, *plan.students]
    jobs = [job for group in groups for job in group.jobs]
    for job in jobs:
        entry(job.model).check(job.options)
        assert job.start in (None, "facenet.npz") and 44 <= job.side <= 107
    assert len({job.name for job in jobs}) == len(jobs)
    assert 500 < sum(group.seconds for group in groups) + plan.ask_s < 570


def test_each_network_of_the_file_is_in_a_plan():
    plans = PLANS["plans"].values()
    used = {n for p in plans for g in (*p["teachers"], *p["students"]) for n in g["train"]}
    assert used == set(PLANS["networks"])


@pytest.fixture(scope="module")
def packed(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What gpu_pack.py makes, of drawn faces and without votes and start weights."""
    out, data = tmp_path_factory.mktemp("packed"), open_dataset(drawn)
    training, public = data.split("train"), data.split("public")
    for name, images in (("train", training.images), ("public", public.images)):
        (out / f"{name}.webp").write_bytes(gpu_pack.webp(gpu_pack.mosaic(images), 101))
    targets = one_hot(training.labels, len(data.labels)).astype(np.float16)
    fresh = np.arange(len(public.labels)) % 2 == 0
    np.savez(
        out / "facts.npz",
        classes=np.array(data.labels),
        targets=targets,
        public=public.labels,
        fresh=fresh,
    )
    return out


def test_a_mosaic_holds_the_images(packed: Path, drawn: Path):
    images = open_dataset(drawn).split("train").images
    assert (gpu_sprint.mosaic(packed / "train.webp", len(images)).numpy() == images).all()


def test_the_best_quality_that_fits_is_found(drawn: Path):
    sheet = gpu_pack.mosaic(open_dataset(drawn).split("train").images)
    room = len(gpu_pack.webp(sheet, 83))
    quality, content = gpu_pack.best_fit(sheet, room)
    assert quality >= 83 and len(content) <= room < len(gpu_pack.webp(sheet, 96))
    with pytest.raises(SystemExit, match="there is room for"):
        gpu_pack.best_fit(sheet, 100)


def test_start_weights_come_back_in_6_bits(tmp_path: Path):
    one, other = (build("mien-s", classes=7, channels=1) for _ in range(2))
    gpu_pack.save_start(one, tmp_path / "start.npz")
    gpu_sprint.load_start(other, tmp_path / "start.npz")
    for name, value in one.state_dict().items():
        step = value.abs().max() / gpu_pack.LEVELS
        assert (value - other.state_dict()[name]).abs().max() <= step / 2 + 1e-3


@pytest.fixture(scope="module")
def home(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a sprint: a teacher, one that cannot be built, two students."""
    out = tmp_path_factory.mktemp("home")
    networks = {
        "big": {**SMALL, "keep": 1, "changes": "heavier", "epochs": 2},
        "broken": {**SMALL, "side": 1},
        "small": {**SMALL, "keep": 1, "epochs": 3},
    }
    plan = {
        "draws": 5,
        "weight": 0.8,
        "ask_s": 5,
        "teachers": [
            {"seconds": 5, "train": {"big": [0]}},
            {"seconds": 5, "train": {"broken": [0]}},
        ],
        "students": [{"seconds": 5, "train": {"small": [0, 1]}}],
    }
    (out / "plans.yaml").write_text(yaml.safe_dump({"networks": networks, "plans": {"mine": plan}}))
    given = argparse.Namespace(data=packed, out=out, seconds=120, plan="mine", tiny=False)
    read = gpu_sprint.Plan.read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_sprint.Plan, "read", lambda name: read(name, out / "plans.yaml"))
        gpu_sprint.Sprint(given, gpu_sprint.Log(out / "log.txt")).run()
    (out / "plans.yaml").unlink()
    return out


def test_few_files_come_home(home: Path):
    names = {p.name for p in home.iterdir()}
    assert names == {"answers.npz", "facts.json", "log.txt", "predictions.npz", "weights.part0"}
    log = (home / "log.txt").read_text()
    assert "broken-0: Traceback" in log and "images/s" in log and "TFLOP/s" in log


def test_predictions_are_kept_per_image(home: Path, drawn: Path):
    number = len(open_dataset(drawn).split("public").labels)
    with np.load(home / "predictions.npz") as found:
        views = ["plain", "mirror", *(f"field-{seed}" for seed in range(4))]
        names = ["big-0", "small-0", "small-1"]
        assert set(found.files) == {f"{name}/{view}" for name in names for view in views}
        assert all(found[key].shape == (number, 7) for key in found.files)


def test_answers_have_the_form_of_those_on_record(home: Path, drawn: Path):
    with np.load(home / "answers.npz") as found:
        answers = found["answers"]
    number = len(open_dataset(drawn).split("train").labels)
    assert (answers.shape, answers.dtype) == ((7, number, 5), np.uint8)
    assert abs(((answers / 255.0) ** 2).sum(0) - 1).max() < 0.03


def test_the_best_seed_becomes_a_run(home: Path, drawn: Path, tmp_path: Path, monkeypatch):
    command = ["gpu_home.py", str(home), str(tmp_path), "--data", str(drawn)]
    monkeypatch.setattr(sys, "argv", command)
    gpu_home.main()
    small = [p for p in tmp_path.iterdir() if p.name.startswith("small")]
    assert len(small) == 1 and (tmp_path / "big-0").is_dir()
    assert RunFolder(small[0]).network()(torch.zeros(1, 1, 48, 48)).shape == (1, 7)
    with (small[0] / "history.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 3
    assert json.loads((small[0] / "data.json").read_text())["teachers"][0]["name"] == "big-0"


class NoReads(TorchDispatchMode):
    """Fails where the host asks a tensor for its value, for which a card's queue would run dry."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (
            torch.ops.aten._local_scalar_dense.default,
            torch.ops.aten.nonzero.default,
            torch.ops.aten.equal.default,
        ):
            raise AssertionError(f"{func} waits for the card")
        return func(*args, **(kwargs or {}))


def test_nothing_in_an_epoch_waits(packed: Path):
    data = gpu_sprint.Data(packed, None)
    job = gpu_sprint.Job("small", changes=gpu_sprint.HEAVY, **SMALL)
    run = gpu_sprint.Run(job, data, packed)
    run.begin(gpu_sprint.Log(Path("/dev/null")))
    gpu_sprint.fit([run], 1, 0, 0)
    before = [weight.detach().clone() for weight in run.model.parameters()]
    stored = gpu_sprint.Stored([run], data, 5, 0.8, 1e9)
    with NoReads():
        gpu_sprint.steps([run], 0, None)
        gpu_sprint.steps([run], 1, stored)
    assert int(run.done) == 2 * run.steps
    assert any((a != b).any() for a, b in zip(before, run.model.parameters(), strict=True))


def test_what_is_timed_is_undone(packed: Path):
    data = gpu_sprint.Data(packed, None)
    run = gpu_sprint.Run(gpu_sprint.Job("s", changes=gpu_sprint.LAST, **SMALL), data, packed)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    assert run.begin(gpu_sprint.Log(Path("/dev/null"))) > 0
    assert all((before[k] == v).all() for k, v in run.model.state_dict().items())
    assert all((before[k] == v).all() for k, v in run.average.state_dict().items())
    assert int(run.done) == 0 and float(run.loss.sum()) == 0


def test_time_that_is_left_is_shared():
    sprint = gpu_sprint.Sprint.__new__(gpu_sprint.Sprint)
    now = gpu_sprint.time.perf_counter()
    sprint.end, sprint.shares_left = now + 100, 50.0
    assert sprint.share(10) == pytest.approx(now + 20, abs=1)
    assert sprint.share(40) == pytest.approx(now + 100, abs=1)
    assert sprint.shares_left == 0
