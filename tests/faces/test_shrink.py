import numpy as np
import pytest

from mien.faces.shrink import shrunk


@pytest.mark.parametrize(
    ("shape", "longest_px", "made", "scale"),
    [
        ((40, 100), 50, (20, 50), 0.5),
        ((100, 40), 50, (50, 20), 0.5),
        ((100, 39), 50, (50, 20), 0.5),
        ((1, 300), 100, (1, 100), 1 / 3),
        ((300, 1), 100, (100, 1), 1 / 3),
        ((7, 3), 3.5, (4, 2), 0.5),
    ],
)
def test_the_longer_side_is_brought_to_the_limit(shape, longest_px, made, scale):
    smaller, told = shrunk(np.zeros((*shape, 3), np.uint8), longest_px)
    assert smaller.shape == (*made, 3)
    assert told == pytest.approx(scale)


@pytest.mark.parametrize("shape", [(50, 50), (50, 20), (1, 50)])
def test_a_picture_within_the_limit_is_left_as_it_is(shape):
    picture = np.zeros((*shape, 3), np.uint8)
    smaller, scale = shrunk(picture, 50)
    assert smaller is picture
    assert scale == 1


def test_shrinking_averages_over_areas():
    picture = np.zeros((4, 8, 3), np.uint8)
    picture[0, 0], picture[1, 1] = (200, 100, 40), (40, 0, 0)
    picture[2:, 6:] = (8, 16, 24)
    smaller, _ = shrunk(picture, 4)
    expected = np.zeros((2, 4, 3), np.uint8)
    expected[0, 0], expected[1, 3] = (60, 25, 10), (8, 16, 24)
    assert (smaller == expected).all()
