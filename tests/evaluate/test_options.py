"""Options are given by name, so that a call says what it asks for; results stay as they are."""

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Callable

import pytest

from mien.evaluate import calibrate, evaluate
from mien.evaluate.adversarial import score_attacks
from mien.evaluate.groups import by_groups
from mien.evaluate.intervals import bootstrap, mean_interval
from mien.evaluate.robustness import score_corruptions


@pytest.mark.parametrize(
    ("function", "required", "options"),
    [
        (calibrate, ["bundle", "data", "split"], ["views", "votes", "progress"]),
        (evaluate, ["bundle", "data", "split"], ["views", "votes", "jitter"]),
        (
            score_corruptions,
            ["evaluation", "bundle", "images"],
            ["kinds", "limit", "baseline", "progress"],
        ),
        (
            score_attacks,
            ["evaluation", "model", "preprocess", "images"],
            ["limit", "progress"],
        ),
        (by_groups, ["evaluation", "table"], ["minimum"]),
        (bootstrap, ["size", "statistic"], ["seed"]),
        (mean_interval, ["values"], ["seed"]),
    ],
)
def test_options_have_names(function: Callable, required: list[str], options: list[str]):
    told = inspect.signature(function).parameters.values()
    named = [p.name for p in told if p.kind is p.KEYWORD_ONLY]
    either = [p.name for p in told if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty]
    assert (either, named) == (required, options)


@pytest.mark.parametrize("part", ["evaluate", "audit", "explain", "report"])
def test_results_cannot_be_changed(part: str):
    package = importlib.import_module(f"mien.{part}")
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    modules = [importlib.import_module(f"mien.{part}.{name}") for name in names]
    results = {v for m in modules for v in vars(m).values() if dataclasses.is_dataclass(v)}
    assert results
    assert {r.__name__ for r in results if not r.__dataclass_params__.frozen} == set()
