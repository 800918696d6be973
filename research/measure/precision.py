"""What bf16 is worth on this processor: training steps in fp32 and bf16, in turns.

    python research/measure/precision.py [RECIPE...]

Steps of recipes' networks by SGD, and the products of matrices that a step of Muon takes. About 4
minutes on one core. Processor time, so other work beside it disturbs little; the ratio is the
median over the rounds, with the least and the greatest.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

from mien.models.registry import build
from mien.recipes import Recipe, load_recipe
from mien.train.precision import keep_depthwise_in_fp32

RECIPES = ("mien-s", "mien-s-wide", "mien-m", "attention", "mobilenetv2", "vit", "convnext")
MATRICES = ((96, 864), (192, 1728), (288, 2592))
"""Rows and columns of weights of `mien-m`."""
BATCH, ROUNDS = 64, 9
TYPES = (torch.float32, torch.bfloat16)


def step(recipe: Recipe, dtype: torch.dtype) -> Callable[[], None]:
    """A training step of a recipe's network."""
    channels, size_px = len(recipe.input.mean), recipe.input.size_px
    made = {"classes": 7, "channels": channels, "size_px": size_px, **recipe.model.options}
    net = build(recipe.model.name, **made).train().to(memory_format=torch.channels_last)
    if dtype is torch.bfloat16:
        keep_depthwise_in_fp32(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    images = torch.randn(BATCH, channels, size_px, size_px)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 7, (BATCH,))

    def one() -> None:
        with torch.autocast("cpu", dtype, enabled=dtype is torch.bfloat16):
            loss = nn.functional.cross_entropy(net(images).float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return one


def products(rows: int, columns: int, dtype: torch.dtype) -> Callable[[], None]:
    """Those of five iterations of Newton and Schulz."""
    x = torch.randn(rows, columns, dtype=dtype)

    def five() -> None:
        for _ in range(5):
            square = x @ x.T
            (square @ square) @ x

    return five


def line(name: str, of: Callable[[torch.dtype], Callable[[], None]]) -> str:
    """A row of the table: the time in both types, in turns."""
    work = [of(dtype) for dtype in TYPES]
    times: list[list[float]] = [[], []]
    for turn in range(ROUNDS + 1):
        for which in (0, 1) if turn % 2 else (1, 0):
            start = time.process_time()
            work[which]()
            times[which].append(1000 * (time.process_time() - start))
    ratios = [b / a for a, b in list(zip(*times, strict=True))[1:]]
    ms = " | ".join(f"{statistics.median(t[1:]):.1f}" for t in times)
    told = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
    return f"| {name} | {ms} | {told} |"


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    kinds = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    has = [kind[4:-10] for kind in kinds if getattr(torch.cpu, kind)()]
    print(f"processor: {', '.join(has) or 'no bf16'}; batch {BATCH}, {ROUNDS} rounds")
    print("| | fp32, ms | bf16, ms | time in bf16 / fp32 |\n|---|---|---|---|")
    for name in sys.argv[1:] or RECIPES:
        recipe = load_recipe(name)
        print(line(f"`{name}`", lambda dtype, recipe=recipe: step(recipe, dtype)), flush=True)
    for rows, columns in MATRICES:
        of = lambda dtype, r=rows, c=columns: products(r, c, dtype)  # noqa: E731
        print(line(f"Muon, {rows} x {columns}", of), flush=True)


if __name__ == "__main__":
    main()
