"""Train networks on a graphics card that is at hand for a few minutes; runs on the card's machine.

    python3 scripts/gpu_sprint.py --data .sprint --out OUT --seconds 560 [--plan PLAN] [--tiny]

`scripts/gpu_plans.yaml` says what is trained. Teachers learn from labels and votes. They answer for
K stored augmentations of each training image. Students learn these answers ("patient and
consistent", Beyer et al. 2022). All data lie on the card, a whole step (augmentation, network,
Muon, averaging) is one CUDA graph, and nothing waits for the card within an epoch. Each group of
networks has its share of the time that is left and fits its epochs into it; what is done is
written after each. `scripts/gpu_pack.py` makes the data folder, `scripts/gpu_sprint.sh` runs this,
`scripts/gpu_home.py` makes run folders of what came back. Needs torch, timm, pydantic, PyYAML,
numpy and OpenCV.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import dataclasses
import io
import json
import math
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
from mien.models import build
from mien.models.face_resnet import AdoptedBatchNorm

PLANS = Path(__file__).with_name("gpu_plans.yaml")
SIDE = 48
PART = 15 << 20  # bytes of a file that comes home
WEIGHTS = 54 << 20  # bytes of weights that come home: the machine gives back 64 MiB
RESERVE_S = 8  # for figures and files at the end
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclasses.dataclass(frozen=True)
class Changes:
    """Random changes of a picture: each is drawn per image, uniformly in its range."""

    rotation_deg: float = 0
    shift: float = 0
    zoom: tuple[float, float] = (1, 1)
    flip: bool = False
    light: tuple[float, float] = (1, 1)
    """Of brightness and of contrast, each."""
    erase: float = 0
    """Share of images with a grey rectangle."""
    photo: float = 0
    """Share of images with uneven light, with a gamma, with blur, with noise, each."""


TRAINING = Changes(10, 0.09, (0.87, 1.16), True, (0.75, 1.25), 0.15, 0.08)
HEAVY = Changes(14, 0.11, (0.82, 1.2), True, (0.7, 1.3), 0.35, 0.12)
HEAVIER = Changes(16, 0.12, (0.78, 1.25), True, (0.65, 1.35), 0.45, 0.16)
LAST = Changes(6, 0.05, (0.92, 1.08), True, (0.85, 1.15), 0, 0.03)
FACES = Changes(8, 0.07, (0.9, 1.12), True, (0.8, 1.2), 0.1, 0.06)
FIELD = Changes(10, 0.10, (0.85, 1.15))
"""Faces as detectors frame them: the field accuracy of shared/README.md."""
CHANGES = {"training": TRAINING, "heavy": HEAVY, "heavier": HEAVIER, "faces": FACES}
"""By the names that plans have for them."""
PARAMETERS = 16


def draw(number: int, changes: Changes, generator: torch.Generator) -> Tensor:
    """(number, 16) float32 on the generator's device: what `change` does to each image."""
    u = torch.rand(number, 24, generator=generator, device=generator.device)

    def span(column: int, low: float, high: float) -> Tensor:
        return low + (high - low) * u[:, column]

    def some(column: int, share: float, values: Tensor, otherwise: float) -> Tensor:
        return torch.where(u[:, column] < share, values, torch.full_like(values, otherwise))

    angle = span(0, -1, 1) * changes.rotation_deg * math.pi / 180
    direction = span(9, 0, 2 * math.pi)
    ramp = some(10, changes.photo, span(8, 0.2, 0.6), 0)
    erased = some(16, changes.erase, torch.ones_like(angle), 0)
    return torch.stack(
        [
            angle,
            span(1, *changes.zoom),
            span(2, -1, 1) * changes.shift,
            span(3, -1, 1) * changes.shift,
            (u[:, 4] < 0.5 * changes.flip).float(),
            span(5, *changes.light),
            span(6, *changes.light),
            some(11, changes.photo, 2 ** span(7, -0.8, 0.8), 1),
            ramp * direction.cos(),
            ramp * direction.sin(),
            some(13, changes.photo, span(12, 0.3, 1), 0),
            some(15, changes.photo, span(14, 0.01, 0.06), 0),
            span(17, -0.8, 0.8),
            span(18, -0.8, 0.8),
            span(19, 0.15, 0.5) * erased,
            span(20, 0.15, 0.5) * erased,
        ],
        1,
    )


def change(images: Tensor, p: Tensor, side: int) -> Tensor:
    """(B, 48, 48) uint8 and (B, 16) → (B, 1, side, side) float32 in 0-1. One affine for all of
    geometry; edges are repeated."""
    line = (torch.arange(side, device=images.device) * 2 + 1) / side - 1
    x, y = line[None, None, :], line[None, :, None]
    p = p[:, :, None, None]
    u, v = x - 2 * p[:, 2], y - 2 * p[:, 3]
    cos, sin = p[:, 0].cos() / p[:, 1], p[:, 0].sin() / p[:, 1]
    mirrored = 1 - 2 * p[:, 4]
    grid = torch.stack([(u * cos + v * sin) * mirrored, v * cos - u * sin], 3)
    out = F.grid_sample(
        images[:, None].float() / 255, grid, padding_mode="border", align_corners=False
    )
    blurred = F.avg_pool2d(F.pad(out, (2, 2, 2, 2), mode="replicate"), 5, 1)
    out = out + p[:, 10:11] * (blurred - out)
    mean = out.mean((1, 2, 3), keepdim=True)
    ramp = (p[:, 8] * x + p[:, 9] * y)[:, None]
    out = ((out - mean) * p[:, 6:7] + mean) * p[:, 5:6] * (1 + ramp)
    out = out.clamp(1e-4, 1) ** p[:, 7:8]
    out = out + p[:, 11:12] * torch.randn_like(out)
    hidden = ((x - p[:, 12]).abs() < p[:, 14]) & ((y - p[:, 13]).abs() < p[:, 15])
    return torch.where(hidden[:, None], 0.5, out).clamp(0, 1)


@dataclasses.dataclass(frozen=True)
class Job:
    """A network to train."""

    network: str
    model: str
    options: dict[str, Any]
    changes: Changes
    seed: int = 0
    side: int = SIDE
    lr: float = 0.003
    decay: float = 0.08
    epochs: int = 80
    batch: int = 256
    mean: float = 0.508
    std: float = 0.255
    start: str | None = None
    compile: bool = False
    keep: int = 0
    """Of how many seeds of this network the weights come home."""

    @property
    def name(self) -> str:
        """Network and seed."""
        return f"{self.network}-{self.seed}"


@dataclasses.dataclass(frozen=True)
class Group:
    """Networks that are trained side by side, and their share of the time."""

    seconds: float
    jobs: list[Job]


@dataclasses.dataclass(frozen=True)
class Plan:
    """Teachers, questions to them, students."""

    teachers: list[Group]
    students: list[Group]
    draws: int
    ask_s: float
    weight: float

    @classmethod
    def read(cls, name: str, path: Path = PLANS) -> Plan:
        """The plan of that name. Raises KeyError or TypeError for what the file should not say."""
        said = yaml.safe_load(path.read_text())
        networks = {
            key: {**facts, "changes": CHANGES[facts.get("changes", "training")]}
            for key, facts in said["networks"].items()
        }

        def groups(rows: list[dict[str, Any]]) -> list[Group]:
            return [
                Group(
                    row["seconds"],
                    [
                        Job(network, seed=seed, **networks[network])
                        for network, seeds in row["train"].items()
                        for seed in seeds
                    ],
                )
                for row in rows
            ]

        chosen = said["plans"][name]
        chosen = {k: groups(v) if isinstance(v, list) else v for k, v in chosen.items()}
        return cls(**chosen)


class Muon:
    """Muon for matrices, all of one shape at a time, and torch's AdamW for the rest; the learning
    rate is a tensor, so a graph can hold a step (Jordan et al. 2024; Liu et al. 2025)."""

    def __init__(self, model: nn.Module, lr: Tensor, decay: float) -> None:
        self.lr, self.decay = lr, decay
        self.shapes: dict[torch.Size, list[nn.Parameter]] = {}
        rest: list[nn.Parameter] = []
        for weight in model.parameters():
            if weight.ndim > 1 and weight.shape[1] > 1 and weight.shape[0] > 3:
                self.shapes.setdefault(weight.shape, []).append(weight)
            else:
                rest.append(weight)
        self.momenta = {s: [torch.zeros_like(w) for w in ws] for s, ws in self.shapes.items()}
        self.adam = torch.optim.AdamW(
            [
                {"params": [w for w in rest if w.ndim > 1], "weight_decay": decay},
                {"params": [w for w in rest if w.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=lr,
            betas=(0.95, 0.999),
            fused=True,
            capturable=DEVICE.type == "cuda",
        )

    @torch.no_grad()
    def step(self) -> None:
        """One step of all weights."""
        for shape, weights in self.shapes.items():
            gradients, momenta = [w.grad for w in weights], self.momenta[shape]
            torch._foreach_lerp_(momenta, gradients, 0.05)
            turned = orthogonal(
                torch.stack([u.flatten(1) for u in torch._foreach_lerp(gradients, momenta, 0.95)])
            )
            far = self.lr * (0.2 * max(turned.shape[1:]) ** 0.5)
            moves = (turned.float() * far).reshape(len(weights), *shape).unbind()
            torch._foreach_mul_(weights, 1 - self.lr * self.decay)
            torch._foreach_sub_(weights, list(moves))
        self.adam.step()

    def forget(self) -> None:
        """As before the first step."""
        for momenta in self.momenta.values():
            torch._foreach_zero_(momenta)
        for state in self.adam.state.values():
            for value in state.values():
                value.zero_()


def orthogonal(x: Tensor) -> Tensor:
    """Newton and Schulz's iteration on (n, a, b), in bf16 on a card."""
    x = x.bfloat16() if DEVICE.type == "cuda" else x
    turned = x.shape[1] > x.shape[2]
    x = x.mT if turned else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for a, b, c in (
        (4.0848, -6.8946, 2.9270),
        (3.9505, -6.3029, 2.6377),
        (3.7418, -5.5913, 2.3037),
        (2.8769, -3.1427, 1.2046),
        (2.8366, -3.0525, 1.2012),
    ):
        square = x @ x.mT
        x = a * x + (b * square + c * (square @ square)) @ x
    return x.mT if turned else x


WORTH: dict[str, bool] = {}
"""Networks for which compiling was tried, and whether it paid."""


class Data:
    """Everything on the device."""

    def __init__(self, folder: Path, limit: int | None) -> None:
        facts = np.load(folder / "facts.npz")
        self.labels = [str(label) for label in facts["classes"]]
        images = mosaic(folder / "train.webp", len(facts["targets"]))
        public = mosaic(folder / "public.webp", len(facts["public"]))
        # Both are sorted by class, so a part is every n-th.
        some, few = (
            slice(None, None, 1 if limit is None else max(1, len(x) // limit))
            for x in (images, public)
        )
        self.images = images[some].contiguous().to(DEVICE)
        self.targets = torch.from_numpy(facts["targets"]).float()[some].contiguous().to(DEVICE)
        self.public = public[few].contiguous().to(DEVICE)
        self.truth = torch.from_numpy(facts["public"])[few].contiguous().to(DEVICE)
        self.fresh = torch.from_numpy(facts["fresh"])[few].to(DEVICE)


def mosaic(path: Path, number: int) -> Tensor:
    """(number, 48, 48) uint8."""
    sheet = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    rows, columns = sheet.shape[0] // SIDE, sheet.shape[1] // SIDE
    faces = sheet.reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2).reshape(-1, SIDE, SIDE)
    return torch.from_numpy(faces[:number].copy())


class Run:
    """A network in training, with the buffers that its graph reads."""

    def __init__(self, job: Job, data: Data, folder: Path) -> None:
        torch.manual_seed(job.seed)
        self.job, self.data = job, data
        model = build(job.model, classes=len(data.labels), channels=1, **job.options)
        if job.start:
            load_start(model, folder / job.start)
        self.model = model.to(DEVICE, memory_format=torch.channels_last).train()
        if job.start:
            faces = data.images[::29]
            pictures = change(faces, draw_on(faces, FACES), job.side)
            adopt(self.model, (pictures - job.mean) / job.std)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        number = len(data.images)
        self.steps = max(1, number // job.batch)
        self.generator = torch.Generator(DEVICE).manual_seed(job.seed)
        self.order = torch.zeros(number, dtype=torch.long, device=DEVICE)
        self.parameters = torch.zeros(number, PARAMETERS, device=DEVICE)
        self.targets = data.targets.clone()
        self.row = torch.arange(job.batch, device=DEVICE)
        self.at = torch.zeros((), dtype=torch.long, device=DEVICE)
        self.done, self.total = torch.zeros((), device=DEVICE), torch.ones((), device=DEVICE)
        self.lr = torch.zeros((), device=DEVICE)
        self.loss = torch.zeros(2, device=DEVICE)
        self.muon = Muon(self.model, self.lr, job.decay)
        self.forward = self.model
        self.stream = torch.cuda.Stream() if DEVICE.type == "cuda" else None
        self.graph: Any = None
        self.epochs = 1
        self.taught = False
        self.field = 0.0
        self.history: list[dict[str, float]] = []

    def step(self) -> None:
        """Augment, learn, average: no read by the host."""
        job = self.job
        rows = self.order.index_select(0, self.at + self.row)
        images = change(self.data.images[rows], self.parameters[rows], job.side)
        images = ((images - job.mean) / job.std).contiguous(memory_format=torch.channels_last)
        targets = self.targets[rows]
        with torch.autocast(
            DEVICE.type, torch.bfloat16, enabled=DEVICE.type == "cuda", cache_enabled=False
        ):
            logits = self.forward(images)
        loss = -(targets * F.log_softmax(logits.float(), 1)).sum(1).mean()
        loss.backward()
        with torch.no_grad():
            warm = self.steps
            rise = (self.done + 0.5) / warm
            fall = 0.5 + 0.5 * torch.cos(
                math.pi * ((self.done - warm) / (self.total - warm).clamp(min=1)).clamp(0, 1)
            )
            self.lr.copy_(job.lr * torch.minimum(rise, fall) + 1e-8)
            self.muon.step()
            share = 1 - torch.minimum((1 + self.done) / (10 + self.done), self.done * 0 + 0.998)
            theirs, ours = floats(self.average), floats(self.model)
            away = torch._foreach_sub(ours, theirs)
            torch._foreach_mul_(away, share)
            torch._foreach_add_(theirs, away)
            self.done += 1
            self.at += job.batch
            right = (logits.argmax(1) == targets.argmax(1)).float().mean()
            self.loss += torch.stack([loss.detach(), right])

    def zero(self) -> None:
        """No gradients."""
        for weight in self.model.parameters():
            weight.grad = None

    def begin(self, log: Log) -> float:
        """Time eager steps, a recorded one and a compiled one; keep the fastest; its seconds."""
        self.shuffle(self.job.changes)
        before = copy.deepcopy(self.model.state_dict())
        times = {"eager": self.timed()}
        if self.stream is not None:
            times["graph"] = self.record()
            if self.job.compile and WORTH.get(self.job.network, True):
                times |= self.try_compiled(times["graph"], log)
        self.model.load_state_dict(before)
        self.average.load_state_dict(before)
        self.muon.forget()
        self.done.zero_()
        self.loss.zero_()
        told = ", ".join(f"{name} {1000 * step:.2f}" for name, step in times.items())
        log(f"{self.job.name}: ms a step: {told}")
        if times["eager"] <= min(times.values()):
            self.graph, self.forward = None, self.model
        return min(times.values())

    def try_compiled(self, before: float, log: Log) -> dict[str, float]:
        """Record a compiled network; go back to the other where that fails or is not faster."""
        graph, started = self.graph, time.perf_counter()
        step = math.inf
        try:
            self.forward = torch.compile(self.model)
            step = self.record()
        except RuntimeError as error:
            log(f"  {self.job.name} cannot be compiled: {str(error).splitlines()[0]}")
        WORTH[self.job.network] = step < before
        if step >= before:
            self.graph, self.forward = graph, self.model
        log(f"  {self.job.name} compiled in {time.perf_counter() - started:.0f} s")
        return {} if math.isinf(step) else {"compiled": step}

    def record(self) -> float:
        """Record a step as a graph; seconds of a step."""
        self.graph = None
        self.zero()
        self.stream.wait_stream(torch.cuda.current_stream())
        for _ in range(3):
            self.one(first=True)
        torch.cuda.synchronize()
        self.at.zero_()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.step()
        return self.timed()

    def timed(self) -> float:
        """Seconds of a step, as it is taken now."""
        number = 20 if DEVICE.type == "cuda" else 2
        wait()
        self.one(first=True)
        wait()
        started = time.perf_counter()
        for _ in range(number):
            self.one(first=True)
        wait()
        return (time.perf_counter() - started) / number

    def one(self, *, first: bool = False) -> None:
        """A step, on the run's own stream; with `first`, on the first images."""
        with torch.cuda.stream(self.stream):
            if first:
                self.at.zero_()
            if self.graph is not None:
                self.graph.replay()
            else:
                self.step()
                self.zero()

    def shuffle(self, changes: Changes) -> None:
        """A new epoch's order and changes."""
        number = len(self.order)
        self.order.copy_(torch.randperm(number, generator=self.generator, device=DEVICE))
        self.parameters.copy_(draw(number, changes, self.generator))
        self.at.zero_()

    @torch.inference_mode()
    def answers(self, images: Tensor, parameters: Tensor, *, fast: bool = False) -> Tensor:
        """(N, classes) float32 probabilities of the averaged network."""
        job, out = self.job, []
        for start in range(0, len(images), 1024):
            part = slice(start, start + 1024)
            x = change(images[part], parameters[part].to(DEVICE), job.side)
            x = ((x - job.mean) / job.std).contiguous(memory_format=torch.channels_last)
            with torch.autocast(DEVICE.type, torch.bfloat16, enabled=fast and x.is_cuda):
                out.append(self.average(x).float().softmax(1))
        return torch.cat(out)

    def views(self) -> dict[str, Tensor]:
        """What it says of PublicTest: as it is, mirrored, and framed as detectors do."""
        number = len(self.data.public)
        plain = draw(number, Changes(), torch.Generator().manual_seed(0))
        mirrored = plain.clone()
        mirrored[:, 4] = 1
        drawn = [draw(number, FIELD, torch.Generator().manual_seed(seed)) for seed in range(4)]
        named = {"plain": plain, "mirror": mirrored}
        named |= {f"field-{seed}": p for seed, p in enumerate(drawn)}
        return {name: self.answers(self.data.public, p) for name, p in named.items()}


def floats(model: nn.Module) -> list[Tensor]:
    """Weights and BatchNorm's statistics."""
    return [t.data for t in model.state_dict(keep_vars=True).values() if t.is_floating_point()]


def load_start(model: nn.Module, path: Path) -> None:
    """Weights in 8 bits with a scale per row, or in 16."""
    found = np.load(path)
    state = model.state_dict()
    for name in found.files:
        if name.endswith("//scale"):
            continue
        value = torch.from_numpy(found[name]).float()
        if f"{name}//scale" in found.files:
            scale = torch.from_numpy(found[f"{name}//scale"]).float()
            value = value * scale.reshape(-1, *[1] * (value.ndim - 1))
        state[name] = value
    model.load_state_dict(state)


def draw_on(images: Tensor, changes: Changes) -> Tensor:
    """Changes for these images, on their device."""
    return draw(len(images), changes, torch.Generator().manual_seed(0)).to(images.device)


@torch.no_grad()
def adopt(model: nn.Module, images: Tensor) -> None:
    """Let one batch set the statistics of networks that come without any, then use torch's own
    BatchNorm, which asks nothing of the host."""
    model(images)
    for module in model.modules():
        if isinstance(module, AdoptedBatchNorm):
            module.__class__ = nn.BatchNorm2d


def macs(run: Run) -> int:
    """Multiply-accumulates of one face."""
    total = 0

    def count(module: nn.Module, _inputs: Any, out: Tensor) -> None:
        nonlocal total
        weight = module.weight
        places = out[0].numel() // weight.shape[0] if weight.ndim > 2 else 1
        total += weight.numel() * places

    kinds = (nn.Conv2d, nn.Linear)
    hooks = [m.register_forward_hook(count) for m in run.average.modules() if isinstance(m, kinds)]
    run.answers(run.data.public[:1], draw(1, Changes(), torch.Generator()))
    for hook in hooks:
        hook.remove()
    return total


def accuracy(answers: Tensor, truth: Tensor) -> float:
    """In per cent."""
    return 100 * float((answers.argmax(1) == truth).float().mean())


def wait() -> None:
    """For the card, if there is one."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


@contextlib.contextmanager
def without_waiting() -> Iterator[None]:
    """What would wait for the card is an error."""
    if DEVICE.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if DEVICE.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")


def train(runs: list[Run], end: Callable[[], float], stored: Stored | None, log: Log) -> None:
    """All of them side by side, each on a stream of its own, until `end` at the latest, which is
    asked when they are compiled."""
    started = time.perf_counter()
    times_of_steps = [run.begin(log) for run in runs]
    log(f"begun in {time.perf_counter() - started:.1f} s")
    until = end()
    a_epoch = sum(run.steps * step for run, step in zip(runs, times_of_steps, strict=True))
    fit(runs, a_epoch, 0, until)
    for run, step in zip(runs, times_of_steps, strict=True):
        log(rates(run, step))
    epoch, times = 0, []
    while epoch < runs[0].epochs and time.perf_counter() < until + RESERVE_S / 2:
        times.append(an_epoch(runs, epoch, stored, log))
        epoch += 1
        if epoch == 3 and DEVICE.type == "cuda":  # side by side they are faster than in turn
            fit(runs, sum(times[1:]) / 2, epoch, until)
            log(f"  {runs[0].epochs} epochs of {sum(times[1:]) / 2:.2f} s")
        ended = epoch == runs[0].epochs
        for run in runs:
            note(run, epoch, log, shown=ended or epoch % max(1, runs[0].epochs // 6) == 0)
    if epoch < runs[0].epochs:
        log(f"  out of time after {epoch} of {runs[0].epochs} epochs")


def fit(runs: list[Run], a_epoch: float, done: int, until: float) -> None:
    """Plan as many epochs as the time allows, if they take `a_epoch` seconds each."""
    left = int((until - time.perf_counter()) / (a_epoch * 1.03))
    epochs = max(done + 1, min(max(run.job.epochs for run in runs), done + left))
    for run in runs:
        run.epochs = epochs
        run.total.fill_(epochs * run.steps)


def rates(run: Run, step: float) -> str:
    """Size and speed."""
    number, cost, rate = sum(p.numel() for p in run.model.parameters()), macs(run), 1 / step
    rate *= run.job.batch
    return (
        f"{run.job.name}: {number / 1e6:.2f} M, {cost / 1e6:.0f} M MACs, step {1000 * step:.2f} ms,"
        f" {rate:,.0f} images/s, {6 * cost * rate / 1e12:.1f} TFLOP/s; {run.epochs} epochs"
    )


def an_epoch(runs: list[Run], epoch: int, stored: Stored | None, log: Log) -> float:
    """One epoch of all; its seconds."""
    started = time.perf_counter()
    try:
        with without_waiting():
            steps(runs, epoch, stored)
    except RuntimeError as error:  # found here for the first time: rather slow than nothing
        if "synchroniz" not in str(error):
            raise
        log(f"  an epoch waits for the card: {str(error).splitlines()[0]}")
        steps(runs, epoch, stored)
    wait()
    return time.perf_counter() - started


def steps(runs: list[Run], epoch: int, stored: Stored | None) -> None:
    """All steps of an epoch: no read by the host."""
    for run in runs:
        last = epoch >= run.epochs - max(1, round(run.epochs * 0.08))
        run.shuffle(LAST if last and not stored else run.job.changes)
        if stored:
            stored.into(run, epoch)
        if run.stream is not None:
            run.stream.wait_stream(torch.cuda.current_stream())
    for number in range(max(run.steps for run in runs)):
        for run in runs:
            if number < run.steps:
                run.one()


def note(run: Run, epoch: int, log: Log, *, shown: bool) -> None:
    """A row of the history; with `shown`, how good it is."""
    loss, right = (run.loss / run.steps).tolist()
    run.loss.zero_()
    row = {"epoch": epoch, "loss": loss, "right": right}
    if shown:
        plain = draw(len(run.data.public), Changes(), torch.Generator())
        row["public"] = accuracy(run.answers(run.data.public, plain, fast=True), run.data.truth)
        log(f"  {run.job.name} " + " ".join(f"{k} {v:.4g}" for k, v in row.items()))
    row["lr"] = float(run.lr)
    run.history.append(row)


class Stored:
    """Answers of the teachers for K stored augmentations of each image."""

    def __init__(
        self, teachers: list[Run], data: Data, number: int, weight: float, until: float
    ) -> None:
        self.parameters, self.answers, self.weight = [], [], weight
        self.light = max(1, number // 5)
        for seed in range(number):
            if time.perf_counter() > until and seed > self.light + 1:
                break
            # The first are lighter: the end of a training goes through these.
            changes = LAST if seed < self.light else TRAINING
            drawn = draw(len(data.images), changes, torch.Generator().manual_seed(1000 + seed))
            drawn[:, 4] = 0  # mirrored afresh by each student
            drawn = drawn.to(DEVICE)
            said = [teacher.answers(data.images, drawn, fast=True) for teacher in teachers]
            self.parameters.append(drawn)
            self.answers.append(torch.stack(said).mean(0))
        self.labels = data.targets

    def save(self, path: Path) -> None:
        """`answers` (classes, N, K) uint8 as in results/answers.npz: square roots in 1/255."""
        roots = (torch.stack(self.answers, 2).sqrt() * 255).round().byte()
        np.savez_compressed(path, answers=roots.permute(1, 0, 2).cpu().numpy())

    def into(self, run: Run, epoch: int) -> None:
        """The changes and the targets of an epoch: the heavier ones in turn, at last the light."""
        run.taught = True
        heavy = len(self.answers) - self.light
        end = epoch >= run.epochs - max(1, round(run.epochs * 0.1))
        index = epoch % self.light if end else self.light + (epoch + run.job.seed) % heavy
        run.parameters.copy_(self.parameters[index])
        flips = torch.rand(len(run.order), generator=run.generator, device=DEVICE) < 0.5
        run.parameters[:, 4] = flips.float()
        torch.lerp(self.labels, self.answers[index], self.weight, out=run.targets)


class Log:
    """Lines on standard output and in a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.started = path, time.perf_counter()

    def __call__(self, line: str) -> None:
        """Add a line, with the seconds since the start before it."""
        text = f"{time.perf_counter() - self.started:6.1f} s  {line}"
        print(text, flush=True)
        with self.path.open("a") as file:
            file.write(text + "\n")


def keep(run: Run, kept: dict[str, Any], log: Log) -> None:
    """Its figures into the log, its answers into `kept`."""
    views, truth, fresh = run.views(), run.data.truth, run.data.fresh
    mean = (views["plain"] + views["mirror"]) / 2
    drawn = [answers for name, answers in views.items() if name.startswith("field")]
    run.field = float(np.mean([accuracy(answers[fresh], truth[fresh]) for answers in drawn]))
    log(
        f"= {run.job.name}: plain {accuracy(views['plain'], truth):.2f} mirrored "
        f"{accuracy(mean, truth):.2f} field {np.mean([accuracy(a, truth) for a in drawn]):.2f}, "
        f"without copies plain {accuracy(views['plain'][fresh], truth[fresh]):.2f} "
        f"field {run.field:.2f}"
    )
    for name, answers in views.items():
        kept[f"{run.job.name}/{name}"] = answers.cpu().numpy().astype(np.float16)


def bring_home(runs: list[Run], kept: dict[str, Any], out: Path, log: Log) -> None:
    """predictions.npz, facts.json, and the weights of those that are to be kept, in parts."""
    np.savez_compressed(out / "predictions.npz", **kept)
    facts = {
        run.job.name: {
            "job": {"name": run.job.name, **dataclasses.asdict(run.job)},
            "taught": run.taught,
            "history": run.history,
        }
        for run in runs
    }
    (out / "facts.json").write_text(json.dumps(facts))
    chosen, left_out = choose(runs)
    buffer = io.BytesIO()
    torch.save(chosen, buffer)
    content = buffer.getvalue()
    parts = [content[start : start + PART] for start in range(0, len(content), PART)]
    for old in out.glob("weights.part*"):
        old.unlink()
    for number, part in enumerate(parts):
        (out / f"weights.part{number}").write_bytes(part)
    log(f"written: {len(content) / 2**20:.1f} MiB of weights of {', '.join(chosen)}")
    if left_out:
        log(f"  no room for the weights of {', '.join(left_out)}")


def choose(runs: list[Run]) -> tuple[dict[str, dict[str, Tensor]], list[str]]:
    """Name → weights in 16 bits of the best of each network, by field accuracy on images without
    copies in training, as far as they fit; and the names of those that do not."""
    chosen: dict[str, dict[str, Tensor]] = {}
    left_out, size = [], 0
    for network in dict.fromkeys(run.job.network for run in runs):
        seeds = sorted((r for r in runs if r.job.network == network), key=lambda r: -r.field)
        for run in seeds[: seeds[0].job.keep]:
            state = {
                k: v.detach().cpu().half() if v.is_floating_point() else v.cpu()
                for k, v in run.average.state_dict().items()
            }
            needed = sum(v.nbytes for v in state.values())
            if size + needed > WEIGHTS:
                left_out.append(run.job.name)
            else:
                chosen[run.job.name], size = state, size + needed
    return chosen, left_out


class Sprint:
    """All that is trained, and the time for it."""

    def __init__(self, given: argparse.Namespace, log: Log) -> None:
        self.given, self.log = given, log
        self.end = time.perf_counter() + given.seconds - RESERVE_S
        self.data = Data(given.data, 16 if given.tiny else None)
        log(f"{len(self.data.images):,} training faces, {len(self.data.public):,} to select on")
        log(f"on {torch.cuda.get_device_name() if DEVICE.type == 'cuda' else 'the CPU'}")
        self.plan = Plan.read(given.plan)
        self.runs: list[Run] = []
        self.kept: dict[str, Any] = {}
        self.stored: Stored | None = None
        everything = [*self.plan.teachers, *self.plan.students]
        self.shares_left = sum(group.seconds for group in everything) + self.plan.ask_s

    def share(self, seconds: float) -> float:
        """When what has this share of the time is to end."""
        now = time.perf_counter()
        until = now + max(0, self.end - now) * seconds / self.shares_left
        self.shares_left -= seconds
        return until

    def run(self) -> None:
        """The plan, as far as the time allows."""
        for group in self.plan.teachers:
            self.train(group)
        if not self.runs:
            return
        self.ask()
        for group in self.plan.students:
            self.train(group)

    def train(self, group: Group) -> None:
        """A group; what is wrong with it does not end the sprint."""
        names = ", ".join(job.name for job in group.jobs)
        if time.perf_counter() > self.end - 2 * RESERVE_S and not self.given.tiny:
            self.log(f"no time for {names}")
            return
        small = {"epochs": 1, "batch": 8} if self.given.tiny else {}
        try:
            made = [
                Run(dataclasses.replace(job, **small), self.data, self.given.data)
                for job in group.jobs
            ]
            train(made, lambda: self.share(group.seconds), self.stored, self.log)
            for run in made:
                keep(run, self.kept, self.log)
        except RuntimeError:  # memory, a graph, a compiler: the next group may do
            self.log(f"{names}: {traceback.format_exc()}")
            return
        for run in made:
            run.graph = run.muon = run.forward = run.model = None
        self.runs.extend(made)
        bring_home(self.runs, self.kept, self.given.out, self.log)
        if DEVICE.type == "cuda":
            torch.cuda.empty_cache()

    def ask(self) -> None:
        """The teachers about stored augmentations of the training images."""
        views = [f"{run.job.name}/{view}" for run in self.runs for view in ("plain", "mirror")]
        mean = torch.from_numpy(np.mean([self.kept[view].astype(np.float32) for view in views], 0))
        right = accuracy(mean, self.data.truth.cpu())
        self.log(f"= mean of {len(self.runs)} teachers, mirrored: {right:.2f}")
        number = 2 if self.given.tiny else self.plan.draws
        until = self.share(self.plan.ask_s)
        self.stored = Stored(self.runs, self.data, number, self.plan.weight, until)
        self.stored.save(self.given.out / "answers.npz")
        self.log(f"answers to {len(self.stored.answers)} draws stored")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=560)
    parser.add_argument("--plan", default="next")
    parser.add_argument("--tiny", action="store_true", help="a rehearsal: few faces, one epoch")
    given = parser.parse_args()

    given.out.mkdir(parents=True, exist_ok=True)
    log = Log(given.out / "log.txt")
    Sprint(given, log).run()
    log("done")


if __name__ == "__main__":
    main()
