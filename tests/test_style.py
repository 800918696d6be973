"""The colours of expressions are told apart by everyone, and are the same everywhere."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.labels import EIGHT, MAFW
from mien.style import COLOURS, SPARE, font, ink_on, luminance, palette, rgb, text_px

SIGHTS = {
    "usual": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""Machado, Oliveira & Fernandes 2009, severity 1, for linear RGB."""
PAIRS = [*itertools.combinations(EIGHT, 2)]
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def seen(colour: str, sight: str) -> NDArray[np.float64]:
    """L*, a* and b* (D65) as it is seen."""
    srgb = np.array(rgb(colour)) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    shown = np.clip(np.asarray(SIGHTS[sight]) @ linear, 0, 1)
    white = XYZ @ shown / XYZ.sum(1)
    f = np.where(white > 0.008856, np.cbrt(white), 7.787 * white + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_expressions_are_told_apart_with_any_kind_of_colour_vision(sight: str, pair):
    one, other = (seen(COLOURS[label], sight) for label in pair)
    assert np.linalg.norm(one - other) >= 24


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_in_grey_there_is_a_border_between_any_two(pair):
    one, other = (seen(COLOURS[label], "usual")[0] for label in pair)
    assert abs(one - other) >= 7


@pytest.mark.parametrize("colour", [*COLOURS.values(), *SPARE, "#000000", "#ffffff", "#767676"])
def test_words_can_be_read_on_any_colour(colour: str):
    dark, light = sorted((luminance(colour), luminance(ink_on(colour))))
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_other_words_have_colours_of_their_own():
    assert len({*palette(MAFW).values()}) == len(MAFW)
    assert palette(("happy", "wink"))["happy"] == COLOURS["happy"]
    assert palette([str(i) for i in range(9)])["0"] == SPARE[0]


@pytest.mark.parametrize(
    ("size", "faces", "expected"),
    [
        ((80, 80), 1, 12),  # the smallest that can be read
        ((640, 360), 1, 15),
        ((1920, 1080), 1, 43),  # 10 px where it is 390 wide, on a phone
        ((4000, 500), 1, 22),
        ((4000, 3000), 1, 104),
        ((3000, 4000), 6, 78),
        ((4000, 3000), 24, 50),  # smaller in a crowd
    ],
)
def test_words_are_in_proportion_to_the_picture(size, faces, expected):
    assert text_px(*size, faces) == expected


def test_the_typeface_has_every_letter_of_ascii():
    letters = [chr(code) for code in range(33, 127)]
    assert len({bytes(font(20).getmask(letter)) for letter in letters}) == len(letters)
