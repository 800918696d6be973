"""A package of someone else's adds models: they are trained, exported and used like mien's own."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from mien.bundle import open_bundle
from mien.cli import app
from mien.errors import RecipeError
from mien.models import Entry, build, entry, names, register, registry

NETS = """
from torch import nn
from mien.models import register


@register("my-net", paper="arXiv:0000.00000", size_px=24, mean=(0.4,), std=(0.3,))
def my_net(*, classes, channels, weights, width=4):
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(width, classes),
    )
"""
RECIPE = """
name: mine
model: {name: my-net, options: {width: 6}}
input: {size_px: 24, mean: [0.4], std: [0.3]}
training: {epochs: 1, batch: 32, optimizer: {name: sgd, lr: 0.01}}
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A folder of packages, with the distribution my-nets installed in it."""
    folder = tmp_path / "packages"
    told = folder / "my_nets-1.0.dist-info"
    told.mkdir(parents=True)
    (folder / "my_nets.py").write_text(NETS)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: my-nets\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("[mien.models]\nmy-net = my_nets\n")
    return folder


@pytest.fixture
def mien(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """`mien(*arguments)`: what a command prints that knows no plugin yet."""

    def run(*arguments: object) -> str:
        monkeypatch.setattr(registry, "_added", {})
        monkeypatch.delitem(sys.modules, "my_nets", raising=False)
        registry._load_plugins.cache_clear()
        done = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
        assert done.exit_code == 0, done.stderr
        return done.stdout

    yield run
    registry._load_plugins.cache_clear()


def test_a_plugin_s_model_is_trained_exported_and_recognises(
    plugin: Path, tmp_path: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch, mien
):
    monkeypatch.syspath_prepend(plugin)
    recipe, out = tmp_path / "mine.yaml", tmp_path / "run"
    recipe.write_text(RECIPE)
    mien("train", recipe, "--data", drawn, "--out", out)
    mien("export", out, "--out", tmp_path / "bundle")
    face = next((drawn / "test").rglob("*.png"))
    told = mien("recognize", face, "--detector", "none", "--model", tmp_path / "bundle", "--json")
    (reading,) = json.loads(told)
    assert reading["expressions"]


def test_a_model_that_a_program_registers_is_trained_and_exported(
    tmp_path: Path, drawn: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(registry, "_added", {})
    exec(NETS, {})
    (tmp_path / "mine.yaml").write_text(RECIPE)
    asked = ["train", tmp_path / "mine.yaml", "--data", drawn, "--out", tmp_path / "run"]
    CliRunner().invoke(app, [str(word) for word in asked], catch_exceptions=False)
    assert open_bundle(tmp_path / "run" / "bundle").card.paper == "arXiv:0000.00000"


@pytest.fixture
def plug(monkeypatch):
    """Install an entry point that gives `found`."""

    def install(found: object) -> None:
        def load() -> object:
            if isinstance(found, Exception):
                raise found
            return found

        point = SimpleNamespace(name="other", value="other", load=load)
        monkeypatch.setattr(registry, "_added", {})
        monkeypatch.setattr(registry, "entry_points", lambda group: [point])
        registry._load_plugins.cache_clear()

    yield install
    registry._load_plugins.cache_clear()


def small(*, classes, channels, weights):
    from torch import nn

    return nn.Linear(channels, classes)


@pytest.mark.parametrize("form", ["entry", "function", "builder"])
def test_an_entry_point_may_be_an_entry_or_what_registers_one(plug, form):
    if form == "entry":
        plug(Entry("other", small))
    elif form == "function":
        plug(lambda: register("other")(small) and None)
    else:
        plug(small)
        register("other")(small)
    assert "other" in names()
    assert entry("other").builder is small
    assert build("other", classes=7, channels=2).weight.shape == (7, 2)


def test_plugins_are_loaded_for_unknown_names_alone(plug):
    plug(ImportError("no module of that name"))
    assert entry("mien-s").name == "mien-s"
    message = r"the plugin other \(other\) cannot be loaded: no module of that name"
    with pytest.raises(RecipeError, match=message):
        entry("xyzzy")


def test_a_plugin_takes_no_name_of_mien_s(plug):
    plug(Entry("mien-s", small))
    with pytest.raises(RecipeError, match="the name 'mien-s' is taken by a model of mien"):
        names()
