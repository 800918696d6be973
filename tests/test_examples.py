"""What lies in examples/ runs, from start to end, in an empty folder."""

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mien.cli import main
from mien.cli.serving import PREFIX, serve

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(command: list[object], folder: Path, **more: str) -> str:
    """What a program prints that runs in `folder`."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **more}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "said", "written"),
    [
        ("read_photo.py", "happy", ["drawn.png"]),
        ("film_to_table.py", "150 rows", ["clip.mp4", "table.csv"]),
    ],
)
def test_a_script(name: str, said: str, written: list[str], tmp_path: Path):
    assert said in run([sys.executable, EXAMPLES / name], tmp_path)
    assert [name for name in written if not (tmp_path / name).is_file()] == []


def test_the_shell_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Its commands, in order, in this process: in one of their own each imports torch anew."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mien").write_text('#!/bin/sh\nprintf "%s\\n" "mien $*"\n')
    (tmp_path / "bin" / "mien").chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    told = run(["sh", EXAMPLES / "train_and_compare.sh", "1", "70"], tmp_path, PATH=path)
    monkeypatch.chdir(tmp_path)
    for command in told.splitlines():
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code, command
    assert "page: " in capsys.readouterr().out
    assert (tmp_path / "comparison" / "index.html").is_file()


def test_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its cells, in order. No output is stored in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = json.loads((EXAMPLES / "tour.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["outputs"] for cell in cells] == [[]] * len(cells)
    names: dict[str, object] = {}
    for cell in cells:
        exec("".join(cell["source"]), names)


def test_the_settings_of_several_services_are_options_of_one():
    """And the address that is changed for nginx stands once in its file."""
    told = yaml.safe_load((EXAMPLES / "replicas.yaml").read_text())["services"]
    names = [n for n in told["mien"]["environment"] if n.startswith(PREFIX)]
    options = inspect.signature(serve).parameters
    assert names and {name.removeprefix(f"{PREFIX}_").lower() for name in names} <= {*options}
    found = re.search(r"sed s/(.*?)/mien:8000/", told["nginx"]["command"])[1]
    assert (EXAMPLES / "nginx.conf").read_text().count(found) == 1


def test_each_example_is_tried():
    tried = {"read_photo.py", "film_to_table.py", "train_and_compare.sh", "tour.ipynb"}
    tried.add("replicas.yaml")
    tried.add("nginx.conf")  # by tests/serve/test_proxy.py
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == tried
