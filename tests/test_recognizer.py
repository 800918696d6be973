import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import mien
from mien.bundle import DEFAULT, Classifier
from mien.demo import PORTRAIT
from mien.errors import BundleError, InputError, PictureError, ShapeError
from mien.faces import weights
from tests.fakes import brightness_bundle


@pytest.fixture
def brightness(tmp_path: Path) -> Path:
    return brightness_bundle(tmp_path / "brightness").folder


@pytest.mark.parametrize("detector", ["haar", "yunet"])
def test_the_portrait_smiles(detector: str, request, tmp_path: Path, monkeypatch):
    if detector == "yunet":
        shared = request.getfixturevalue("shared")
        monkeypatch.setenv("MIEN_HOME", str(tmp_path))
        shutil.copy(shared / "models" / weights.YUNET.name, tmp_path)
    (reading,) = mien.Recognizer(detector=detector).recognize(PORTRAIT)
    assert reading.label == "happy"
    assert reading.confidence > 0.5
    assert sum(reading.scores.values) == pytest.approx(1)


def test_the_short_call_reads_a_path():
    assert [r.label for r in mien.recognize(str(PORTRAIT))] == ["happy"]


def test_a_picture_without_a_face_gives_no_reading(brightness: Path):
    recognizer = mien.Recognizer(brightness, detector="haar")
    assert recognizer.recognize(np.zeros((100, 100, 3), np.uint8)) == []


def test_a_path_and_its_pixels_give_the_same(brightness: Path, tmp_path: Path):
    recognizer = mien.Recognizer(brightness, detector="none")
    pixels = np.random.default_rng(0).integers(0, 256, (50, 40, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "p.png"), pixels[:, :, ::-1])
    (named,), (alone,) = recognizer.recognize(tmp_path / "p.png"), recognizer.recognize(pixels)
    assert named.path == str(tmp_path / "p.png")
    assert dataclasses.replace(named, path=None) == alone


def test_any_object_that_detects_is_a_detector(brightness: Path):
    class Two:
        name, margin = "two", 1.0

        def detect(self, picture):
            return [mien.Face(mien.Box(0, 0, 10, 10)), mien.Face(mien.Box(10, 0, 10, 10))]

    picture = np.zeros((10, 20, 3), np.uint8)
    picture[:, 10:] = 255
    found = mien.Recognizer(brightness, detector=Two()).recognize(picture)
    assert [r.label for r in found] == ["angry", "surprise"]


@pytest.mark.parametrize("size_px", [8, 32, 96])
def test_a_crop_is_brought_to_size_once(tmp_path: Path, size_px: int):
    bundle = brightness_bundle(tmp_path / "b", size_px=size_px)
    face = np.random.default_rng(0).integers(0, 256, (150, 150)).astype(np.uint8)
    recognizer = mien.Recognizer(bundle.folder, detector="none")
    expected = Classifier(bundle).probabilities([face])[0]
    assert recognizer.classify([face])[0].values == pytest.approx(expected)
    assert recognizer.recognize(face)[0].scores.values == pytest.approx(expected)


def test_an_iterator_is_read_to_its_end(brightness: Path):
    recognizer = mien.Recognizer(brightness, detector="none")
    pictures = [np.full((20, 20, 3), 60 * i, np.uint8) for i in range(4)]
    expected = [r.label for r in recognizer.recognize(pictures)]
    assert len(set(expected)) > 1
    assert [r.label for r in recognizer.recognize(iter(pictures))] == expected


def test_a_folder_of_the_same_name_does_not_replace_a_bundle(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / DEFAULT).mkdir()
    assert mien.Recognizer(detector="none").labels
    with pytest.raises(BundleError, match=r"card\.json is missing"):
        mien.Recognizer(f"./{DEFAULT}")


@pytest.mark.parametrize(
    ("argument", "error", "message"),
    [
        ("gone.jpg", InputError, "does not exist"),
        (np.zeros((4, 4, 2), np.uint8), ShapeError, "expected 1, 3 or 4 channels, got 2"),
        (np.zeros((0, 4, 3), np.uint8), ShapeError, r"expected a \(H, W, 3\) uint8"),
        (3.5, InputError, "got float"),
        (None, InputError, "got NoneType"),
        (np.zeros((4, 4, 3)), ShapeError, "float64"),
    ],
)
def test_what_is_no_picture(brightness: Path, argument, error, message):
    with pytest.raises(error, match=message):
        mien.Recognizer(brightness, detector="none").recognize(argument)


def test_a_text_file_is_no_picture(brightness: Path, tmp_path: Path):
    (tmp_path / "a.jpg").write_text("hello")
    with pytest.raises(PictureError, match="not a readable picture"):
        mien.Recognizer(brightness, detector="none").recognize(tmp_path / "a.jpg")


def test_unknown_models_and_keywords_are_refused():
    with pytest.raises(BundleError, match="no bundle 'vgg'"):
        mien.Recognizer("vgg")
    with pytest.raises(TypeError):
        mien.Recognizer(batch=3)  # type: ignore[call-arg]


def test_import_is_light_and_recognition_needs_no_torch():
    code = (
        "import sys, mien; "
        "heavy = {'torch', 'cv2', 'onnxruntime', 'numpy'} & set(sys.modules); "
        "assert not heavy, heavy; "
        f"mien.Recognizer(detector='haar').recognize({str(PORTRAIT)!r}); "
        "late = {'torch', 'pandas', 'matplotlib', 'pydantic'} & set(sys.modules); "
        "assert not late, late"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names():
    assert set(mien.__all__) <= set(dir(mien))
    for name in mien.__all__:
        assert getattr(mien, name)
    with pytest.raises(AttributeError):
        mien.nothing  # noqa: B018
