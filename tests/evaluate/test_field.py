import numpy as np
import pytest

from mien.bundle import Classifier, open_bundle
from mien.data import Split
from mien.evaluate import field
from mien.evaluate.field import count_right
from mien.framing import DRAWS, SCALE, SHIFT, TURN_DEG, draw, once, reframe
from scripts import results
from tests.fakes import brightness_bundle

STILL = np.array([[0, 1, 0, 0]], np.float32)


def test_draws_are_those_of_torch():
    torch = pytest.importorskip("torch")
    for seed in range(DRAWS):
        u = torch.rand(50, 24, generator=torch.Generator().manual_seed(seed))[:, :4].numpy()
        low = [-np.radians(TURN_DEG), SCALE[0], -SHIFT, -SHIFT]
        high = [np.radians(TURN_DEG), SCALE[1], SHIFT, SHIFT]
        assert draw(50, seed) == pytest.approx(low + np.subtract(high, low) * u, abs=1e-6)


def test_an_image_has_the_same_draw_whatever_follows_it():
    assert (draw(10, 3) == draw(100, 3)[:10]).all()
    assert not (draw(10, 3) == draw(10, 2)).any()


def test_a_framing_that_changes_nothing_changes_nothing():
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 12), np.uint8)
    assert (reframe(images, np.repeat(STILL, 3, 0)) == images).all()


@pytest.mark.parametrize(
    ("framing", "expected"),
    [
        ((0, 1, 0.25, 0), lambda image: image[:, [0, 0, 0, *range(1, 6)]]),
        ((0, 1, 0, 0.25), lambda image: image[[0, 0, 0, *range(1, 6)]]),
        ((np.pi / 2, 1, 0, 0), lambda image: np.rot90(image, -1)),
    ],
    ids=["to the right", "down", "a quarter turn"],
)
def test_where_a_framing_moves_a_face(framing: tuple, expected):
    image = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    (found,) = reframe(image[None], np.array([framing], np.float32))
    assert (found == expected(image)).all()


def test_a_scale_above_1_enlarges_the_middle():
    image = np.zeros((16, 16), np.uint8)
    image[6:10, 6:10] = 255
    larger, smaller = reframe(
        np.stack([image, image]), np.array([[0, 1.5, 0, 0], [0, 0.5, 0, 0]], np.float32)
    )
    assert larger.sum() > 1.5 * image.sum()
    assert smaller.sum() < 0.5 * image.sum()


def test_one_pass_has_each_image_in_one_of_the_framings_in_turn():
    images = np.random.default_rng(0).integers(0, 256, (10, 12, 12), np.uint8)
    found = reframe(images, once(10))
    assert (found.shape, found.dtype) == ((10, 12, 12), np.uint8)
    for row in range(10):
        assert (found[row] == reframe(images, draw(10, row % DRAWS))[row]).all()
    assert (once(10) == once(100)[:10]).all()


def test_right_answers_are_counted_over_the_draws(tmp_path):
    """Of an image that is dark on one side, some framings show less light than others."""
    classifier = Classifier(brightness_bundle(tmp_path / "b", ("dark", "bright")))
    images = np.zeros((200, 8, 8), np.uint8)
    images[:, :, :4] = 255
    images[100:] = 255
    done: list[int] = []
    split = Split("public", images, np.ones(200, np.int64), np.arange(200).astype(str))
    found = count_right(classifier, split, split.labels, done.append)
    assert sum(done) == DRAWS * 200
    assert (found[100:] == DRAWS).all()
    assert 0 < found[:100].mean() < DRAWS


@pytest.mark.parametrize(("bundle", "right"), [("mien-m-int8", 70.69), ("mien-s-wide-int8", 69.71)])
def test_published_figures_repeat(fer2013, monkeypatch, bundle: str, right: float):
    """Image by image, for every ninth of PublicTest, in the framings it has among all of them."""
    public, published = fer2013.split("public"), results.predictions().field_of(bundle)
    assert round(25 * published.mean(), 2) == right
    every, rows = len(public.labels), slice(None, None, 9)
    monkeypatch.setattr(field, "draw", lambda number, seed: draw(every, seed)[rows])
    classifier = Classifier(open_bundle(bundle))
    found = count_right(classifier, public.take(np.arange(len(public))[rows]), public.labels[rows])
    assert found.tolist() == published[rows].tolist()
