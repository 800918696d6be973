"""What each switch of a training costs: steps of a recipe with it beside steps without it.

    python benchmarks/switches.py DATA [--recipe mien-s] [--rounds 7] [--precision auto]

CPU time of whole steps on one thread, from fetching the batch to averaging the weights. Each round
trains every variant for a few steps in this process, so that a machine whose speed drifts slows
all alike. The fastest step of each counts, because others are slowed by what else the machine does;
lowest and highest are the ratios of single rounds: what lies between them is noise.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from rich.progress import track

from mien.data import Split, class_weights, open_dataset
from mien.models import build
from mien.recipes import Recipe, load_recipe
from mien.train.batches import training_batches
from mien.train.callbacks import averaging
from mien.train.module import Fit
from mien.train.precision import in_bf16, keep_depthwise_in_fp32
from mien.train.run import settle
from mien.train.targets import ask, one_hot, open_teachers

PLAIN = [
    "training.optimizer={name: sgd, lr: 0.1, weight_decay: 5.0e-4, momentum: 0.9}",
    "training.averaging.name=none",
    "augment.photo=0",
]
SWITCHES = {
    "training.optimizer.sam: 0.05": ["training.optimizer.sam=0.05"],
    "training.optimizer.name: muon": [
        "training.optimizer={name: muon, lr: 0.003, weight_decay: 0.05, momentum: 0.95}"
    ],
    "training.mix: {mixup: 0.2}": ["training.mix={mixup: 0.2}"],
    "training.mix: {cutmix: 1}": ["training.mix={cutmix: 1}"],
    "training.loss.focal: 2": ["training.loss.focal=2"],
    "training.sampling: balanced": ["training.sampling=balanced"],
    "training.loss.class_weights: balanced": ["training.loss.class_weights=balanced"],
    "training.averaging: {name: ema}": ["training.averaging={name: ema}"],
    "training.averaging: {name: swa}": ["training.averaging={name: swa, start: 0}"],
    "augment.photo: 0.1": ["augment.photo=0.1"],
    "augment.photo: 0.3": ["augment.photo=0.3"],
}
UNTIMED = 3
ASKED = 500


class Clock(L.Callback):
    """CPU seconds of each step, from the end of the one before it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last = 0.0

    def on_train_batch_end(self, *_: Any) -> None:
        """Take the time."""
        now = time.process_time()
        self.seconds.append(now - self._last)
        self._last = now


def main() -> None:
    given = _parse()
    torch.set_num_threads(1)
    data = open_dataset(given.data)
    split, classes = data.split("train"), len(data.labels)
    plain = load_recipe(given.recipe, PLAIN)
    recipes = {name: load_recipe(given.recipe, PLAIN + set_) for name, set_ in SWITCHES.items()}
    settle(plain)

    without: list[float] = []
    taken: dict[str, list[float]] = {name: [] for name in SWITCHES}
    for _ in track(range(given.rounds), "rounds", transient=True):
        without.append(step_s(plain, split, classes, given.steps, given.precision))
        for name, recipe in recipes.items():
            taken[name].append(step_s(recipe, split, classes, given.steps, given.precision))

    bits = "bf16" if in_bf16(given.precision) else "fp32"
    print(f"{given.recipe}, batch {plain.training.batch}, {bits}, {given.rounds} rounds")
    print(f"a step: {1000 * min(without):.0f} ms of one thread\n")
    print("| switch | x a step | lowest, highest |", "| --- | --- | --- |", sep="\n")
    for name, found in taken.items():
        ratios = [a / b for a, b in zip(found, without, strict=True)]
        ratio = min(found) / min(without)
        print(f"| `{name}` | {ratio:.3f} | {min(ratios):.3f}, {max(ratios):.3f} |")
    print(
        f"\na teacher, {given.teacher}: {ask_ms(given.teacher, split, data.labels):.1f} ms an image"
    )


def step_s(recipe: Recipe, split: Split, classes: int, steps: int, precision: str) -> float:
    """CPU seconds of the fastest of `steps`, after a few that are not counted."""
    preprocess = recipe.input.preprocess(split.images.shape[1])
    model = build(
        recipe.model.name,
        classes=classes,
        channels=preprocess.channels,
        **recipe.model.options,
    ).to(memory_format=torch.channels_last)
    bf16 = in_bf16(precision)
    if bf16:
        keep_depthwise_in_fp32(model)
    training = recipe.training
    batches = training_batches(
        split,
        preprocess,
        training.batch,
        recipe.seed,
        one_hot(split.labels, classes) if training.mix.on else None,
        balanced=training.sampling == "balanced",
    )
    weights = None
    if training.loss.class_weights == "balanced":
        weights = torch.tensor(class_weights(split.counts(classes)), dtype=torch.float32)
    clock = Clock()
    L.Trainer(
        max_steps=UNTIMED + steps,
        accelerator="cpu",
        precision="bf16-mixed" if bf16 else "32-true",
        callbacks=[*averaging(training), clock],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(Fit(recipe, model, preprocess, weights, len(batches)), batches)
    return min(clock.seconds[UNTIMED:])


def ask_ms(teacher: str, split: Split, labels: tuple[str, ...]) -> float:
    """CPU milliseconds of a teacher's answer to a picture and its mirror image."""
    teachers = open_teachers([teacher], labels)
    some = split.take(np.arange(ASKED))
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        ask(teachers, some, labels, Path(folder, "answers.npy"))
    return 1000 * (time.process_time() - begun) / ASKED


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--recipe", default="mien-s")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--teacher", default="mien-s")
    return parser.parse_args()


if __name__ == "__main__":
    main()
