"""The runs on record: `results/runs.csv`, their predictions in `predictions.npz`, `recent.npz`.

    python scripts/results.py add mine "what it is" EVALUATION ... --run runs/mine
    python scripts/results.py short robust/none EVALUATION
    python scripts/results.py unpack OUT mien-s mien-m    # evaluations, for mien compare OUT/*
    python scripts/results.py figures                     # the figures of runs.csv again

`add` keeps evaluations of one network on PublicTest, of several views, and its recipe and history.
Probabilities are kept in 16 bits; where rounding would change an answer, the larger probability
goes up to the next number, so that every accuracy stays as it was. `short` keeps the answers alone,
in `answers.csv`, and accuracy on spoilt images: enough for a training that answers one question. Of
a network that `add` has kept, that accuracy alone.
"""

import argparse
import csv
import dataclasses
import datetime
import functools
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from mien.evaluate.evaluation import Evaluation
from mien.evaluate.evaluation import load as load_evaluation
from mien.evaluate.evaluation import save as save_evaluation
from mien.framing import DRAWS
from mien.labels import FER2013

RESULTS = Path(__file__).parents[1] / "results"
DIGEST = "d5d65b228b7834b82dc6a44522d48c6944d9c9ff0ed0abb18d3972473d623b8e"
"""SHA-256 of PublicTest's pixels and labels."""
MEAN = "mean"
"""The model of a row that is a mean of the predictions of its members."""


@dataclass(frozen=True)
class Predictions:
    """What networks answer to PublicTest's N images, in the order of `names`."""

    names: NDArray[np.str_]
    truth: NDArray[np.uint8]
    copies: NDArray[np.uint8]
    """(N,) copies in training: 0 none, 1 the same pixels, 2 the same photo, altered."""
    ferplus: NDArray[np.int8]
    """(N,) majority label of FER+'s voters, -1 where there is none."""
    views: NDArray[np.str_]
    """(V,) `NAME/VIEWS`."""
    probabilities: NDArray[np.uint8]
    """(2, 7, N, V) low and high bytes of float16: so they pack to two thirds."""
    framed: NDArray[np.str_]
    """(F,) networks asked about faces framed as detectors frame them."""
    field: NDArray[np.uint8]
    """(N, F) how many of the `DRAWS` framings of each image they answer rightly."""

    def of(self, name: str, views: str = "plain") -> NDArray[np.float64]:
        """(N, 7) probabilities that sum to 1. Raises KeyError if there are none."""
        if (key := f"{name}/{views}") not in self.views:
            raise KeyError(key)
        both = self.probabilities[..., list(self.views).index(key)].transpose(2, 1, 0)
        found = np.ascontiguousarray(both).view("<f2")[..., 0].astype(np.float64)
        return found / found.sum(1, keepdims=True)

    def field_of(self, name: str) -> NDArray[np.int64]:
        """(N,) how many of the draws `name` answers rightly. Raises KeyError."""
        if name not in self.framed:
            raise KeyError(name)
        return self.field[:, list(self.framed).index(name)].astype(np.int64)

    def with_view(self, name: str, views: str, probabilities: NDArray[np.float64]) -> "Predictions":
        """The same with (N, 7) `probabilities`, in place of older ones of that name and view."""
        both = halves(probabilities).view(np.uint8).reshape(*probabilities.shape, 2)
        kept = self.views != (key := f"{name}/{views}")
        new = both.transpose(2, 1, 0)[..., None]
        return dataclasses.replace(
            self,
            views=np.append(self.views[kept], key),
            probabilities=np.concatenate([self.probabilities[..., kept], new], -1),
        )

    def with_field(self, name: str, right: NDArray[np.int64]) -> "Predictions":
        """The same with the (N,) draws that `name` answers rightly."""
        kept = self.framed != name
        return dataclasses.replace(
            self,
            framed=np.append(self.framed[kept], name),
            field=np.column_stack([self.field[:, kept], right.astype(np.uint8)]),
        )


def halves(probabilities: NDArray[np.float64]) -> NDArray[np.float16]:
    """(N, 7) in 16 bits, each row's largest number where it was.

    The last two bits are 0: they tell nothing that a figure shows, and do not pack.
    """
    exact = np.ascontiguousarray(probabilities, "<f2").view("<u2")
    rounded = (exact + 2) & 0xFFFC
    largest = probabilities.argmax(1)
    rows = np.flatnonzero(rounded.view("<f2").argmax(1) != largest)
    rounded[rows, largest[rows]] = rounded[rows].max(1) + 4
    return rounded.view("<f2")


@functools.cache
def predictions() -> Predictions:
    """Those in `results`: what is recent stands behind, and in place of older answers."""
    old, new = _read("predictions.npz"), _read("recent.npz")
    views, framed = (~np.isin(old[n], new[n]) for n in ("views", "framed"))
    return Predictions(
        **{name: old[name] for name in ("names", "truth", "copies", "ferplus")},
        views=np.append(old["views"][views], new["views"]),
        probabilities=np.concatenate([old["probabilities"][..., views], new["probabilities"]], -1),
        framed=np.append(old["framed"][framed], new["framed"]),
        field=np.column_stack([old["field"][:, framed], new["field"]]),
    )


def _read(file: str) -> dict[str, NDArray[Any]]:
    with np.load(RESULTS / file) as found:
        return dict(found)


@functools.cache
def rows() -> dict[str, dict[str, str]]:
    """Name → row of `runs.csv`."""
    return {row["name"]: row for row in _csv(RESULTS / "runs.csv")}


def kept(name: str) -> list[str]:
    """The networks whose predictions, averaged, are those of `name`: itself, or its members."""
    row = rows()[name]
    return row["members"].split() if row["model"] == MEAN else [name]


def has(name: str, views: str) -> bool:
    """Whether there are predictions of `name`, seen by `views`."""
    return all(f"{one}/{views}" in predictions().views for one in kept(name))


def load(name: str, views: str = "plain") -> Evaluation:
    """The evaluation of a run on record. Raises KeyError if there is none."""
    found, row = predictions(), rows()[name]
    return Evaluation(
        name=name,
        model=row["model"],
        data="fer2013.zip",
        split="public",
        digest=DIGEST,
        network=row["network"],
        views=views,
        temperature=float(row["temperature" if views == "plain" else "temperature_mirrored"] or 1),
        labels=FER2013,
        names=found.names,
        truth=found.truth.astype(np.int64),
        probabilities=np.mean([found.of(one, views) for one in kept(name)], 0),
        parameters=int(row["parameters"] or 0),
        macs=int(row["macs"] or 0),
        size_mb=float(row["size_mb"] or "nan"),
        latency_ms=float(row["latency_ms"] or "nan"),
        copies=found.copies == 1,
        ferplus=found.ferplus.astype(np.int64),
        field=found.field_of(name) if views == "plain" and name in found.framed else None,
    )


def figures(name: str) -> dict[str, str]:
    """Columns of `runs.csv` that come from the predictions, those of `name` that there are."""
    found, told = predictions(), {}
    fresh = found.copies == 0
    if has(name, "plain"):
        answers = load(name).probabilities
        right = answers.argmax(1) == found.truth
        recalls = [right[found.truth == label].mean() for label in range(len(FER2013))]
        agreed = answers.argmax(1) == found.ferplus
        told |= {
            "accuracy_pct": percent(right),
            "fresh_accuracy_pct": percent(right[fresh]),
            "macro_recall_pct": percent(np.array(recalls)),
            "log_loss": f"{loss(answers, found.truth):.4f}",
            "ferplus_pct": percent(agreed[found.ferplus >= 0]),
        }
    if has(name, "flip"):
        mirrored = load(name, "flip").probabilities
        told["mirrored_accuracy_pct"] = percent(mirrored.argmax(1) == found.truth)
        told["mirrored_log_loss"] = f"{loss(mirrored, found.truth):.4f}"
    if name in found.framed:
        field = found.field_of(name) / DRAWS
        told["field_accuracy_pct"] = percent(field)
        told["fresh_field_accuracy_pct"] = percent(field[fresh])
    return told


def percent(right: NDArray[np.generic]) -> str:
    """The mean in %, two digits."""
    return f"{100 * right.mean():.2f}"


def loss(answers: NDArray[np.float64], truth: NDArray[np.uint8]) -> float:
    """Mean cross-entropy of (N, 7) probabilities, in nats."""
    return float(-np.log(np.maximum(answers[np.arange(len(truth)), truth], 1e-12)).mean())


def add(name: str, what: str, evaluations: list[Path], run: Path | None = None) -> None:
    """Keep predictions and figures of a network; with `run`, its recipe and history, too."""
    row = dict.fromkeys(next(iter(rows().values())), "")
    row |= {"name": name, "what": what, "date": str(datetime.date.today())}
    row |= told_by_evaluations(name, [load_evaluation(folder) for folder in evaluations])
    if run is not None:
        row |= told_by_run(name, run)
    rows()[name] = {column: str(value) for column, value in row.items()}
    rows()[name] |= figures(name)
    write_rows()


def told_by_evaluations(name: str, evaluated: list[Evaluation]) -> dict[str, Any]:
    """Keep the predictions; columns of `runs.csv`."""
    found, first = predictions(), evaluated[0]
    for one in evaluated:
        found = found.with_view(name, one.views, one.probabilities)
        if one.field is not None:
            found = found.with_field(name, one.field)
    save(found)
    temperatures = {one.views: one.temperature for one in evaluated}
    return {
        "model": first.model,
        "parameters": first.parameters,
        "macs": first.macs,
        "size_mb": round(first.size_mb, 6),
        "latency_ms": round(first.latency_ms, 4),
        "temperature": temperatures.get("plain", ""),
        "temperature_mirrored": temperatures.get("flip", ""),
        "network": first.network[:12],
    }


def told_by_run(name: str, run: Path) -> dict[str, Any]:
    """Keep recipe and history; columns of `runs.csv`."""
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    # Where they lay on this machine is nobody's business.
    for file in ("votes", "exclude", "relabel", "weights"):
        recipe["data"] |= {file: (path := recipe["data"].get(file)) and Path(path).name}
    for one in recipe["data"].get("also") or ():
        one["path"] = Path(one["path"]).name
    recipe["model"] |= {"weights": (path := recipe["model"]["weights"]) and Path(path).name}
    with (run / "history.csv").open(newline="") as file:
        epochs = list(csv.DictReader(file))
    with (RESULTS / "histories.csv").open("r+", newline="") as file:
        columns = csv.DictReader(file).fieldnames or []
        file.seek(0, 2)
        writer = csv.DictWriter(file, columns, lineterminator="\n")  # runs of 0.1 have fewer
        writer.writerows({"run": name, **epoch} for epoch in epochs)
    with (RESULTS / "recipes.yaml").open("a") as file:
        yaml.safe_dump({name: recipe}, file, sort_keys=False, width=100)
    finish = recipe["training"].get("finish") or {"epochs": 0}
    distil = recipe["training"].get("distil") or {"teachers": [], "weight": ""}
    return {
        "seed": recipe["seed"],
        "start": recipe["model"]["weights"],
        "size_px": recipe["input"]["size_px"],
        "epochs": len(epochs) - finish["epochs"],
        "second_stage_epochs": finish["epochs"] or "",
        "training_s": round(sum(float(epoch["seconds"]) for epoch in epochs)),
        "teachers": " ".join(Path(teacher).name for teacher in distil["teachers"]),
        "teacher_weight": distil["weight"] if distil["teachers"] else "",
    }


def save(found: Predictions) -> None:
    """Write what `predictions.npz` does not have to `recent.npz` (LZMA; `np.load` reads it).

    The large file stays as it is: git would keep every version of it.
    """
    old = _read("predictions.npz")
    views = [n for n, view in enumerate(found.views) if not _same(found, old, str(view))]
    framed = [n for n, name in enumerate(found.framed) if not _same(found, old, str(name))]
    recent = {
        "views": found.views[views],
        "probabilities": found.probabilities[..., views],
        "framed": found.framed[framed],
        "field": found.field[:, framed],
    }
    with zipfile.ZipFile(RESULTS / "recent.npz", "w", zipfile.ZIP_LZMA) as archive:
        for name, array in recent.items():
            packed = io.BytesIO()
            np.save(packed, array, allow_pickle=False)
            archive.writestr(f"{name}.npy", packed.getvalue())
    predictions.cache_clear()


def _same(found: Predictions, old: dict[str, NDArray[Any]], key: str) -> bool:
    """Whether `old` has the same column for a view (`NAME/VIEWS`) or a framed network."""
    names, columns = ("views", "probabilities") if "/" in key else ("framed", "field")
    if key not in old[names]:
        return False
    ours, theirs = getattr(found, names), old[names]
    one = getattr(found, columns)[..., list(ours).index(key)]
    return np.array_equal(one, old[columns][..., list(theirs).index(key)])


def write_rows() -> None:
    """Write `runs.csv`."""
    told = [row for _, row in sorted(rows().items())]
    with (RESULTS / "runs.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, told[0], lineterminator="\n")
        table.writeheader()
        table.writerows(told)


SPOILT = {"robustness": "robustness", "occlusions": "covers", "adversarial": "adversarial"}
"""Table of an evaluation → the table in `results` that keeps its rows."""


def short(name: str, folder: Path) -> None:
    """Keep the answers of an evaluation, and how often it is right on spoilt images; of a network
    of `runs.csv` the latter alone."""
    told = load_evaluation(folder)
    truth, given = (
        "".join(map(str, found)) for found in (told.truth, told.probabilities.argmax(1))
    )
    row = {"run": name, "truth": "" if told.digest == DIGEST else truth, "answers": given}
    if not (known := name in rows()):
        _put("answers", name, [row])
    for file, table in SPOILT.items():
        if not (there := (folder / f"{file}.csv").exists()) and known:
            continue
        found = _csv(folder / f"{file}.csv") if there else []
        spoilt = [{k.removeprefix("accuracy_"): v for k, v in row.items()} for row in found]
        _put(table, name, [{"run": name} | one for one in spoilt])


def answers(name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) labels and (N,) answers of a short training. Raises KeyError if there are none."""
    row = {one["run"]: one for one in _csv(RESULTS / "answers.csv")}[name]
    truth, given = (np.array([*row[column]], np.int64) for column in ("truth", "answers"))
    return (truth if len(truth) else predictions().truth.astype(np.int64)), given


def _csv(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def _put(table: str, run: str, rows: list[dict[str, str]]) -> None:
    """Rows into `results/TABLE.csv`, in place of older ones of the same run."""
    kept = _csv(file := RESULTS / f"{table}.csv")
    columns = file.read_text().partition("\n")[0].split(",")
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows([row for row in kept if row["run"] != run] + rows)


def unpack(out: Path, names: list[str]) -> None:
    """Write `OUT/NAME` and `OUT/NAME-flip`, evaluations as `mien evaluate` leaves them."""
    for key in map(str, predictions().views):
        name, views = key.rsplit("/", 1)
        if name in names:
            place = out / (name if views == "plain" else f"{name}-{views}")
            save_evaluation(load(name, views), place)
            print(place)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("add")
    one.add_argument("name")
    one.add_argument("what")
    one.add_argument("evaluations", type=Path, nargs="+", help="of PublicTest, a view each")
    one.add_argument("--run", type=Path, help="the folder that mien train made")
    small = commands.add_parser("short")
    small.add_argument("name", help="MEASUREMENT/VARIANT")
    small.add_argument("evaluation", type=Path)
    two = commands.add_parser("unpack")
    two.add_argument("out", type=Path)
    two.add_argument("names", nargs="+", choices=rows(), metavar="NAME")
    commands.add_parser("figures")
    given = parser.parse_args()
    if given.command == "add":
        add(given.name, given.what, given.evaluations, given.run)
    elif given.command == "short":
        short(given.name, given.evaluation)
    elif given.command == "unpack":
        unpack(given.out, given.names)
    else:
        for name, row in rows().items():
            row |= figures(name)
        write_rows()


if __name__ == "__main__":
    main()
