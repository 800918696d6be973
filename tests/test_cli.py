"""The command as a person meets it: the whole way from drawn faces to a reading, and every
mistake the issue names as one line and exit code 2."""

import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien import bundle
from mien.cli import main
from mien.cli.options import DEFAULT
from mien.demo import PORTRAIT
from mien.faces import open_detector
from mien.recipe import recipe_names
from tests.fakes import brightness_bundle

Run = tuple[int, str, str]


@pytest.fixture
def mien(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run the command in this process: exit code, standard output, standard error."""

    def run(*arguments: object) -> Run:
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="module")
def workshop(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run trained on drawn faces for two epochs, by the command itself."""
    folder = tmp_path_factory.mktemp("workshop")
    arguments = ["train", "drawn", "--data", str(drawn), "--out", str(folder / "run")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mien", *arguments, "--set", "training.epochs=2"])
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code
    return folder


def test_train_leaves_a_whole_run(workshop: Path):
    names = {p.relative_to(workshop / "run").as_posix() for p in (workshop / "run").rglob("*")}
    assert {
        "recipe.yaml",
        "environment.json",
        "data.json",
        "history.csv",
        "checkpoints/best.ckpt",
        "bundle/model.onnx",
        "bundle/card.json",
    } <= names
    assert any("events.out.tfevents" in name for name in names)


def test_evaluate_compare_export_recognise(mien, workshop: Path, drawn: Path, tmp_path: Path):
    run = workshop / "run"
    code, out, _ = mien("evaluate", run, "--data", drawn, "--split", "test")
    assert code == 0
    assert "macro avg" in out
    assert "n=42" in out
    files = {p.name for p in (run / "evaluation" / "test").iterdir()}
    assert {"predictions.parquet", "metrics.json", "evaluation.md", "confusion.png"} <= files
    assert {"learning_curves.png", "confusion_counts.png"} <= files

    shutil.copytree(run, workshop / "twin", dirs_exist_ok=True)
    code, out, _ = mien(
        "compare", run, workshop / "twin", "--out", tmp_path / "c", "--split", "test"
    )
    assert code == 0
    assert (tmp_path / "c" / "index.html").is_file()

    code, out, _ = mien("export", run, "--out", tmp_path / "bundle", "--half")
    assert code == 0
    assert "on images of faces" in out, "proved on the data of the run"
    code, _, _ = mien(
        *("evaluate", tmp_path / "bundle", "--data", drawn, "--split", "test"),
        *("--out", tmp_path / "e", "--record"),
    )
    assert code == 0
    card = json.loads((tmp_path / "bundle" / "card.json").read_text())
    assert card["measured"][0]["images"] == 42
    sizes = [p.stat().st_size for p in (run / "bundle/model.onnx", tmp_path / "bundle/model.onnx")]
    assert sizes[1] < 0.65 * sizes[0]

    face = next((drawn / "test" / "happy").iterdir())
    arguments = ("--model", tmp_path / "bundle", "--detector", "none", "--json")
    code, out, _ = mien("recognize", face, *arguments)
    assert code == 0
    assert set(json.loads(out)["faces"][0]["expressions"]) == set(card["labels"])


def test_the_default_model_is_named_once():
    assert bundle.DEFAULT == DEFAULT


def test_demo_reads_the_portrait(mien, tmp_path: Path):
    code, out, _ = mien("demo", "--out", tmp_path / "demo.png")
    assert code == 0
    assert "happy" in out
    assert (tmp_path / "demo.png").stat().st_size > 10_000


def test_a_photo_without_a_face_says_so(mien, tmp_path: Path):
    import cv2
    import numpy as np

    cv2.imwrite(str(tmp_path / "grey.png"), np.full((200, 200), 99, np.uint8))
    code, out, _ = mien("recognize", tmp_path / "grey.png", "--detector", "haar")
    assert (code, out.startswith("no face found")) == (0, True)


def test_recipes_lists_every_recipe(mien):
    _, out, _ = mien("recipes")
    assert all(name in out for name in recipe_names())
    assert "mien[train]" in out  # not taken for markup


def test_data_commands(mien, drawn: Path, tmp_path: Path):
    code, _, _ = mien("data", "stats", drawn, "--out", tmp_path / "stats")
    assert code == 0
    assert (tmp_path / "stats" / "index.html").is_file()
    code, _, _ = mien("data", "draw", tmp_path / "new", "--images", 70, "--seed", 5)
    assert code == 0
    assert len(list((tmp_path / "new").rglob("*.png"))) == 70


def spoil(folder: Path, drawn: Path) -> dict[str, object]:
    """One of everything that goes wrong."""
    (folder / "empty").mkdir()
    (folder / "notes.png").write_text("not a picture")
    (folder / "zero.jpg").write_bytes(b"")
    (folder / "film.mp4").write_text("not a film")
    (folder / "wall.png").write_bytes(cv2.imencode(".png", np.full((90, 90, 3), 99, np.uint8))[1])
    (folder / "half.jpg").write_bytes(PORTRAIT.read_bytes()[:4000])
    stray = folder / "stray"
    shutil.copytree(drawn, stray)
    (stray / "train" / "happy" / "notes.txt").write_text("hello")
    torn = folder / "torn"
    shutil.copytree(drawn, torn)
    victim = next((torn / "train" / "sad").iterdir())
    victim.write_bytes(victim.read_bytes()[:200])
    (folder / "short.csv").write_text("emotion,pixels,Usage\n3,1 2 3,Training\n")
    pixels = " ".join(["7"] * 2304)
    (folder / "label.csv").write_text(f"emotion,pixels,Usage\nbored,{pixels},Training\n")
    (folder / "key.yaml").write_text(
        "name: x\nmodel: {name: attention}\ntraining: {epoch: 3, optimizer: {lr: 0.1}}\n"
    )
    (folder / "model.yaml").write_text(
        "name: x\nmodel: {name: mobilenetv3}\ntraining: {epochs: 1, optimizer: {lr: 0.1}}\n"
    )
    changed = brightness_bundle(folder / "changed")
    changed.model_file.write_bytes(changed.model_file.read_bytes() + b"x")
    return {"F": folder, "D": drawn, "P": PORTRAIT}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("recognize {F}/gone.jpg", "does not exist; check the path"),
        ("quantize mien-s --out {F}/small", "add --data DATA, or --weights-only"),
        ("recognize {F}/empty", "has no pictures"),
        ("recognize {F}/notes.png", "not a readable picture"),
        ("recognize {F}/no*.xyz", "nothing matches"),
        ("recognize {F}/film.mp4 --csv {F}/t.csv", "cannot be opened as a video"),
        ("recognize {P} --every 2", "is no video"),
        ("recognize {P} --every 0", "expected every >= 1"),
        ("recognize {P} --fps inf", "expected fps from 0 to 1000"),
        ("recognize {P} --blur", "hides the faces in --video"),
        ("recognize {P} --plot {F}/p.png", "need one"),
        ("recognize {P} --csv {F}/t.xls --detector haar", "use .csv, .jsonl or .parquet"),
        ("recognize {P} --csv {F}/notes.png/t.csv --detector haar", "cannot read or write"),
        ("recognize {P} --resume", "the same --csv"),
        ("recognize {P} --device tpu", "expected device auto, cpu or cuda"),
        ("recognize {P} --device cuda", "onnxruntime-gpu"),
        ("recognize {P} --threads 0", "at least one thread"),
        ("recognize {F}/wall.png --strict --detector haar", "no face found"),
        ("recognize http://127.0.0.1:9/a.png", "MIEN_OFFLINE"),
        ("watch 99", "camera 99 cannot be opened"),
        ("download", "MIEN_OFFLINE is set"),
        ("recognize {F}/zero.jpg", "is empty"),
        ("recognize {F}/half.jpg", "truncated"),
        ("recognize {P} --model {F}/changed", "does not match its card"),
        ("recognize {P} --model vgg19", "no bundle 'vgg19'"),
        ("recognize {P} --detector mtcnn", "there are: auto, yunet, haar, none"),
        ("recognize {P} --detector haar --out {F}/x.xyz", "use .png, .jpg or .webp"),
        ("recognize {P} --detector haar --out {F}/notes.png/x.png", "cannot read or write"),
        ("data stats {F}/gone --out {F}/s", "does not exist"),
        ("data stats {F}/empty --out {F}/s", "holds no pictures"),
        ("data stats {F}/stray --out {F}/s", "notes.txt is not a picture"),
        ("data stats {F}/torn --out {F}/s", "truncated"),
        ("data stats {F}/short.csv --out {F}/s", "expected 2304 pixels (48x48), got 3"),
        ("data stats {F}/label.csv --out {F}/s", "unknown label 'bored'"),
        ("data draw {F}/d --images 3", "70"),
        ("train nothing --data {D} --out {F}/r", "no recipe 'nothing'"),
        ("train mobilenetv3 --data {D} --out {F}/r", "did you mean mobilenetv2"),
        ("train {F}/key.yaml --data {D} --out {F}/r", "did you mean 'epochs'"),
        ("train {F}/model.yaml --data {D} --out {F}/r", "did you mean 'mobilenetv2'"),
        ("train drawn --data {F}/gone --out {F}/r", "does not exist"),
        ("train drawn --data {D} --out {F}/r --resume", "no run to resume"),
        ("train drawn --data {D} --out {F}/r --set nonsense", "expected --set key=value"),
        ("train report/resnet50 --data {D} --out {F}/r", "--set model.weights=none"),
        ("evaluate {F}/empty --data {D}", "card.json is missing"),
        ("evaluate {F}/changed --data {D}", "does not match its card"),
        ("compare {F}/gone --out {F}/c", "no run folder"),
        ("compare {F}/empty --out {F}/c", "holds no evaluation"),
        ("export {F}/empty --out {F}/b", "recipe.yaml is missing"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(
    mien, tmp_path: Path, drawn: Path, command: str, message: str
):
    places = spoil(tmp_path, drawn)
    open_detector()  # what a process says once, of the detector it does without, is said here
    before = set(tmp_path.rglob("*"))
    code, out, err = mien(*(word.format(**places) for word in command.split()))
    assert code == 2
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("mien: ")
    assert message in err
    left = {p for p in set(tmp_path.rglob("*")) - before if p.is_file()}
    assert not left, f"half-written: {left}"
