"""Names in figures: at their points, one never over another, numbers on a phone."""

import itertools
import re

import pytest
from matplotlib.text import Text

from mien.evaluate.intervals import Estimate
from mien.report.curves import accuracy_by_cost
from mien.report.figures import bars, drawing
from mien.report.names import apart


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ([], []),
        ([5], [5]),
        ([50, 20], [50, 20]),
        ([50, 52], [46, 56]),
        ([50, 50, 50], [40, 50, 60]),
        ([0, 0], [0, 10]),
        ([99, 100], [90, 100]),
        ([30, 20, 25, 90], [35, 15, 25, 90]),
    ],
)
def test_places_are_moved_apart_as_little_as_possible(wanted: list[float], places: list[float]):
    assert apart(wanted, 10, 100) == pytest.approx(places)


NAMES = [f"a-network-of-some-name-{number}" for number in range(10)]


def crowded():
    """Ten networks that are all but equal."""
    near = {
        name: (80_000_000 + 2_000_000 * n, Estimate(0.7 + n / 2000, 0.68, 0.73))
        for n, name in enumerate(NAMES)
    }
    return accuracy_by_cost(near, len(near))


def test_no_name_covers_another():
    figure = crowded()
    figure.draw_without_rendering()
    texts = figure.axes[0].texts
    assert [text.get_text() for text in texts] == NAMES
    boxes = [Text.get_window_extent(text) for text in texts]  # without their leaders
    assert not [pair for pair in itertools.combinations(boxes, 2) if pair[0].overlaps(pair[1])]


def test_a_drawing_for_a_phone_has_numbers_and_the_names_below():
    found = drawing(crowded)
    words = {size: re.findall(r"<text.*?>(.*?)</text>", svg) for size, svg in found.items()}
    assert set(NAMES) <= set(words["wide"])
    assert {f"{number} {name}" for number, name in enumerate(NAMES, 1)} <= set(words["narrow"])
    widths = {size: float(re.search('width="(.+?)pt"', svg)[1]) for size, svg in found.items()}
    assert widths["narrow"] < 400 < 600 < widths["wide"]


def test_a_drawing_follows_the_page_and_shares_no_name_with_another():
    found = drawing(crowded)
    for svg in found.values():
        assert "var(--ink)" in svg
        assert "var(--series-0)" in svg
        assert not re.search("#1d2129|http|<style|<metadata", svg)
    one, other = (set(re.findall('id="(.+?)"', svg)) for svg in found.values())
    assert one
    assert not one & other
    for svg, ids in zip(found.values(), (one, other), strict=True):
        assert set(re.findall(r"#([^\")]+)", svg)) <= ids, "what is referred to is there"
    assert drawing(crowded) == found


def test_numbers_in_a_drawing_are_whole():
    found = drawing(lambda: bars(["a"], {"weight": [0.12345]}, "weight", "{:.4f}"))
    assert ">0.1235<" in found["wide"]
    assert not re.search(r'="[^"]*\.\d{3}', found["wide"]), "those of places are short"
