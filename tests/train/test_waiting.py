"""Nothing within an epoch reads a number back from the device: a card would be waited for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mien.train import photo
from mien.train.module import Fit
from mien.train.run import run
from tests.train.runs import changed

READS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::is_nonzero"}


class NoReads(TorchDispatchMode):
    """Stands for a card that fails when it is asked for a number."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name in READS:
            raise AssertionError(f"{func} reads from the device")
        return func(*args, **(kwargs or {}))


@pytest.fixture
def steps(monkeypatch) -> Iterator[list[int]]:
    """Every training step from its pictures to the averaged weights, watched and counted."""
    counted: list[int] = []
    watching: list[NoReads] = []
    transfer = Fit.on_after_batch_transfer

    def begin(self: Fit, batch: Any, index: int) -> Any:
        if self.training and not watching:
            watching.append(NoReads())
            watching[-1].__enter__()
            counted.append(index)
        return transfer(self, batch, index)

    def end(*_: Any) -> None:
        if watching:
            watching.pop().__exit__(None, None, None)

    monkeypatch.setattr(Fit, "on_after_batch_transfer", begin)
    monkeypatch.setattr(Fit, "on_train_batch_end", end)
    # What a CPU does because it need not wait:
    monkeypatch.setattr("mien.train.callbacks._loss", lambda _: "")
    monkeypatch.setattr(photo, "some", photo.everywhere)
    # timm counts steps in main memory, whatever the device:
    monkeypatch.setattr("timm.optim.nadamw._get_value", lambda step: step.numpy().item())
    yield counted
    end()


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
def test_an_epoch_reads_nothing_back(optimizer, drawn: Path, tiny_recipe, tmp_path, steps):
    overrides = [
        "training.epochs=1",
        "data.limit=79",
        f"training.optimizer.name={optimizer}",
        "training.averaging.name=ema",
        "training.loss={focal: 2, class_weights: balanced}",
        "augment={rotation_deg: 10, zoom: [0.9, 1.1], flip: true, photo: 0.5, erase: 0.5}",
        "augment.cover=0.5",
        "training.adversarial.name=trades",
    ]
    run(changed(tiny_recipe, tmp_path, *overrides), drawn, tmp_path / "run")
    assert len(steps) == 79 // 16


def test_the_stand_in_fails_on_a_read():
    with NoReads(), pytest.raises(AssertionError, match="reads from the device"):
        float(torch.ones(()))
