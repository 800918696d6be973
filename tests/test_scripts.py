"""What maintainers run still fits the code that it imports."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import brightness_bundle

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.mark.parametrize("name", sorted(path.stem for path in SCRIPTS.glob("*.py")))
def test_a_script_can_be_imported(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))  # as if it were run
    assert importlib.import_module(f"scripts.{name}").__doc__


def test_a_killed_run_of_a_mixed_folder_ends_with_the_same_bytes(tmp_path: Path, monkeypatch):
    """A small sample of what `scripts/batches.py` does with 5,000 files."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    batches = importlib.import_module("scripts.batches")
    for kind in ("FILM", "BROKEN", "FOREIGN"):
        monkeypatch.setattr(batches, f"{kind}_SHARE", 0.1)
    rng = np.random.default_rng(1)
    kinds = batches.make_folder(tmp_path / "album", 40, rng)
    assert set(kinds.values()) >= {"photo", "film", "broken", "foreign"}
    bundle = str(brightness_bundle(tmp_path / "bundle").folder)
    options = ["--model", bundle, "--detector", "none"]
    assert batches.compare(tmp_path, kinds, options, 1, rng) == []
