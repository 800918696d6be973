"""Training as a story: open the data, build the network, fit it, keep the best."""

import importlib.metadata
import json
import logging
import platform
import shutil
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console

import mien
from mien.audit import read_exclude, without
from mien.data import Dataset, Split, check_outside, class_weights, open_dataset
from mien.errors import DataError, RunError
from mien.files import home, replacing, write_json
from mien.models import build
from mien.recipe import Recipe
from mien.train.batches import ordered_batches, training_batches
from mien.train.callbacks import Bar, Best, Checkpoint, History, WholeCheckpoints, averaging
from mien.train.memory import keep_freed
from mien.train.module import Fit
from mien.train.precision import in_bf16, keep_depthwise_in_fp32
from mien.train.targets import (
    Targets,
    Teacher,
    ask,
    distil,
    folds,
    only_labels,
    open_teachers,
    soften,
)

_PACKAGES = ("torch", "timm", "lightning", "kornia", "numpy", "opencv-python-headless")


def run(recipe: Recipe, source: Path, out: Path, *, resume: bool = False) -> Path:
    """Train one model on `source` and return its run folder `out`.

    What comes before `training.finish` is a run of its own, in `out`/first. With `resume`, continue
    after the last whole epoch of an interrupted run. Raises InputError if `out` is the data set or
    lies in it, RunError if it holds another run, and the errors of the data, the recipe and the
    weights.
    """
    check_outside(out, source)
    *before, stage = recipe.stages()
    first = out / "first" if before else None
    if not (first and resume and not (out / "recipe.yaml").exists()):  # else claimed by the first
        _claim(out, recipe, resume)
    if first:
        run(before[0], source, first, resume=resume)
    return _fit(recipe, stage, source, out, first, resume=resume)


def _fit(
    whole: Recipe, recipe: Recipe, source: Path, out: Path, first: Path | None, *, resume: bool
) -> Path:
    """Train by `recipe`, a stage of `whole`, from the best weights of the run `first`."""
    settle(recipe)
    L.seed_everything(recipe.seed, verbose=False)
    data = open_dataset(source)
    if recipe.data.exclude is not None:
        data = without(data, read_exclude(recipe.data.exclude))
    training, validation = _splits(data, recipe)
    training, targets = soften(training, recipe, len(data.labels))
    teachers = open_teachers(recipe.training.distil.teachers, data.labels)
    if resume:
        _same_images(out, training, validation)
        _same_teachers(out, teachers)
        if (out / "done.json").exists():
            return out
    side_px = training.images.shape[1]
    preprocess = recipe.input.preprocess(side_px)
    model = build(
        recipe.model.name,
        classes=len(data.labels),
        channels=preprocess.channels,
        weights="none" if first else recipe.model.weights,
        **recipe.model.options,
    ).to(memory_format=torch.channels_last)
    if in_bf16(recipe.training.precision) and not torch.cuda.is_available():
        keep_depthwise_in_fp32(model)
    _describe(out, whole, data, (training, validation), teachers, source)
    if teachers:
        answers = ask(teachers, training, data.labels, home() / "teachers")
        wanted = recipe.training.distil
        targets = distil(targets, answers, wanted.weight, wanted.temperature)
        del teachers  # and their memory, of a graphics card perhaps
    batches = training_batches(
        training,
        preprocess,
        recipe.training.batch,
        recipe.seed,
        _soft(recipe, training, targets),
        balanced=recipe.training.sampling == "balanced",
    )
    steps = -(-len(batches) // recipe.training.accumulate)
    fit = Fit(recipe, model, preprocess, _weights(recipe, training, data), steps)
    history = History(out / "history.csv")
    if first is not None:
        best = first / "checkpoints" / "best.ckpt"
        fit.load_state_dict(torch.load(best, map_location="cpu", weights_only=True)["state_dict"])
        history.follow(first / "history.csv")
        before = history.best
    trainer = _trainer(recipe, out, history)
    last = out / "checkpoints" / "last.ckpt"
    try:
        trainer.fit(
            fit,
            batches,
            ordered_batches(validation, preprocess),
            ckpt_path=last if resume and last.exists() else None,
        )
    except SystemExit as stop:  # Lightning's answer to Ctrl-C and to SIGTERM
        raise KeyboardInterrupt from stop
    if first is not None and history.best == before:  # nothing later was better
        with replacing(out / "checkpoints" / "best.ckpt") as file:
            file.write(best.read_bytes())
    write_json(out / "done.json", {"epochs": len(history.rows)})
    return out


def _claim(out: Path, recipe: Recipe, resume: bool) -> None:
    """Refuse to mix two runs in one folder."""
    recipe_file = out / "recipe.yaml"
    if resume:
        if not recipe_file.exists():
            raise RunError(f"{out} holds no run to resume; leave --resume out to start one")
        from mien.recipe import load_recipe

        if load_recipe(recipe_file) != recipe:
            raise RunError(f"{out} was begun with another recipe; resume with {recipe_file}")
    elif out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; choose another --out")
    elif out.exists() and any(out.iterdir()):
        raise RunError(f"{out} is not empty; add --resume to continue it, or choose another --out")


def _same_images(out: Path, training: Split, validation: Split) -> None:
    """Refuse to resume on other data; a run that was cut off before it noted its own may."""
    if not (out / "data.json").exists():
        return
    begun = json.loads((out / "data.json").read_text())
    for role, split in (("train", training), ("validation", validation)):
        if begun[role]["digest"] != split.digest:
            raise RunError(f"{out} was begun on other images ({begun['name']}); give those as data")


def _same_teachers(out: Path, teachers: list[Teacher]) -> None:
    """Refuse to resume with teachers that have changed."""
    if not (out / "data.json").exists():
        return
    begun = json.loads((out / "data.json").read_text()).get("teachers", [])
    if begun != _named(teachers):
        raise RunError(f"{out} was begun with other teachers; put those back")


def _named(teachers: list[Teacher]) -> list[dict[str, str]]:
    return [{"name": t.card.name, "digest": t.card.digest} for t in teachers]


def settle(recipe: Recipe) -> None:
    """Quiet the libraries' banners, and trade memory for speed unless the recipe asks not to."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=r".*LeafSpec.*")
    if not recipe.training.checkpoint_activations:
        keep_freed()


def _splits(data: Dataset, recipe: Recipe) -> tuple[Split, Split]:
    training, validation = data.for_training(recipe.data.train, recipe.data.validation, recipe.seed)
    if recipe.data.fold is not None:
        left_out, number = recipe.data.fold
        training = training.take(np.flatnonzero(folds(training, number) != left_out))
    if (limit := recipe.data.limit) is not None:
        generator = torch.Generator().manual_seed(recipe.seed)
        training, validation = (
            s.take(torch.randperm(len(s), generator=generator)[:limit].numpy())
            for s in (training, validation)
        )
    if len(training) < recipe.training.batch:
        raise DataError(
            f"{data.name} has {len(training)} training images, fewer than one batch of "
            f"{recipe.training.batch}; add --set training.batch={max(1, len(training) // 4)}"
        )
    return training, validation


def _weights(recipe: Recipe, training: Split, data: Dataset) -> torch.Tensor | None:
    if recipe.training.loss.class_weights == "none":
        return None
    counts = training.counts(len(data.labels))
    return torch.tensor(class_weights(counts), dtype=torch.float32)


def _soft(recipe: Recipe, training: Split, targets: Targets) -> Targets | None:
    """The targets, or None where the labels will do."""
    needed = recipe.training.mix.on or not only_labels(training, targets)
    return targets if needed else None


def _describe(
    out: Path,
    recipe: Recipe,
    data: Dataset,
    splits: tuple[Split, Split],
    teachers: list[Teacher],
    source: Path,
) -> None:
    """Write what the run stands on, before it starts."""
    recipe.save(out / "recipe.yaml")
    training, validation = splits
    roles = {"train": training, "validation": validation}
    write_json(
        out / "data.json",
        {
            "name": data.name,
            "source": str(source.resolve()),
            "labels": data.labels,
            "side_px": int(training.images.shape[1]),
            **{
                role: {"split": s.name, "images": len(s), "digest": s.digest}
                for role, s in roles.items()
            },
            "teachers": _named(teachers),
        },
    )
    write_json(out / "environment.json", environment())


def environment() -> dict[str, Any]:
    """Versions and machine of this process, for the run folder."""
    return {
        "mien": mien.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def _commit() -> str | None:
    """The commit of a development checkout; None for an installed wheel."""
    import subprocess

    here = Path(__file__).parent
    if (git := shutil.which("git")) is None or not (here.parents[2] / ".git").exists():
        return None
    answer = subprocess.run(
        [git, "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or None


def _trainer(recipe: Recipe, out: Path, history: History) -> L.Trainer:
    checkpoints = out / "checkpoints"
    callbacks: list[L.Callback] = [
        *averaging(recipe.training),
        history,
        Bar(Console(stderr=True)),
        Best(
            checkpoints,
            history,
            # Lightning writes averaged weights into whole checkpoints only.
            save_weights_only=recipe.training.averaging.name == "none",
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        ),
        Checkpoint(
            checkpoints,
            "last",
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        ),
    ]
    if recipe.training.early_stopping:
        callbacks.append(
            EarlyStopping(
                "val_loss", patience=recipe.training.early_stopping, check_on_train_epoch_end=True
            )
        )
    return L.Trainer(
        max_epochs=recipe.training.epochs,
        accelerator="auto",
        devices=1,
        precision="bf16-mixed" if in_bf16(recipe.training.precision) else "32-true",
        accumulate_grad_batches=recipe.training.accumulate,
        callbacks=callbacks,
        logger=TensorBoardLogger(out, name="", version="tensorboard"),
        plugins=[WholeCheckpoints()],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=50,
    )
