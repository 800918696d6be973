"""`mien recognize --on`: what is asked for, and a run on Ray where it is installed."""

import importlib.util
import socket
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien import extras
from mien.cli import main
from mien.cli.clustering import check_alone, check_on
from mien.cluster.connection import check_answers
from mien.cluster.driver import Need
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


@pytest.mark.parametrize(
    ("sources", "out", "cards", "said"),
    [
        (["s3://bucket/photos"], None, 0, "s3://bucket/photos is in a store.*add --on local"),
        (["photos"], "gs://bucket/out", 0, "gs://bucket/out is in a store"),
        (["photos"], "out.parquet", 0.5, "--cards is the share of a worker of --on"),
    ],
)
def test_what_only_a_cluster_has(sources, out, cards, said):
    check_alone(["photos", "https://example.org/a.jpg", "rtsp://camera"], "out.parquet", 0)
    with pytest.raises(InputError, match=said):
        check_alone(sources, out, cards)


@pytest.mark.parametrize("address", ["ray://127.0.0.1:{}", "127.0.0.1:{}", "head:port"])
def test_a_cluster_that_is_not_there_is_told_at_once(address):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = address.format(server.getsockname()[1])
        if "port" not in address:
            check_answers(address)
    check_answers("local")
    with pytest.raises(InputError, match=r"nothing answers at .*; expected ray://HOST:10001"):
        check_answers(address)


@pytest.mark.parametrize(
    ("need", "machine", "workers"),
    [
        (Need(), {"CPU": 4.0}, 4),
        (Need(2), {"CPU": 3.0}, 1),
        (Need(2), {"CPU": 1.0}, 0),
        (Need(1, 0.25), {"CPU": 16.0, "GPU": 2.0}, 8),
        (Need(1, 0.4), {"CPU": 16.0, "GPU": 2.0}, 4),
        (Need(1, 0.1), {"CPU": 4.0, "GPU": 1.0}, 4),
        (Need(1, 1.0), {"CPU": 4.0}, 0),
    ],
)
def test_workers_that_find_room_on_a_machine(need, machine, workers):
    assert need.workers(machine) == workers


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
