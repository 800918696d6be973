from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mien.bundle import Classifier, bundle_names, open_bundle, softmax
from mien.errors import BundleError
from tests.fakes import brightness_bundle


@pytest.mark.parametrize("name", bundle_names())
def test_each_shipped_bundle_opens_and_gives_probabilities(name: str):
    bundle = open_bundle(name)
    classifier = Classifier(bundle)
    faces = np.random.default_rng(0).integers(0, 256, (3, 48, 48)).astype(np.uint8)
    rows = classifier.probabilities(faces)
    assert rows.shape == (3, len(bundle.card.labels))
    assert np.allclose(rows.sum(1), 1)
    assert bundle.card.measured, "a shipped bundle states its accuracy"


def test_there_is_a_default_bundle():
    assert open_bundle().card.labels[0] == "angry"


def test_a_changed_model_file_is_refused(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    with bundle.model_file.open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match="does not match its card"):
        open_bundle(bundle.folder)


def test_a_missing_model_file(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    bundle.model_file.unlink()
    with pytest.raises(BundleError, match=r"model\.onnx is missing"):
        open_bundle(bundle.folder)


@pytest.mark.parametrize(
    ("name", "message"), [("nope", "shipped: "), (".", "card[.]json is missing")]
)
def test_what_is_no_bundle(tmp_path: Path, monkeypatch, name: str, message: str):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match=message):
        open_bundle(name)


def test_an_onnx_file_that_does_not_run(tmp_path: Path):
    import dataclasses

    from mien.files import sha256

    bundle = brightness_bundle(tmp_path / "b")
    bundle.model_file.write_bytes(b"not a network")
    card = dataclasses.replace(bundle.card, digest=sha256(bundle.model_file))
    card.save(bundle.folder / "card.json")
    with pytest.raises(BundleError, match="cannot be run"):
        Classifier(open_bundle(bundle.folder))


@pytest.mark.parametrize(("grey", "label"), [(0, "angry"), (128, "happy"), (255, "surprise")])
def test_the_brightness_network_reads_brightness(tmp_path: Path, grey: int, label: str):
    bundle = brightness_bundle(tmp_path / "b")
    crops = [np.full((20, 30), grey, np.uint8), np.full((9, 9, 3), grey, np.uint8)]
    rows = Classifier(bundle).probabilities(crops)
    assert [bundle.card.labels[i] for i in rows.argmax(1)] == [label, label]


def test_no_crop_gives_no_row(tmp_path: Path):
    assert Classifier(brightness_bundle(tmp_path / "b")).probabilities([]).shape == (0, 7)


def test_a_temperature_flattens_but_keeps_the_order(tmp_path: Path):
    import dataclasses

    bundle = brightness_bundle(tmp_path / "b")
    warm = dataclasses.replace(bundle, card=dataclasses.replace(bundle.card, temperature=4.0))
    face = [np.full((8, 8), 200, np.uint8)]
    cold, hot = (Classifier(b).probabilities(face)[0] for b in (bundle, warm))
    assert cold.max() > hot.max()
    assert (cold.argsort() == hot.argsort()).all()


def test_threads_share_one_classifier(tmp_path: Path):
    classifier = Classifier(brightness_bundle(tmp_path / "b"))
    faces = np.random.default_rng(0).integers(0, 256, (64, 8, 8)).astype(np.uint8)
    alone = classifier.probabilities(faces)
    with ThreadPoolExecutor(8) as pool:
        shared = list(pool.map(lambda i: classifier.probabilities(faces[i : i + 1])[0], range(64)))
    assert np.allclose(alone, shared)


def test_softmax_survives_large_logits():
    rows = softmax(np.array([[1000.0, 0.0], [-1000.0, -1000.0]]))
    assert np.allclose(rows, [[1, 0], [0.5, 0.5]])
