from pathlib import Path

from mien.evaluate.intervals import Estimate, Spread
from mien.report.tables import Column, Table, count, general, percent, plain, scaled, table_of

COLUMNS = (
    Column("model", "model"),
    Column("accuracy", "accuracy, %", percent()),
    Column("loss", "loss", plain(2)),
    Column("parameters", "parameters, M", scaled(1e6, 1)),
    Column("images", "images", count),
)
ROWS = [
    {"model": "a|b", "accuracy": Estimate(0.5, 0.4, 0.6), "parameters": 1_250_000, "images": 3589},
    {"model": "c", "accuracy": None, "loss": Spread(1.0, 0.25)},
]
TABLE = Table(COLUMNS, ROWS)


def test_readers_see_units_and_intervals():
    assert TABLE.header == ["model", "accuracy, %", "loss", "parameters, M", "images"]
    assert TABLE.cells == [
        ["a|b", "50.00 [40.00, 60.00]", "–", "1.2", "3,589"],
        ["c", "–", "1.00 ± 0.25", "–", "–"],
    ]


def test_values_of_several_seeds_are_shown_with_their_deviation():
    assert scaled(60, 1)(90) == "1.5"
    assert scaled(60, 1)(Spread(90, 30)) == "1.5 ± 0.5"
    assert general(4)(1.0) == "1"
    assert general(4)(Spread(0.25, 0.05)) == "0.2500 ± 0.0500"


def test_markdown_keeps_bars_out_of_cells():
    assert TABLE.only("model", "images").markdown() == [
        "| model | images |",
        "| --- | --- |",
        "| a\\|b | 3,589 |",
        "| c | – |",
    ]


def test_files_hold_numbers(tmp_path: Path):
    TABLE.write_csv(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text().splitlines() == [
        "model,accuracy,accuracy_low,accuracy_high,loss_mean,loss_sd,parameters,images",
        "a|b,0.5,0.4,0.6,,,1250000,3589",
        "c,,,,1,0.25,,",
    ]


def test_a_table_without_rows_is_not_written(tmp_path: Path):
    Table(COLUMNS, []).write_csv(tmp_path / "t.csv")
    assert not (tmp_path / "t.csv").exists()


def test_columns_without_a_value_are_left_out():
    empty = Table(COLUMNS, [{"model": "a", "loss": None}])
    assert empty.only("loss", "accuracy", "model").header == ["model"]


def test_columns_come_from_the_rows():
    found = table_of([{"a": 1}, {"a": 2, "b": "x"}])
    assert found.header == ["a", "b"]
    assert found.cells == [["1", "–"], ["2", "x"]]
