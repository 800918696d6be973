"""The queue of trainings: its entries can be trained, and its runner survives what happens."""

import csv
import math
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mien.recipes import load_recipe
from scripts import run_queue

ROOT = Path(__file__).parents[1]
QUEUE = run_queue.entries(ROOT / "research" / "queue.md", Path("place"))
ADD = """
import sys
from pathlib import Path
with (Path(__file__).parents[1] / "results" / "runs.csv").open("a") as file:
    file.write(" ".join(sys.argv[1:]).replace("add ", "", 1).replace(" ", ",", 1) + "\\n")
"""
ENTRIES = """
## old

On record.

```yaml
recipe: tiny.yaml
what: old
```

## unknown

Fails at once.

```yaml
recipe: nothing
what: never
```

## mine

```yaml
recipe: tiny.yaml
what: a try
set: [seed=5]
```
"""


@pytest.mark.parametrize("entry", QUEUE, ids=lambda entry: entry.name)
def test_an_entry_is_a_recipe(entry: run_queue.Entry):
    recipe = load_recipe(entry.recipe, list(entry.set))
    epochs, least = entry.give_up
    assert epochs < recipe.training.epochs and 0 <= least < 1
    assert entry.what


def test_each_heading_of_the_queue_is_an_entry():
    text = (ROOT / "research" / "queue.md").read_text()
    assert [e.name for e in QUEUE] == [w[3:] for w in text.splitlines() if w.startswith("## ")]
    assert len({e.name for e in QUEUE}) == len(QUEUE)


@pytest.fixture
def repository(tmp_path: Path, tiny_recipe) -> Path:
    """A repository with mien's code, three entries, and a table that takes any row."""
    root = tmp_path / "repository"
    shutil.copytree(ROOT / "src" / "mien", root / "src" / "mien", ignore=ignored)
    for folder in ("scripts", "research", "results"):
        (root / folder).mkdir()
    shutil.copy(ROOT / "scripts" / "run_queue.py", root / "scripts")
    (root / "scripts" / "results.py").write_text(ADD)
    (root / "results" / "runs.csv").write_text("name,what\nold,x\n")
    (root / "research" / "queue.md").write_text(ENTRIES)
    long = {**tiny_recipe.training.model_dump(), "epochs": 5}
    type(tiny_recipe).model_validate({**tiny_recipe.model_dump(), "training": long}).save(
        root / "tiny.yaml"
    )
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "All"]):
        identity = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
        subprocess.run(["git", *identity, *command], cwd=root, check=True)
    return root


def ignored(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in ("__pycache__", "assets") or name.endswith(".onnx")]


def test_the_queue_survives_an_interruption(repository: Path, drawn: Path, tmp_path: Path):
    place = tmp_path / "place"
    command = [sys.executable, str(repository / "scripts" / "run_queue.py"), "--place", str(place)]
    working = [*command, "--data", str(drawn)]

    def told(*options: str) -> str:
        return subprocess.run(
            [*working, *options], capture_output=True, text=True, timeout=250, check=False
        ).stdout

    first = told("--dry-run").splitlines()
    assert len(first) == 4 and "--resume" not in first[0]
    run = place / "mine" / "run"
    with subprocess.Popen(working, stdout=subprocess.DEVNULL) as runner:
        wait_for(lambda: len(run_queue.accuracies(run)) >= 1, runner)
        assert "another queue works" in subprocess.run(
            working, capture_output=True, text=True, check=False
        ).stderr  # fmt: skip
        runner.send_signal(signal.SIGTERM)
    assert runner.returncode == 1
    states = dict(line.split(maxsplit=1) for line in told("--status").splitlines())
    assert states["old"] == "done" and states["mine"].startswith("begun: ")
    assert states["unknown"] == "failed: train ended with 2, see log.txt"
    assert "--resume" in told("--dry-run").splitlines()[0]
    before = (run / "history.csv").read_text()

    assert "mine: done" in told()
    assert (run / "history.csv").read_text().startswith(before)
    assert len(run_queue.accuracies(run)) == 5
    assert (place / "mine" / "flip" / "metrics.json").exists()
    with (repository / "results" / "runs.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[-1]
    assert row["name"] == "mine" and row["what"].startswith("a try ")
    assert told() == ""  # nothing is left to do


def wait_for(done, runner: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 200
    while not done() and time.monotonic() < end and runner.poll() is None:
        time.sleep(0.1)
    assert done()


@pytest.fixture
def sleeping(tmp_path: Path) -> list[str]:
    """A training that takes too long, in place of `mien train`."""
    (tmp_path / "tree" / "src").mkdir(parents=True)
    return [sys.executable, "-c", "import time; time.sleep(100)"]


def test_a_training_that_is_not_worth_its_time_is_given_up(tmp_path: Path, sleeping: list[str]):
    entry = run_queue.Entry("mine", tmp_path, "tiny", "a try", give_up=(2, 0.5))
    history = tmp_path / "run" / "history.csv"
    history.parent.mkdir()
    history.write_text("epoch,val_accuracy\n1,0.3\n2,0.4\n")
    with (tmp_path / "lock").open("w") as lock:
        assert run_queue.execute(entry, "train", sleeping, math.inf, lock) == -signal.SIGTERM
    assert entry.state() == "given-up: 0.4000 after 2 epochs" and not entry.open()


def test_time_that_is_over_ends_a_training(tmp_path: Path, sleeping: list[str]):
    entry = run_queue.Entry("mine", tmp_path, "tiny", "a try")
    with (tmp_path / "lock").open("w") as lock, pytest.raises(KeyboardInterrupt):
        run_queue.execute(entry, "train", sleeping, time.monotonic() + 0.5, lock)
