"""The step that Lightning repeats, without Lightning: what goes in, what is counted, the rate."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mien.preprocess import Preprocess
from mien.recipes import Recipe
from mien.train.lessons import Lessons
from mien.train.module import Fit, compiles

GREY = Preprocess(16, (0.5,), (0.25,), 16)
COLOUR = Preprocess(16, (0.1, 0.2, 0.3), (1.0, 2.0, 4.0), 16)
EVERYTHING = {
    "rotation_deg": 40,
    "zoom": (0.5, 0.8),
    "flip": True,
    "brightness": (0.3, 0.5),
    "erase": 1,
    "cover": 1,
    "photo": 1,
}


@pytest.fixture
def fit(tiny_recipe, monkeypatch):
    """`fit(epoch, preprocess=..., weights=..., augment=..., training=...)`, in training mode."""

    def make(epoch=0, preprocess=GREY, weights=None, steps=4, seed=3, augment=(), training=()):
        raw = tiny_recipe.model_dump() | {"seed": seed}
        raw["augment"] |= dict(augment)
        raw["training"] |= dict(training)
        monkeypatch.setattr(Fit, "current_epoch", epoch)
        made = Fit(Recipe.model_validate(raw), Answers(), preprocess, weights, steps)
        return made.train()

    return make


class Answers(nn.Module):
    """Answers with what it is given, (N, C) logits in place of images."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale


def pictures(n: int = 6, side: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, side, side), dtype=torch.uint8, generator=generator)


def batch(some: Fit, n: int = 6, side: int = 16, targets: torch.Tensor | None = None) -> list:
    """A batch as the loader hands it to `some` in its epoch; labels 0, 1, ..., 6, 0, ..."""
    drawn, _ = Lessons(some.recipe, n).of(some.current_epoch)
    labels = torch.arange(n) % 7
    return [pictures(n, side), drawn, labels if targets is None else targets, labels]


def standardised(preprocess: Preprocess, images: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(preprocess.standardise(images.numpy()))


def test_randomness_depends_on_the_seed_and_the_epoch_alone(fit):
    def drawn(seed: int, epoch: int) -> tuple[float, ...]:
        fit(epoch, seed=seed).on_train_epoch_start()
        return tuple(torch.rand(4).tolist())

    keys = [(seed, epoch) for seed in range(3) for epoch in range(4)]
    first = {key: drawn(*key) for key in keys}
    torch.rand(7)  # whatever was drawn before
    assert {key: drawn(*key) for key in reversed(keys)} == first
    assert len(set(first.values())) == len(keys)


def test_augmentation_differs_from_epoch_to_epoch(fit):
    shown = []
    for epoch in (0, 1, 0):
        some = fit(epoch, augment=EVERYTHING)
        some.on_train_epoch_start()
        shown.append(some.on_after_batch_transfer(batch(some), 0)[0])
    assert torch.equal(shown[0], shown[2])
    assert not torch.equal(shown[0], shown[1])


@pytest.mark.parametrize("preprocess", [GREY, COLOUR])
def test_images_are_standardised_as_for_recognition(fit, preprocess):
    some = fit(preprocess=preprocess)
    images, _, targets, labels = batch(some)
    values, _, told, kept = some.on_after_batch_transfer(batch(some), 0)
    assert torch.allclose(values, standardised(preprocess, images), atol=1e-6)
    assert values.dtype == torch.float32
    assert values.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(told, targets)
    assert torch.equal(kept, labels)


def test_validation_sees_pictures_as_they_are_and_full_size(fit):
    """Nothing is augmented, mixed or shrunk, whatever the recipe does to training images."""
    training = {"progressive": {"from_px": 8, "until": 1}, "mix": {"mixup": 1}, "epochs": 4}
    trained = fit(0, augment=EVERYTHING, training=training)
    targets = torch.eye(7)[torch.arange(6)]
    shown = images, _, _, labels = batch(trained, targets=targets)
    assert trained.on_after_batch_transfer(shown, 0)[0].shape == (6, 1, 8, 8)
    # Those of validation have no changes drawn.
    shown = [images, torch.empty(6, 0), targets, labels]
    values, _, told, kept = trained.eval().on_after_batch_transfer(shown, 0)
    assert torch.allclose(values, standardised(GREY, images), atol=1e-6)
    assert torch.equal(told, targets)
    assert torch.equal(kept, labels)


@pytest.mark.parametrize(("epoch", "side"), [(0, 24), (1, 24), (2, 32), (3, 40), (5, 40)])
def test_training_pictures_grow_as_pillow_would_resize_them(fit, epoch, side):
    preprocess = Preprocess(40, (0.0,), (1.0,), 40)
    training = {"epochs": 6, "progressive": {"from_px": 24, "until": 0.5}}
    some = fit(epoch, preprocess, training=training)
    values = some.on_after_batch_transfer(batch(some, 2, 40), 0)[0]
    assert values.shape == (2, 1, side, side)
    for value, image in zip(values[:, 0], pictures(2, 40), strict=True):
        picture = Image.fromarray(image.float().numpy() / 255)
        expected = np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))
        assert value.numpy() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize(("epoch", "with_all"), [(0, True), (2, True), (3, False), (4, False)])
def test_the_last_epochs_have_half_of_each_range_and_nothing_erased(fit, epoch, with_all, flip):
    augment = {"brightness": (0.2, 0.4), "erase": 1, "flip": flip, "until": 0.6}
    some = fit(epoch, augment=augment, training={"epochs": 5})
    values = some.on_after_batch_transfer(batch(some, 16), 0)[0]
    light, plain = values * 0.25 + 0.5, pictures(16)[:, None] / 255
    if with_all:
        erased = light > 0.45  # grey, which no picture as dark as this has
        assert erased.flatten(1).any(1).all()
        assert 0 < light[~erased].max() <= 0.4 + 1e-6
        return
    factor = light.mean((1, 2, 3), keepdim=True) / plain.mean((1, 2, 3), keepdim=True)
    assert 0.6 - 1e-5 < factor.min() < factor.max() < 0.7 + 1e-5
    same = torch.isclose(light, factor * plain, atol=1e-5).flatten(1).all(1)
    mirrored = torch.isclose(light, factor * plain.flip(3), atol=1e-5).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 2 < int(mirrored.sum()) < 14 if flip else not mirrored.any()


@pytest.mark.parametrize("epoch", [0, 4])
def test_a_batch_on_another_device_is_changed_there_and_nothing_is_read_of_it(fit, epoch):
    """The meta device stands for a graphics card: it has no values to read or to wait for."""
    training = {"epochs": 5, "progressive": {"from_px": 12, "until": 1}}
    some = fit(epoch, augment=EVERYTHING | {"until": 0.6}, training=training)
    shown = [tensor.to("meta") for tensor in batch(some)]
    values, *others = some.on_after_batch_transfer(shown, 0)
    assert {tensor.device.type for tensor in (values, *others)} == {"meta"}


def test_of_two_mixed_pictures_the_one_of_the_larger_share_gives_the_label(fit):
    torch.manual_seed(0)
    mixed = fit(training={"mix": {"mixup": 1.0}})
    shown = images, _, _, labels = batch(mixed, 7, targets=torch.eye(7))
    for _ in range(5):
        values, _, told, kept = mixed.on_after_batch_transfer(shown, 0)
        share = float(told.max(1).values[0])
        assert torch.equal(kept, told.argmax(1))
        assert torch.equal(kept, labels if share == told[0, 0] else labels.roll(1))
        plain = standardised(GREY, images)
        own = told[0, 0]
        expected = own * plain + (1 - own) * plain.roll(1, 0)
        assert torch.allclose(values, expected, atol=1e-4)


LOGITS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0], [2.0, 0.0, 0.0]])
LABELS = torch.tensor([0, 1, 2, 2])  # three are right
BATCH = (LOGITS, torch.empty(4, 0), LABELS, LABELS)


@pytest.fixture
def logged(monkeypatch):
    """What is logged: name → (value, how)."""
    found: dict[str, tuple[float, dict]] = {}
    monkeypatch.setattr(
        Fit, "log", lambda _, name, value, **how: found.update({name: (value.item(), how)})
    )
    return found


PER_EPOCH = {
    "on_step": False,
    "on_epoch": True,
    "batch_size": 4,
    "add_dataloader_idx": False,
    "sync_dist": True,
}
RIGHT, WRONG = -np.log(np.e**2 / (np.e**2 + 2)), -np.log(1 / (np.e**2 + 2))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, (3 * RIGHT + WRONG) / 4),
        ((1.0, 3.0, 5.0), ((1 + 3 + 5) * RIGHT + 5 * WRONG) / 14),
    ],
)
def test_a_training_step_weighs_each_class_and_counts_what_is_right(fit, logged, weights, expected):
    tensor = None if weights is None else torch.tensor(weights)
    some = fit(weights=tensor)
    loss = some.training_step(BATCH, 0)
    assert loss.item() == pytest.approx(expected)
    loss.backward()
    assert some.model.scale.grad is not None
    assert logged == {
        "train_loss": (pytest.approx(expected), PER_EPOCH),
        "train_accuracy": (0.75, PER_EPOCH),
    }


def test_validation_loss_is_the_plain_cross_entropy_whatever_is_trained_for(fit, logged):
    loss = {"class_weights": "balanced", "focal": 2, "label_smoothing": 0.3}
    some = fit(weights=torch.tensor([9.0, 1.0, 1.0]), training={"loss": loss})
    some.validation_step((LOGITS.bfloat16(), *BATCH[1:]), 0)
    assert logged == {
        "val_loss": (pytest.approx((3 * RIGHT + WRONG) / 4), PER_EPOCH),
        "val_accuracy": (0.75, PER_EPOCH),
    }


def test_of_the_framed_images_accuracy_alone_is_counted(fit, logged):
    fit().validation_step(BATCH, 0, 1)
    assert logged == {"val_field_accuracy": (0.75, PER_EPOCH)}


def test_training_minimises_what_the_recipe_asks_for(fit, logged):
    smoothed = fit(training={"loss": {"label_smoothing": 0.3}})
    answers = 0.7 * torch.eye(3)[LABELS] + 0.1
    expected = -(answers * LOGITS.log_softmax(1)).sum(1).mean()
    loss = smoothed.training_step(BATCH, 0)
    assert loss.item() == pytest.approx(float(expected))


def rates(some: Fit, steps: int) -> list[float]:
    """The learning rate of each step."""
    made = some.configure_optimizers()
    assert made["lr_scheduler"]["interval"] == "step"
    found = []
    for _ in range(steps):
        found.append(made["optimizer"].param_groups[0]["lr"])
        made["optimizer"].step()
        made["lr_scheduler"]["scheduler"].step()
    return found


COSINE = [0.9619398, 0.6913417, 0.3086583, 0.0380602]  # (1 + cos(pi x)) / 2 at 1/8, 3/8, 5/8, 7/8


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"name": "constant"}, [1.0] * 8),
        ({"name": "cosine", "warmup_epochs": 1}, [0.125, 0.375, 0.625, 0.875, *COSINE]),
        ({"name": "exponential", "hold_epochs": 1, "rate": np.log(2)}, [1.0] * 4 + [0.5] * 4),
    ],
    ids=lambda value: value.get("name") if isinstance(value, dict) else None,
)
def test_the_rate_of_a_step_is_that_of_its_middle(fit, schedule, expected):
    """Two epochs of four steps; the last one has not yet come to nothing."""
    training = {"epochs": 2, "schedule": schedule, "optimizer": {"lr": 3.0}}
    found = rates(fit(steps=4, training=training), 8)
    assert found == pytest.approx([3 * value for value in expected], rel=1e-5)


def test_the_rate_is_never_quite_nothing(fit):
    training = {"epochs": 2, "schedule": {"name": "cosine"}, "optimizer": {"lr": 3.0}}
    assert rates(fit(steps=1, training=training), 5)[-1] == pytest.approx(3e-8)


def plateau(fit, losses: list[float], **schedule: float) -> list[float]:
    """The rate after each epoch of such a validation loss."""
    some = fit(training={"schedule": {"name": "plateau", **schedule}, "optimizer": {"lr": 1.0}})
    optimizer = some.configure_optimizers()
    return [after(some, optimizer, loss) for loss in losses]


def after(some: Fit, optimizer: torch.optim.Optimizer, loss: float) -> float:
    with pytest.MonkeyPatch.context() as patch:
        metrics = {"val_loss": torch.tensor(loss), "train_loss": torch.tensor(0.0)}
        patch.setattr(Fit, "trainer", SimpleNamespace(callback_metrics=metrics))
        some.on_train_epoch_end()
    return optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize(
    ("patience", "losses", "expected"),
    [
        (1, [1, 1], [1, 0.5]),
        (1, [1, 2, 1, 0.9, 1], [1, 0.5, 0.25, 0.25, 0.125]),
        (2, [1, 1, 1], [1, 1, 0.5]),
        (2, [1, 1, 0.9, 1, 0.95], [1, 1, 1, 1, 0.5]),
        (2, [1, 1, 1, 1, 1], [1, 1, 0.5, 0.5, 0.25]),
        (3, [1, 2, 1.5, 1.2, 1.1], [1, 1, 1, 0.5, 0.5]),
        (2, [1, 0.9999, 0.9999, 0.9998, 0.9998], [1, 1, 1, 1, 1]),
        (3, [5, 4, 3, 2, 1], [1, 1, 1, 1, 1]),
    ],
)
def test_plateau_acts_after_as_many_epochs_without_a_fall_as_keras(fit, patience, losses, expected):
    assert plateau(fit, losses, patience=patience, factor=0.5) == expected


def test_plateau_s_factor_is_the_recipe_s(fit):
    assert plateau(fit, [1, 1, 1], patience=1, factor=0.1) == pytest.approx([1, 0.1, 0.01])


def test_plateau_goes_on_counting_from_a_checkpoint(fit):
    schedule = {"name": "plateau", "patience": 2, "factor": 0.5}
    training = {"schedule": schedule, "optimizer": {"lr": 1.0}}
    first, second = fit(training=training), fit(training=training)
    optimizer = first.configure_optimizers()
    assert [after(first, optimizer, loss) for loss in (1.0, 2.0)] == [1, 1]
    checkpoint: dict = {}
    first.on_save_checkpoint(checkpoint)
    second.on_load_checkpoint(checkpoint)
    assert after(second, second.configure_optimizers(), 1.5) == 0.5


def test_other_schedules_leave_nothing_in_a_checkpoint(fit):
    some, checkpoint = fit(), {}
    some.configure_optimizers()
    some.on_train_epoch_end()
    some.on_save_checkpoint(checkpoint)
    some.on_load_checkpoint(checkpoint)
    assert checkpoint == {}


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_muon_computes_in_the_recipe_s_precision(fit, precision, dtype):
    muon = {"name": "muon", "lr": 0.01}
    some = fit(training={"optimizer": muon, "precision": precision})
    assert some.configure_optimizers()["optimizer"].dtype == dtype


def test_class_weights_do_not_travel_in_checkpoints(fit):
    assert list(fit(weights=torch.ones(7)).state_dict()) == ["model.scale"]


@pytest.mark.parametrize("saved", [True, False])
def test_memory_is_saved_where_the_recipe_asks_for_it(fit, monkeypatch, saved):
    asked: list[nn.Module] = []
    monkeypatch.setattr("mien.train.module.checkpoint_activations", asked.append)
    some = fit(training={"checkpoint_activations": saved})
    assert asked == [some.model] * saved


def test_a_compiled_network_keeps_the_names_of_its_weights(fit):
    """Its steps are torch's: to compile one takes a CPU minutes."""
    plain, compiled = fit(), fit(training={"compile": "on"})
    assert compiled.model._compiled_call_impl and not plain.model._compiled_call_impl
    assert compiled.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize(
    ("when", "card", "expected"),
    [("off", True, False), ("auto", False, False), ("auto", True, True), ("on", False, True)],
)
def test_when_networks_are_compiled(monkeypatch, when, card, expected):
    monkeypatch.setattr("torch.cuda.is_available", lambda: card)
    assert compiles(when) is expected
