"""The files of a run, `mien train` writes and everything else reads: no other module names them."""

import csv
import dataclasses
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mien
from mien.bundle import CARD_FILE, is_shipped
from mien.card import Card, State
from mien.errors import RunError
from mien.files import read_json, replacing, write_json
from mien.preprocess import Preprocess
from mien.provenance import Images, Source, Trained
from mien.values import from_json

if TYPE_CHECKING:
    from mien.data import Dataset
    from mien.recipes import Recipe

# What torch raises for files that are none of its own depends on their first bytes.
_UNREADABLE = (
    RuntimeError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    EOFError,
    pickle.UnpicklingError,
)


@dataclass(frozen=True, slots=True)
class RunData:
    """`data.json`: what a run was trained on."""

    name: str
    labels: tuple[str, ...]
    side_px: int
    train: Images
    validation: Images
    teachers: tuple[Source, ...] = ()
    source: str = ""
    """Path of the data set when the run began."""
    rate: float | None = None
    """Frames a second that a network for clips sees; None for images."""


@dataclass(frozen=True)
class History:
    """Figures by epoch, as lists of equal length."""

    columns: dict[str, list[float]]

    def __getitem__(self, name: str) -> list[float]:
        return self.columns[name]

    @property
    def epochs(self) -> list[int]:
        """1, 2, 3, ..."""
        return [int(e) for e in self.columns["epoch"]]

    @property
    def best(self) -> int:
        """Position of the epoch that was kept."""
        values = zip(*self.columns.values(), strict=True)
        return best_epoch([dict(zip(self.columns, row, strict=True)) for row in values])

    @property
    def seconds(self) -> float:
        """Time of all epochs together."""
        return float(np.sum(self.columns["seconds"]))

    @property
    def seconds_per_epoch(self) -> float:
        """Median, so that one disturbed epoch does not count."""
        return float(np.median(self.columns["seconds"]))


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run of `mien train`, finished or not."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @property
    def recipe_file(self) -> Path:
        """The recipe with every default spelled out; its presence makes a folder a run."""
        return self.path / "recipe.yaml"

    @property
    def history_file(self) -> Path:
        """A row per epoch, of both stages."""
        return self.path / "history.csv"

    @property
    def checkpoints(self) -> Path:
        """Folder of the two checkpoints."""
        return self.path / "checkpoints"

    @property
    def best_checkpoint(self) -> Path:
        """Of the epoch with the best validation accuracy."""
        return self.checkpoints / "best.ckpt"

    @property
    def last_checkpoint(self) -> Path:
        """Of the last whole epoch: where `--resume` goes on."""
        return self.checkpoints / "last.ckpt"

    @property
    def weights_file(self) -> Path:
        """The network of the best epoch alone, for `model.weights` and for other programs."""
        return self.checkpoints / "best.safetensors"

    @property
    def bundle(self) -> Path:
        """Folder of the exported network."""
        return self.path / "bundle"

    @property
    def first(self) -> "RunFolder":
        """The first stage of a run of two stages, a run of its own."""
        return RunFolder(self.path / "first")

    def evaluation(self, split: str) -> Path:
        """Folder of what `mien evaluate` found on `split`."""
        return self.path / "evaluation" / split

    @property
    def is_run(self) -> bool:
        """Whether a run was begun here."""
        return self.recipe_file.is_file()

    @property
    def is_done(self) -> bool:
        """Whether it was trained to its end."""
        return (self.path / "done.json").exists()

    @property
    def has_data(self) -> bool:
        """Whether it noted what it is trained on, which it does before the first epoch."""
        return (self.path / "data.json").is_file()

    @property
    def has_history(self) -> bool:
        """Whether an epoch was trained."""
        return self.history_file.is_file() or self.first.history_file.is_file()

    @property
    def has_bundle(self) -> bool:
        """Whether its network was exported to its own folder."""
        return (self.bundle / CARD_FILE).is_file()

    def exported(self) -> Path:
        """Folder of the exported network; RunError if it was not exported to its own folder."""
        if not self.has_bundle:
            raise RunError(
                f"{self.path} has no bundle; make it with: "
                f"mien export {self.path} --out {self.bundle}"
            )
        return self.bundle

    def with_validation(self, source: Path, format: str | None = None) -> tuple["Dataset", str]:
        """The data set at `source` as the run's recipe has it, or in another `format`, with the
        images that the epoch was chosen on as a split, and that split's name."""
        recipe = self.recipe
        data = data_of(recipe, source, format)
        _, chosen = data.for_training(recipe.data.train, recipe.data.validation, recipe.seed)
        return dataclasses.replace(data, splits=data.splits | {chosen.name: chosen}), chosen.name

    @property
    def recipe(self) -> "Recipe":
        """The resolved recipe; RecipeError if it does not hold in this version of mien."""
        from mien.recipes import load_recipe

        if not self.is_run:
            raise RunError(
                f"{self.path} is no run folder: recipe.yaml is missing; make one with mien train"
            )
        return load_recipe(self.recipe_file, past=True)

    @property
    def settings(self) -> str:
        """Text of the recipe without name, description and seed: equal for runs that differ in
        their seed alone, whatever version of mien wrote them."""
        import yaml

        recipe = yaml.safe_load(self.recipe_file.read_text(encoding="utf-8"))
        kept = {key: v for key, v in recipe.items() if key not in ("name", "about", "seed")}
        return str(yaml.safe_dump(kept))

    @property
    def data(self) -> RunData:
        """What it was trained on; RunError if that was not noted."""
        path = self.path / "data.json"
        try:
            return from_json(RunData, read_json(path))  # type: ignore[no-any-return]
        except (KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{path} is not whole ({error!r}); train again") from error

    @property
    def data_source(self) -> Path | None:
        """The data set it was trained on, if that was noted and is still in its place."""
        source = Path(self.data.source) if self.has_data else Path()
        return source if source.name and source.exists() else None

    @property
    def environment(self) -> dict[str, str | int | None]:
        """Versions and machine of the training, by name."""
        return dict(read_json(self.path / "environment.json"))

    @property
    def history(self) -> History:
        """Every epoch of the run, those of its first stage included.

        RunError if none was trained, or the file is not whole.
        """
        before = _rows(self.first.history_file) if self.first.history_file.is_file() else []
        rows = _rows(self.history_file) if self.history_file.is_file() else []
        if not before + rows:
            raise RunError(f"{self.path} has no history.csv; train it with mien train")
        if rows[: len(before)] != before:  # a second stage counts on from the first
            rows = before + rows
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return History(columns | {"epoch": [float(n) for n in range(1, len(rows) + 1)]})

    @property
    def preprocess(self) -> Preprocess:
        """How its network wants its crops."""
        return self.recipe.input.preprocess(self.data.side_px)

    def write_recipe(self, recipe: "Recipe") -> None:
        """Note the resolved recipe, and where its data lie."""
        recipe.placed.save(self.recipe_file)

    def write_data(self, data: RunData) -> None:
        """Note what it is trained on."""
        write_json(self.path / "data.json", dataclasses.asdict(data))

    def write_environment(self, environment: Mapping[str, str | int | None]) -> None:
        """Note versions and machine."""
        write_json(self.path / "environment.json", dict(environment))

    def write_done(self, epochs: int) -> None:
        """Note that it was trained to its end."""
        write_json(self.path / "done.json", {"epochs": epochs})

    def reopen(self) -> None:
        """Let it be trained further."""
        (self.path / "done.json").unlink(missing_ok=True)

    @property
    def logged(self) -> dict[str, str]:
        """By what name a logger knows this run, by logger."""
        path = self.path / "loggers.json"
        return dict(read_json(path)) if path.exists() else {}

    def write_logged(self, names: Mapping[str, str]) -> None:
        """Note them, if there are any."""
        if names:
            write_json(self.path / "loggers.json", dict(names))

    def write_weights(self) -> None:
        """Write the network of the best epoch as safetensors, its labels in the head."""
        from safetensors.torch import save

        tensors = {name: t.contiguous() for name, t in _network_of(self.weights()).items()}
        told = {
            "format": "pt",
            "model": self.recipe.model.name,
            "labels": ",".join(self.data.labels),
        }
        with replacing(self.weights_file) as file:
            file.write(save(tensors, told))

    def weights(self) -> dict[str, Any]:
        """Tensors of the best checkpoint by name, as Lightning's module holds them (`model.*`).

        RunError without a checkpoint, or if it is damaged.
        """
        import torch

        if not self.best_checkpoint.is_file():
            raise RunError(
                f"{self.path} has no checkpoint yet; continue it with mien train --resume"
            )
        try:
            checkpoint = torch.load(self.best_checkpoint, map_location="cpu", weights_only=True)
            return dict(checkpoint["state_dict"])
        except _UNREADABLE as error:
            raise RunError(
                f"{self.best_checkpoint} is damaged ({_line(error)}); train again"
            ) from error

    def network(self) -> Any:
        """The torch network of the best checkpoint, in evaluation mode.

        RunError if this is no run, or its weights are missing, damaged or of another network.
        """
        from mien.models import build

        chosen = self.recipe.model
        weights = self.weights()
        network = build(
            chosen.name,
            classes=len(self.data.labels),
            channels=self.preprocess.channels,
            size_px=self.preprocess.size_px,
            **chosen.options,
        )
        try:
            network.load_state_dict(_network_of(weights))
        except RuntimeError as error:
            raise RunError(
                f"{self.best_checkpoint} holds other weights than {chosen.name} has in this "
                f"version of mien ({_line(error)}); use the version that trained it, or train again"
            ) from error
        return network.eval()

    def card(self, network: Any, digest: str) -> Card:
        """The card of its `network`, whose file has that SHA-256."""
        from mien.models import entry

        recipe, data, preprocess = self.recipe, self.data, self.preprocess
        architecture = entry(recipe.model.name)
        return Card(
            name=recipe.name,
            model=recipe.model.name,
            paper=architecture.paper,
            licence=architecture.licence,
            labels=data.labels,
            preprocess=preprocess,
            digest=digest,
            parameters=sum(p.numel() for p in network.parameters()),
            macs=count_macs(network, preprocess),
            provenance=Trained(
                recipe=recipe.name,
                seed=recipe.seed,
                epochs=recipe.training.all_epochs,
                data=data.name,
                train=data.train,
                validation=data.validation,
                start=recipe.model.weights,
                votes=recipe.training.loss.votes if recipe.data.votes else 0,
                teachers=data.teachers,
                distil=recipe.training.distil.weight if data.teachers else 0,
            ),
            state=self._state(network),
            created_by=f"mien {mien.__version__}",
        )

    def _state(self, network: Any) -> State | None:
        """What the `network` keeps of a clip."""
        frames, rate = self.recipe.model.frames, self.data.rate
        return State(dict(network.memory.shapes), frames, rate) if frames and rate else None


def data_of(recipe: "Recipe", source: Path, format: str | None = None) -> "Dataset":
    """The data set at `source` as `recipe` has it: read so (or in another `format`), cleaned as it
    says, with the labels it chooses, and with the training images of the others it names.

    Raises InputError and DataError of any of them.
    """
    from mien.audit import cleaned
    from mien.data import open_dataset
    from mien.data.dataset import joined
    from mien.labels import chosen

    wanted, also = recipe.data, recipe.data.also
    plain = dataclasses.replace(recipe.asked, format=None)
    first = open_dataset(source, dataclasses.replace(plain, format=format or wanted.format))
    first = cleaned(first, wanted.exclude, wanted.relabel, wanted.weights)
    data = [first, *(open_dataset(other.path, plain) for other in also)]
    labels = chosen([part.present for part in data], wanted.labels)
    data = [part.only(labels) for part in data]
    if not also:
        return data[0]
    shares = [other.share for other in also]
    return joined(data, wanted.train, wanted.validation, recipe.seed, shares)


def best_epoch(rows: Sequence[Mapping[str, float]]) -> int:
    """Position of the epoch with the best mean of validation accuracy and field accuracy; of equals
    the one of the least loss. Runs of mien 0.1 have no field accuracy."""

    def score(row: Mapping[str, float]) -> tuple[float, float]:
        plain = row["val_accuracy"]
        return plain + row.get("val_field_accuracy", plain), -row["val_loss"]

    scores = [score(row) for row in rows]
    return scores.index(max(scores))


def _network_of(weights: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors of the network itself, by the names that it has for them."""
    return {k.removeprefix("model."): v for k, v in weights.items() if k.startswith("model.")}


def find_run(model: str | Path) -> RunFolder | None:
    """The run that is meant by `model`; None for a bundle, or the name of one in the package."""
    run = RunFolder(Path(model))
    return run if run.is_run and not is_shipped(model) else None


def count_macs(network: Any, preprocess: Preprocess) -> int:
    """Multiply-accumulates of one forward pass, as torch's own counter sees it."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    face = torch.zeros(1, preprocess.channels, preprocess.size_px, preprocess.size_px)
    with FlopCounterMode(display=False) as counter, torch.inference_mode(False), torch.no_grad():
        network(face)
    return int(counter.get_total_flops() // 2)


def _rows(history: Path) -> list[dict[str, float]]:
    try:
        with history.open(newline="") as file:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    except (ValueError, TypeError) as error:
        raise RunError(f"{history} is not a whole history ({error}); train again") from error
    if not rows:
        raise RunError(f"{history} is not a whole history (no epoch); train again")
    return rows


def _line(error: Exception) -> str:
    """The beginning of its message, on one line."""
    return " ".join(str(error).split())[:200]
