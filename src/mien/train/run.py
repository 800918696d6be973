"""Training as a story: open the data, build the network, fit it, keep the best."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import Logger
from rich.console import Console
from torch import nn

from mien.errors import OutOfMemory
from mien.files import replacing
from mien.models import build, check_name
from mien.recipes import Recipe
from mien.runs import RunFolder
from mien.train.batches import ordered_batches, training_batches
from mien.train.callbacks import Bar, Best, Checkpoint, History, WholeCheckpoints, averaging
from mien.train.check import DEFAULT_LOGGERS, check, lengthens
from mien.train.environment import configure_libraries, environment
from mien.train.inputs import Inputs
from mien.train.launch import nodes, shares
from mien.train.loggers import Logging
from mien.train.module import Fit
from mien.train.precision import in_bf16, keep_depthwise_in_fp32
from mien.train.together import count, first_alone, joined, number, wait


def run(
    recipe: Recipe,
    source: Path,
    out: Path,
    *,
    resume: bool = False,
    shown: L.Callback | None = None,
    loggers: Sequence[str] = DEFAULT_LOGGERS,
) -> Path:
    """Train one model on `source` and return its run folder `out`.

    What comes before `training.finish` is a run of its own, in `out`/first. With `resume`, continue
    after the last whole epoch of an interrupted run, or of one that shall have more epochs. Figures
    go to history.csv and to `loggers`. `shown` stands in place of the progress bar; what it raises
    ends the training. Raises the errors of `mien.train.check.check`, of the data, the recipe and
    the weights.
    """
    with joined():
        shares(recipe.training.batch, count())
        if not number():
            check(recipe, source, out, resume=resume, loggers=loggers)
        wait()
        bar = shown or Bar(Console(stderr=True, quiet=number() > 0), recipe.training.batch)
        _run(recipe, source, RunFolder(out), Logging(loggers, out.parent, bar), resume)
    return out


def _run(recipe: Recipe, source: Path, folder: RunFolder, log: Logging, resume: bool) -> None:
    configure_libraries(save_memory=recipe.training.checkpoint_activations)
    L.seed_everything(recipe.seed, verbose=False)
    check_name(recipe.model.name)
    with first_alone():  # it decodes the data
        inputs = Inputs.open(recipe, source, folder.path)
    if resume:
        inputs.check_same(folder)
        is_over = folder.is_done and not lengthens(recipe, folder.recipe)
        wait()
        if is_over:
            return
    model = _network(recipe, inputs)
    *before, stage = recipe.stages()
    if not number():
        if resume:
            folder.reopen()
        _describe(folder, recipe, inputs)
        if before:
            _describe(folder.first, before[0], inputs)
    wait()
    if before:
        if not folder.first.is_done:
            _fit(before[0], model, inputs, folder.first, log)
        model = _ready(folder.first.network(), recipe)
    _fit(stage, model, inputs, folder, log)


def _network(recipe: Recipe, inputs: Inputs) -> nn.Module:
    model = build(
        recipe.model.name,
        classes=len(inputs.labels),
        channels=inputs.preprocess(recipe).channels,
        weights=recipe.model.weights,
        size_px=recipe.input.size_px,
        **recipe.model.options,
    )
    return _ready(model, recipe)


def _ready(model: nn.Module, recipe: Recipe) -> nn.Module:
    """The network, laid out in memory as training steps are fastest."""
    model = model.train().to(memory_format=torch.channels_last)
    if in_bf16(recipe.training.precision) and not torch.cuda.is_available():
        keep_depthwise_in_fp32(model)
    return model


def _describe(folder: RunFolder, recipe: Recipe, inputs: Inputs) -> None:
    """Write what the run stands on, before it starts."""
    folder.write_recipe(recipe)
    folder.write_data(inputs.facts())
    folder.write_environment(environment())


def _fit(recipe: Recipe, model: nn.Module, inputs: Inputs, folder: RunFolder, log: Logging) -> None:
    """Train one stage, after that in `folder`/first if there is one."""
    first = folder.first if folder.first.is_done else None
    preprocess = inputs.preprocess(recipe)
    batches = training_batches(
        inputs.training,
        preprocess,
        recipe.training.batch,
        recipe.seed,
        inputs.lessons(recipe),
        balanced=recipe.training.sampling == "balanced",
    )
    steps = -(-len(batches) // recipe.training.accumulate)
    fit = Fit(recipe, model, preprocess, inputs.class_weights(recipe), steps)
    history = History(folder.history_file)
    if first:
        history.follow(first.history_file)
    before = len(history.rows)
    last = folder.last_checkpoint
    try:
        with log.of(recipe, folder) as loggers:
            _trainer(recipe, folder, history, log, loggers).fit(
                fit,
                batches,
                [ordered_batches(each, preprocess) for each in (inputs.validation, inputs.framed)],
                ckpt_path=last if last.exists() else None,
            )
    except SystemExit as stop:  # Lightning's answer to Ctrl-C and to SIGTERM
        raise KeyboardInterrupt from stop
    except torch.OutOfMemoryError as error:
        batch, sums = recipe.training.batch, recipe.training.accumulate
        less = f"--set training.batch={batch // 2} --set training.accumulate={2 * sums}"
        if batch == 1:
            less = "--set training.checkpoint_activations=true"
        raise OutOfMemory(
            f"the device has too little memory for training.batch={batch}; the same steps in less: "
            f"{less}"
        ) from error
    if not number():
        if first and history.best < before:  # no later epoch was better
            with replacing(folder.best_checkpoint) as file:
                file.write(first.best_checkpoint.read_bytes())
        folder.write_weights()
        folder.write_done(len(history.rows))
    wait()


def _trainer(
    recipe: Recipe, folder: RunFolder, history: History, log: Logging, loggers: list[Logger]
) -> L.Trainer:
    return L.Trainer(
        max_epochs=recipe.training.epochs,
        accelerator="auto",
        devices=count() // nodes(),
        num_nodes=nodes(),
        strategy="ddp" if count() > 1 else "auto",
        # Figures of batches are of all processes together on graphics cards alone: torch has it
        # for no others.
        sync_batchnorm=count() > 1 and torch.cuda.is_available(),
        use_distributed_sampler=False,  # ours share by themselves
        precision="bf16-mixed" if in_bf16(recipe.training.precision) else "32-true",
        accumulate_grad_batches=recipe.training.accumulate,
        gradient_clip_val=recipe.training.clip,
        callbacks=_callbacks(recipe, folder, history, log.shown),
        logger=loggers,
        plugins=[WholeCheckpoints()],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=50,
    )


def _callbacks(
    recipe: Recipe, folder: RunFolder, history: History, shown: L.Callback
) -> list[L.Callback]:
    # Lightning writes averaged weights into whole checkpoints only.
    averaged = recipe.training.averaging.name != "none"
    when: dict[str, Any] = {"save_on_train_epoch_end": True, "enable_version_counter": False}
    patience = recipe.training.early_stopping
    return [
        *averaging(recipe.training),
        history,
        shown,
        Best(folder.checkpoints, history, save_weights_only=not averaged, **when),
        Checkpoint(folder.checkpoints, "last", **when),
        *(_stopping(patience) if patience else []),
    ]


def _stopping(patience: int) -> list[L.Callback]:
    return [EarlyStopping("val_loss", patience=patience, check_on_train_epoch_end=True)]
