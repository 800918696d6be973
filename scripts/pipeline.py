"""What the input pipeline costs: training steps on fresh augmented batches and on one fixed batch.

    python scripts/pipeline.py DATA [--recipe mien-s-wide] [--steps 30] [--precision auto]

Both kinds of step alternate in one process, so that a machine whose speed drifts slows both.
Pictures have their full size, whatever the first epochs of the recipe have.
"""

import argparse
import resource
import statistics
import time
from itertools import cycle
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from mien.data import open_dataset
from mien.models import build
from mien.recipes import load_recipe
from mien.train.batches import training_batches
from mien.train.environment import configure_libraries
from mien.train.lessons import Lessons
from mien.train.module import Fit
from mien.train.precision import in_bf16, keep_depthwise_in_fp32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--recipe", default="mien-s-wide")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    given = parser.parse_args()

    recipe = load_recipe(given.recipe, ["training.progressive.from_px=null"])
    configure_libraries(save_memory=recipe.training.checkpoint_activations)
    data = open_dataset(given.data)
    preprocess = recipe.input.preprocess(data.split("train").images.shape[1])
    model = build(
        recipe.model.name,
        classes=len(data.labels),
        channels=preprocess.channels,
        **recipe.model.options,
    ).to(memory_format=torch.channels_last)
    bf16 = in_bf16(given.precision)
    if bf16:
        keep_depthwise_in_fp32(model)
    train = data.split("train")
    lessons = Lessons(recipe, len(train))
    batches = training_batches(train, preprocess, recipe.training.batch, 0, lessons)
    batches.sampler.set_epoch(0)
    fit = Fit(recipe, model, preprocess, None, len(batches)).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, 0.9, nesterov=True)

    def step(images: torch.Tensor, _drawn: object, targets: torch.Tensor, _labels: object) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = cross_entropy(model(images), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    stream = cycle(batches)
    fixed = fit.on_after_batch_transfer(next(stream), 0)
    with_pipeline, without = [], []
    for _ in range(given.steps):
        started = time.perf_counter()
        step(*fit.on_after_batch_transfer(next(stream), 0))
        between = time.perf_counter()
        step(*fixed)
        with_pipeline.append(between - started)
        without.append(time.perf_counter() - between)
    ratios = [a / b for a, b in zip(with_pipeline[3:], without[3:], strict=True)]
    bits = "bf16" if bf16 else "fp32"
    print(f"recipe {given.recipe}, batch {recipe.training.batch}, {len(ratios)} pairs, {bits}")
    print(f"fresh batch  {1000 * statistics.median(with_pipeline[3:]):7.1f} ms (median)")
    print(f"fixed batch  {1000 * statistics.median(without[3:]):7.1f} ms")
    quartiles = statistics.quantiles(ratios, n=4)
    print(f"ratio        {quartiles[1]:7.3f} [quartiles {quartiles[0]:.3f}, {quartiles[2]:.3f}]")
    print(f"peak memory  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:7.0f} MiB")


if __name__ == "__main__":
    main()
