import json
import shutil
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
from mien.recipe import Recipe
from mien.train.run import run
from mien.train.targets import (
    Trained,
    ask,
    distil,
    folds,
    one_hot,
    only_labels,
    open_teachers,
    soften,
    translate,
    without_copies,
)
from mien.trained import load_run
from tests.fakes import brightness_bundle
from tests.train.runs import untrained

A, B, C, D = range(4)


def split(*pictures: tuple[int, int]) -> Split:
    """Plain images of (grey, label)."""
    greys, labels = np.array(pictures).T
    images = np.repeat(greys, 64).reshape(-1, 8, 8).astype(np.uint8)
    return Split("train", images, labels.astype(np.int64), np.arange(len(greys)).astype(str))


COPIES = split((10, A), (20, B), (10, A), (30, C), (20, C), (30, C), (20, B), (40, D))


def changed(recipe: Recipe, **sections: dict) -> Recipe:
    raw = recipe.model_dump()
    for name, values in sections.items():
        raw[name] = raw[name] | values
    return Recipe.model_validate(raw)


@pytest.mark.parametrize(
    ("duplicates", "kept", "targets"),
    [
        ("keep", "01234567", np.eye(4)[COPIES.labels]),
        ("drop", "037", np.eye(4)[[A, C, D]]),
        ("merge", "0137", [[1, 0, 0, 0], [0, 2 / 3, 1 / 3, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    ],
)
def test_copies_are_kept_dropped_or_merged(tiny_recipe, duplicates, kept, targets):
    recipe = changed(tiny_recipe, data={"duplicates": duplicates})
    found, answers = soften(COPIES, recipe, 4)
    assert "".join(found.names) == kept
    assert found.images[:, 0, 0].tolist() == COPIES.images[[int(n) for n in kept], 0, 0].tolist()
    assert answers.dtype == np.float32
    assert np.allclose(answers, targets)
    assert only_labels(found, answers) == (duplicates != "merge")


def test_no_copy_is_left_in_the_real_training_images(fer2013):
    train = fer2013.split("train")
    dropped, hard = without_copies(train, 7, merge=False)
    merged, soft = without_copies(train, 7, merge=True)
    pictures = {image.tobytes() for image in train.images}
    assert len(merged) == len({image.tobytes() for image in merged.images}) == len(pictures)
    assert len(train) - len(merged) > 1000
    assert 0 < len(merged) - len(dropped) < 100  # groups whose labels differ
    assert only_labels(dropped, hard)
    assert int((soft.max(1) < 1).sum()) == len(merged) - len(dropped)


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
    _, targets = soften(train, changed(recipe, training=loss), 7)
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
    kept, targets = soften(pictures, recipe, 7)
    labels = np.eye(7)[pictures.labels]
    said = 0.1 * np.eye(7)[FER2013.index("fear")] + 0.9 * np.eye(7)[FER2013.index("sad")]
    assert kept is pictures
    assert targets.dtype == np.float32
    assert targets[:10] == pytest.approx((1 - share) * labels[:10] + share * said, abs=0.01)
    assert targets[10:] == pytest.approx(labels[10:], abs=1e-6)
    assert not only_labels(kept, targets)


def test_without_a_share_votes_are_not_even_read(tiny_recipe, tmp_path):
    recipe = changed(tiny_recipe, data={"votes": str(tmp_path / "nowhere.csv")})
    pictures = split((0, A), (1, D), (2, D))
    kept, targets = soften(pictures, recipe, 4)
    assert kept is pictures
    assert targets.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]]
    assert only_labels(kept, targets)


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


def test_votes_without_a_table_say_what_to_add(tiny_recipe):
    recipe = changed(tiny_recipe, training={"loss": {"votes": 0.3}})
    with pytest.raises(RecipeError, match=r"add --set data\.votes=FILE"):
        soften(COPIES, recipe, 4)


FACES = split((0, 0), (64, 1), (128, 2), (192, 3), (255, 4))


def half_dark() -> Split:
    """Faces whose left half is darker: not the same as their mirror images."""
    images = np.full((200, 8, 8), 200, np.uint8)
    images[:, :, :4] = np.arange(200)[:, None, None]
    return Split("train", images, np.zeros(200, np.int64), np.arange(200).astype(str))


def test_teachers_answer_in_the_order_of_the_data_s_labels(tmp_path):
    labels = tuple(reversed(FER2013))
    bundle = brightness_bundle(tmp_path / "b", FER2013)
    found = ask(open_teachers([str(bundle.folder)], labels), FACES, labels, tmp_path / "kept")
    own = Classifier(bundle).probabilities(FACES.images)
    assert np.allclose(found, own[:, ::-1])


def test_the_answer_is_the_mean_of_teachers_and_mirror_images(tmp_path):
    class LeftHalf(Classifier):
        def logits(self, inputs):
            return super().logits(inputs[..., :4].repeat(2, 3))

    faces = half_dark()
    one = brightness_bundle(tmp_path / "one")
    two = brightness_bundle(tmp_path / "two", FER2013[3:] + FER2013[:3])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mien.train.targets.Classifier", LeftHalf)
        found = ask([one, two], faces, FER2013, tmp_path / "kept")
    order = [two.card.labels.index(label) for label in FER2013]
    views = (faces.images[:, :, :4], faces.images[:, :, 4:])
    expected = [Classifier(one).probabilities(v) for v in views]
    expected += [Classifier(two).probabilities(v)[:, order] for v in views]
    assert np.allclose(found, np.mean(expected, 0))
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
    training = data.split("public")
    teachers = open_teachers([str(folder)], data.labels), [exported]
    assert isinstance(teachers[0][0], Trained)
    of_run, of_bundle = (ask(t, training, data.labels, tmp_path / "kept") for t in teachers)
    assert np.allclose(of_run, of_bundle, atol=1e-5)
    assert not np.allclose(of_run, of_run.mean(0), atol=0.05)  # it tells pictures apart
    assert len(list((tmp_path / "kept").iterdir())) == 2  # neither was given for the other


@pytest.mark.usefixtures("on_the_cpu")
def test_a_run_answers_with_the_mean_of_pictures_and_their_mirror_images(tiny_recipe, tmp_path):
    folder = untrained(tiny_recipe, tmp_path / "run")
    pictures = np.random.default_rng(0).integers(0, 256, (3, 48, 48), np.uint8)
    pictures[:, :, :24] //= np.array([2, 3, 4], np.uint8)[:, None, None]
    model, _ = load_run(folder)
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


@pytest.fixture(scope="module")
def halves(drawn, tiny_recipe, tmp_path_factory) -> list[Path]:
    """Two runs, each without the half that the other learns from."""
    out = tmp_path_factory.mktemp("halves")
    recipes = [changed(tiny_recipe, data={"fold": (k, 2)}) for k in range(2)]
    return [run(recipe, drawn, out / f"{k}") for k, recipe in enumerate(recipes)]


@pytest.mark.usefixtures("on_the_cpu")
def test_a_fold_s_teacher_answers_for_what_it_has_not_seen(halves, drawn, tmp_path):
    data = open_dataset(drawn)
    training, _ = data.for_training("train", "auto", 0)
    teachers = open_teachers([str(half) for half in halves], data.labels)
    found = ask(teachers, training, data.labels, tmp_path / "kept")
    each = [t.probabilities(training.images) for t in teachers if isinstance(t, Trained)]
    part = folds(training, 2)
    assert 0.3 < part.mean() < 0.7
    assert np.allclose(found, np.where(part[:, None] == 0, *each))
    learnt = [json.loads((h / "data.json").read_text())["train"]["digest"] for h in halves]
    assert learnt == [training.take(np.flatnonzero(part != k)).digest for k in range(2)]
    with pytest.raises(RecipeError, match=rf"{(part == 1).sum()} of the.*run of every fold"):
        ask(teachers[:1], training, data.labels, tmp_path / "kept")


@pytest.mark.usefixtures("on_the_cpu")
def test_a_bundle_knows_its_fold(halves, drawn, tmp_path):
    data = open_dataset(drawn)
    training, _ = data.for_training("train", "auto", 0)
    for k, half in enumerate(halves):
        export(half, proof_images(data), tmp_path / f"{k}")
    names = [str(tmp_path / "0"), str(halves[1])]
    found = ask(open_teachers(names, data.labels), training, data.labels, tmp_path / "kept")
    runs = open_teachers([str(half) for half in halves], data.labels)
    assert np.allclose(found, ask(runs, training, data.labels, tmp_path / "other"), atol=1e-6)


def test_a_run_that_is_not_done_does_not_teach(halves, tmp_path):
    shutil.copytree(halves[0], tmp_path / "run", ignore=shutil.ignore_patterns("done.json"))
    with pytest.raises(RunError, match=r"not trained to its end.*--resume"):
        open_teachers([str(tmp_path / "run")], FER2013)


def test_a_folder_does_not_take_the_place_of_a_bundle_in_the_package(halves, tmp_path, monkeypatch):
    shutil.copytree(halves[0], tmp_path / "mien-s")
    monkeypatch.chdir(tmp_path)
    [named, there] = open_teachers(["mien-s", "./mien-s"], FER2013)
    assert (named.card.model, there.card.model) == ("mien-s", "attention")


@pytest.mark.usefixtures("on_the_cpu")
def test_a_fold_is_counted_by_who_answers_for_it(halves, drawn, tmp_path):
    data = open_dataset(drawn)
    training, _ = data.for_training("train", "auto", 0)
    whole = brightness_bundle(tmp_path / "b", data.labels)
    [half] = open_teachers([str(halves[0])], data.labels)
    found = ask([whole, half], training, data.labels, tmp_path / "kept")
    alone = ask([whole], training, data.labels, tmp_path / "kept")
    both = (alone + half.probabilities(training.images)) / 2
    assert np.allclose(found, np.where(folds(training, 2)[:, None] == 0, both, alone))


def test_copies_are_in_one_fold():
    part = folds(COPIES, 3)
    for grey in (10, 20, 30):
        assert len(set(part[COPIES.images[:, 0, 0] == grey])) == 1


def test_no_teacher_is_asked_twice_the_same(tmp_path, monkeypatch):
    one, two = (
        brightness_bundle(tmp_path / "one"),
        brightness_bundle(tmp_path / "two", FER2013[::-1]),
    )
    kept = tmp_path / "kept"
    said = [ask([teacher], FACES, FER2013, kept) for teacher in (one, two)]
    colder = replace(one, card=replace(one.card, temperature=0.5))
    assert not np.allclose(ask([colder], FACES, FER2013, kept), said[0])
    assert not np.allclose(ask([one], FACES.take(np.arange(5)[::-1]), FER2013, kept), said[0])
    monkeypatch.delattr("mien.train.targets.Classifier")
    assert np.allclose(ask([one, two], FACES, FER2013, kept), np.mean(said, 0))


@pytest.mark.parametrize(
    ("weight", "temperature", "expected"),
    [
        (0, 1, [1, 0, 0]),
        (1, 1, [0.25, 0.75, 0]),
        (0.5, 1, [0.625, 0.375, 0]),
        (1, 2, [1 / (1 + 3**0.5), 3**0.5 / (1 + 3**0.5), 0]),
        (1, 0.5, [0.1, 0.9, 0]),
    ],
)
def test_weight_and_temperature(weight, temperature, expected):
    target = np.array([[1, 0, 0]], np.float32)
    found = distil(target, np.array([[0.25, 0.75, 0]]), weight, temperature)
    assert found.dtype == np.float32
    assert found[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_teachers_of_other_labels_are_refused(tmp_path):
    bundle = brightness_bundle(tmp_path / "b", ("happy", "sad"))
    with pytest.raises(RecipeError, match=r"reads happy, sad, the data has angry.*set training"):
        open_teachers([str(bundle.folder)], FER2013)


def test_a_teacher_that_is_not_there_is_told():
    with pytest.raises(BundleError, match="no bundle 'nobody'"):
        open_teachers(["nobody"], FER2013)
