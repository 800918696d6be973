"""Noise of a small face: how much there is, and how it is taken away."""

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

SPIKES = 0.003
"""Share of spikes from which a face has impulse noise: 1 in 100 of FER-2013's faces has more than
0.22 %, 1 in 20 has less than 0.52 % where one pixel in a hundred was made black or white."""
NOISY = 10.0
"""Deviation from which a face is noisy, in grey levels: 1 in 100 of FER-2013's has more than 6."""
_STEP = 40
"""A spike differs by more from all eight pixels around it, in grey levels."""
_HOLE = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
_DETAIL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


def denoised(image: Image) -> Image:
    """(H, W) or (H, W, 3) uint8 from the same; a face without noise stays as it is.

    Where there are spikes, pixels far from the median around them become it. Other noise is
    smoothed by a bilateral filter of its strength (Tomasi & Manduchi 1998).
    """
    import cv2

    if spikes(image) > SPIKES:
        median = cv2.medianBlur(image, 3)
        far = cv2.absdiff(image, median) > max(4 * deviation(image), _STEP)
        image = np.where(far, median, image)
    found = deviation(image)
    return np.asarray(cv2.bilateralFilter(image, 5, 3 * found, 1.5)) if found > NOISY else image


def spikes(image: Image) -> float:
    """Share of the pixels that stand out from all around them."""
    import cv2

    above = cv2.subtract(image, cv2.dilate(image, _HOLE)) > _STEP
    below = cv2.subtract(cv2.erode(image, _HOLE), image) > _STEP
    return float((above | below).mean())


def deviation(image: Image) -> float:
    """Standard deviation of the noise, in grey levels: Immerkaer 1996
    (doi:10.1006/cviu.1996.0060), by the median, which spikes and edges do not move."""
    import cv2

    return float(np.median(abs(cv2.filter2D(image, cv2.CV_32F, _DETAIL))) / 0.6745 / 6)
