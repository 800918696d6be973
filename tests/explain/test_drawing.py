import numpy as np
import pytest
from matplotlib import colormaps

from mien.errors import InputError
from mien.explain import Explanation, draw, drawing
from mien.output.boxes import plate

LEFT, RIGHT = slice(8, 328), slice(336, 656)
FACE = slice(30, 350)
"""Where the two panels lie in a row of 358 x 664 pixels."""


def explanation(map_: np.ndarray, crop: np.ndarray, method: str = "gradcam") -> Explanation:
    return Explanation(method, "happy", 0.876, map_.astype(np.float32), crop)


def test_the_face_is_on_the_left_and_in_colour():
    crop = np.zeros((48, 48, 3), np.uint8)
    crop[:] = 200, 100, 50
    row = draw([explanation(np.zeros((6, 6)), crop)])
    assert (row.shape, row.dtype) == ((358, 664, 3), np.uint8)
    assert (row[FACE, LEFT] == (200, 100, 50)).all()
    for edge in (row[:, :8], row[:, 328:336], row[:, 656:], row[350:]):
        assert (edge == 255).mean() > 0.97, "white around it but for words"


def test_grey_and_other_shapes_fill_the_square():
    crop = np.repeat(np.array([0, 255], np.uint8), 20)[None].repeat(10, 0)
    row = draw([explanation(np.zeros((6, 6)), crop)])
    assert (row[FACE, 8:160] == 0).all()
    assert (row[FACE, 176:328] == 255).all()


def test_faces_are_enlarged_by_cubic_curves():
    """Which overshoot beside an edge; straight lines do not."""
    crop = np.repeat(np.array([100, 150], np.uint8), 4)[None].repeat(8, 0)
    face = draw([explanation(np.zeros((6, 6)), crop)])[FACE, LEFT]
    assert face.min() < 98
    assert face.max() > 152


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.2, 0.3)])
def test_the_map_goes_from_its_lowest_to_its_highest_value(low: float, high: float):
    """Over the grey face, the more opaque the hotter: 0.3 of the first colour, 0.7 of the last."""
    crop = np.full((48, 48), 100, np.uint8)
    halves = np.repeat([low, high], 24)[None].repeat(48, 0)
    panel = draw([explanation(halves, crop)])[FACE, RIGHT].astype(float)
    first, last = (255 * np.array(colormaps["inferno"](end)[:3]) for end in (0.0, 1.0))
    assert abs(panel[:, :150] - (0.7 * 100 + 0.3 * first)).max() < 3
    assert abs(panel[:, 170:] - (0.3 * 100 + 0.7 * last)).max() < 3


def test_a_flat_map_is_dark_all_over():
    crop = np.full((48, 48), 100, np.uint8)
    panel = draw([explanation(np.full((6, 6), 0.5), crop)])[FACE, RIGHT]
    assert np.ptp(panel, axis=(0, 1)).max() == 0
    assert panel.max() < 100


@pytest.mark.parametrize(
    ("method", "words"),
    [("gradcam", "gradcam"), ("occlusion", "occlusion: brightest, 93 points lost")],
)
def test_words_above_the_panels(monkeypatch: pytest.MonkeyPatch, method: str, words: str):
    written: list[str] = []
    monkeypatch.setattr(drawing, "plate", lambda *a: written.append(a[0]) or plate(*a))
    found = np.zeros((6, 6))
    found[2, 2] = 0.93
    row = draw([explanation(found, np.full((48, 48), 100, np.uint8), method)])
    assert written == ["happy 88 %", words]
    for panel in (LEFT, RIGHT):
        assert row[:30, panel].min() < 100, "dark on white"


def test_a_row_per_face():
    one, other = (explanation(np.eye(6), np.full((9, 9), tone, np.uint8)) for tone in (0, 255))
    both = draw([one, other])
    assert (both[:358] == draw([one])).all()
    assert (both[358:] == draw([other])).all()


def test_nothing_to_draw():
    with pytest.raises(InputError, match="at least one explanation to draw"):
        draw([])
