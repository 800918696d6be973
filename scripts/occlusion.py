"""Train and measure the network that tells covered faces: drawn masks, sunglasses and hands.

    python scripts/occlusion.py DATA [--out src/mien/faces/cover.onnx] [--epochs 8]
    python scripts/occlusion.py DATA --measure [--look covered.png]

FER-2013's training faces are clean (about one in a hundred is covered, which is left so); every
other one has something drawn over it. What is measured is drawn in ways that training has not
seen: striped masks, glasses with corners, hands with a palm, over PublicTest's faces.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor_value_info

from mien.data import Split, open_dataset
from mien.faces import cover

Grey = NDArray[np.uint8]
Light = NDArray[np.float32]
Draw = Callable[[Light, np.random.Generator, bool], Light]
SIDE, SMALL = 192, 48
WIDTHS, SIZES, STRIDES = (8, 16, 24, 24), (5, 3, 3, 3), (2, 2, 2, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=cover.WEIGHTS)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--measure", action="store_true", help="do not train")
    parser.add_argument("--look", type=Path, help="draw PublicTest's 72 most covered faces")
    given = parser.parse_args()
    data = open_dataset(given.data)
    cover.WEIGHTS = given.out  # type: ignore[misc]
    if not given.measure:
        train(data.split("train"), given.out, given.epochs)
    measure(data.split("public"), given.look)


def spots(rng: np.random.Generator, strength: float, size: float) -> Light:
    """(SIDE, SIDE) soft noise around 0."""
    noise = cv2.GaussianBlur(rng.normal(size=(SIDE, SIDE)).astype(np.float32), (0, 0), size)
    return np.asarray(noise / (noise.std() + 1e-6) * strength, np.float32)


def mask(face: Light, rng: np.random.Generator, new: bool) -> Light:
    """A cloth over mouth and nose; `new` ones are striped."""
    top, low = rng.uniform(0.5, 0.6) * SIDE, rng.uniform(0.9, 1.02) * SIDE
    edge, middle = rng.uniform(0.02, 0.14) * SIDE, (0.5 + rng.uniform(-0.06, 0.06)) * SIDE
    s = SIDE
    outline = [
        *((edge, top + rng.uniform(0, 0.06) * s), (middle - 0.12 * s, top - 0.03 * s)),
        *((middle, top - rng.uniform(0.03, 0.09) * s), (middle + 0.12 * s, top - 0.03 * s)),
        *((s - edge, top + rng.uniform(0, 0.06) * s), (s - edge - 0.03 * s, low - 0.15 * s)),
        *((middle + 0.2 * s, low), (middle - 0.2 * s, low), (edge + 0.03 * s, low - 0.15 * s)),
    ]
    where = np.zeros((SIDE, SIDE), np.float32)
    cv2.fillPoly(where, [np.array(outline, np.int32)], 1)
    base = rng.uniform(20, 250)
    across = (np.arange(SIDE) - middle) / SIDE
    cloth = base * (1 - 2 * rng.uniform(0.2, 0.9) * across**2)[None].repeat(SIDE, 0)
    if new:
        y, x = np.mgrid[:SIDE, :SIDE]
        turn = rng.uniform(0, np.pi)
        waves = np.sin((x * np.cos(turn) + y * np.sin(turn)) / rng.uniform(6, 20))
        cloth = cloth + rng.uniform(10, 40) * np.sign(waves)
    elif rng.random() < 0.5:
        cloth = cloth + spots(rng, rng.uniform(0, 12), rng.uniform(4, 20))
    else:
        cloth = cloth + rng.uniform(10, 50) * (
            spots(rng, 1, rng.uniform(2, 9)) > rng.uniform(-1, 1)
        )
    for _ in range(0 if new else rng.integers(0, 5)):
        y = int(rng.uniform(top, low))
        end = (SIDE, y + int(rng.uniform(-8, 8)))
        cloth = np.ascontiguousarray(cloth, np.float32)
        cv2.line(cloth, (0, y), end, base * rng.uniform(0.75, 0.95), int(rng.integers(1, 4)))
    return over(face, cloth, cv2.GaussianBlur(where, (0, 0), rng.uniform(0.8, 2)))


def glasses(face: Light, rng: np.random.Generator, new: bool) -> Light:
    """Dark glasses; `new` ones have corners."""
    y, apart = rng.uniform(0.34, 0.44) * SIDE, rng.uniform(0.19, 0.24) * SIDE
    middle, roll = (0.5 + rng.uniform(-0.06, 0.06)) * SIDE, rng.uniform(-8, 8)
    size = (rng.uniform(0.24, 0.38) * SIDE, rng.uniform(0.18, 0.32) * SIDE)
    where = np.zeros((SIDE, SIDE), np.float32)
    for side in (-1, 1):
        lens = ((middle + side * apart, y + side * np.sin(np.radians(roll)) * apart), size, roll)
        if new:
            cv2.fillPoly(where, [cv2.boxPoints(lens).astype(np.int32)], 1)
        else:
            cv2.ellipse(where, lens, 1, -1)
    left, right = (int(middle - apart), int(y)), (int(middle + apart), int(y))
    cv2.line(where, left, right, 1, int(rng.integers(2, 7)))
    if rng.random() < 0.6:
        cv2.line(where, (0, int(y - 4)), left, 1, 4)
        cv2.line(where, right, (SIDE, int(y - 4)), 1, 4)
    where = cv2.GaussianBlur(where, (0, 0), rng.uniform(0.6, 1.6)) * rng.uniform(0.85, 1)
    glass = rng.uniform(5, 60) + spots(rng, rng.uniform(0, 10), rng.uniform(5, 25))
    if new or rng.random() < 0.4:  # the sky in them
        glass = glass + np.linspace(0, rng.uniform(30, 110), SIDE)[:: rng.choice([-1, 1]), None]
    return over(face, glass, where)


def hand(face: Light, rng: np.random.Generator, new: bool) -> Light:
    """Fingers of the face's own tone over mouth, eyes or one half; `new` ones have a palm."""
    skin = np.median(face[SIDE // 3 : 2 * SIDE // 3, SIDE // 4 : 3 * SIDE // 4])
    base = np.clip(skin * rng.uniform(0.75, 1.25), 30, 245)
    place = rng.integers(3)
    centre = np.array([(0.5, 0.78), (0.5, 0.42), (rng.choice([0.25, 0.75]), 0.55)][place]) * SIDE
    centre += rng.uniform(-0.07, 0.07, 2) * SIDE
    turn = np.radians(
        rng.uniform(0, 360) if place == 2 else rng.choice([0, 180]) + rng.normal(0, 20)
    )
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    thick, length = rng.uniform(0.085, 0.13) * SIDE, rng.uniform(0.3, 0.5) * SIDE
    fingers = 4 if new else int(rng.integers(3, 5))
    where = np.zeros((SIDE, SIDE), np.float32)
    tone = base + spots(rng, rng.uniform(2, 8), 8)
    if new:
        x, y = centre - along * length * 0.6
        palm = ((float(x), float(y)), (1.4 * length, 1.1 * thick * fingers), np.degrees(turn))
        cv2.ellipse(where, palm, 1, -1)
    for number in range(fingers):
        root = centre + across * (number - (fingers - 1) / 2) * thick * 1.02
        tip, start = root + along * length * rng.uniform(0.75, 1.05), root - along * SIDE
        finger = np.zeros((SIDE, SIDE), np.float32)
        ends = (tuple(map(int, start)), tuple(map(int, tip)))
        cv2.line(finger, *ends, 1, int(thick), cv2.LINE_AA)
        round_ = cv2.GaussianBlur(finger, (0, 0), thick / 5)
        lit = base * (0.72 + 0.28 * np.clip(round_ * 1.05, 0, 1)) + (tone - base) * 0.5
        tone, where = np.where(finger > 0.5, lit, tone), np.maximum(where, finger)
    return over(face, tone, cv2.GaussianBlur(where, (0, 0), 1.2))


KINDS: dict[str, Draw] = {"mask": mask, "sunglasses": glasses, "hand": hand}


def over(face: Light, cloth: Light, where: Light) -> Light:
    return np.asarray(face * (1 - where) + cloth * where, np.float32)


def covered(face: Grey, kind: str, rng: np.random.Generator, *, new: bool) -> Grey:
    """(48, 48): the face with something of `kind` drawn over it."""
    large = cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    drawn = KINDS[kind](large, rng, new).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(drawn, (SMALL, SMALL), interpolation=cv2.INTER_AREA), np.uint8)


def framed(face: Grey, rng: np.random.Generator) -> Grey:
    """As a detector frames it, in some light."""
    turn = cv2.getRotationMatrix2D((23.5, 23.5), rng.uniform(-12, 12), rng.uniform(0.85, 1.15))
    turn[:, 2] += rng.uniform(-3, 3, 2)
    moved = cv2.warpAffine(face, turn, (SMALL, SMALL), borderMode=cv2.BORDER_REPLICATE)
    light = 255 * (moved / 255) ** np.exp(rng.normal(0, 0.35)) * rng.uniform(0.4, 1.1)
    return np.asarray(light.clip(0, 255), np.uint8)


def train(split: Split, out: Path, epochs: int) -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(split))
    clean = [framed(split.images[row], rng) for row in rows]
    kinds = [*KINDS]
    drawn = [
        framed(covered(split.images[row], kinds[place % 3], rng, new=False), rng)
        for place, row in enumerate(rows[: 2 * len(rows) // 3])
    ]
    faces = torch.from_numpy(cover.standardised(np.stack(clean + drawn)))
    truth = torch.tensor([0.0] * len(clean) + [1.0] * len(drawn))
    layers: list[nn.Module] = []
    for wide, (before, size, stride) in zip(
        WIDTHS, zip((1, *WIDTHS), SIZES, STRIDES, strict=False), strict=True
    ):
        layers += [nn.Conv2d(before, wide, size, stride, size // 2, bias=False)]
        layers += [nn.BatchNorm2d(wide), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(36 * WIDTHS[-1], 1))
    step = torch.optim.AdamW(net.parameters(), weight_decay=1e-3)
    batches = len(faces) // 128
    pace = torch.optim.lr_scheduler.OneCycleLR(step, 6e-3, epochs * batches)
    for epoch in range(epochs):
        lost = 0.0
        for rows_ in torch.randperm(len(faces))[: batches * 128].reshape(batches, 128):
            seen = faces[rows_].flip(3) if rng.random() < 0.5 else faces[rows_]
            loss = nn.functional.binary_cross_entropy_with_logits(net(seen)[:, 0], truth[rows_])
            step.zero_grad()
            loss.backward()
            step.step()
            pace.step()
            lost += loss.item()
        print(f"epoch {epoch + 1}: loss {lost / batches:.4f}", flush=True)
    save(net.eval(), out)


def save(net: Any, out: Path) -> None:
    """As ONNX, BatchNorm folded into the convolutions, of weights that 16 bits can hold."""
    modules = list(net)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def add(kind: str, *values: Any, **options: object) -> None:
        names = [f"weights{len(weights) + place}" for place in range(len(values))]
        halves = [value.detach().numpy().astype(np.float16) for value in values]
        weights.extend(
            onnx.numpy_helper.from_array(half.astype(np.float32), name)
            for half, name in zip(halves, names, strict=True)
        )
        before = nodes[-1].output[0] if nodes else "faces"
        nodes.append(make_node(kind, [before, *names], [f"seen{len(nodes)}"], **options))

    for convolution, norm, _ in zip(*[iter(modules[: 3 * len(WIDTHS)])] * 3, strict=True):
        scale = norm.weight / (norm.running_var + norm.eps) ** 0.5
        bias = norm.bias - norm.running_mean * scale
        sides = {"strides": convolution.stride, "pads": 2 * convolution.padding}
        add("Conv", convolution.weight * scale[:, None, None, None], bias, **sides)
        add("Relu")
    add("Flatten")
    add("Gemm", modules[-1].weight.T, modules[-1].bias)
    faces = make_tensor_value_info("faces", onnx.TensorProto.FLOAT, ["n", 1, 48, 48])
    told = make_tensor_value_info(nodes[-1].output[0], onnx.TensorProto.FLOAT, ["n", 1])
    graph = make_graph(nodes, "cover", [faces], [told], weights)
    model = make_model(graph, ir_version=8, opset_imports=[make_opsetid("", 17)])
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, out)
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB")


def measure(public: Split, look: Path | None) -> None:
    """Print recall for each kind, drawn as in training and anew, and precision, by threshold."""
    plain = cover.scores([*public.images])
    rows = np.random.default_rng(1).permutation(len(public))[:1000]
    found = {}
    for new in (False, True):
        for kind in KINDS:
            rng = np.random.default_rng(2)
            drawn = [covered(public.images[row], kind, rng, new=new) for row in rows]
            found[kind, new] = cover.scores(drawn)
    print("threshold  told of PublicTest  precision, new  recall: mask, sunglasses, hand; new ones")
    for limit in sorted({cover.COVERED, *np.quantile(plain, [0.98, 0.99, 0.995, 0.9975])}):
        told = float(np.mean(plain > limit))
        recall = {key: float(np.mean(value > limit)) for key, value in found.items()}
        new_ones = np.mean([recall[kind, True] for kind in KINDS])
        shown = "  ".join(f"{value:.3f}" for value in recall.values())
        print(f"{limit:9.2f}  {told:18.4f}  {new_ones / (new_ones + told):14.3f}  {shown}")
    if look is not None:
        top = np.argsort(-plain)[:72].reshape(6, 12)
        faces = [np.hstack([cv2.resize(public.images[i], (96, 96)) for i in row]) for row in top]
        cv2.imwrite(str(look), np.vstack(faces))


if __name__ == "__main__":
    main()
