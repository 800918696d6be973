"""Train networks on a graphics card that is at hand for a few minutes; runs on the card's machine.

    python3 scripts/gpu_sprint.py --data .sprint --out OUT --seconds 560 [--plan PLAN] [--tiny]

Teachers are trained on labels and votes. They answer for K stored augmentations of each training
image. Students learn these answers ("patient and consistent", Beyer et al. 2022). All data lie on
the card, a whole step (augmentation, network, Muon, averaging) is one CUDA graph, and nothing
waits for the card within an epoch. Each group of networks has its share of the time and fits its
epochs into it. `scripts/gpu_pack.py` makes the data folder; needs torch, timm, numpy and OpenCV.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import io
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
from mien.models import build
from mien.models.face_resnet import AdoptedBatchNorm

COLUMNS = 170  # faces in a row of a mosaic
SIDE = 48
PART = 15 << 20  # bytes of a file that comes home
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
LAST = Changes(6, 0.05, (0.92, 1.08), True, (0.85, 1.15), 0, 0.03)
FACES = Changes(8, 0.07, (0.9, 1.12), True, (0.8, 1.2), 0.1, 0.06)
FIELD = Changes(10, 0.10, (0.85, 1.15))
"""Faces as detectors frame them: the field accuracy of shared/README.md."""
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


@dataclasses.dataclass
class Job:
    """A network to train."""

    name: str
    model: str
    options: dict[str, Any]
    side: int = 48
    lr: float = 0.003
    decay: float = 0.08
    epochs: int = 80
    batch: int = 256
    changes: Changes = TRAINING
    seed: int = 0
    mean: float = 0.508
    std: float = 0.255
    start: str | None = None
    kept: bool = False
    """Whether its weights are to come home."""


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
        fused = DEVICE.type == "cuda"
        self.adam = torch.optim.AdamW(
            [
                {"params": [w for w in rest if w.ndim > 1], "weight_decay": decay},
                {"params": [w for w in rest if w.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=lr if fused else 1e-3,
            betas=(0.95, 0.999),
            fused=fused,
            capturable=fused,
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
        if DEVICE.type != "cuda":
            for group in self.adam.param_groups:
                group["lr"] = float(self.lr)
        self.adam.step()


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


def mosaic(path: Path, number: int) -> Tensor:
    """(number, 48, 48) uint8."""
    sheet = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    rows, columns = sheet.shape[0] // SIDE, sheet.shape[1] // SIDE
    faces = sheet.reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2).reshape(-1, SIDE, SIDE)
    return torch.from_numpy(faces[:number].copy())


class Run:
    """A network in training, with the buffers that its graph reads."""

    def __init__(self, job: Job, data: Data, folder: Path, *, compiled: bool) -> None:
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
        self.forward = torch.compile(self.model) if compiled else self.model
        self.stream = torch.cuda.Stream() if DEVICE.type == "cuda" else None
        self.graph: Any = None
        self.taught = False
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

    def begin(self) -> float:
        """Record the graph; seconds of a step."""
        self.shuffle(self.job.changes)
        if self.stream is None:
            started = time.perf_counter()
            self.step()
            self.zero()
            return time.perf_counter() - started
        before = copy.deepcopy(self.model.state_dict())
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(3):
                self.at.zero_()
                self.step()
                self.zero()
        torch.cuda.current_stream().wait_stream(self.stream)
        torch.cuda.synchronize()
        self.at.zero_()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.step()
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(20):
            self.at.zero_()
            self.graph.replay()
        torch.cuda.synchronize()
        seconds = (time.perf_counter() - started) / 20
        self.model.load_state_dict(before)
        self.average.load_state_dict(before)
        for momenta in self.muon.momenta.values():
            torch._foreach_zero_(momenta)
        for state in self.muon.adam.state.values():
            for value in state.values():
                value.zero_()
        self.done.zero_()
        self.loss.zero_()
        return seconds

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


def train(runs: list[Run], seconds: float, stored: Stored | None, log: Log, started: float) -> None:
    """All of them side by side, each on a stream of its own, within `seconds`."""
    times = [run.begin() for run in runs]
    left = seconds - (time.perf_counter() - started)
    log(f"begun in {time.perf_counter() - started:.1f} s")
    # Side by side they are faster than one after the other; measured below, epochs fit the sum.
    a_epoch = measured(runs, times)
    steps = [run.steps for run in runs]
    epochs = max(1, min(max(run.job.epochs for run in runs), int(left / a_epoch)))
    for run, step in zip(runs, times, strict=True):
        run.total.fill_(epochs * run.steps)
        rate = run.job.batch / step
        log(
            f"{run.job.name}: {sum(p.numel() for p in run.model.parameters()) / 1e6:.2f} M, "
            f"{macs(run) / 1e6:.0f} M MACs, step {1000 * step:.2f} ms, {rate:,.0f} images/s, "
            f"{6 * macs(run) * rate / 1e12:.1f} TFLOP/s; {epochs} epochs of {a_epoch:.2f} s"
        )
    epoch, passed = -1, time.perf_counter()
    while (epoch := epoch + 1) < epochs:
        if epoch == 3 and DEVICE.type == "cuda":
            now = time.perf_counter()
            a_epoch = (now - passed) / 2
            fits = 3 + int((seconds - (now - started)) / a_epoch)
            epochs = max(4, min(max(run.job.epochs for run in runs), fits))
            log(f"  {epochs} epochs of {a_epoch:.2f} s")
            for run in runs:
                run.total.fill_(epochs * run.steps)
        elif epoch == 1:
            passed = time.perf_counter()
        last = epoch >= epochs - max(1, round(epochs * 0.08))
        for run in runs:
            run.shuffle(LAST if last and not stored else run.job.changes)
            if stored:
                stored.into(run, epoch)
                run.taught = True
        if DEVICE.type == "cuda":
            for run in runs:
                run.stream.wait_stream(torch.cuda.current_stream())
        for _ in range(max(steps)):
            for run in runs:
                if run.graph is None:
                    run.step()
                    run.zero()
                else:
                    with torch.cuda.stream(run.stream):
                        run.graph.replay()
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
        shown = epoch + 1 == epochs or (epoch + 1) % max(1, epochs // 6) == 0
        for run in runs:
            loss, right = (run.loss / run.steps).tolist()
            run.loss.zero_()
            row = {"epoch": epoch + 1, "loss": loss, "right": right}
            if shown:
                plain = draw(len(run.data.public), Changes(), torch.Generator())
                answers = run.answers(run.data.public, plain, fast=True)
                row["public"] = accuracy(answers, run.data.truth)
                log(f"  {run.job.name} " + " ".join(f"{k} {v:.4g}" for k, v in row.items()))
            row["lr"] = float(run.lr)
            run.history.append(row)
        if time.perf_counter() - started > seconds * 1.04:
            log("  out of time: stopped early")
            break


def measured(runs: list[Run], times: list[float]) -> float:
    """Seconds of an epoch of all of them side by side."""
    if DEVICE.type != "cuda" or len(runs) == 1:
        return sum(run.steps * step for run, step in zip(runs, times, strict=True)) * 1.03
    states = [[t.clone() for t in floats(run.model)] for run in runs]
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(20):
        for run in runs:
            with torch.cuda.stream(run.stream):
                run.at.zero_()
                run.graph.replay()
    torch.cuda.synchronize()
    step = (time.perf_counter() - started) / 20
    for run, state in zip(runs, states, strict=True):
        torch._foreach_copy_(floats(run.model), state)
        torch._foreach_copy_(floats(run.average), state)
        for momenta in run.muon.momenta.values():
            torch._foreach_zero_(momenta)
        for values in run.muon.adam.state.values():
            for value in values.values():
                value.zero_()
        run.done.zero_()
        run.loss.zero_()
    torch.cuda.synchronize()
    return step * max(run.steps for run in runs) * 1.03


class Stored:
    """Answers of the teachers for K stored augmentations of each image."""

    def __init__(
        self, teachers: list[Run], data: Data, number: int, weight: float, seconds: float
    ) -> None:
        self.parameters, self.answers, self.weight = [], [], weight
        self.light = max(1, number // 5)
        started = time.perf_counter()
        for seed in range(number):
            if time.perf_counter() - started > seconds and seed > self.light + 1:
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

    def into(self, run: Run, epoch: int) -> None:
        """The changes and the targets of an epoch: the heavier ones in turn, at last the light."""
        epochs = int(run.total) // run.steps
        heavy = len(self.answers) - self.light
        end = epoch >= epochs - max(1, round(epochs * 0.1))
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
    views, truth = run.views(), run.data.truth
    mean = (views["plain"] + views["mirror"]) / 2
    field = [accuracy(views[f"field-{seed}"], truth) for seed in range(4)]
    log(
        f"= {run.job.name}: plain {accuracy(views['plain'], truth):.2f} mirrored "
        f"{accuracy(mean, truth):.2f} field {np.mean(field):.2f}"
    )
    for name, answers in views.items():
        kept[f"{run.job.name}/{name}"] = answers.cpu().numpy().astype(np.float16)


def bring_home(runs: list[Run], kept: dict[str, Any], out: Path, log: Log) -> None:
    """predictions.npz, facts.json, and the weights of those that are to be kept, in parts."""
    np.savez_compressed(out / "predictions.npz", **kept)
    facts = {
        run.job.name: {
            "job": dataclasses.asdict(run.job),
            "taught": run.taught,
            "history": run.history,
        }
        for run in runs
    }
    (out / "facts.json").write_text(json.dumps(facts))
    chosen = {
        run.job.name: {
            k: v.detach().cpu().half() if v.is_floating_point() else v.cpu()
            for k, v in run.average.state_dict().items()
        }
        for run in runs
        if run.job.kept
    }
    buffer = io.BytesIO()
    torch.save(chosen, buffer)
    content = buffer.getvalue()
    for old in out.glob("weights.part*"):
        old.unlink()
    for number, start in enumerate(range(0, len(content), PART)):
        (out / f"weights.part{number}").write_bytes(content[start : start + PART])
    log(f"written: {len(content) / 2**20:.1f} MiB of weights of {', '.join(chosen)}")


def plan(name: str) -> tuple[list[tuple[float, list[Job]]], int, list[tuple[float, list[Job]]]]:
    """Groups of teachers with their seconds, stored augmentations, groups of students."""
    large = {"widths": [128, 256, 512], "blocks": [2, 2, 2], "dropout": 0.3}
    wide = {"widths": [32, 96, 192], "blocks": [1, 2, 2], "dropout": 0.1}
    middle = {"widths": [32, 96, 288], "blocks": [1, 2, 2], "dropout": 0.15}
    cbam = {"widths": [96, 192, 384, 512], "blocks": 2, "hidden": 0, "dropout": 0.3}
    teachers = [
        Job("mien-l-0", "mien-s", large, seed=0, changes=HEAVY, kept=True),
        Job("attention-0", "attention", cbam, seed=1),
        Job(
            "facenet-0",
            "facenet",
            {"dropout": 0.4},
            side=107,
            lr=0.0012,
            decay=0.05,
            epochs=24,
            changes=FACES,
            mean=0.5,
            std=0.502,
            start="facenet.npz",
        ),
        Job(
            "face-mobilenet-0",
            "face-mobilenet",
            {"dropout": 0.3},
            side=96,
            lr=0.001,
            decay=0.05,
            epochs=24,
            changes=FACES,
            mean=0.458,
            std=1.0,
            start="face-mobilenet.npz",
        ),
    ]
    students = [
        [Job(f"mien-s-wide-{s}", "mien-s", wide, lr=0.005, epochs=160, seed=s, kept=True)
         for s in range(3)],
        [Job(f"mien-m-{s}", "mien-s", middle, lr=0.004, epochs=160, seed=s, kept=True)
         for s in range(3)],
    ]  # fmt: skip
    if name == "smoke":
        return [(4.0, [job]) for job in teachers[2:]], 2, [(6.0, jobs) for jobs in students]
    more = Job("mien-l-1", "mien-s", {**large, "blocks": [1, 2, 2]}, seed=7)
    groups = [(95.0, [teachers[0]]), (60.0, [teachers[1]]), (65.0, [teachers[2]])]
    groups += [(28.0, [teachers[3]]), (60.0, [more])]
    return groups, 15, [(82.0, students[0]), (150.0, students[1])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=560)
    parser.add_argument("--plan", default="sprint")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="a rehearsal: few faces, one epoch")
    given = parser.parse_args()

    given.out.mkdir(parents=True, exist_ok=True)
    log, began = Log(given.out / "log.txt"), time.perf_counter()
    data = Data(given.data, 16 if given.tiny else None)
    log(f"{len(data.images):,} training faces, {len(data.public):,} to select on, {DEVICE}")
    teachers, number, students = plan(given.plan)
    scale = given.seconds / 560
    kept: dict[str, Any] = {}
    runs: list[Run] = []

    def group(seconds: float, jobs: list[Job], stored: Stored | None = None) -> list[Run]:
        started = time.perf_counter()
        made = []
        for job in jobs:
            if given.tiny:
                job = dataclasses.replace(job, epochs=1, batch=8)
            made.append(Run(job, data, given.data, compiled=given.compile))
        end = began + given.seconds - 8  # figures and files take some seconds, too
        train(made, min(seconds * scale, end - started), stored, log, started)
        for run in made:
            keep(run, kept, log)
            run.graph = run.muon = run.forward = None
            run.model = None
        runs.extend(made)
        bring_home(runs, kept, given.out, log)
        if DEVICE.type == "cuda":
            torch.cuda.empty_cache()
        return made

    for seconds, jobs in teachers:
        group(seconds, jobs)
    if number and runs:
        truth = data.truth
        mean = torch.stack(
            [
                torch.from_numpy(kept[f"{r.job.name}/{v}"]).float()
                for r in runs
                for v in ("plain", "mirror")
            ]
        ).mean(0)
        log(f"= mean of {len(runs)} teachers, mirrored: {accuracy(mean, truth.cpu()):.2f}")
        stored = Stored(runs, data, 2 if given.tiny else number, 0.8, 40 * scale)
        answers = torch.stack(stored.answers).half().cpu().numpy()
        np.save(given.out / "answers.npy", answers[:, :, :-1])  # the last is what is left to 1
        log(f"answers {answers.shape} stored")
        for seconds, jobs in students:
            group(seconds, jobs, stored)
    if given.plan == "smoke":
        for job in (teachers[0][1][0], students[0][1][0]):
            started = time.perf_counter()
            step = Run(job, data, given.data, compiled=True).begin()
            passed = time.perf_counter() - started
            log(f"compiled: {job.name} {1000 * step:.2f} ms a step, begun in {passed:.0f} s")
    log("done")


if __name__ == "__main__":
    main()
