"""`mien recognize --on`: what is asked for, and a run on Ray where it is installed."""

import importlib.util
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien import extras
from mien.cli import main
from mien.cli.clustering import check_on
from mien.errors import InputError, MissingExtra
from mien.output.saved import read_table
from tests.fakes import brightness_bundle

HAS_RAY = importlib.util.find_spec("ray") is not None


def test_without_ray_one_line_says_what_to_install(monkeypatch):
    def find(name: str) -> object:
        return None if name == "ray" else real(name)

    real = importlib.util.find_spec
    monkeypatch.setattr(extras.importlib.util, "find_spec", find)
    with pytest.raises(MissingExtra, match=r"^ray is not installed; run.*ray"):
        check_on(["photos"], "out", {})


@pytest.mark.parametrize(
    ("sources", "out", "others", "said"),
    [
        (["photos"], None, {}, "add --parquet FOLDER"),
        (["photos"], __file__, {}, "expected a folder"),
        (["-"], "out", {}, "give a Parquet table of paths"),
        (["photos"], "out", {"--csv": Path("t.csv"), "--json": False}, "--csv cannot be had"),
    ],
)
def test_what_does_not_go_with_a_cluster(monkeypatch, sources, out, others, said):
    monkeypatch.setattr("mien.cli.clustering.installed", lambda *_, **__: None)
    with pytest.raises(InputError, match=said):
        check_on(sources, out, others)


@pytest.mark.skipif(not HAS_RAY, reason="no Ray; scripts/ray_proof.py proves it (mien[ray])")
def test_a_run_on_ray(tmp_path, monkeypatch, capsys):
    for number in range(5):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((20, 20), 50 * number, np.uint8))
    bundle = str(brightness_bundle(tmp_path / "bundle").folder)
    given = ["mien", "recognize", str(tmp_path), "--model", bundle, "--detector", "none"]
    given += ["--on", "local", "--parquet", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", given)
    for said in ("5 read, 5 faces", "0 read, 0 faces, 5 done before"):
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code and said in capsys.readouterr().out
    assert len(read_table(tmp_path / "out")) == 5
