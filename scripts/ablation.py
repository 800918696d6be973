"""What each part of a recipe is worth: the recipe with one part changed at a time, several seeds.

    python scripts/ablation.py fer2013.zip --votes ferplus_votes.csv --out runs/ablation
    python scripts/ablation.py research/ablation.csv

A run that is there is not made again; an interrupted one continues. Several small networks train
side by side: `--jobs 6` on a graphics card, `--jobs 2` on two cores, a thread each, which wait for
each other less than two threads of one training do. Figures are those of the last epoch, so nothing
is chosen on the validation images. The second form trains nothing: it reads `ablation.csv`, where
the first form leaves its figures.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

VARIANTS: dict[str, list[str]] = {
    "as it is": [],
    "three quarters as wide": ["model.options.widths=[24, 48, 96]"],
    "one and a half times as wide": ["model.options.widths=[48, 96, 192]"],
    "wider where the picture is small": ["model.options.widths=[32, 96, 192]"],
    "a fourth stage": [
        "model.options.widths=[32, 64, 128, 224]",
        "model.options.blocks=[1, 2, 2, 1]",
    ],
    "one block fewer": ["model.options.blocks=[1, 1, 2]"],
    "one block more": ["model.options.blocks=[1, 2, 3]"],
    "without dropout": ["model.options.dropout=0"],
    "without FER+ votes": ["training.loss.votes=0"],
    "without votes, label smoothing 0.1": [
        "training.loss.votes=0",
        "training.loss.label_smoothing=0.1",
    ],
    "without EMA": ["training.averaging.name=none"],
    "AdamW in place of SGD": [
        "training.optimizer={name: adamw, lr: 0.002, weight_decay: 0.05, momentum: 0.9}"
    ],
    "Muon in place of SGD": [
        "training.optimizer={name: muon, lr: 0.003, weight_decay: 0.05, momentum: 0.95}"
    ],
    "Muon at twice the rate": [
        "training.optimizer={name: muon, lr: 0.006, weight_decay: 0.05, momentum: 0.95}"
    ],
    "mixup 0.2": ["training.mix={mixup: 0.2}"],
    "small pictures first": ["training.progressive={from_px: 24}"],
    "SGD in place of Muon": [
        "training.optimizer={name: sgd, lr: 0.1, weight_decay: 5.0e-4, momentum: 0.9}"
    ],
    "twice as wide": ["model.options.widths=[32, 64, 128]"],
    "without a teacher": ["training.distil.teachers=[]"],
    "taught by mien-l-int8": ["training.distil.teachers=[bundles/mien-l-int8]"],
    "taught by mien-s, 0.5": ["training.distil={teachers: [mien-s], weight: 0.5}"],
    "taught by mien-s, 0.9": ["training.distil={teachers: [mien-s], weight: 0.9}"],
    "without erasing": ["augment.erase=0"],
    "without flaws of photos": ["augment.photo=0"],
    "flaws of photos on 0.1": ["augment.photo=0.1"],
    "flaws of photos on 0.2": ["augment.photo=0.2"],
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
}
BASE = "as it is"


def main() -> None:
    arguments = _parse()
    if arguments.data.suffix == ".csv":
        rows = pd.read_csv(arguments.data)
    else:
        rows = measure(arguments)
        rows.to_csv(arguments.out / "ablation.csv", index=False, float_format="%.5f")
    print(markdown(summarise(rows)), note(rows), sep="\n\n")


def measure(arguments: argparse.Namespace) -> pd.DataFrame:
    """Train what is not there yet; a row per run that is in the folder then."""
    chosen = [(name, seed) for seed in arguments.seeds for name in arguments.only or VARIANTS]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(lambda run: _train(run[0], run[1], arguments), chosen))
    there = ((name, seed) for name in VARIANTS for seed in _seeds(name, arguments.out))
    return pd.DataFrame([_read(name, seed, arguments.out) for name, seed in there])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="FER-2013, or the ablation.csv of an earlier call")
    parser.add_argument("--votes", type=Path, help="FER+'s votes")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--recipe", default="mien-s")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", nargs="+", choices=VARIANTS, help="these variants")
    parser.add_argument("--set", nargs="+", default=[], help="changes to all variants")
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side")
    arguments = parser.parse_args()
    if arguments.data.suffix != ".csv" and not arguments.votes:
        parser.error("--votes is needed to train")
    return arguments


def _folder(name: str, seed: int, out: Path) -> Path:
    words = "".join(c if c.isalnum() else "-" for c in name)
    return out / f"{words}-{seed}"


def _seeds(name: str, out: Path) -> list[int]:
    """Seeds of a variant that are trained to the end."""
    found = out.glob(f"{_folder(name, 0, out).name[:-1]}*/done.json")
    seeds = (done.parent.name.rsplit("-", 1)[1] for done in found)
    return sorted(int(seed) for seed in seeds if seed.isdigit())


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


def _read(name: str, seed: int, out: Path) -> dict[str, str | float]:
    folder = _folder(name, seed, out)
    epochs = pd.read_csv(folder / "history.csv")
    data = json.loads((folder / "data.json").read_text())
    return {
        "variant": name,
        "seed": seed,
        "epochs": len(epochs),
        "accuracy": 100 * epochs.val_accuracy.iloc[-1],
        "field": 100 * epochs.val_field_accuracy.iloc[-1],
        "loss": epochs.val_loss.iloc[-1],
        "seconds": epochs.seconds.median(),
        "images": data["validation"]["images"],
    }


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per variant: means over its seeds, and the changes against the base, seed by seed."""
    both = rows.merge(rows[rows.variant == BASE], on="seed", suffixes=("", "_base"))
    both["gain"] = both.accuracy - both.accuracy_base
    both["change"] = both.loss - both.loss_base
    both["cost"] = both.seconds / both.seconds_base
    by_variant = both.groupby("variant", sort=False)
    means = by_variant[["accuracy", "gain", "loss", "change", "cost"]].mean()
    return means.assign(seeds=by_variant.seed.count()).sort_values("change")


def noise(rows: pd.DataFrame) -> pd.Series:
    """Standard deviation of accuracy and loss of the recipe as it is; NaN under three seeds."""
    found = rows[rows.variant == BASE][["accuracy", "loss"]]
    return found.std() if len(found) > 2 else found.std() * math.nan


def markdown(summary: pd.DataFrame) -> str:
    """The summary as a table, the smallest loss first."""
    lines = [
        "| variant | seeds | accuracy, % | gain, points | loss | change of loss | cost |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in summary.iterrows():
        gain, change = (f"{row.gain:+.2f}", f"{row.change:+.4f}") if name != BASE else ("–", "–")
        lines.append(
            f"| {name} | {row.seeds:.0f} | {row.accuracy:.2f} | {gain} | {row.loss:.4f} "
            f"| {change} | x {row.cost:.2f} |"
        )
    return "\n".join(lines)


def note(rows: pd.DataFrame) -> str:
    """What the figures were taken on, and how far chance alone moves them."""
    seeds, spread = (rows.variant == BASE).sum(), noise(rows)
    told = (
        f"Over {seeds} seeds of the recipe as it is, accuracy has a standard deviation of "
        f"{spread.accuracy:.2f} points, loss of {spread.loss:.4f}."
        if spread.notna().all()
        else "How far chance moves these figures takes three seeds of the recipe as it is to say."
    )
    return f"n = {rows.images.iloc[0]:,}, {rows.epochs.iloc[0]} epochs. {told}"


if __name__ == "__main__":
    main()
