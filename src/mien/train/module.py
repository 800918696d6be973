"""The step that Lightning repeats."""

from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from mien.preprocess import Preprocess
from mien.recipes import Recipe
from mien.train.adversarial import as_recognising, attacked, difference
from mien.train.augment import Augmentation, mixup
from mien.train.batches import Batch, planes
from mien.train.losses import loss_of
from mien.train.memory import checkpoint_activations
from mien.train.optimizers import optimizer_of
from mien.train.schedules import factor_of
from mien.train.together import count

_TINY = 1e-8  # a factor of exactly 0 would make the first warm-up step a wasted one


class Fit(L.LightningModule):
    """A network under training: augmentation, loss, optimiser and schedule of a recipe."""

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Module,
        preprocess: Preprocess,
        weights: Tensor | None,
        steps_per_epoch: int,
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.model = model
        if recipe.training.checkpoint_activations:
            checkpoint_activations(model)
        if compiles(recipe.training.compile):
            model.compile(dynamic=False)  # in place: names of weights stay; a graph for each size
        self.preprocess = preprocess
        self.augment = Augmentation(recipe.augment)
        self.gentle = Augmentation(recipe.augment.gentle())
        self.mix = mixup(recipe.training.mix)
        self.steps_per_epoch = steps_per_epoch
        self.weights: Tensor | None
        self.register_buffer("weights", weights, persistent=False)
        self._plateau: ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None

    def on_train_epoch_start(self) -> None:
        # Augmentation and dropout of an epoch depend on seed and epoch alone: what makes a
        # resumed run the same as an unbroken one. Each of several processes drops out others.
        seed = self.recipe.seed * 100_003 + self.current_epoch
        torch.manual_seed(seed + 1_000_003 * self.global_rank)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:  # noqa: ARG002
        """uint8 (N, S, S) or (N, S, S, 3) → normalised (N, C, S, S) float32, augmented in training;
        of clips all frames.

        Here and not in `training_step`, which runs under autocast: bf16 coordinates would shake
        the image by whole pixels.
        """
        images, drawn, targets, labels, *lengths = batch
        values = planes(images).float() / 255
        if self.training:
            for each in lengths:  # the frames of a clip are changed alike
                drawn = drawn.repeat_interleave(each, 0)
            lasts = self.recipe.augment.lasts(self.current_epoch, self.recipe.training.epochs)
            values = (self.augment if lasts else self.gentle)(values, drawn)
            if self.mix:
                values, targets = self.mix(values, targets)
                labels = targets.argmax(1)  # of two pictures in one, that of the larger share
            values = self._small(values)
        values = self.preprocess.normalise(values)
        values = values.contiguous(memory_format=torch.channels_last)
        return values, drawn, targets, labels, *lengths

    def _small(self, images: Tensor) -> Tensor:
        """Images as small as this epoch has them."""
        training, full_px = self.recipe.training, images.shape[-1]
        size_px = training.progressive.size_px(self.current_epoch, training.epochs, full_px)
        if size_px == full_px:
            return images
        return interpolate(images, size=size_px, mode="bilinear", antialias=True)

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        images, _, targets, labels, *lengths = batch
        adversarial = self.recipe.training.adversarial
        if adversarial.name != "none":
            images = self._attacked(images, targets)
        logits = self.model(images, *lengths)
        logits, others = logits[: len(labels)], logits[len(labels) :]
        loss = self._loss(logits, targets)
        if len(others):  # those of TRADES
            loss = loss + adversarial.weight * difference(others, logits[: len(others)])
        self._log("train_loss", loss, len(labels))
        self._log("train_accuracy", _accuracy(logits, labels), len(labels))
        return loss

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return loss_of(logits, targets, self.recipe.training.loss, self.weights)

    def _attacked(self, images: Tensor, targets: Tensor) -> Tensor:
        """Images with the first of them attacked; for TRADES, all images and these after them."""
        wanted, preprocess = self.recipe.training.adversarial, self.preprocess
        first = images[: max(1, round(wanted.share * len(images)))]
        # What is no colour is the same grey picture in every channel.
        planes = slice(None) if preprocess.color else slice(1)
        mean, std = (
            first.new_tensor(values)[planes, None, None]
            for values in (preprocess.mean, preprocess.std)
        )
        pixels = first[:, planes] * std + mean
        with as_recognising(self.model):
            meant = self.model(first).detach() if wanted.name == "trades" else None

            def loss(found: Tensor) -> Tensor:
                logits = self.model(preprocess.normalise(found))
                if meant is not None:
                    return difference(logits, meant)
                return self._loss(logits, targets[: len(first)])

            found = preprocess.normalise(attacked(pixels, loss, wanted))
        return torch.cat([found, images[len(found) :]] if meant is None else [images, found])

    def validation_step(self, batch: Batch, _index: int, dataloader_idx: int = 0) -> None:
        """Of the images (0), and of the same images framed as a detector frames them (1)."""
        images, _, _, labels, *lengths = batch
        logits = self.model(images, *lengths).float()
        if dataloader_idx:
            self._log("val_field_accuracy", _accuracy(logits, labels), len(labels))
        else:
            self._log("val_loss", cross_entropy(logits, labels), len(labels))
            self._log("val_accuracy", _accuracy(logits, labels), len(labels))

    def _log(self, name: str, value: Tensor, images: int) -> None:
        # Lightning takes the mean count of the processes without its fraction: so of all of them.
        images *= count()
        self.log(
            name,
            value,
            on_step=False,
            on_epoch=True,
            batch_size=images,
            add_dataloader_idx=False,
            sync_dist=True,
        )

    def configure_optimizers(self) -> Any:
        training = self.recipe.training
        optimizer = optimizer_of(self.model, training.optimizer, training.precision)
        if training.schedule.name == "plateau":
            self._plateau = ReduceLROnPlateau(
                optimizer,
                factor=training.schedule.factor,
                patience=training.schedule.patience - 1,  # torch acts one epoch after Keras
                threshold=0,
            )
            if self._plateau_state:
                self._plateau.load_state_dict(self._plateau_state)
            return optimizer
        factor = factor_of(training.schedule, training.epochs)
        schedule = LambdaLR(
            optimizer, lambda step: max(_TINY, factor((step + 0.5) / self.steps_per_epoch))
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_train_epoch_end(self) -> None:
        # Stepped here, not by Lightning, which would do it after the checkpoint was written.
        if self._plateau is not None:
            self._plateau.step(self.trainer.callback_metrics["val_loss"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self._plateau is not None:
            checkpoint["plateau"] = self._plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._plateau_state = checkpoint.get("plateau")


def compiles(when: str) -> bool:
    """Whether `training.compile` holds on this machine."""
    return when == "on" or (when == "auto" and torch.cuda.is_available())


def _accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(1) == labels).float().mean()
