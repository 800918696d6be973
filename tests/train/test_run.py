import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import mien
from mien.data import open_dataset
from mien.errors import DataError, RecipeError, RunError
from mien.labels import FER2013
from mien.preprocess import Preprocess
from mien.recipes import load_recipe
from mien.runs import RunFolder
from mien.train import environment as process
from mien.train import run as module
from mien.train.run import run
from tests.train.runs import changed, history, largest_difference, weights


@pytest.fixture(scope="module")
def finished(drawn, tiny_recipe, tmp_path_factory) -> Path:
    return run(tiny_recipe, drawn, tmp_path_factory.mktemp("runs") / "tiny")


def test_a_run_folder_holds_what_later_steps_need(finished, drawn, tiny_recipe):
    assert load_recipe(finished / "recipe.yaml") == tiny_recipe
    data = open_dataset(drawn)
    assert json.loads((finished / "data.json").read_text()) == {
        "name": "faces",
        "source": str(drawn.resolve()),
        "labels": list(FER2013),
        "side_px": 48,
        "rate": None,
        "train": {"split": "train", "images": 168, "digest": data.split("train").digest},
        "validation": {"split": "public", "images": 21, "digest": data.split("public").digest},
        "teachers": [],
    }
    environment = json.loads((finished / "environment.json").read_text())
    assert environment["torch"] == torch.__version__.split("+")[0]
    assert environment["numpy"] == np.__version__
    assert environment["mien"] == mien.__version__
    assert environment["threads"] == torch.get_num_threads()
    assert environment["python"] == ".".join(map(str, sys.version_info[:3]))
    assert json.loads((finished / "done.json").read_text()) == {"epochs": 2}
    assert {p.name for p in (finished / "checkpoints").iterdir()} == {
        "best.ckpt",
        "best.safetensors",
        "last.ckpt",
    }
    assert list((finished / "tensorboard").glob("events*"))


def test_history_has_a_row_per_epoch(finished):
    rows = history(finished)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row in rows:
        assert all(math.isfinite(float(value)) for value in row.values())
        assert 0 <= float(row["val_accuracy"]) <= 1
        assert float(row["lr"]) == pytest.approx(0.02)


def test_best_holds_the_weights_of_the_best_epoch(finished):
    best = weights(finished, "best")
    assert best.keys() == weights(finished).keys()
    same = all(torch.equal(t, best[n]) for n, t in weights(finished).items())
    assert same == (RunFolder(finished).history.best == 1)


def test_a_seed_decides_a_run(finished, drawn, tiny_recipe, tmp_path):
    again = run(tiny_recipe, drawn, tmp_path / "again")
    other = run(changed(tiny_recipe, tmp_path, "seed=4"), drawn, tmp_path / "other")
    assert largest_difference(finished, again) < 1e-5
    assert largest_difference(finished, other) > 1e-3


def test_resuming_a_finished_run_changes_nothing(finished, drawn, tiny_recipe):
    before = {p.name: p.read_bytes() for p in [finished / "history.csv", finished / "done.json"]}
    run(tiny_recipe, drawn, finished, resume=True)
    assert {name: (finished / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_cosine_ends_at_zero_whatever_is_accumulated(drawn, tiny_recipe, tmp_path, accumulate):
    recipe = changed(
        tiny_recipe,
        tmp_path,
        f"training.accumulate={accumulate}",
        "training.schedule={name: cosine, warmup_epochs: 0}",
    )
    out = run(recipe, drawn, tmp_path / "run")
    assert float(history(out)[-1]["lr"]) < 0.02 * 0.05


def file_in_the_way(out: Path) -> None:
    out.write_text("mine")


def folder_in_the_way(out: Path) -> None:
    out.mkdir()
    (out / "thesis.txt").write_text("mine")


@pytest.mark.parametrize("occupy", [file_in_the_way, folder_in_the_way])
@pytest.mark.parametrize("resume", [False, True])
def test_what_is_no_run_is_left_alone(drawn, tiny_recipe, tmp_path, occupy, resume):
    occupy(tmp_path / "run")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunError, match=r"is not empty|holds no run|is a file"):
        run(tiny_recipe, drawn, tmp_path / "run", resume=resume)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_finished_run_is_not_overwritten(finished, drawn, tiny_recipe):
    with pytest.raises(RunError, match="add --resume to continue it, or choose another --out"):
        run(tiny_recipe, drawn, finished)


def test_resume_with_another_recipe_is_refused(finished, drawn, tiny_recipe, tmp_path):
    other = changed(tiny_recipe, tmp_path, "training.optimizer.lr=0.5")
    with pytest.raises(RunError, match="was begun with another recipe or --set"):
        run(other, drawn, finished, resume=True)
    assert load_recipe(finished / "recipe.yaml") == tiny_recipe


def test_a_run_keeps_to_the_weights_of_its_labels(drawn, tiny_recipe, tmp_path):
    names = open_dataset(drawn).split("train").names
    table = tmp_path / "weights.csv"
    table.write_text(f"split,name,weight\ntrain,{names[0]},0.5\n")
    recipe = changed(tiny_recipe, tmp_path, f"data.weights={table}", "training.epochs=1")
    folder = run(recipe, drawn, tmp_path / "run")
    assert run(recipe, drawn, folder, resume=True) == folder
    table.write_text(f"split,name,weight\ntrain,{names[0]},0.4\n")
    with pytest.raises(RunError, match="begun on other images"):
        run(recipe, drawn, folder, resume=True)


@pytest.mark.parametrize("lacking", ["train/happy/Training_*", "test/happy/PublicTest_*"])
def test_resume_on_other_data_is_refused(finished, drawn, tiny_recipe, tmp_path, lacking):
    shutil.copytree(drawn, tmp_path / "others")
    next((tmp_path / "others").glob(lacking)).unlink()
    with pytest.raises(RunError, match=r"begun on other images \(faces\); give those"):
        run(tiny_recipe, tmp_path / "others", finished, resume=True)


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("training.batch=500", DataError, r"fewer than one batch of 500; add --set training\.b"),
        ("data.train=nonsense", DataError, "has no split 'nonsense'"),
        ("data.validation=private2", DataError, "has no split 'private2'"),
        ("model.name=atention", RecipeError, r"did you mean 'attention'\?"),
        ("model.options.hiden=3", RecipeError, r"did you mean 'hidden'\?"),
    ],
)
def test_what_cannot_start_leaves_no_run_folder(
    drawn, tiny_recipe, tmp_path, override, error, message
):
    with pytest.raises(error, match=message):
        run(changed(tiny_recipe, tmp_path, override), drawn, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_name_that_timm_lacks_is_told_before_the_data_are_read(
    drawn, tiny_recipe, tmp_path, monkeypatch
):
    monkeypatch.setattr("mien.train.run.Inputs.open", lambda *given: pytest.fail("data were read"))
    recipe = changed(tiny_recipe, tmp_path, "model.name=timm/convnext_ato", "model.options={}")
    with pytest.raises(RecipeError, match="timm has no network 'convnext_ato'"):
        run(recipe, drawn, tmp_path / "run")


def test_a_limit_uses_that_many_images(drawn, tiny_recipe, tmp_path):
    recipe = changed(tiny_recipe, tmp_path, "data.limit=17", "training.epochs=1")
    out = run(recipe, drawn, tmp_path / "run")
    data = json.loads((out / "data.json").read_text())
    assert (data["train"]["images"], data["validation"]["images"]) == (17, 17)


def test_nothing_is_left_half_written(finished):
    hidden = [name for _, _, files in os.walk(finished) for name in files if name[0] == "."]
    assert hidden == []


def test_a_checkpoint_is_a_file_of_weights_to_start_from(finished, drawn, tiny_recipe, tmp_path):
    best = finished / "checkpoints" / "best.ckpt"
    slowly = "training.optimizer.lr=1e-9"
    recipe = changed(tiny_recipe, tmp_path, f"model.weights={best}", slowly, "training.epochs=1")
    out = run(recipe, drawn, tmp_path / "run")
    pairs = [
        (t, weights(out)[n]) for n, t in weights(finished, "best").items() if "running" not in n
    ]
    assert max(float((a - b).abs().max()) for a, b in pairs if a.is_floating_point()) < 1e-6


def test_a_run_notes_the_commit_of_a_checkout_and_none_without_git(monkeypatch):
    root = Path(module.__file__).parents[3]
    if shutil.which("git") and (root / ".git").exists():
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        expected = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert process.environment()["commit"] == expected.strip()
    monkeypatch.setattr(process.shutil, "which", lambda _: None)
    assert process.environment()["commit"] is None


class Begun(Exception):
    """Raised where the training would begin."""


@pytest.fixture(scope="module")
def ten(tmp_path_factory) -> Path:
    """Ten training images, of three classes: 6, 3 and 1; three to validate on."""
    folder, rng = tmp_path_factory.mktemp("ten"), np.random.default_rng(0)
    for split, counts in (
        ("train", {"angry": 6, "happy": 3, "sad": 1}),
        ("val", {"angry": 1, "happy": 1, "sad": 1}),
    ):
        for label, number in counts.items():
            (folder / split / label).mkdir(parents=True)
            for i in range(number):
                pixels = rng.integers(0, 256, (20, 20), np.uint8)
                Image.fromarray(pixels).save(folder / split / label / f"{i}.png")
    return folder


@pytest.fixture
def begin(tiny_recipe, ten, tmp_path):
    """`begin(*overrides)`: what a run would train with."""
    batches, make = module.training_batches, module._trainer

    def beginning(*overrides: str) -> SimpleNamespace:
        found = SimpleNamespace()

        def training_batches(split, preprocess, batch, seed, lessons, *, balanced):
            made = batches(split, preprocess, batch, seed, lessons, balanced=balanced)
            vars(found).update(split=split, batches=made, targets=lessons.targets, batch=batch)
            return made

        def fit(recipe, model, preprocess, weights, steps):
            vars(found).update(model=model, preprocess=preprocess, weights=weights, steps=steps)
            fitted = torch.nn.Identity()
            fitted.recipe = recipe
            return fitted

        def trainer(recipe, out, history, log, loggers):
            made = make(recipe, out, history, log, loggers)
            vars(found).update(trainer=made, history=history)
            return SimpleNamespace(fit=stop)

        def stop(fitted, training, validation, ckpt_path):
            vars(found).update(validation=validation, resumed=ckpt_path)
            raise Begun

        with pytest.MonkeyPatch.context() as patch:
            for name, part in {
                "training_batches": training_batches,
                "Fit": fit,
                "_trainer": trainer,
            }.items():
                patch.setattr(module, name, part)
            place = tmp_path / str(len(list(tmp_path.iterdir())))
            place.mkdir()
            recipe = changed(tiny_recipe, place, "training.batch=2", *overrides)
            with pytest.raises(Begun):
                run(recipe, ten, place / "run")
        return found

    return beginning


def test_classes_are_weighed_by_their_training_images(begin):
    assert begin().weights is None
    found = begin("training.loss.class_weights=balanced").weights
    assert found.tolist() == pytest.approx([10 / 18, 0, 0, 10 / 9, 0, 10 / 3, 0])
    assert found.dtype == torch.float32


@pytest.mark.parametrize(("accumulate", "steps"), [(1, 5), (2, 3), (3, 2), (5, 1), (9, 1)])
def test_steps_of_an_epoch_take_several_batches_each(begin, accumulate, steps):
    found = begin(f"training.accumulate={accumulate}")
    assert found.steps == steps
    assert found.trainer.accumulate_grad_batches == accumulate


def test_a_run_takes_its_data_at_their_size(begin):
    found = begin("input={size_px: 32, mean: [0.4], std: [0.2]}")
    assert found.preprocess == Preprocess(32, (0.4,), (0.2,), 20)
    assert len(found.split) == 10
    assert [[len(labels) for *_, labels in batches] for batches in found.validation] == [[3], [3]]
    assert found.resumed is None
    assert found.trainer.max_epochs == 2


def test_balanced_sampling_shows_rare_classes_as_often(begin):
    assert begin().batches.sampler.chances is None
    chances = begin("training.sampling=balanced").batches.sampler.chances
    assert chances == pytest.approx([1 / 18] * 6 + [1 / 9] * 3 + [1 / 3])


def test_targets_are_given_where_labels_do_not_suffice(begin):
    assert begin().targets is None
    assert begin("training.mix.mixup=0.2").targets.argmax(1).tolist() == [0] * 6 + [3] * 3 + [5]


def test_the_seed_decides_the_first_weights_the_order_and_what_a_limit_leaves(begin):
    def told(seed: int) -> list[object]:
        found = begin(f"seed={seed}", "data.limit=6")
        order = [rows.tolist() for rows in found.batches.sampler]
        first = next(found.model.parameters()).flatten()[:4].tolist()
        validated = [labels.tolist() for *_, labels in found.validation[0]]
        assert (len(found.split), len(validated[0])) == (6, 3)
        return [sorted(found.split.names), order, first]

    once, again, other = told(1), told(1), told(2)
    assert once == again
    assert all(a != b for a, b in zip(once, other, strict=True))


def test_a_batch_may_be_all_images_but_no_more(begin, ten, tiny_recipe, tmp_path):
    assert begin("training.batch=10").steps == 1
    recipe = changed(tiny_recipe, tmp_path, "training.batch=11")
    with pytest.raises(DataError, match=r"10 training images.*of 11; add --set training.batch=2"):
        run(recipe, ten, tmp_path / "run")
    alone = tmp_path / "alone"
    for label in ("happy", "sad"):
        shutil.copytree(ten / "train" / label, alone / label, ignore=lambda _, names: names[1:])
    with pytest.raises(DataError, match=r"all 2 training images of alone are held out to validate"):
        run(recipe, alone, tmp_path / "run")
    few = changed(tiny_recipe, tmp_path, "training.batch=11", "data.limit=2")
    with pytest.raises(DataError, match=r"2 training images.*add --set training.batch=1"):
        run(few, ten, tmp_path / "run")


@pytest.mark.parametrize(("precision", "native"), [("bf16", False), ("fp32", True)])
def test_depthwise_convolutions_are_kept_in_fp32_where_a_cpu_computes_in_bf16(
    begin, monkeypatch, precision, native
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    model = begin("model={name: mobilenetv2}", f"training.precision={precision}").model
    depthwise = [m for m in model.modules() if getattr(m, "groups", 1) > 1]
    assert ["forward" in vars(m) for m in depthwise] == [not native] * 17


def test_freed_memory_is_kept_unless_the_recipe_saves_it(begin, monkeypatch):
    asked = []
    monkeypatch.setattr(process, "keep_freed", lambda: asked.append(True))
    begin("training.checkpoint_activations=true")
    assert asked == []
    begin()
    assert asked == [True]
