"""What lies in examples/ runs, from start to end, in an empty folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """As a user has it: `mien` is a command."""
    commands = tmp_path / "commands"
    commands.mkdir()
    (commands / "mien").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mien "$@"\n')
    (commands / "mien").chmod(0o755)
    return {**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("command", "said", "written"),
    [
        (["read_photo.py"], "happy", ["drawn.png"]),
        (["film_to_table.py"], "150 rows", ["clip.mp4", "table.csv"]),
        (["train_and_compare.sh", "1", "70"], "page: ", ["comparison/index.html"]),
    ],
)
def test_a_script(
    command: list[str], said: str, written: list[str], tmp_path: Path, environment: dict[str, str]
):
    name, *arguments = command
    program = sys.executable if name.endswith(".py") else "sh"
    done = subprocess.run(
        [program, EXAMPLES / name, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert [name for name in written if not (tmp_path / name).is_file()] == []


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


def test_each_example_is_tried():
    tried = {"read_photo.py", "film_to_table.py", "train_and_compare.sh", "tour.ipynb"}
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == tried
