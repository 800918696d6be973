import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

from mien.cli import main


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["mien", "data", "audit", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_the_command_counts_and_writes(drawn: Path, tmp_path: Path, monkeypatch, capsys):
    assert run(monkeypatch, drawn, "--out", tmp_path / "out") == 0
    shown = capsys.readouterr().out
    assert "MD301" in shown
    assert "Training pictures in a test split, pixel for pixel" in shown
    assert (tmp_path / "out" / "index.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "data set none does not exist"),
        (["faces", "--votes", "none.csv"], "FER+ table none.csv does not exist"),
        (["faces", "--predictions", "none"], "none holds no evaluation"),
        (["faces", "--model", "mien-s", "--folds", "1"], "expected 2 folds or more"),
        (["faces", "--folds", "3"], "--folds needs --model"),
    ],
)
def test_mistakes_are_one_line(
    drawn: Path, tmp_path: Path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "faces").symlink_to(drawn)
    assert run(monkeypatch, *arguments, "--out", "out") == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()
