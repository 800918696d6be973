"""Views of a face whose probabilities are averaged: what a test-time augmentation looks at."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mien.preprocess import scale

Images = NDArray[np.uint8]

_CROP = 11 / 12
"""Side of each of the ten crops, as a fraction of the face's."""


def plain(images: Images) -> Images:
    """(N, S, S) or, in colour, (N, S, S, 3) as they are."""
    return images


def flip(images: Images) -> Images:
    """(2N, S, S): the faces, then their mirror images."""
    return np.concatenate([images, images[:, :, ::-1]])


def ten_crop(images: Images) -> Images:
    """(10N, S, S): four corners and the centre, enlarged to S, and their mirror images."""
    size = images.shape[1]
    side = round(_CROP * size)
    end, middle = size - side, (size - side) // 2
    places = [(0, 0), (0, end), (end, 0), (end, end), (middle, middle)]
    crops = [
        scale(image[top : top + side, left : left + side], size)
        for top, left in places
        for image in images
    ]
    return flip(np.stack(crops))


VIEWS: Final[dict[str, Callable[[Images], Images]]] = {
    "plain": plain,
    "flip": flip,
    "ten-crop": ten_crop,
}


def passes(views: str) -> int:
    """How many times a network looks at each face for `views`."""
    return len(VIEWS[views](np.zeros((1, 12, 12), np.uint8)))
