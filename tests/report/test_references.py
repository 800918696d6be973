from pathlib import Path

import pytest

from mien.errors import InputError
from mien.report.references import Published, Reference, read_reference

OURS = Published("attention", 0.5, 9, "a paper")


def test_the_report_s_figures_are_in_the_package():
    found = read_reference("report")
    assert {name: p.accuracy for name, p in found.figures.items()} == {
        "resnet50": 0.2481,
        "attention": 0.2641,
        "mobilenetv2": 0.5054,
    }
    assert {p.n for p in found.figures.values()} == {7178}
    assert "merged test" in found.note


@pytest.mark.parametrize(
    ("name", "text", "note"),
    [
        ("a.csv", "model,accuracy,n,source\nattention,0.5,9,a paper\n", ""),
        (
            "a.yaml",
            "note: mind\nfigures: [{model: attention, accuracy: 0.5, n: 9, source: a paper}]",
            "mind",
        ),
    ],
)
def test_figures_of_a_file(tmp_path: Path, name: str, text: str, note: str):
    (tmp_path / name).write_text(text)
    assert read_reference(tmp_path / name) == Reference({"attention": OURS}, note)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "model,accuracy\nattention,0.5\n"),
        ("a.csv", "model,accuracy,n,source\nattention,50,9,x\n"),
        ("a.csv", "model,accuracy,n,source\nattention,high,9,x\n"),
        ("a.yaml", "figures: [1]"),
        ("a.yaml", "[1]"),
        ("a.yaml", ""),
        ("a.yaml", "figures: {"),
    ],
)
def test_a_file_of_no_figures_is_refused(tmp_path: Path, name: str, text: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=r"no table of published figures .*model, accuracy"):
        read_reference(tmp_path / name)


def test_a_file_that_is_not_there():
    with pytest.raises(InputError, match="nowhere"):
        read_reference("nowhere.csv")
