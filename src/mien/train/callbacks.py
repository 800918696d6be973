"""What happens beside the fit: the history, the progress bar, checkpoints that are whole."""

import csv
import io
import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from mien.files import replacing, write_text
from mien.recipes.schema import Training
from mien.runs import best_epoch

COLUMNS = (
    "epoch",
    "lr",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "val_field_accuracy",
    "seconds",
)


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that take their name only when written to the last byte."""

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        """Serialise in memory, then write, so that a full disk is a plain OSError."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        with replacing(Path(path)) as file:
            file.write(buffer.getbuffer())


class Checkpoint(ModelCheckpoint):
    """One that knows its best score again where a run folder was moved."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the state of the run that was interrupted, with the paths of this one."""

        def here(path: str) -> str:
            return str(Path(str(self.dirpath), Path(path).name)) if path else path

        best = {here(path): score for path, score in state_dict["best_k_models"].items()}
        names = ("best_model_path", "kth_best_model_path", "last_model_path")
        paths = {name: here(state_dict[name]) for name in names}
        super().load_state_dict(
            {**state_dict, **paths, "best_k_models": best, "dirpath": self.dirpath}
        )


def averaging(training: Training) -> list[L.Callback]:
    """What keeps the averaged weights that `training` asks for: one callback, or none."""
    chosen = training.averaging
    # Lightning would ask the network, which is still in main memory then: each step would copy it.
    device = "cuda" if torch.cuda.is_available() else None
    return [] if chosen.name == "none" else [MovingAverage(device, chosen.decay)]


class MovingAverage(WeightAveraging):
    """Exponential moving average of the weights after each step; short at first, when the weights
    are far from anywhere. All tensors at once, and nothing is read back from a graphics card."""

    def __init__(self, device: str | None, decay: float) -> None:
        super().__init__(device)
        self.decay = decay

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Average after a step of the optimizer."""
        done = self._latest_update_step
        if trainer.global_step > done and self._average_model is not None:
            share = kept_share(self.decay, done) if done else 0.0
            blend(_tensors(self._average_model.module), _tensors(pl_module), 1 - share)
            self._latest_update_step = trainer.global_step


def kept_share(decay: float, steps: int) -> float:
    """How much of itself the average keeps in the step after so many."""
    return min(decay, (1 + steps) / (10 + steps))


def blend(averages: list[Tensor], currents: list[Tensor], share: float) -> None:
    """Move each average by `share` of the way to its current; counts are copied."""
    pairs = list(zip(averages, currents, strict=True))
    moved = [pair for pair in pairs if pair[0].is_floating_point()]
    counts = [pair for pair in pairs if not pair[0].is_floating_point()]
    torch._foreach_lerp_([a for a, _ in moved], [c for _, c in moved], share)
    if counts:
        torch._foreach_copy_([a for a, _ in counts], [c for _, c in counts])


def _tensors(module: torch.nn.Module) -> list[Tensor]:
    return [t.detach() for t in (*module.parameters(), *module.buffers())]


class History(L.Callback):
    """`history.csv`: a row per epoch, `lr` as it ended; lives in the checkpoint for `--resume`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._started = 0.0

    @property
    def best(self) -> int:
        """Position of the epoch that is kept."""
        return best_epoch(self.rows)

    def follow(self, path: Path) -> None:
        """Begin with the rows of another history, that of an earlier stage."""
        with path.open(newline="") as file:
            self.rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]

    def on_train_epoch_start(self, *_: Any) -> None:
        """Start the epoch's clock."""
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Add the epoch's row and rewrite the file."""
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k in COLUMNS}
        row = {
            "epoch": len(self.rows) + 1,
            "lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
            **metrics,
            "seconds": round(time.perf_counter() - self._started, 2),
        }
        # As they are written, so that rows which are read back compare with these.
        self.rows.append({name: float(f"{value:.6g}") for name, value in row.items()})
        if trainer.is_global_zero:
            self._write()
        for logger in trainer.loggers:  # Lightning logs what Fit does
            logger.log_metrics({"lr": row["lr"]}, step=trainer.global_step)

    def _write(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            writer.writerow({k: f"{v:.6g}" for k, v in row.items()})
        write_text(self.path, text.getvalue())

    def state_dict(self) -> dict[str, Any]:
        """The rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the rows of the run that was interrupted."""
        self.rows = list(state_dict["rows"])


class Best(Checkpoint):
    """The checkpoint of the epoch that `history` calls the best, which must hear of it first."""

    def __init__(self, folder: Path, history: History, **options: Any) -> None:
        super().__init__(folder, "best", monitor="val_accuracy", mode="max", **options)
        self.history = history

    def check_monitor_top_k(self, *_: Any, **__: Any) -> bool:
        """Whether the epoch that has just ended is the best so far."""
        return self.history.best == len(self.history.rows) - 1


class Bar(L.Callback):
    """A progress bar over the whole run: epoch, accuracy, loss and time left; a line per epoch."""

    def __init__(self, console: Console, batch: int) -> None:
        self.console = console
        self.batch = batch
        self._words = ""
        self._began = self._stepped = 0.0

    def on_train_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Show the bar, from where the run stands."""
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps  {task.fields[words]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=self.console,
            transient=True,
        )
        batches = int(trainer.num_training_batches)
        total, done = batches * int(trainer.max_epochs or 1), batches * trainer.current_epoch
        self._task = self._progress.add_task(
            "", total=total, completed=done, epoch="", words=self._words
        )
        self._progress.start()

    def on_train_epoch_start(self, *_: Any) -> None:
        """Start the clock of the steps."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, trainer: L.Trainer, _m: Any, outputs: Any, *_: Any) -> None:
        """Move the bar on by a step."""
        self._stepped = time.perf_counter()
        self._progress.update(
            self._task,
            advance=1,
            epoch=f"{trainer.current_epoch + 1}/{trainer.max_epochs}",
            words=f"{_loss(outputs['loss'])}{self._words}".rstrip(),
        )

    def on_train_epoch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Print the epoch's line, which stays above the bar."""
        m = trainer.callback_metrics
        images = int(trainer.num_training_batches) * self.batch
        rate = images / max(1e-9, self._stepped - self._began)
        self._words = (
            f"validation accuracy {float(m['val_accuracy']):.4f} "
            f"field {float(m['val_field_accuracy']):.4f}"
        )
        self._progress.console.print(
            f"epoch {trainer.current_epoch + 1:>3}/{trainer.max_epochs}  "
            f"train loss {float(m['train_loss']):.4f} accuracy {float(m['train_accuracy']):.4f}  "
            f"validation loss {float(m['val_loss']):.4f} accuracy {float(m['val_accuracy']):.4f} "
            f"field {float(m['val_field_accuracy']):.4f}  {rate:,.0f} images/s",
            highlight=False,
            soft_wrap=True,
        )

    def teardown(self, *_: Any, **__: Any) -> None:
        """Take the bar away, also after an error."""
        if hasattr(self, "_progress"):
            self._progress.stop()


def _loss(loss: Tensor) -> str:
    """The loss of a step; of a graphics card not a word, which would wait for it."""
    return "" if loss.is_cuda else f"loss {float(loss):.3f}  "
