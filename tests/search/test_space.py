"""The file that says what a search may try."""

from pathlib import Path
from typing import Any

import pytest

from mien.errors import InputError, RecipeError
from mien.search.space import Range, Space, check_space, overrides, read_space


def written(folder: Path, text: str) -> Path:
    path = folder / "space.yaml"
    path.write_text(text)
    return path


def test_ranges_and_choices_are_read(tmp_path: Path):
    space = read_space(
        written(
            tmp_path,
            "training.optimizer.lr: {low: 0.001, high: 0.1, log: true}\n"
            "training.batch: [64, 128]\n"
            "augment.zoom: [[1, 1], [0.9, 1.1]]\n",
        )
    )
    assert space.keys == {
        "training.optimizer.lr": Range(0.001, 0.1, log=True),
        "training.batch": (64, 128),
        "augment.zoom": ("[1, 1]", "[0.9, 1.1]"),
    }
    assert [space.is_log(key) for key in space.keys] == [True, False, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected keys of a recipe"),
        ("[1, 2]", "expected keys of a recipe"),
        ("a: {", "not valid YAML"),
        ("training.epochs: 3", "expected a list of choices"),
        ("training.epochs: []", "expected a list of choices"),
        ("lr: {low: 1}", "expected a list of choices"),
        ("lr: {low: 1, hihg: 2}", "unknown 'hihg', there are: low, high, step, log"),
        ("lr: {low: 2, high: 1}", "low must be below high, got 2 and 1"),
        ("lr: {low: 0, high: 1, log: true}", "log: true needs low above 0"),
        ("lr: {low: 0, high: 1, step: -1}", "step must be above 0, got -1"),
        ("lr: {low: a, high: b}", "expected a list of choices"),
        ("lr: {low: 0, high: .inf}", "low must be below high"),
    ],
)
def test_what_is_no_space_is_said(text: str, message: str, tmp_path: Path):
    with pytest.raises(RecipeError, match=message):
        read_space(written(tmp_path, text))


def test_a_missing_file_is_said(tmp_path: Path):
    with pytest.raises(InputError, match="search space"):
        read_space(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("key", "domain", "message"),
    [
        ("training.lr", Range(0.1, 1), "did you mean training.optimizer.lr"),
        ("augment.erase", Range(0.5, 2.0), "augment.erase"),  # its upper end is refused
        ("model.options.widhts", (1, 2), "widhts"),
        ("training.optimizer.name", ("sgd", "lion"), "lion"),
    ],
)
def test_keys_and_values_that_the_recipe_refuses_are_said_at_once(key, domain, message):
    with pytest.raises(RecipeError, match=message):
        check_space("mien-s", [], Space({key: domain}))


def test_a_space_that_holds_gives_the_recipe_of_its_first_values():
    space = Space({"training.batch": (32, 64), "augment.zoom": ("[1, 1]", "[0.9, 1.1]")})
    recipe = check_space("mien-s", ["training.epochs=2"], space)
    assert (recipe.training.batch, recipe.augment.zoom) == (32, (1, 1))
    assert recipe.training.epochs == 2


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (Range(0.0, 0.3, step=0.1), [0, 0.1, 0.2, 0.3]),
        (Range(1, 4), [1, 2, 3, 4]),
        (Range(10, 31, step=10), [10, 20, 30]),
        (("a", "b"), ["a", "b"]),
    ],
)
def test_the_grid_of_a_key(domain: Any, values: list[Any]):
    assert Space({"k": domain}).grid() == {"k": values}


@pytest.mark.parametrize("domain", [Range(0.0, 1.0), Range(1, 9, log=True)])
def test_a_grid_needs_steps(domain: Range):
    with pytest.raises(RecipeError, match=r"k: a grid needs a list of choices or a step"):
        Space({"k": domain}).grid()


def test_values_reach_the_recipe_in_six_digits():
    values = {"training.optimizer.lr": 0.123456789, "augment.zoom": "[0.9, 1.1]", "seed": 3}
    assert overrides(values) == [
        "training.optimizer.lr=0.123457",
        "augment.zoom=[0.9, 1.1]",
        "seed=3",
    ]
