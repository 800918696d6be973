"""A finished run may have more epochs; its weights also lie beside its checkpoint."""

import pytest
import torch
from safetensors import safe_open

from mien.errors import RunError
from mien.models import build
from mien.runs import RunFolder
from mien.train.check import check
from mien.train.run import run
from tests.train.runs import changed, history, results

COSINE = "training.schedule={name: cosine, warmup_epochs: 0}"


@pytest.fixture(scope="module")
def finished(drawn, tiny_recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("extended")
    recipe = changed(tiny_recipe, folder, COSINE)
    return recipe, run(recipe, drawn, folder / "run"), folder


def test_the_best_weights_lie_beside_the_checkpoint_for_other_programs(finished):
    recipe, out, _ = finished
    folder = RunFolder(out)
    with safe_open(folder.weights_file, "pt") as file:
        assert file.metadata()["labels"].split(",") == list(folder.data.labels)
        assert {*file.keys()} == {*folder.network().state_dict()}
    model = build(
        recipe.model.name,
        classes=7,
        channels=1,
        weights=str(folder.weights_file),
        **recipe.model.options,
    )
    for name, tensor in folder.network().state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor)


def test_a_finished_run_goes_on_by_the_schedule_of_all_its_epochs(finished, drawn):
    recipe, out, folder = finished
    before = results(out)
    longer = changed(recipe, folder, "training.epochs=4")
    run(longer, drawn, out, resume=True)
    after = history(out)
    assert results(out)[:2] == before
    assert [row["epoch"] for row in after] == ["1", "2", "3", "4"]
    rates = [float(row["lr"]) for row in after]
    assert rates[2] > rates[1], "the rate rises from the end of the shorter schedule"
    assert rates[3] < rates[2]
    assert RunFolder(out).recipe == longer
    stamp = (out / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    run(longer, drawn, out, resume=True)
    assert (out / "checkpoints" / "last.ckpt").stat().st_mtime_ns == stamp, "it is done"


@pytest.mark.parametrize(
    "override",
    ["training.epochs=1", "training.batch=8", "training.finish={epochs: 1, lr: 0.1}"],
)
def test_nothing_but_more_epochs_may_differ(finished, drawn, override):
    _, out, folder = finished
    other = changed(RunFolder(out).recipe, folder, "training.epochs=9", override)
    with pytest.raises(RunError, match=r"only a larger training\.epochs may differ"):
        check(other, drawn, out, resume=True)
