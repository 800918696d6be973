"""What is said before torch is imported, and where runs and teachers are looked for."""

import contextlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mien.cli import main
from mien.errors import DataError, InputError, RecipeError
from mien.recipes import Recipe, load_recipe
from mien.train.check import check, find_teachers, free_place
from tests.fakes import brightness_bundle
from tests.train.runs import changed, untrained


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.parametrize(
    ("there", "free", "last"),
    [
        ([], "mien-s", "mien-s"),
        (["mien-s"], "mien-s-2", "mien-s"),
        (["mien-s", "mien-s-2"], "mien-s-3", "mien-s-2"),
        (["mien-s", "mien-s-9", "mien-s-10"], "mien-s-11", "mien-s-10"),
        (["mien-s-wide", "mien-s-int8", "my-mien-s"], "mien-s", "mien-s"),
        (["mien-s-2"], "mien-s-3", "mien-s-2"),
    ],
)
def test_runs_of_a_recipe_are_numbered(here: Path, there, free, last):
    for name in there:
        (here / "runs" / name).mkdir(parents=True)
    assert free_place("mien-s") == Path("runs", free)
    assert free_place("mien-s", resume=True) == Path("runs", last)


def taught(recipe: Recipe, folder: Path, *teachers: str) -> Recipe:
    return changed(recipe, folder, f"training.distil.teachers=[{', '.join(teachers)}]")


def test_teachers_are_runs_beside_the_run_or_in_runs_bundles_and_names(here, tiny_recipe, tmp_path):
    untrained(tiny_recipe, tmp_path / "other" / "mien-l")
    untrained(tiny_recipe, here / "runs" / "facenet")
    bundle = brightness_bundle(tmp_path / "bundle").folder
    recipe = taught(tiny_recipe, tmp_path, "mien-l", "facenet", str(bundle), "mien-s", "resnet50")
    found, missing = find_teachers(recipe, tmp_path / "other" / "student")
    assert found == [tmp_path / "other" / "mien-l", Path("runs/facenet"), bundle, "mien-s"]
    assert missing == ["resnet50"]


def test_a_teacher_that_is_nothing_known_is_refused(tiny_recipe, tmp_path):
    with pytest.raises(RecipeError, match="no teacher 'nobody': expected a run, a bundle, or a r"):
        find_teachers(taught(tiny_recipe, tmp_path, "mien-s", "nobody"), tmp_path / "run")


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["data.votes=no.csv", "training.loss.votes=0.4"], InputError, r"FER\+ table no\.csv does"),
        (["data.relabel=no.csv"], InputError, r"relabel table no\.csv does not exist"),
        (["data.exclude=no.csv"], InputError, r"exclude table no\.csv does not exist"),
    ],
)
def test_files_that_are_missing_are_told(drawn, tiny_recipe, tmp_path, overrides, error, message):
    with pytest.raises(error, match=message):
        check(changed(tiny_recipe, tmp_path, *overrides), drawn, tmp_path / "run")


def test_votes_without_a_share_need_not_be_there(drawn, tiny_recipe, tmp_path):
    check(changed(tiny_recipe, tmp_path, "data.votes=no.csv"), drawn, tmp_path / "run")


def test_what_is_no_data_set_is_refused_unread(tiny_recipe, tmp_path):
    (tmp_path / "data.txt").write_text("x")
    with pytest.raises(DataError, match=r"is not a data set; expected a folder, a \.zip, \.csv or"):
        check(tiny_recipe, tmp_path / "data.txt", tmp_path / "run")
    with pytest.raises(InputError, match=r"data set .*nowhere does not exist"):
        check(tiny_recipe, tmp_path / "nowhere", tmp_path / "run")


MISTAKES = {
    "recipe": (["tpyo", "--data", "faces"], "no recipe 'tpyo'"),
    "data": (["mien-s", "--data", "nowhere"], "data set nowhere does not exist"),
    "key": (["mien-s", "--data", "faces", "--set", "lr=1"], "did you mean training.optimizer.lr"),
    "model": (["mien-s", "--data", "faces", "--set", "model.name=mien-z"], "no model named"),
    "option": (["mien-s", "--data", "faces", "--set", "model.options.widht=1"], "'widths'?"),
    "teacher": (
        ["mien-s", "--data", "faces", "--set", "training.distil.teachers=[x]"],
        "no teacher 'x'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_before_torch_is_imported(here: Path, drawn: Path, mistake):
    shutil.copytree(drawn, here / "faces")
    arguments, message = MISTAKES[mistake]
    program = (
        "import sys\n"
        "from mien.cli import main\n"
        f"sys.argv = {['mien', 'train', *arguments]!r}\n"
        "try:\n    main()\nfinally:\n    assert 'torch' not in sys.modules, 'torch is there'\n"
    )
    started = time.perf_counter()
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (run.returncode, message in run.stderr) == (2, True), run.stderr
    assert time.perf_counter() - started < 10  # 0.5 s on a quiet machine


@pytest.fixture
def train(capsys, monkeypatch):
    """`train(*arguments)`: what `mien train` prints."""

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["mien", "train", *map(str, arguments)])
        with contextlib.suppress(SystemExit):
            main()
        captured = capsys.readouterr()
        assert "mien: " not in captured.err
        return captured.out

    return run


def test_one_command_makes_every_bundle_of_the_recipe(here: Path, drawn, tiny_recipe, train):
    """Second stage, 8 bits, without votes and without the teacher that is not trained yet."""
    overrides = ["training.epochs=1", "training.finish={epochs: 1, lr: 0.01}"]
    overrides += ["training.loss.votes=0.4", "training.distil.teachers=[mien-l]"]
    overrides += ["export={half: true, quantize: int8}"]
    changed(tiny_recipe, here, *overrides).save(here / "mine.yaml")
    (here / "runs/tiny").mkdir(parents=True)
    said = train("mine.yaml", "--data", drawn)
    assert "no FER+ votes given (--votes FILE): learning from labels alone" in said
    assert "teacher mien-l is not trained, learning without it" in said
    assert f"mien train mien-l --data {drawn} --out runs/mien-l" in said
    assert "bundle:  runs/tiny-2/bundle-int8" in said
    for bundle in ("bundle", "bundle-int8"):
        assert (here / "runs/tiny-2" / bundle / "card.json").is_file()
    assert load_recipe(here / "runs/tiny-2/recipe.yaml") == load_recipe("mine.yaml")
    assert "trained: runs/tiny-2" in train("mine.yaml", "--data", drawn, "--resume")
    assert not (here / "runs/tiny-3").exists()


def test_votes_given_with_the_command_are_learned_from(here: Path, drawn, tiny_recipe, train):
    from mien.labels import FERPLUS

    names = [f"train/{p.parent.name}/{p.name}" for p in (drawn / "train").rglob("*.png")]
    rows = [f"{name},10,{','.join('0' * 9)}" for name in names]
    (here / "votes, all.csv").write_text("\n".join([f"path,{','.join(FERPLUS)}", *rows]))
    changed(tiny_recipe, here, "training.epochs=1", "training.loss.votes=0.4").save(here / "r.yaml")
    said = train("r.yaml", "--data", drawn, "--votes", "votes, all.csv", "--out", "out")
    assert "trained: out" in said
    assert "FER+" not in said
    assert load_recipe(here / "out/recipe.yaml").data.votes == str(here / "votes, all.csv")
