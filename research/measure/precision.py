"""What bf16 is worth on this processor: training steps in fp32 and in bf16, in turns.

About 4 minutes on one core. Processor time, so other work beside it disturbs little; the ratio is
the median over the rounds, with the least and the greatest.

    python research/measure/precision.py [RECIPE...]
"""

import statistics
import sys
import time

import torch
from torch import nn

from mien.models.registry import build
from mien.recipes import load_recipe
from mien.train.precision import keep_depthwise_in_fp32

RECIPES = ("mien-s", "mien-s-wide", "mien-m", "attention", "mobilenetv2", "vit", "convnext")
BATCH, ROUNDS = 64, 9


def step(
    net: nn.Module, optimizer: torch.optim.Optimizer, size_px: int, channels: int, bf16: bool
) -> float:
    images = torch.randn(BATCH, channels, size_px, size_px)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 7, (BATCH,))
    start = time.process_time()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        loss = nn.functional.cross_entropy(net(images).float(), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return time.process_time() - start


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    has = [
        n
        for n in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        if getattr(torch.cpu, n)()
    ]
    print(f"processor: {', '.join(has) or 'no bf16'}; batch {BATCH}, {ROUNDS} rounds")
    print(
        "| recipe | px | fp32, images/s | bf16, images/s | time in bf16 / fp32 |"
        "\n|---|---|---|---|---|"
    )
    for name in sys.argv[1:] or RECIPES:
        recipe = load_recipe(name)
        channels = len(recipe.input.mean)
        options = dict(recipe.model.options)
        nets = []
        for bf16 in (False, True):
            net = build(
                recipe.model.name,
                classes=7,
                channels=channels,
                size_px=recipe.input.size_px,
                **options,
            )
            net = net.train().to(memory_format=torch.channels_last)
            if bf16:
                keep_depthwise_in_fp32(net)
            nets.append((net, torch.optim.SGD(net.parameters(), lr=1e-3)))
        rows = [
            [step(*nets[i], recipe.input.size_px, channels, bool(i)) for i in (0, 1)]
            for _ in range(ROUNDS + 1)
        ][1:]
        ratios = [b / a for a, b in rows]
        rates = [BATCH / statistics.median(times) for times in zip(*rows, strict=True)]
        print(
            f"| `{name}` | {recipe.input.size_px} | {rates[0]:.0f} | {rates[1]:.0f} "
            f"| {statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}] |",
            flush=True,
        )


if __name__ == "__main__":
    main()
