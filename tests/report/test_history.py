from pathlib import Path

import pytest

from mien.errors import RunError
from mien.report.history import History, read_history


def written(folder: Path, text: str) -> Path:
    (folder / "history.csv").write_text(text)
    return folder


def test_a_history_is_read_back(tmp_path: Path):
    text = "epoch,val_loss,val_accuracy,seconds\n1,1.5,0.4,90\n2,1.25,0.5,10\n3,1.0,0.5,12\n"
    found = read_history(written(tmp_path, text))
    assert found.epochs == [1, 2, 3]
    assert found["val_loss"] == [1.5, 1.25, 1.0]
    assert found.best == 2, "of equal accuracies, that of the least loss"
    assert found.seconds_per_epoch == 12, "one disturbed epoch does not count"


@pytest.mark.parametrize(
    ("accuracies", "losses", "best"),
    [
        ([0.5, 0.6, 0.4], [1, 2, 0.5], 1),
        ([0.6, 0.6, 0.6], [1, 0.5, 0.5], 1),
        ([0.7, 0.6, 0.6], [2, 0.5, 0.5], 0),
    ],
)
def test_the_epoch_that_was_kept(accuracies: list[float], losses: list[float], best: int):
    assert History({"val_accuracy": accuracies, "val_loss": losses}).best == best


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch\n", "is not a whole history"),
        ("", "is not a whole history"),
        ("epoch\nx\n", "is not a whole history .*; train again"),
        ("epoch,lr\n1\n", "is not a whole history"),
    ],
)
def test_a_history_that_is_none(tmp_path: Path, text: str, message: str):
    with pytest.raises(RunError, match=message):
        read_history(written(tmp_path, text))
    with pytest.raises(RunError, match=r"has no history.csv; train it with mien train"):
        read_history(tmp_path / "none")
