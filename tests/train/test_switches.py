"""What a recipe can switch on, in whole runs."""

import json
from pathlib import Path

import pytest
import torch

from mien.data import open_dataset
from mien.errors import RecipeError, RunError
from mien.preprocess import Preprocess
from mien.recipes import Recipe
from mien.train.augment import COLUMNS
from mien.train.module import Fit
from mien.train.run import run
from tests.train.runs import changed, interrupt, largest_difference, results, weights

SWITCHES = {
    "adamw": ["training.optimizer.name=adamw"],
    "muon": ["training.optimizer={name: muon, lr: 0.003, momentum: 0.95}"],
    "mix": ["training.mix.mixup=0.4"],
    "ema": ["training.averaging={name: ema, decay: 0.8}"],
    "progressive": ["training.progressive={from_px: 32}"],
    "clip": ["training.clip=0.01"],
    "photo": ["augment.photo=0.3", "augment.erase=0.2"],
    "cover": ["augment.cover=0.5"],
    "fgsm": ["training.adversarial.name=fgsm"],
    "trades": ["training.adversarial={name: trades, steps: 2, share: 0.3}"],
    "until": ["augment.photo=0.3", "augment.until=0.67"],
    "teachers": ["training.distil={teachers: [mien-s]}"],
}


def small(recipe: Recipe, folder: Path, *overrides: str) -> Recipe:
    """Three epochs of four steps."""
    return changed(recipe, folder, "data.limit=79", "training.epochs=3", *overrides)


@pytest.fixture(scope="module")
def plain(drawn, tiny_recipe, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    return run(small(tiny_recipe, folder), drawn, folder / "run")


@pytest.mark.parametrize("switch", SWITCHES)
def test_each_switch_changes_a_run_and_survives_an_interruption_and_a_move(
    switch, plain, drawn, tiny_recipe, tmp_path, monkeypatch
):
    recipe = small(tiny_recipe, tmp_path, *SWITCHES[switch])
    unbroken = run(recipe, drawn, tmp_path / "unbroken")
    with monkeypatch.context() as patch:
        interrupt(patch, 2, RuntimeError("power cut"))
        with pytest.raises(RuntimeError, match="power cut"):
            run(recipe, drawn, tmp_path / "broken")
    moved = (tmp_path / "broken").rename(tmp_path / "moved")
    run(recipe, drawn, moved, resume=True)
    for which in ("best", "last"):
        pairs = zip(
            weights(moved, which).values(),
            weights(unbroken, which).values(),
            strict=True,
        )
        assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
    assert results(moved) == results(unbroken)
    assert largest_difference(plain, unbroken) > 1e-4


def test_pictures_grow_while_a_run_goes_on(drawn, tiny_recipe, tmp_path, monkeypatch):
    seen: dict[tuple[str, int], set[int]] = {}

    def noting(name: str) -> None:
        step = getattr(Fit, name)

        def noted(
            self: Fit, batch: list[torch.Tensor], index: int, dataloader_idx: int = 0
        ) -> torch.Tensor:
            seen.setdefault((name, self.current_epoch), set()).add(batch[0].shape[-1])
            return step(self, batch, index, *([dataloader_idx] if dataloader_idx else []))

        monkeypatch.setattr(Fit, name, noted)

    noting("training_step")
    noting("validation_step")
    run(small(tiny_recipe, tmp_path, *SWITCHES["progressive"]), drawn, tmp_path / "run")
    assert seen == {
        **{("training_step", epoch): {side} for epoch, side in enumerate((32, 40, 48))},
        **{("validation_step", epoch): {48} for epoch in range(3)},
    }


def test_the_last_epochs_change_pictures_half_as_much(drawn, tiny_recipe, tmp_path, monkeypatch):
    seen: dict[int, list[torch.Tensor]] = {}
    step = Fit.training_step

    def noting(self: Fit, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        seen.setdefault(self.current_epoch, []).append(batch[1][:, COLUMNS.index("brightness")])
        return step(self, batch, index)

    monkeypatch.setattr(Fit, "training_step", noting)
    changes = ("augment.until=0.67", "augment.flip=true", "augment.brightness=[0.5, 0.8]")
    run(small(tiny_recipe, tmp_path, *changes), drawn, tmp_path / "run")
    factors = [torch.cat(seen[epoch]) for epoch in range(3)]
    for factor, (low, high) in zip(factors, [(0.5, 0.8), (0.5, 0.8), (0.75, 0.9)], strict=True):
        assert low <= factor.min() < low + 0.05 < high - 0.05 < factor.max() <= high


def test_no_step_is_longer_than_clipped_gradients_allow(drawn, tiny_recipe, tmp_path):
    clipped = ["training.clip=0.01", "training.optimizer={name: sgd, lr: 0.1, momentum: 0}"]
    recipe = small(tiny_recipe, tmp_path, *clipped, "training.epochs=1", "data.limit=64")
    lengths = []
    step = Fit.optimizer_step

    def recording(self: Fit, *args: object) -> None:
        before = torch.cat([p.detach().flatten().clone() for p in self.model.parameters()])
        step(self, *args)
        after = torch.cat([p.detach().flatten() for p in self.model.parameters()])
        lengths.append(float((after - before).norm()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fit, "optimizer_step", recording)
        run(recipe, drawn, tmp_path / "run")
    assert max(lengths) == pytest.approx(0.1 * 0.01, rel=0.02), "the rate times the largest norm"


def test_data_json_names_the_teachers_and_others_are_refused(drawn, tiny_recipe, tmp_path):
    from tests.fakes import brightness_bundle

    teacher = brightness_bundle(tmp_path / "teacher")
    change = f"training.distil.teachers=[{teacher.folder}]"
    recipe = small(tiny_recipe, tmp_path, "training.epochs=1", change)
    out = run(recipe, drawn, tmp_path / "run")
    data = json.loads((out / "data.json").read_text())
    assert data["teachers"] == [{"name": "brightness", "digest": teacher.card.digest}]
    brightness_bundle(teacher.folder, size_px=16)
    with pytest.raises(RunError, match="other teachers"):
        run(recipe, drawn, out, resume=True)


def test_a_teacher_of_other_labels_leaves_no_run_folder(drawn, tiny_recipe, tmp_path):
    from tests.fakes import brightness_bundle

    teacher = brightness_bundle(tmp_path / "teacher", ("happy", "sad"))
    change = f"training.distil.teachers=[{teacher.folder}]"
    with pytest.raises(RecipeError, match="reads happy, sad"):
        run(small(tiny_recipe, tmp_path, change), drawn, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_training_accuracy_is_counted_by_the_labels_whatever_teachers_say(tiny_recipe, monkeypatch):
    logged: dict[str, float] = {}
    monkeypatch.setattr(Fit, "log", lambda _, name, value, **__: logged.update({name: value}))
    student = torch.nn.Flatten()  # answers with the pixels of the picture
    fit = Fit(tiny_recipe, student, Preprocess(7, (0.5,), (1.0,), 7), None, 1)
    labels = torch.tensor([0, 1, 2, 3])
    taught = torch.nn.functional.one_hot(torch.tensor([0, 1, 2, 4]), 7).float()
    answers = torch.nn.functional.one_hot(torch.tensor([0, 1, 3, 3]), 7).float()
    fit.training_step((answers, torch.empty(4, 0), taught, labels), 0)
    assert logged["train_accuracy"] == 0.75


def test_excluded_pictures_are_not_trained_on(drawn: Path, tiny_recipe: Recipe, tmp_path: Path):
    names = open_dataset(drawn).split("train").names
    table = tmp_path / "exclude.csv"
    table.write_text("split,name,codes\n" + "".join(f"train,{n},MD301\n" for n in names[:5]))
    data = tiny_recipe.data.model_copy(update={"exclude": str(table)})
    run(tiny_recipe.model_copy(update={"data": data}), drawn, tmp_path / "run")
    told = json.loads((tmp_path / "run" / "data.json").read_text())
    assert told["train"]["images"] == len(names) - 5
