import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.demo import PORTRAIT
from mien.errors import InputError, WeightsError
from mien.faces import crop, open_detector, weights
from mien.faces.haar import Haar
from mien.faces.weights import YUNET, locate
from mien.faces.yunet import YuNet
from mien.sources import read_picture
from mien.types import Box

FACE_OF_THE_PORTRAIT = (224, 117)  # its centre in pixels, read off the picture


@pytest.fixture
def yunet_home(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    shutil.copy(shared / "models" / YUNET.name, tmp_path)
    return tmp_path


def holds(box: Box, point: tuple[int, int]) -> bool:
    return box.x < point[0] < box.x + box.width and box.y < point[1] < box.y + box.height


def test_haar_finds_the_portrait():
    faces = Haar().detect(read_picture(PORTRAIT))
    assert len(faces) == 1
    assert holds(faces[0].box, FACE_OF_THE_PORTRAIT)
    assert faces[0].score is None


def test_yunet_finds_the_portrait_with_a_score(yunet_home: Path):
    faces = YuNet().detect(read_picture(PORTRAIT))
    assert len(faces) == 1
    assert holds(faces[0].box, FACE_OF_THE_PORTRAIT)
    assert 0.7 <= faces[0].score <= 1


@pytest.mark.parametrize("kind", [Haar, YuNet])
def test_boxes_of_a_large_picture_are_in_its_own_pixels(kind, yunet_home: Path):
    picture = cv2.resize(read_picture(PORTRAIT), None, fx=4, fy=4)
    box = kind().detect(picture)[0].box
    assert holds(box, (4 * FACE_OF_THE_PORTRAIT[0], 4 * FACE_OF_THE_PORTRAIT[1]))
    assert 200 < box.width < 900


@pytest.mark.parametrize("kind", [Haar, YuNet])
@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (480, 640)])
def test_a_picture_without_a_face_has_none(kind, shape, yunet_home: Path):
    assert kind().detect(np.full((*shape, 3), 90, np.uint8)) == []


def test_the_largest_face_comes_first(yunet_home: Path):
    portrait = read_picture(PORTRAIT)
    small = cv2.resize(portrait, (256, 256))
    both = np.zeros((512, 768, 3), np.uint8)
    both[:256, :256], both[:, 256:] = small, portrait
    areas = [f.box.width * f.box.height for f in YuNet().detect(both)]
    assert len(areas) == 2
    assert areas[0] > areas[1]


def test_none_takes_the_whole_picture():
    detector = open_detector("none")
    picture = np.zeros((30, 20, 3), np.uint8)
    (face,) = detector.detect(picture)
    assert face.box == Box(0, 0, 20, 30)
    assert crop(picture, face, detector) is picture


def test_an_unknown_detector_is_named():
    with pytest.raises(InputError, match="there are: auto, yunet, haar, none"):
        open_detector("mtcnn")


def test_without_weights_auto_falls_back_to_haar_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "_said", set())
    assert [open_detector("auto").name for _ in range(3)] == ["haar"] * 3
    said = capsys.readouterr().err
    assert said.count("Haar") == 1
    assert "MIEN_OFFLINE is set" in said


def test_auto_is_yunet_where_its_weights_lie(yunet_home: Path):
    assert open_detector("auto").name == "yunet"


def test_damaged_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MIEN_HOME", str(tmp_path))
    (tmp_path / YUNET.name).write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="wrong sha256"):
        open_detector("yunet")


@pytest.mark.parametrize("honest", [True, False])
def test_a_download_is_kept_only_with_the_right_digest(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, honest: bool
):
    import dataclasses

    served = tmp_path / "served.onnx"
    served.write_bytes((shared / "models" / YUNET.name).read_bytes() if honest else b"another")
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MIEN_OFFLINE", "0")
    local = dataclasses.replace(YUNET, url=served.as_uri())
    if honest:
        assert locate(local).read_bytes() == served.read_bytes()
    else:
        with pytest.raises(WeightsError, match="sent another file"):
            locate(local)
        assert not list((tmp_path / "home").glob("*"))


def test_a_place_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import dataclasses

    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MIEN_OFFLINE", "0")
    gone = dataclasses.replace(YUNET, url=(tmp_path / "gone").as_uri())
    with pytest.raises(WeightsError, match="cannot be downloaded"):
        locate(gone)
