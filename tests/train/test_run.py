import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mien.data import open_dataset
from mien.errors import DataError, RecipeError, RunError
from mien.recipe import Recipe, load_recipe
from mien.train.module import Fit
from mien.train.run import run

AUGMENTED = ["augment.rotation_deg=10", "augment.flip=true", "augment.erase=0.2"]
KILLED = [
    *AUGMENTED,
    "training.epochs=3",
    "training.schedule={name: cosine, warmup_epochs: 0.5}",
    "training.loss={class_weights: balanced, label_smoothing: 0.1, focal: 1}",
    "training.sampling=balanced",
]
CHILD = """
import os, resource, signal, sys
from pathlib import Path

data, recipe_file, full, killed = map(Path, sys.argv[1:])

from mien.recipe import load_recipe
from mien.train.callbacks import WholeCheckpoints
from mien.train.module import Fit
from mien.train.run import run

recipe = load_recipe(recipe_file)
save = WholeCheckpoints.save_checkpoint
limits = resource.getrlimit(resource.RLIMIT_FSIZE)

def save_on_a_full_disk(self, checkpoint, path, storage_options=None):
    if checkpoint["epoch"] == 1:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    save(self, checkpoint, path, storage_options)

WholeCheckpoints.save_checkpoint = save_on_a_full_disk
try:
    run(recipe, data, full)
except OSError as error:
    print(type(error).__name__, flush=True)
WholeCheckpoints.save_checkpoint = save
resource.setrlimit(resource.RLIMIT_FSIZE, limits)

step = Fit.training_step

def step_until_the_second_epoch(self, batch, index):
    if self.current_epoch == 1 and index == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, index)

Fit.training_step = step_until_the_second_epoch
run(recipe, data, killed)
"""


def changed(recipe: Recipe, folder: Path, *overrides: str) -> Recipe:
    recipe.save(folder / "base.yaml")
    return load_recipe(folder / "base.yaml", list(overrides))


def history(out: Path) -> list[dict[str, str]]:
    with (out / "history.csv").open() as file:
        return list(csv.DictReader(file))


def weights(out: Path, which: str = "last") -> dict[str, torch.Tensor]:
    path = out / "checkpoints" / f"{which}.ckpt"
    return torch.load(path, map_location="cpu", weights_only=False)["state_dict"]


def largest_difference(one: Path, other: Path) -> float:
    pairs = [(t, weights(other)[name]) for name, t in weights(one).items()]
    return max(float((a.double() - b.double()).abs().max()) for a, b in pairs)


def results(out: Path) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history(out)]


def interrupt(monkeypatch: pytest.MonkeyPatch, epoch: int, error: BaseException) -> None:
    """Make the training break in its `epoch` (from 0), after some steps."""
    step = Fit.training_step

    def breaking(self: Fit, batch: object, index: int) -> torch.Tensor:
        if self.current_epoch == epoch and index == 3:
            raise error
        return step(self, batch, index)

    monkeypatch.setattr(Fit, "training_step", breaking)


@pytest.fixture(scope="module")
def finished(drawn, tiny_recipe, tmp_path_factory) -> Path:
    return run(tiny_recipe, drawn, tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="module")
def broken(drawn, tiny_recipe, tmp_path_factory):
    """A run on a full disk and a run that was killed; with its recipe and what the child said."""
    pytest.importorskip("resource")
    folder = tmp_path_factory.mktemp("broken")
    recipe = changed(tiny_recipe, folder, *KILLED)
    recipe.save(folder / "recipe.yaml")
    places = [drawn, folder / "recipe.yaml", folder / "full", folder / "killed"]
    command = [sys.executable, "-c", CHILD, *map(str, places)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert answer.returncode == -signal.SIGKILL, answer.stderr[-2000:]
    return folder, recipe, answer.stdout


def test_a_run_folder_holds_what_later_steps_need(finished, tiny_recipe):
    assert load_recipe(finished / "recipe.yaml") == tiny_recipe
    data = json.loads((finished / "data.json").read_text())
    assert len(data["labels"]) == 7
    assert data["train"]["images"] > data["validation"]["images"] > 0
    assert len(data["train"]["digest"]) == 64
    environment = json.loads((finished / "environment.json").read_text())
    assert environment["torch"] == torch.__version__.split("+")[0]
    assert json.loads((finished / "done.json").read_text()) == {"epochs": 2}
    assert {p.name for p in (finished / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
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
    accuracies = [float(row["val_accuracy"]) for row in history(finished)]
    same = all(torch.equal(t, best[n]) for n, t in weights(finished).items())
    assert same == (accuracies[1] > accuracies[0])


def test_a_seed_decides_a_run(finished, drawn, tiny_recipe, tmp_path):
    again = run(tiny_recipe, drawn, tmp_path / "again")
    other = run(changed(tiny_recipe, tmp_path, "seed=4"), drawn, tmp_path / "other")
    assert largest_difference(finished, again) < 1e-5
    assert largest_difference(finished, other) > 1e-3


def test_a_killed_run_resumes_to_the_weights_of_an_unbroken_one(broken, drawn, tmp_path):
    folder, recipe, _ = broken
    assert len(history(folder / "killed")) == 1
    assert not (folder / "killed" / "done.json").exists()
    run(recipe, drawn, folder / "killed", resume=True)
    unbroken = run(recipe, drawn, tmp_path / "unbroken")
    difference = largest_difference(unbroken, folder / "killed")
    assert difference < 1e-5  # 0 on the machine this was written on
    assert results(folder / "killed") == results(unbroken)


def test_a_full_disk_is_an_oserror_and_leaves_the_last_whole_checkpoint(broken):
    folder, _, said = broken
    assert "OSError" in said
    checkpoints = folder / "full" / "checkpoints"
    assert {p.name for p in checkpoints.iterdir()} == {"best.ckpt", "last.ckpt"}
    for path in checkpoints.iterdir():
        assert torch.load(path, weights_only=False)["epoch"] == 0
    assert not (folder / "full" / "done.json").exists()


def test_plateau_survives_an_interruption(drawn, tiny_recipe, tmp_path, monkeypatch):
    recipe = changed(
        tiny_recipe,
        tmp_path,
        "training.epochs=4",
        "training.optimizer.lr=1.5",
        "training.schedule={name: plateau, patience: 1, factor: 0.5}",
    )
    unbroken = run(recipe, drawn, tmp_path / "unbroken")
    with monkeypatch.context() as patch:
        interrupt(patch, 2, RuntimeError("power cut"))
        with pytest.raises(RuntimeError, match="power cut"):
            run(recipe, drawn, tmp_path / "broken")
    run(recipe, drawn, tmp_path / "broken", resume=True)
    assert results(tmp_path / "broken") == results(unbroken)
    assert len({row["lr"] for row in results(unbroken)}) > 1


def test_a_run_stops_early_and_its_resume_does_not_go_on(drawn, tiny_recipe, tmp_path):
    recipe = changed(
        tiny_recipe,
        tmp_path,
        "training.epochs=30",
        "training.optimizer.lr=1.5",
        "training.early_stopping=1",
    )
    out = run(recipe, drawn, tmp_path / "run")
    rows = history(out)
    assert 1 < len(rows) < 30
    assert json.loads((out / "done.json").read_text()) == {"epochs": len(rows)}
    run(recipe, drawn, out, resume=True)
    assert history(out) == rows


def test_a_moved_run_remembers_its_best_score(drawn, tiny_recipe, tmp_path, monkeypatch):
    recipe = changed(tiny_recipe, tmp_path, "training.epochs=3")
    with monkeypatch.context() as patch:
        interrupt(patch, 2, RuntimeError("power cut"))
        with pytest.raises(RuntimeError, match="power cut"):
            run(recipe, drawn, tmp_path / "broken")
    moved = (tmp_path / "broken").rename(tmp_path / "moved")
    best = moved / "checkpoints" / "best.ckpt"
    before = best.read_bytes()

    def worse(self: Fit, *_: object) -> None:
        self.log_dict({"val_accuracy": 0.0, "val_loss": 9.0})

    monkeypatch.setattr(Fit, "validation_step", worse)
    run(recipe, drawn, moved, resume=True)
    assert [float(row["val_accuracy"]) for row in history(moved)][-1] == 0
    assert best.read_bytes() == before


def test_resuming_a_finished_run_changes_nothing(finished, drawn, tiny_recipe):
    before = {p.name: p.read_bytes() for p in [finished / "history.csv", finished / "done.json"]}
    run(tiny_recipe, drawn, finished, resume=True)
    assert {name: (finished / name).read_bytes() for name in before} == before


def test_an_interrupted_run_says_so_and_is_not_done(drawn, tiny_recipe, tmp_path, monkeypatch):
    interrupt(monkeypatch, 0, KeyboardInterrupt())
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # Lightning would ignore later Ctrl-Cs
    with pytest.raises(KeyboardInterrupt):
        run(tiny_recipe, drawn, tmp_path / "run")
    assert not (tmp_path / "run" / "done.json").exists()


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
    with pytest.raises(RunError, match="was begun with another recipe"):
        run(other, drawn, finished, resume=True)
    assert load_recipe(finished / "recipe.yaml") == tiny_recipe


def test_resume_on_other_data_is_refused(finished, tiny_recipe, tmp_path):
    from mien.data.drawn import draw_dataset

    draw_dataset(tmp_path / "others", images=210, seed=9)
    with pytest.raises(RunError, match="other images"):
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


def test_a_limit_uses_that_many_images(drawn, tiny_recipe, tmp_path):
    recipe = changed(tiny_recipe, tmp_path, "data.limit=17", "training.epochs=1")
    out = run(recipe, drawn, tmp_path / "run")
    data = json.loads((out / "data.json").read_text())
    assert (data["train"]["images"], data["validation"]["images"]) == (17, 17)


def test_nothing_is_left_half_written(finished):
    hidden = [name for _, _, files in os.walk(finished) for name in files if name[0] == "."]
    assert hidden == []


SWITCHES = {
    "sam": ["training.optimizer.sam=0.05", "training.optimizer.name=adamw"],
    "mix": ["training.mix={mixup: 0.4, cutmix: 1}"],
    "ema": ["training.averaging={name: ema, decay: 0.8}"],
    "swa": ["training.averaging={name: swa, start: 0.3}"],
    "progressive": ["training.progressive={from_px: 32}"],
    "photo": ["augment.photo=0.3", "augment.erase=0.2"],
    "teachers": ["training.distil={teachers: [mien-s], temperature: 2}"],
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
    seen: dict[int, set[int]] = {}
    step = Fit.training_step

    def noting(self: Fit, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        seen.setdefault(self.current_epoch, set()).add(batch[0].shape[-1])
        return step(self, batch, index)

    monkeypatch.setattr(Fit, "training_step", noting)
    run(small(tiny_recipe, tmp_path, *SWITCHES["progressive"]), drawn, tmp_path / "run")
    assert seen == {0: {32}, 1: {40}, 2: {48}}


def test_the_history_counts_each_batch_once_with_sam(plain, drawn, tiny_recipe, tmp_path):
    """With a radius of next to nothing both passes are alike, and so are the runs."""
    recipe = small(tiny_recipe, tmp_path, "training.optimizer.sam=1e-9")
    out = run(recipe, drawn, tmp_path / "run")
    for name, ours in weights(out).items():
        if "num_batches" not in name:
            assert torch.allclose(ours, weights(plain)[name], atol=1e-4), name
    for ours, theirs in zip(results(out), results(plain), strict=True):
        assert float(ours["train_loss"]) == pytest.approx(float(theirs["train_loss"]), rel=1e-3)


def test_a_run_without_copies_shows_fewer_images_and_resumes(drawn, tiny_recipe, tmp_path):
    faces = tmp_path / "faces"
    shutil.copytree(drawn, faces)
    originals = sorted((faces / "train" / "happy").iterdir())[:5]
    for picture in originals:
        shutil.copy(picture, picture.with_name(f"copy_of_{picture.name}"))
    recipe = changed(tiny_recipe, tmp_path, "data.duplicates=drop", "training.epochs=1")
    out = run(recipe, faces, tmp_path / "run")
    (out / "done.json").unlink()
    run(recipe, faces, out, resume=True)
    assert len(history(out)) == 1
    images = json.loads((out / "data.json").read_text())["train"]["images"]
    assert images == len(list((drawn / "train").rglob("*.png")))


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


def test_excluded_pictures_are_not_trained_on(drawn: Path, tiny_recipe: Recipe, tmp_path: Path):
    names = open_dataset(drawn).split("train").names
    table = tmp_path / "exclude.csv"
    table.write_text("split,name,codes\n" + "".join(f"train,{n},MD301\n" for n in names[:5]))
    data = tiny_recipe.data.model_copy(update={"exclude": str(table)})
    run(tiny_recipe.model_copy(update={"data": data}), drawn, tmp_path / "run")
    told = json.loads((tmp_path / "run" / "data.json").read_text())
    assert told["train"]["images"] == len(names) - 5
