"""A trial's training, watched epoch by epoch."""

from typing import Any

import lightning as L
import optuna

from mien.train.callbacks import History


class Watch(L.Callback):
    """Tells the trial of each epoch, and breaks the training off where it is hopeless
    (`optuna.TrialPruned`)."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial

    def on_train_epoch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Report the mean of accuracy and field accuracy, by the epoch of both stages."""
        metrics = trainer.callback_metrics
        value = float(metrics["val_accuracy"] + metrics["val_field_accuracy"]) / 2
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        (history,) = (each for each in callbacks if isinstance(each, History))
        self.trial.report(value, len(history.rows))
        if self.trial.should_prune():
            raise optuna.TrialPruned
