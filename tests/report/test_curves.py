import io
import warnings

import numpy as np
import pytest
from PIL import Image

from mien.evaluate.calibration import coverage, reliability
from mien.report.curves import coverage_curves, reliability_diagrams
from mien.report.figures import look

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 7, 200)
PROBABILITIES = RNG.dirichlet(np.ones(7), 200)


def drawings(models: int) -> list[bytes]:
    names = [f"a network of some name {i}" for i in range(models)]
    bins = dict.fromkeys(names, reliability(PROBABILITIES, TRUTH))
    return [
        reliability_diagrams(bins, bins),
        coverage_curves(dict.fromkeys(names, coverage(PROBABILITIES, TRUTH))),
    ]


@pytest.mark.parametrize("models", [1, 20])
def test_names_of_many_models_fit_under_a_figure(models):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib's, of panels without room
        for drawn, fewer in zip(drawings(models), drawings(1), strict=True):
            width, height = Image.open(io.BytesIO(drawn)).size
            assert width <= 9 * 160
            assert height >= Image.open(io.BytesIO(fewer)).size[1]


def test_no_two_of_many_lines_look_alike():
    assert len({tuple(look(i).values()) for i in range(24)}) == 24
