"""What each part of a recipe is worth: the recipe with one part changed at a time, several seeds.

    python benchmarks/ablation.py fer2013.zip --votes ferplus_votes.csv --out runs/ablation

A run that is there is not made again; an interrupted one continues. Several small networks train
side by side: `--jobs 6` on a graphics card, `--jobs 2` on two cores, a thread each, which wait for
each other less than two threads of one training do.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

VARIANTS: dict[str, list[str]] = {
    "as it is": [],
    "without squeeze-and-excitation": ["model.options.gate=none"],
    "CBAM in its place": ["model.options.gate=cbam"],
    "without shortcuts": ["model.options.residual=false"],
    "a blur before shrinking": ["model.options.antialias=true"],
    "three quarters as wide": ["model.options.widths=[24, 48, 96]"],
    "one and a half times as wide": ["model.options.widths=[48, 96, 192]"],
    "one block fewer": ["model.options.blocks=[1, 1, 2]"],
    "one block more": ["model.options.blocks=[1, 2, 3]"],
    "without dropout": ["model.options.dropout=0"],
    "without FER+ votes": ["training.loss.votes=0"],
    "without votes, label smoothing 0.1": [
        "training.loss.votes=0",
        "training.loss.label_smoothing=0.1",
    ],
    "without EMA": ["training.averaging.name=none"],
    "SWA in place of EMA": ["training.averaging={name: swa, start: 0.75}"],
    "SAM 0.05": ["training.optimizer.sam=0.05"],
    "AdamW in place of SGD": [
        "training.optimizer={name: adamw, lr: 0.002, weight_decay: 0.05, momentum: 0.9}"
    ],
    "mixup 0.2": ["training.mix={mixup: 0.2}"],
    "CutMix 1": ["training.mix={cutmix: 1}"],
    "small pictures first": ["training.progressive={from_px: 24}"],
    "taught by attention, 0.4": ["training.distil={teachers: [attention], weight: 0.4}"],
    "without erasing": ["augment.erase=0"],
    "without flaws of photos": ["augment.photo=0"],
    "without rotation, shift, zoom": [
        "augment.rotation_deg=0",
        "augment.shift=0",
        "augment.zoom=[1, 1]",
    ],
    "without flip": ["augment.flip=false"],
    "without brightness, contrast": ["augment.brightness=[1, 1]", "augment.contrast=[1, 1]"],
    "balanced class weights": ["training.loss.class_weights=balanced"],
    "balanced sampling": ["training.sampling=balanced"],
    "focal loss 2": ["training.loss.focal=2"],
    "duplicates dropped": ["data.duplicates=drop"],
    "duplicates merged": ["data.duplicates=merge"],
    "a stem that keeps the size": ["model.options.stem_pool=1"],
}
BASE = "as it is"


def main() -> None:
    arguments = _parse()
    chosen = arguments.only or list(VARIANTS)
    runs = [(name, seed) for seed in arguments.seeds for name in chosen]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(lambda run: _train(*run, arguments), runs))
    rows = [_read(name, seed, arguments) for name, seed in runs]
    _write(rows, arguments.out / "ablation.csv")
    print(table(rows))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--votes", type=Path, required=True, help="FER+'s votes")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--recipe", default="mien-s")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", nargs="+", choices=VARIANTS, help="these variants")
    parser.add_argument("--set", nargs="+", default=[], help="changes to all variants")
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side")
    return parser.parse_args()


def _folder(name: str, seed: int, out: Path) -> Path:
    words = "".join(c if c.isalnum() else "-" for c in name)
    return out / f"{words}-{seed}"


def _train(name: str, seed: int, arguments: argparse.Namespace) -> None:
    folder = _folder(name, seed, arguments.out)
    if (folder / "done.json").is_file():
        return
    changes = [
        f"training.epochs={arguments.epochs}",
        f"seed={seed}",
        f"data.votes={arguments.votes.resolve()}",
        *arguments.set,
        *VARIANTS[name],
    ]
    command = [sys.executable, "-m", "mien", "train", arguments.recipe]
    command += ["--data", str(arguments.data), "--out", str(folder)]
    command += [word for change in changes for word in ("--set", change)]
    if (folder / "recipe.yaml").is_file():
        command.append("--resume")
    log = folder.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    threads = max(1, (os.cpu_count() or 1) // arguments.jobs)
    with log.open("a") as file:
        done = subprocess.run(
            command,
            stdout=file,
            stderr=file,
            env={"OMP_NUM_THREADS": str(threads), **os.environ},
            check=False,
        )
    if done.returncode:
        sys.exit(f"{name}, seed {seed} failed; see {log}")


def _read(name: str, seed: int, arguments: argparse.Namespace) -> dict[str, str | int | float]:
    """Figures of the last epoch: nothing is chosen on the validation images."""
    folder = _folder(name, seed, arguments.out)
    with (folder / "history.csv").open(newline="") as file:
        epochs = list(csv.DictReader(file))
    data = json.loads((folder / "data.json").read_text())
    return {
        "variant": name,
        "seed": seed,
        "epochs": len(epochs),
        "accuracy": float(epochs[-1]["val_accuracy"]),
        "loss": float(epochs[-1]["val_loss"]),
        "seconds": statistics.median(float(e["seconds"]) for e in epochs),
        "images": data["validation"]["images"],
    }


def _write(rows: list[dict[str, str | int | float]], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def table(rows: list[dict[str, str | int | float]]) -> str:
    """Markdown: mean over seeds, the difference to the recipe as it is seed by seed, the cost."""
    by_variant: dict[str, dict[int, dict[str, float]]] = {}
    for row in rows:
        seed = int(row["seed"])
        figures = {k: float(row[k]) for k in ("accuracy", "loss", "seconds")}
        by_variant.setdefault(str(row["variant"]), {})[seed] = figures
    base = by_variant[BASE]
    lines = [
        "| variant | accuracy, % | gain, points | loss | time of an epoch |",
        "|---|---|---|---|---|",
    ]
    for name, runs in by_variant.items():
        mean = {k: statistics.mean(run[k] for run in runs.values()) for k in runs[min(runs)]}
        gains = [100 * (run["accuracy"] - base[seed]["accuracy"]) for seed, run in runs.items()]
        spread = f" ± {statistics.stdev(gains):.2f}" if len(gains) > 1 else ""
        gain = "–" if name == BASE else f"{statistics.mean(gains):+.2f}{spread}"
        cost = mean["seconds"] / statistics.mean(run["seconds"] for run in base.values())
        lines.append(
            f"| {name} | {100 * mean['accuracy']:.2f} | {gain} | {mean['loss']:.4f} "
            f"| x {cost:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
