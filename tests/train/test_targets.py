from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.bundle import Classifier
from mien.data import open_dataset
from mien.data.dataset import Split
from mien.data.ferplus import join_votes
from mien.errors import BundleError, RecipeError, RunError
from mien.export import export, proof_images
from mien.files import sha256
from mien.labels import FER2013, FERPLUS
from mien.recipes import Recipe
from mien.recipes.schema import Augment, Loss
from mien.runs import RunFolder
from mien.train.augment import Augmentation
from mien.train.losses import loss_of
from mien.train.targets import one_hot, only_labels, soft_targets, translate
from mien.train.teachers import Changed, Trained, answers_of, open_teachers
from tests.fakes import brightness_bundle
from tests.train.runs import untrained

A, B, C, D = range(4)


def split(*pictures: tuple[int, int]) -> Split:
    """Plain images of (grey, label)."""
    greys, labels = np.array(pictures).T
    images = np.repeat(greys, 64).reshape(-1, 8, 8).astype(np.uint8)
    return Split("train", images, labels.astype(np.int64), np.arange(len(greys)).astype(str))


def changed(recipe: Recipe, **sections: dict) -> Recipe:
    raw = recipe.model_dump()
    for name, values in sections.items():
        raw[name] = raw[name] | values
    return Recipe.model_validate(raw)


def votes(**given: int) -> list[int]:
    return [given.get(name, 0) for name in FERPLUS]


def test_votes_say_what_images_with_such_votes_are_labelled():
    """Nine of ten images voted for as neutral are labelled sad here: so the tenth is, too."""
    table = np.array([votes(neutral=10)] * 10 + [votes(happy=10)] * 10 + [[-1] * 10], np.int16)
    sad, happy, fear = (FER2013.index(name) for name in ("sad", "happy", "fear"))
    labels = np.array([fear] + [sad] * 9 + [happy] * 10 + [fear])
    found = translate(table, labels, one_hot(labels, 7))
    assert found[0, sad] == pytest.approx(0.9, abs=0.02)
    assert found[0, fear] == pytest.approx(0.1, abs=0.02)
    assert (found[10:20, happy] > 0.95).all()
    assert found[20].tolist() == one_hot(labels, 7)[20].tolist()  # FER+ dropped it
    assert np.allclose(found.sum(1), 1, atol=1e-5)


def test_the_share_of_the_votes_is_the_one_asked_for(tiny_recipe, fer2013, shared):
    train = fer2013.split("train").take(np.arange(0, 28_000, 14))
    table = shared / "data" / "ferplus_votes.csv"
    recipe = changed(tiny_recipe, data={"votes": str(table)})
    loss = recipe.training.model_dump() | {"loss": {"votes": 0.3}}
    targets = soft_targets(train, changed(recipe, training=loss), 7)
    labels = one_hot(train.labels, 7)
    said = translate(join_votes(train, table), train.labels, labels)
    assert np.allclose(targets, 0.7 * labels + 0.3 * said, atol=1e-6)
    assert 0.5 < (said * labels).sum(1).mean() < 0.9  # they know the labels, not by heart


def voted(tmp_path: Path) -> tuple[Split, Path]:
    """Ten pictures voted neutral, of which one is labelled fear and nine sad; one that FER+
    dropped, and one without any vote."""
    names = [f"train/x/{n}.png" for n in range(12)]
    neutral = ",".join(map(str, votes(neutral=10)))
    rows = [f"{name},{neutral}" for name in names[:10]] + [f"{names[11]}{',0' * 10}"]
    table = tmp_path / "votes.csv"
    table.write_text("\n".join([f"path,{','.join(FERPLUS)}", *rows]))
    sad, fear = FER2013.index("sad"), FER2013.index("fear")
    labels = np.array([fear] + [sad] * 9 + [fear, sad])
    return Split("train", np.zeros((12, 8, 8), np.uint8), labels, np.array(names)), table


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_votes_take_their_share_of_the_target(tiny_recipe, tmp_path, share):
    pictures, table = voted(tmp_path)
    recipe = changed(tiny_recipe, data={"votes": str(table)}, training={"loss": {"votes": share}})
    targets = soft_targets(pictures, recipe, 7)
    labels = np.eye(7)[pictures.labels]
    said = 0.1 * np.eye(7)[FER2013.index("fear")] + 0.9 * np.eye(7)[FER2013.index("sad")]
    assert targets.dtype == np.float32
    assert targets[:10] == pytest.approx((1 - share) * labels[:10] + share * said, abs=0.01)
    assert targets[10:] == pytest.approx(labels[10:], abs=1e-6)
    assert not only_labels(pictures, targets)


def test_without_a_share_votes_are_not_even_read(tiny_recipe, tmp_path):
    recipe = changed(tiny_recipe, data={"votes": str(tmp_path / "nowhere.csv")})
    pictures = split((0, A), (1, D), (2, D))
    targets = soft_targets(pictures, recipe, 4)
    assert targets.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]]
    assert only_labels(pictures, targets)


def test_a_label_that_counts_less_costs_less(tiny_recipe):
    pictures = replace(split((0, A), (1, D)), weights=np.array([1, 0.25]))
    targets = soft_targets(pictures, tiny_recipe, 4)
    assert targets.tolist() == [[1, 0, 0, 0], [0, 0, 0, 0.25]] and targets.dtype == np.float32
    assert not only_labels(pictures, targets)
    told = torch.from_numpy(targets)
    whole, quarter = (loss_of(torch.zeros(1, 4), one[None], Loss()) for one in told)
    assert quarter == pytest.approx(0.25 * whole)


def test_votes_are_read_as_a_logistic_regression_would(tmp_path):
    """scikit-learn's, without a penalty, on pictures of every mixture of two kinds of vote."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    happy = rng.integers(0, 11, 300)
    table = np.array([votes(happy=n, sad=10 - n) for n in happy], np.int16)
    chance = 1 / (1 + np.exp(2 - 0.5 * happy))
    labels = np.where(rng.random(300) < chance, FER2013.index("happy"), FER2013.index("sad"))
    model = LogisticRegression(C=1e6, max_iter=1000).fit(happy[:, None] / 10, labels)
    expected = np.zeros((300, 7))
    expected[:, model.classes_] = model.predict_proba(happy[:, None] / 10)
    found = translate(table, labels, one_hot(labels, 7))
    assert found == pytest.approx(expected, abs=0.01)


def test_the_number_of_votes_does_not_matter_but_their_shares():
    labels = np.array([0, 0, 0, 1, 1, 2] * 2)
    few = np.array([votes(happy=3, sad=1), votes(sad=2)] * 6, np.int16)
    targets = one_hot(labels, 7)
    many = few.copy()
    many[::3] *= 3
    assert translate(many, labels, targets) == pytest.approx(
        translate(few, labels, targets), abs=1e-4
    )


IN_16_BITS = 5e-4
"""How far a stored answer is from the one that was given."""
FACES = split((0, 0), (64, 1), (128, 2), (192, 3), (255, 4))


def changed_by(split: Split, seed: int = 0, **ranges: object) -> Changed:
    """The images by a draw of these ranges; without any, as they are."""
    augmentation = Augmentation(Augment(**ranges))
    generator = torch.Generator().manual_seed(seed)
    return Changed(split, augmentation, augmentation.draw(len(split), generator))


def half_dark() -> Split:
    """Faces whose left half is darker: not the same as their mirror images."""
    images = np.full((200, 8, 8), 200, np.uint8)
    images[:, :, :4] = np.arange(200)[:, None, None]
    return Split("train", images, np.zeros(200, np.int64), np.arange(200).astype(str))


def test_teachers_answer_in_the_order_of_the_data_s_labels(tmp_path):
    labels = tuple(reversed(FER2013))
    bundle = brightness_bundle(tmp_path / "b", FER2013)
    teachers = open_teachers([str(bundle.folder)], labels)
    found = answers_of(teachers, changed_by(FACES), labels, tmp_path / "kept")
    own = Classifier(bundle).probabilities(FACES.images)
    assert np.allclose(found, own[:, ::-1], atol=IN_16_BITS)


def test_the_answer_is_the_mean_of_teachers_and_mirror_images(tmp_path):
    class LeftHalf(Classifier):
        def _run(self, inputs, state):
            return super()._run(inputs[..., :4].repeat(2, 3), state)

    faces = half_dark()
    one = brightness_bundle(tmp_path / "one")
    two = brightness_bundle(tmp_path / "two", FER2013[3:] + FER2013[:3])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mien.train.teachers.Classifier", LeftHalf)
        found = answers_of([one, two], changed_by(faces), FER2013, tmp_path / "kept")
    order = [two.card.labels.index(label) for label in FER2013]
    views = (faces.images[:, :, :4], faces.images[:, :, 4:])
    expected = [Classifier(one).probabilities(v) for v in views]
    expected += [Classifier(two).probabilities(v)[:, order] for v in views]
    assert np.allclose(found, np.mean(expected, 0), atol=IN_16_BITS)
    assert np.allclose(found.sum(1), 1)


@pytest.fixture
def on_the_cpu(monkeypatch) -> None:
    """Answers of a graphics card differ by more than these tests allow."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("on_the_cpu")
def test_a_run_answers_as_its_bundle_does(drawn, tiny_recipe, tmp_path):
    folder = untrained(tiny_recipe, tmp_path / "run")
    data = open_dataset(drawn)
    exported, _ = export(folder, proof_images(data), tmp_path / "bundle")
    training = changed_by(data.split("public"))
    teachers = open_teachers([str(folder)], data.labels), [exported]
    assert isinstance(teachers[0][0], Trained)
    of_run, of_bundle = (answers_of(t, training, data.labels, tmp_path / "kept") for t in teachers)
    assert np.allclose(of_run, of_bundle, atol=IN_16_BITS)
    assert not np.allclose(of_run, of_run.mean(0), atol=0.05)  # it tells pictures apart
    assert len(list((tmp_path / "kept").iterdir())) == 2  # neither was given for the other


@pytest.mark.usefixtures("on_the_cpu")
def test_a_run_answers_with_the_mean_of_pictures_and_their_mirror_images(tiny_recipe, tmp_path):
    folder = untrained(tiny_recipe, tmp_path / "run")
    pictures = np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)
    pictures[:, :, :24] //= np.array([2, 3, 4], np.uint8)[:, None, None]
    model = RunFolder(folder).network()
    views = []
    for view in (pictures, pictures[:, :, ::-1]):
        inputs = torch.from_numpy(view / np.float32(127.5) - 1)[:, None]
        views.append(model(inputs.float()).softmax(1).detach().numpy())
    assert not np.allclose(views[0], views[1], atol=0.01)
    [teacher] = open_teachers([str(folder)], FER2013)
    found = teacher.probabilities(pictures)
    assert found.dtype == np.float64
    assert np.allclose(found, np.mean(views, 0), atol=1e-5)
    assert teacher.card.digest == sha256(folder / "checkpoints" / "best.ckpt")
    assert teacher.card.labels == FER2013


def test_a_run_that_is_not_done_does_not_teach(tiny_recipe, tmp_path):
    untrained(tiny_recipe, tmp_path / "run")
    (tmp_path / "run" / "done.json").unlink()
    with pytest.raises(RunError, match=r"not trained to its end.*--resume"):
        open_teachers([str(tmp_path / "run")], FER2013)


def test_a_folder_does_not_take_the_place_of_a_bundle_in_the_package(
    tiny_recipe, tmp_path, monkeypatch
):
    untrained(tiny_recipe, tmp_path / "mien-s")
    monkeypatch.chdir(tmp_path)
    [named, there] = open_teachers(["mien-s", "./mien-s"], FER2013)
    assert (named.card.model, there.card.model) == ("mien-s", "attention")


def test_no_teacher_is_asked_twice_the_same(tmp_path, monkeypatch):
    one, two = (
        brightness_bundle(tmp_path / "one"),
        brightness_bundle(tmp_path / "two", FER2013[::-1]),
    )
    dark = {"brightness": (0.2, 0.8)}

    def said(*teachers, split=FACES, seed=0, **ranges):
        return answers_of(teachers, changed_by(split, seed, **ranges), FER2013, tmp_path / "kept")

    first = [said(teacher, **dark) for teacher in (one, two)]
    others = [
        said(replace(one, card=replace(one.card, temperature=0.5)), **dark),
        said(one, split=FACES.take(np.arange(5)[::-1]), **dark),
        said(one, seed=1, **dark),
        said(one, brightness=(0.2, 0.9)),
        said(one),
    ]
    assert not any(np.allclose(other, first[0], atol=0.01) for other in others)
    monkeypatch.delattr("mien.train.teachers.Classifier")
    assert np.allclose(said(one, two, **dark), np.mean(first, 0), atol=IN_16_BITS)


def test_teachers_see_the_images_as_they_are_changed(tmp_path):
    changed = changed_by(half_dark(), flip=True, shift=0.3, erase=0.5, photo=0.5, zoom=(0.8, 1.2))
    values = torch.from_numpy(changed.split.images)[:, None] / 255
    expected = (changed.augmentation(values, changed.drawn) * 255).round().byte()[:, 0].numpy()
    assert (changed.images(slice(None)) == expected).all()
    assert (changed.images(slice(20, 50)) == expected[20:50]).all()
    assert (expected != changed.split.images).any((1, 2)).mean() > 0.9
    bundle = brightness_bundle(tmp_path / "b")
    found = answers_of([bundle], changed, FER2013, tmp_path / "kept")
    own = Classifier(bundle).probabilities(expected)
    assert np.allclose(found, own, atol=IN_16_BITS)


def test_teachers_of_other_labels_are_refused(tmp_path):
    bundle = brightness_bundle(tmp_path / "b", ("happy", "sad"))
    with pytest.raises(RecipeError, match=r"reads happy, sad; the data has angry"):
        open_teachers([str(bundle.folder)], FER2013)


def test_a_teacher_that_is_not_there_is_told():
    with pytest.raises(BundleError, match="no bundle 'nobody'"):
        open_teachers(["nobody"], FER2013)
