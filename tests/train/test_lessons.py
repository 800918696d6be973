"""What each epoch shows of every image, and what teachers are asked and answer."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.bundle import Classifier
from mien.data import open_dataset
from mien.data.drawn import draw_dataset
from mien.labels import FER2013
from mien.recipes import Recipe
from mien.train.augment import COLUMNS, Augmentation
from mien.train.batches import training_batches
from mien.train.inputs import Inputs
from mien.train.lessons import DRAWS, Lessons
from mien.train.module import Fit
from tests.fakes import brightness_bundle

IMAGES = 40
MIRRORED = COLUMNS.index("mirrored")
EVERYTHING = {
    "rotation_deg": 30,
    "shift": 0.2,
    "zoom": (0.8, 1.2),
    "flip": True,
    "brightness": (0.5, 1.5),
    "erase": 0.5,
    "photo": 0.5,
}


def changed(recipe: Recipe, seed: int = 0, epochs: int = 25, share: float = 0.5, **augment):
    raw = recipe.model_dump()
    raw["seed"] = seed
    raw["augment"] |= EVERYTHING | augment
    raw["training"] |= {"epochs": epochs, "distil": {"weight": share}}
    return Recipe.model_validate(raw)


class Teach:
    """Answers with probabilities that depend on what is drawn, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Augmentation, torch.Tensor]] = []

    def __call__(self, augmentation: Augmentation, drawn: torch.Tensor) -> torch.Tensor:
        self.asked.append((augmentation, drawn.clone()))
        return drawn[:, :7].softmax(1)


def no_side(drawn: torch.Tensor) -> torch.Tensor:
    """The draw but for which images are mirrored."""
    return drawn.index_fill(1, torch.tensor(MIRRORED), 0)


@pytest.mark.parametrize("taught", [False, True])
def test_an_epoch_depends_on_seed_and_number_alone(tiny_recipe, taught):
    def drawn(seed: int, epoch: int) -> torch.Tensor:
        teach = Teach() if taught else None
        return Lessons(changed(tiny_recipe, seed), IMAGES, teach=teach).of(epoch)[0]

    keys = [(seed, epoch) for seed in range(3) for epoch in (0, 1, DRAWS, 2 * DRAWS)]
    first = {key: drawn(*key) for key in keys}
    torch.rand(7)  # whatever was drawn before
    assert all(torch.equal(drawn(*key), first[key]) for key in reversed(keys))
    assert len({tuple(d.flatten().tolist()) for d in first.values()}) == len(keys)
    assert all(d.shape == (IMAGES, len(COLUMNS)) for d in first.values())


def test_what_earlier_epochs_showed_does_not_matter(tiny_recipe):
    """A resumed training begins anywhere."""
    whole = Lessons(changed(tiny_recipe, until=0.8), IMAGES, teach=Teach())
    shown = [whole.of(epoch) for epoch in range(25)]
    for epoch in (24, 7, 17):
        drawn, answers = Lessons(changed(tiny_recipe, until=0.8), IMAGES, teach=Teach()).of(epoch)
        assert torch.equal(drawn, shown[epoch][0])
        assert torch.equal(answers, shown[epoch][1])


def test_without_teachers_no_two_epochs_are_alike(tiny_recipe):
    lessons = Lessons(changed(tiny_recipe), IMAGES)
    shown = [lessons.of(epoch)[0] for epoch in range(25)]
    assert len({tuple(drawn[0].tolist()) for drawn in shown}) == 25


def test_without_teachers_the_targets_stay(tiny_recipe):
    targets = torch.eye(7)[torch.arange(IMAGES) % 7]
    assert Lessons(changed(tiny_recipe), IMAGES).of(3)[1] is None
    assert torch.equal(Lessons(changed(tiny_recipe), IMAGES, targets).of(3)[1], targets)


def test_with_teachers_an_epoch_repeats_a_stored_draw_but_for_its_sides(tiny_recipe):
    lessons = Lessons(changed(tiny_recipe), IMAGES, teach=Teach())
    shown = [lessons.of(epoch)[0] for epoch in range(25)]
    for epoch, drawn in enumerate(shown):
        assert torch.equal(no_side(drawn), no_side(shown[epoch % DRAWS]))
        assert 0.2 < drawn[:, MIRRORED].mean() < 0.8
    assert len({tuple(no_side(drawn)[0].tolist()) for drawn in shown}) == DRAWS
    sides = {tuple(drawn[:, MIRRORED].tolist()) for drawn in shown}
    assert len(sides) == 25


def test_stored_draws_are_the_same_for_every_seed_but_for_their_sides(tiny_recipe):
    """So that answers which are kept do for every student."""
    one, two = (Lessons(changed(tiny_recipe, seed), IMAGES, teach=Teach()) for seed in (0, 1))
    for epoch in range(DRAWS):
        drawn, other = one.of(epoch)[0], two.of(epoch)[0]
        assert torch.equal(no_side(drawn), no_side(other))
        assert not torch.equal(drawn, other)


def test_nothing_is_mirrored_where_the_recipe_does_not(tiny_recipe):
    lessons = Lessons(changed(tiny_recipe, flip=False), IMAGES, teach=Teach())
    assert all(lessons.of(epoch)[0][:, MIRRORED].sum() == 0 for epoch in range(5))


def test_teachers_are_asked_once_for_each_draw_as_it_is_shown(tiny_recipe):
    teach = Teach()
    lessons = Lessons(changed(tiny_recipe), IMAGES, teach=teach)
    shown = [lessons.of(epoch) for epoch in range(25)]
    assert len(teach.asked) == DRAWS
    for (drawn, answers), (_, asked) in zip(shown, teach.asked * 3, strict=False):
        assert torch.equal(asked, no_side(drawn))
        assert torch.equal(answers, asked[:, :7].softmax(1))


@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_answers_take_their_share_of_the_targets(tiny_recipe, share):
    """Hinton et al. 2015, without temperature."""
    teach = Teach()
    targets = torch.eye(7)[torch.arange(IMAGES) % 7]
    found = Lessons(changed(tiny_recipe, share=share), IMAGES, targets, teach).of(0)[1]
    expected = (1 - share) * targets + share * teach.asked[0][1][:, :7].softmax(1)
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.equal(targets, torch.eye(7)[torch.arange(IMAGES) % 7])


@pytest.mark.parametrize("taught", [False, True])
def test_the_last_epochs_have_gentler_draws_of_their_own(tiny_recipe, taught):
    teach = Teach()
    recipe = changed(tiny_recipe, epochs=4 * DRAWS, until=0.5)
    lessons = Lessons(recipe, 400, teach=teach if taught else None)
    turns, erased = COLUMNS.index("angle"), COLUMNS.index("erase_width")
    for epoch in (0, 2 * DRAWS - 1, 2 * DRAWS, 4 * DRAWS - 1):
        gentle = epoch >= 2 * DRAWS
        drawn = lessons.of(epoch)[0]
        degrees = torch.rad2deg(drawn[:, turns].abs().max()).item()
        assert degrees == pytest.approx(15 if gentle else 30, rel=0.05)
        assert (drawn[:, erased] > 0).any() == (not gentle)
        assert lessons.augmentation(epoch).ranges == (
            recipe.augment.gentle() if gentle else recipe.augment
        )
    if taught:
        assert [augmentation.ranges.erase for augmentation, _ in teach.asked] == [0.5, 0.5, 0, 0]


@pytest.fixture
def inputs(tmp_path, monkeypatch) -> Inputs:
    """Drawn faces, and a teacher that reads brightness; what it answers is kept in a home of its
    own."""
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    draw_dataset(tmp_path / "faces", images=70, seed=0)
    training = open_dataset(tmp_path / "faces").split("train")
    teacher = brightness_bundle(tmp_path / "teacher", size_px=48)
    return Inputs("faces", FER2013, training, training, (teacher,), tmp_path / "faces")


def shown_and_answered(inputs: Inputs, recipe: Recipe, epoch: int) -> tuple:
    """(N, S, S) uint8 pictures as the student sees them in an epoch, and (N, classes) answers."""
    preprocess = inputs.preprocess(recipe)
    lessons = inputs.lessons(recipe)
    batches = training_batches(inputs.training, preprocess, len(inputs.training), 0, lessons)
    batches.sampler.set_epoch(epoch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fit, "current_epoch", epoch)
        fit = Fit(recipe, torch.nn.Linear(1, 1), preprocess, None, 1).train()
        [batch] = batches
        values, _, answers, _ = fit.on_after_batch_transfer(batch, 0)
    pixels = (values[:, 0] * preprocess.std[0] + preprocess.mean[0]) * 255
    return pixels.round().byte().numpy(), answers.numpy()


@pytest.mark.parametrize("epoch", [3, DRAWS + 3, 24])
def test_the_answers_are_for_the_very_pictures_that_the_student_sees(inputs, tiny_recipe, epoch):
    recipe = changed(tiny_recipe, share=1, until=0.9)
    pictures, answers = shown_and_answered(inputs, recipe, epoch)
    own = Classifier(inputs.teachers[0]).probabilities(pictures)
    assert np.allclose(answers, own, atol=1e-3)
    assert np.abs(own - own.mean(0)).mean() > 0.02  # pictures differ in what is said of them


def test_answers_are_kept_for_a_run_that_is_resumed_and_for_other_seeds(
    inputs, tiny_recipe, monkeypatch
):
    recipe = changed(tiny_recipe)
    first = {epoch: inputs.lessons(recipe).of(epoch) for epoch in (0, 1)}
    monkeypatch.delattr("mien.train.teachers.Classifier")  # who asks again fails
    for epoch, (drawn, answers) in first.items():
        again = inputs.lessons(recipe).of(epoch)
        assert torch.equal(again[0], drawn)
        assert torch.equal(again[1], answers)
        assert torch.equal(inputs.lessons(changed(tiny_recipe, seed=1)).of(epoch)[1], answers)
    with pytest.raises(NameError):
        inputs.lessons(recipe).of(2)


def test_targets_are_made_only_where_they_say_more_than_labels(inputs, tiny_recipe):
    alone = replace(inputs, teachers=())
    assert alone.lessons(tiny_recipe).of(0)[1] is None
    mixed = tiny_recipe.model_dump()
    mixed["training"]["mix"]["mixup"] = 0.2
    targets = alone.lessons(Recipe.model_validate(mixed)).of(0)[1]
    assert torch.equal(targets, torch.eye(7)[torch.from_numpy(inputs.training.labels)])
