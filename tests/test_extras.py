"""The line that installs what is missing: one that works, as mien is on no registry."""

import importlib.util
import json
from importlib import metadata

import pytest
from typer.testing import CliRunner

from mien import extras
from mien.cli import app

REQUIRES = [
    "numpy<3,>=1.26",
    "matplotlib>=3.9; extra == 'report'",
    'pandas>=2.2; extra == "report"',
    "mien[report]; extra == 'train'",
    "torch>=2.6; extra == 'train'",
    "mien[train,report]; extra == 'all'",
]


class Installed:
    """mien, as pip installed it."""

    requires = REQUIRES

    def __init__(self, told: object) -> None:
        self._told = told

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self._told is None else json.dumps(self._told)


@pytest.mark.parametrize(
    ("told", "extra", "line"),
    [
        (None, "report", "run: pip install 'matplotlib>=3.9' 'pandas>=2.2'"),
        (
            {"dir_info": {}},
            "train",
            "run: pip install 'matplotlib>=3.9' 'pandas>=2.2' 'torch>=2.6'",
        ),
        (
            {"archive_info": {}},
            "all",
            "run: pip install 'matplotlib>=3.9' 'pandas>=2.2' 'torch>=2.6'",
        ),
        (
            {"dir_info": {"editable": True}},
            "report",
            "run in the clone of mien: pip install -e '.[report]'",
        ),
    ],
)
def test_the_line_fits_how_mien_was_installed(monkeypatch, told, extra: str, line: str):
    monkeypatch.setattr(metadata, "distribution", lambda _: Installed(told))
    assert extras.remedy(extra) == line


def test_run_from_its_sources_it_is_a_clone(monkeypatch):
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    assert extras.remedy("serve").endswith("pip install -e '.[serve]'")


@pytest.mark.parametrize("package", ["fastapi", "httptools", "prometheus_client", "websockets"])
def test_a_service_that_lacks_a_package_does_not_start(monkeypatch, package: str):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        extras.importlib.util, "find_spec", lambda name: None if name == package else real(name)
    )
    told = CliRunner().invoke(app, ["serve"])
    assert str(told.exception).startswith(f"{package} is not installed; run")


@pytest.mark.parametrize("extra", ["report", "train", "search", "explain", "serve"])
def test_every_extra_has_packages(extra: str):
    found = extras.packages(metadata.distribution("mien"), extra)
    assert len(found) > 3
    assert not any("mien" in name or ";" in name for name in found)
