"""MobileNetV2 as nsfwjs has it, written for `--set model.weights=FILE`: ImageNet's at one remove.

nsfwjs (https://github.com/infinitered/nsfwjs, MIT) sorts photos for moderation with a MobileNetV2
that began with Keras' ImageNet weights; npm carries it in 8 bits. It is for places that npm reaches
and timm's hub does not. It wants pictures in [0, 1]:

    npm pack nsfwjs@4.4.0
    python scripts/mobilenetv2_weights.py nsfwjs-4.4.0.tgz mobilenetv2.pt
    mien train mobilenetv2 --set model.weights=mobilenetv2.pt \
        --set 'input={size_px: 64, mean: [0, 0, 0], std: [1, 1, 1]}' ...
"""

import argparse
import base64
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import timm
import torch
from torch import Tensor

from mien.files import sha256

DIGEST = "585cd178f3b994337c4d10a87b080d342fc52f8b9bf0085c4d1f345a3a1c5382"
FOLDER = "package/dist/models/mobilenet_v2"
ENTRY = re.compile(
    r'\{name:"([^"]+)",shape:\[([^\]]*)\],dtype:"float32"'
    r'(?:,quantization:\{min:([^,]+),scale:([^,]+),dtype:"uint8"\})?\}'
)
PARTS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean"}
EPSILON = 1e-3 - 1e-5  # what Keras adds to a variance more than timm does


def tensors(archive: Path) -> dict[str, Tensor]:
    """Name → tensor of the Keras network in nsfwjs' archive."""
    with tarfile.open(archive) as files:
        topology, shard = (
            files.extractfile(f"{FOLDER}/{name}.min.js").read().decode()
            for name in ("model", "group1-shard1of1")
        )
    values = base64.b64decode(re.search(r'exports="([^"]+)"', shard)[1])
    found, place = {}, 0
    for name, shape, least, scale in ENTRY.findall(topology):
        sizes = [int(size) for size in shape.split(",")]
        kind = np.dtype("u1" if scale else "<f4")
        flat = np.frombuffer(values, kind, int(np.prod(sizes)), place)
        place += flat.nbytes
        if scale:
            flat = flat * float(scale) + float(least)
        found[name] = torch.tensor(flat, dtype=torch.float32).view(sizes)
    assert place == len(values), "the archive is not what this was written for"
    return found


def blocks() -> Iterator[tuple[str, str, str]]:
    """timm's convolution, timm's BatchNorm, and the stem of Keras' names, layer by layer."""
    yield "conv_stem", "bn1", "Conv1"
    yield "blocks.0.0.conv_dw", "blocks.0.0.bn1", "expanded_conv_depthwise"
    yield "blocks.0.0.conv_pw", "blocks.0.0.bn2", "expanded_conv_project"
    number = 1
    for stage, length in enumerate((2, 3, 4, 3, 3, 1), start=1):
        for place in range(length):
            ours, theirs = f"blocks.{stage}.{place}", f"block_{number}"
            yield f"{ours}.conv_pw", f"{ours}.bn1", f"{theirs}_expand"
            yield f"{ours}.conv_dw", f"{ours}.bn2", f"{theirs}_depthwise"
            yield f"{ours}.conv_pwl", f"{ours}.bn3", f"{theirs}_project"
            number += 1
    yield "conv_head", "bn2", "Conv_1"


def renamed(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same by timm's names."""
    state = {}
    for conv, norm, name in blocks():
        depthwise = name.endswith("depthwise")
        kernel = found[f"{name}/{'depthwise_' if depthwise else ''}kernel"]
        state[f"{conv}.weight"] = (
            kernel.permute(2, 3, 0, 1) if depthwise else kernel.permute(3, 2, 0, 1)
        )
        prefix = {"Conv1": "bn_Conv1", "Conv_1": "Conv_1_bn"}.get(name, f"{name}_BN")
        for ours, theirs in PARTS.items():
            state[f"{norm}.{ours}"] = found[f"{prefix}/{theirs}"]
        state[f"{norm}.running_var"] = found[f"{prefix}/moving_variance"] + EPSILON
        state[f"{norm}.num_batches_tracked"] = torch.tensor(0)
    return state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args()
    if sha256(chosen.archive) != DIGEST:
        raise SystemExit(f"{chosen.archive} is not nsfwjs 4.4.0: npm pack nsfwjs@4.4.0")
    state = renamed(tensors(chosen.archive))
    network = timm.create_model("mobilenetv2_100", pretrained=False, num_classes=0)
    network.load_state_dict(state)  # all of it, and nothing more
    torch.save(state, chosen.out)
    print(f"written: {chosen.out}")


if __name__ == "__main__":
    main()
