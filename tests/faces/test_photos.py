"""The default detector on real photos: crowds made of the portrait, and pictures without a face."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage
from numpy.typing import NDArray

from mien.demo import PORTRAIT
from mien.faces import crop
from mien.faces.yunet import YuNet
from mien.sources import read_picture
from mien.types import Box, Face

FACE = (224, 117)  # middle of the portrait's face, in pixels
FACE_PX = 112
FACELESS = (  # a motorcycle's lamp among the others is a face to YuNet, at most scales
    *("brick.png", "cell.png", "chelsea.png", "chessboard_GRAY.png", "clock_motion.png"),
    *("coffee.png", "coins.png", "color.png", "grass.png", "gravel.png", "horse.png"),
    *("hubble_deep_field.jpg", "ihc.png", "logo.png", "microaneurysms.png", "moon.png"),
    *("page.png", "phantom.png", "retina.jpg", "rocket.jpg", "text.png"),
)


@pytest.fixture(scope="module")
def detector() -> YuNet:
    return YuNet()


def crowd(
    size: tuple[int, int], face_px: int, step_px: int
) -> tuple[NDArray[np.uint8], list[tuple[float, float]]]:
    """A picture full of portraits whose faces are `face_px` high, and where their faces are."""
    scale = face_px / FACE_PX
    portrait = read_picture(PORTRAIT)[:300, 90:370]
    small = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    canvas = np.full((size[1], size[0], 3), 120, np.uint8)
    places = []
    for y in range(0, size[1] - height, max(step_px, height)):
        for x in range(0, size[0] - width, max(step_px, width)):
            canvas[y : y + height, x : x + width] = small
            places.append((x + (FACE[0] - 90) * scale, y + FACE[1] * scale))
    return canvas, places


def holds(face: Face, place: tuple[float, float]) -> bool:
    box = face.box
    return box.x < place[0] < box.x + box.width and box.y < place[1] < box.y + box.height


@pytest.mark.parametrize(
    ("size", "face_px", "step_px"),
    [
        ((640, 480), 40, 110),
        ((640, 480), 112, 0),
        ((1280, 720), 40, 150),
        ((1920, 1080), 40, 190),
        ((1920, 1080), 300, 0),
        ((4000, 3000), 40, 370),
        ((4000, 3000), 200, 700),
        ((4000, 3000), 900, 0),
        ((12_000, 400), 60, 600),
    ],
)
def test_every_frontal_face_of_40_px_and_more_is_found_once(detector, size, face_px, step_px):
    picture, places = crowd(size, face_px, step_px)
    faces = detector.detect(picture)
    assert len(places) >= 1
    assert [sum(holds(face, place) for face in faces) for place in places] == [1] * len(places)
    assert len(faces) == len(places)
    sides = [max(face.box.width, face.box.height) / face_px for face in faces]
    assert min(sides) > 0.7
    assert max(sides) < 1.6


def test_a_tilted_face_in_a_panorama_is_turned(detector):
    """OpenCV alone turns no picture of 32,767 px and more."""
    picture, places = crowd((33_000, 300), 100, 16_000)
    x, y = map(round, places[1])
    level = Face(Box(x - 50, y - 50, 100, 100))
    fallen = Face(level.box, 1.0, ((x, y - 9), (x, y + 9), (x, y), (x, y), (x, y)))
    turned = np.rot90(crop(picture, level, detector))  # anticlockwise, as the eyes fell clockwise
    difference = crop(picture, fallen, detector).astype(int) - turned
    assert np.abs(difference)[2:-2, 2:-2].mean() < 12  # the turn is half a pixel off


@pytest.mark.parametrize("name", FACELESS)
def test_no_face_is_found_where_there_is_none(detector, name: str):
    folder = Path(skimage.__file__).parent / "data"
    assert detector.detect(read_picture(folder / name)) == []


def test_the_network_in_the_package_says_what_opencv_s_own_yunet_says(detector, shared: Path):
    """`scripts/yunet.py` made it of their file; the look at a portrait is exactly theirs."""
    picture, _ = crowd((640, 640), 60, 150)
    weights = shared / "models" / "face_detection_yunet_2023mar.onnx"
    theirs = cv2.FaceDetectorYN.create(str(weights), "", (640, 640), 0.65, 0.3)
    _, rows = theirs.detect(np.ascontiguousarray(picture[:, :, ::-1]))
    (ours,) = detector._answers([picture], 0.65)
    assert len(ours) == len(rows) > 8
    by_place = [r[np.lexsort((r[:, 0].round(), r[:, 1].round()))] for r in (ours, rows)]
    assert np.allclose(*by_place, atol=0.05)
