"""No command writes over what it reads: every output beside every input, as a person would mix
them up. Everything that was there stays as it was, to the byte."""

import csv
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import mien
from mien.analyse import Outputs, analyse
from mien.bundle import check_place, new_bundle
from mien.cli import main
from mien.data import check_outside, open_dataset
from mien.demo import PORTRAIT
from mien.ensemble import combine
from mien.errors import BundleError, InputError
from mien.evaluate import evaluate, load, save
from mien.files import check_folder, check_outputs, replacing, same_file, untouched
from mien.quantize import quantize_weights
from mien.recipes import Recipe
from mien.report.compare import compare
from mien.sources import open_source
from tests.clips import film
from tests.fakes import brightness_bundle

LABELS = ("dark", "bright")


def hard(link: Path, target: Path) -> Path:
    os.link(target, link)
    return link


def soft(link: Path, target: Path) -> Path:
    link.symlink_to(target)
    return link


WAYS: dict[str, Callable[[Path], Path]] = {
    "itself": lambda path: path,
    "relative": lambda path: Path(os.path.relpath(path)),
    "roundabout": lambda path: path.parent / ".." / path.parent.name / path.name,
    "symbolic link": lambda path: soft(path.with_name(f"soft{path.suffix}"), path),
    "hard link": lambda path: hard(path.with_name(f"hard{path.suffix}"), path),
    "linked folder": lambda path: soft(path.parent / "link", path.parent) / path.name,
}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "a.png"
    cv2.imwrite(str(path), np.full((40, 40), 30, np.uint8))
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / "film").mkdir()
    return film(tmp_path / "film" / "c.mp4", [0.0, 0.1], (64, 48), empty=True)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return brightness_bundle(tmp_path_factory.mktemp("bundle") / "b", LABELS).folder


@pytest.fixture(scope="module")
def reader(bundle: Path) -> mien.Recognizer:
    return mien.Recognizer(bundle, detector="none")


@pytest.fixture
def refused(monkeypatch, capsys, tmp_path: Path):
    """`refused(*arguments)`: what the command says, which changes nothing below `tmp_path`."""

    def run(*arguments: object) -> str:
        before = contents(tmp_path)
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        told = capsys.readouterr().err
        assert stop.value.code == 2, told
        assert told.startswith("mien: ")
        assert len(told.splitlines()) == 1
        assert contents(tmp_path) == before
        return told

    return run


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("way", WAYS)
def test_one_file_is_known_by_any_name(photo: Path, way: str):
    other = WAYS[way](photo)
    assert same_file(photo, other)
    with pytest.raises(InputError, match=r"--out .* the input .*expected a file of its own"):
        check_outputs([("--csv", None), ("--out", other)], [photo.with_name("gone.png"), photo])
    with pytest.raises(InputError, match=r"--video .* and --out .* expected a file for each"):
        check_outputs([("--video", photo), ("--out", other)])


def test_two_outputs_yet_to_be_written_may_not_be_one(tmp_path: Path):
    (tmp_path / "link").symlink_to(tmp_path / "new.csv")
    for other in (tmp_path / "x" / ".." / "new.csv", tmp_path / "link"):
        with pytest.raises(InputError, match="the same file"):
            check_outputs([("--csv", tmp_path / "new.csv"), ("--segments", other)])


def test_other_files_are_let_pass(photo: Path, tmp_path: Path):
    twin = shutil.copy(photo, tmp_path / "twin.png")
    outputs = [("--out", twin), ("--csv", tmp_path / "A.csv"), ("--plot", tmp_path / "b.png")]
    check_outputs(outputs, [photo, "x\0y", "y" * 5000, "https://a.b/twin.png"])
    assert same_file(photo, photo.with_name("A.PNG")) == photo.with_name("A.PNG").exists()


def test_inputs_are_not_listed_where_nothing_can_be_replaced(tmp_path: Path):
    def listed():
        raise AssertionError
        yield

    check_outputs([("--csv", tmp_path / "new.csv")], listed())


def test_a_folder_is_no_place_for_an_output_if_it_is_or_holds_an_input(photo: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(photo.parent)
    for out in (photo.parent, tmp_path / "link"):
        with pytest.raises(InputError, match="the same folder as the input"):
            check_folder("--out", out, [None, tmp_path, photo.parent])
    check_folder("--out", photo.parent, [photo])
    for out in (photo.parent, tmp_path / "link", tmp_path):
        with pytest.raises(InputError, match="would be replaced with all that it holds"):
            check_folder("--out", out, [photo], replaced=True)
    check_folder("--out", photo.parent / "new", [photo, photo.parent], replaced=True)


def test_an_untouched_file_is_not_replaced(photo: Path, tmp_path: Path):
    before = photo.read_bytes()
    with untouched(photo, None):
        other = WAYS["roundabout"](photo)
        with untouched(tmp_path), pytest.raises(InputError, match="another"), replacing(other):
            pass
        with pytest.raises(InputError, match=f"{photo} is the input"), replacing(photo):
            pass
        with replacing(tmp_path / "new") as file:
            file.write(b"new")
    assert photo.read_bytes() == before
    assert [p.name for p in photo.parent.iterdir()] == ["a.png"]
    with replacing(photo) as file:
        file.write(b"after")
    assert photo.read_bytes() == b"after"


@pytest.mark.parametrize("way", WAYS)
def test_a_video_does_not_become_its_own_drawing(refused, clip: Path, way: str):
    out = WAYS[way](clip)
    told = refused("recognize", clip, "--video", out)
    assert told == (
        f"mien: --video {out} is the same file as the input {clip}, which would be replaced; "
        "expected a file of its own: choose another name\n"
    )


def test_it_is_told_before_the_weights_are_read(refused, monkeypatch, clip: Path, photo: Path):
    monkeypatch.setattr("mien.recognizer.Recognizer.__init__", None)
    refused("recognize", clip, "--video", clip)
    refused("recognize", photo, "--out", photo)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("recognize {P} --out {P}", "--out {P} is the same file as the input {P}"),
        ("recognize {I}/*.png --out {P}", "{P}: expected a folder"),
        ("recognize {P} --csv {L}.csv", "table {L}.csv is the same file as the input {P}"),
        ("recognize {I} --jsonl {L}.jsonl", "table {L}.jsonl is the same file as the input {P}"),
        ("recognize {I}/*.png --parquet {L}.parquet", "table {L}.parquet is the same"),
        ("recognize {I}/?.png {L}.csv --csv {L}.csv", "the same file"),
        ("recognize {C} --csv {K}.csv", "table {K}.csv is the same file as the input {C}"),
        ("recognize {C} --csv {K}.csv --resume", "table {K}.csv is the same file"),
        ("recognize {C} --plot {K}.png", "--plot {K}.png is the same file as the input {C}"),
        ("recognize {C} --segments {C}", "--segments {C} is the same file as the input {C}"),
        ("recognize {P} --csv {I}/t.csv --jsonl {I}/t.csv", "table {I}/t.csv and table {I}/t.csv"),
        ("recognize {C} --csv {I}/t.csv --segments {I}/../in/t.csv", "are the same file"),
        ("recognize {C} --video {I}/v.mp4 --segments {I}/v.mp4", "expected a file for each"),
        ("watch {C} --csv {K}.csv", "--csv {K}.csv is the same file as the input {C}"),
        ("explain mien-s {P} --out {P}", "--out {P} is the same file as the input {P}"),
    ],
)
def test_an_output_is_not_an_input(refused, photo: Path, clip: Path, command: str, words: str):
    """L and K are links, with every suffix, to the photo P in the folder I and to the clip C."""
    for suffix in ("csv", "jsonl", "parquet", "png"):
        soft(photo.parent.with_name(f"photo.{suffix}"), photo)
        hard(photo.parent.with_name(f"clip.{suffix}"), clip)
    places = {"P": photo, "I": photo.parent, "C": clip}
    places |= {"L": photo.parent.with_name("photo"), "K": photo.parent.with_name("clip")}
    told = refused(*(word.format(**places) for word in command.split()))
    assert words.format(**places) in told


def test_the_portrait_stays(refused, tmp_path: Path):
    before = PORTRAIT.read_bytes()
    assert "is the same file as the input" in refused(
        "demo", "--out", soft(tmp_path / "p", PORTRAIT)
    )
    assert PORTRAIT.read_bytes() == before


@pytest.mark.parametrize("form", [str, Path, lambda p: [p], lambda p: [str(p.parent)]])
def test_python_refuses_it_too(reader, photo: Path, form):
    table = WAYS["symbolic link"](photo).rename(photo.parents[1] / "t.csv")
    before = photo.read_bytes()
    with pytest.raises(InputError, match="the same file as the input"):
        analyse(reader, form(photo), Outputs((table,)))
    assert photo.read_bytes() == before


def test_what_is_in_memory_has_no_file(reader, photo: Path, tmp_path: Path):
    sources = [np.zeros((9, 9), np.uint8), photo.read_bytes(), "https://a.b/c.png"]
    assert open_source(sources).files == open_source(iter([photo])).files == []
    assert open_source(photo.parent).files == open_source([photo]).files == [photo]
    (tmp_path / "t.csv").write_text("")
    assert analyse(reader, iter([photo]), Outputs((tmp_path / "t.csv",))).pictures == 1


def test_a_drawing_is_neither_a_picture_nor_that_of_another(reader, photo, tmp_path, monkeypatch):
    monkeypatch.chdir(photo.parent)
    cv2.imwrite("a.bmp", np.full((40, 40), 200, np.uint8))
    shutil.copy("a.png", "a.bmp.jpg")
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"--out a.png is the same file as the input"):
        analyse(reader, ["a.png"], Outputs(pictures=Path()))
    with pytest.raises(InputError, match=r"a.bmp and a.bmp.jpg would both be drawn as"):
        analyse(reader, ["a.bmp", "a.bmp.jpg"], Outputs(pictures=Path()))
    (tmp_path / "in" / "in").mkdir()
    shutil.copy("a.bmp.jpg", "in/a.png")
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"../in/a.png and in/a.png would both be drawn as"):
        analyse(reader, ["../in/a.png", "in/a.png"], Outputs(pictures=tmp_path / "drawn"))
    assert contents(tmp_path) == before
    again = analyse(reader, ["a.png", "./a.png"], Outputs(pictures=tmp_path / "drawn"))
    assert again.pictures == 2, "one picture, named twice"
    assert (tmp_path / "drawn" / "a.png").is_file()


@pytest.fixture
def bench(bundle: Path, drawn: Path, tmp_path: Path) -> dict[str, Path]:
    """B a bundle with another, A, in it; D a data set, T the same as a table; E, F evaluations."""
    shutil.copytree(bundle, tmp_path / "b")
    seven = brightness_bundle(tmp_path / "b" / "a")
    shutil.copytree(drawn, tmp_path / "faces")
    split = open_dataset(drawn).split("public")
    table = tmp_path / "t" / "counts.csv"
    table.parent.mkdir()
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("emotion", "pixels", "Usage"))
        for image, label in zip(split.images, split.labels, strict=True):
            rows.writerow((label, " ".join(map(str, image.ravel())), "PublicTest"))
    for name in ("e", "f"):
        save(evaluate(seven, open_dataset(drawn), "public"), tmp_path / name)
    for name in ("exclude", "confusion", "classes", "groups"):
        shutil.copy(table, table.with_name(f"{name}.csv"))
    return {
        "B": tmp_path / "b",
        "A": tmp_path / "b" / "a",
        "D": tmp_path / "faces",
        "T": table.parent,
        "E": tmp_path / "e",
        "F": tmp_path / "f",
        "N": tmp_path / "new",
    }


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("quantize {B} --weights-only --out {B}", "--out {B} is the same folder as the input"),
        ("quantize {A} --weights-only --out {B}", "--out {B} holds the input {A}"),
        ("quantize {A} --data {D} --out {D}", "--out {D} is the same folder as the input {D}"),
        ("ensemble {B} {A} --out {B}", "--out {B} is the same folder as the input"),
        ("ensemble {A} mien-s --out {B}", "--out {B} holds the input {A}"),
        ("export {B} --data {D} --out {B}", "--out {B} is the same folder as the input {B}"),
        ("export {B}/a --data {D} --out {B}", "--out {B} holds the input {B}/a"),
        ("evaluate {A} --data {D} --out {D}", "--out {D} is the same folder as the input"),
        ("evaluate {A} --data {D} --out {D}/e", "lies among the pictures of the data set {D}"),
        ("evaluate {A} --data {D} --out {A}", "--out {A} is the same folder as the input {A}"),
        ("evaluate {A} --data {D} --corruptions --baseline {E} --out {E}", "as the input {E}"),
        ("compare {E} {F} --out {F}", "--out {F} is the same folder as the input {F}"),
        ("compare {E} {F} --data {D} --out {D}/c", "lies among the pictures"),
        ("data stats {D} --out {D}", "--out {D} is the same folder as the input {D}"),
        ("data stats {D} --out {D}/train/happy", "lies among the pictures"),
        ("data audit {D} --out {D}", "--out {D} is the same folder as the input {D}"),
        ("data audit {D} --predictions {E} --out {E}", "as the input {E}"),
        ("data audit {D} --model {A} --out {A}", "as the input {A}"),
        ("train drawn --data {D} --out {D}", "--out {D} is the same folder as the input {D}"),
        ("train drawn --data {D} --out {D}/run", "lies among the pictures"),
        ("data draw {D}", "is there and not an empty folder"),
    ],
)
def test_an_output_folder_is_not_an_input(refused, bench, command: str, words: str):
    told = refused(*(word.format(**bench) for word in command.split()))
    assert words.format(**bench) in told


@pytest.mark.parametrize(
    "command",
    [
        "data stats {T}/counts.csv --out {T}",
        "data audit {T}/exclude.csv --out {T}",
        "evaluate {A} --data {T}/confusion.csv --out {T}",
        "groups {E} --by {T}/groups.csv --column Usage --out {T}",
    ],
)
def test_a_table_stays_in_a_folder_that_is_written_to(monkeypatch, capsys, bench, command: str):
    if "groups" in command:
        names = load(bench["E"]).names
        rows = "".join(f"{name},{'ab'[i % 2]}\n" for i, name in enumerate(names))
        (bench["T"] / "groups.csv").write_text("name,Usage\n" + rows)
    before = contents(bench["T"])
    words = [word.format(**bench) for word in command.split()]
    monkeypatch.setattr(sys, "argv", ["mien", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    told = capsys.readouterr().err
    assert stop.value.code == 2, told
    assert "which would be replaced; choose another folder" in told
    assert {path: path.read_bytes() for path in before} == before


def test_python_keeps_bundles_runs_and_data(bench, tmp_path: Path, tiny_recipe: Recipe):
    from mien.train.run import run

    member = mien.bundle.open_bundle(bench["A"])
    before = contents(tmp_path)
    for work in (
        lambda: quantize_weights(member, bench["B"]),
        lambda: combine([member, member], bench["A"]),
        lambda: compare([bench["E"], bench["F"]], bench["E"], "public"),
        lambda: run(tiny_recipe, bench["D"], bench["D"] / "run"),
        lambda: check_place(tmp_path, bench["A"]),
    ):
        with pytest.raises(InputError, match="--out"):
            work()
    with pytest.raises(BundleError, match="is a file"), new_bundle(bench["A"] / "card.json"):
        pass
    assert contents(tmp_path) == before


def test_a_folder_that_is_read_from_its_table_may_hold_outputs(tmp_path: Path, drawn: Path):
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n")
    check_outside(tmp_path / "stats", tmp_path)
    check_outside(drawn / ".stats", drawn)
    check_outside(drawn.parent, drawn)
    check_outside(tmp_path, tmp_path / "fer2013.csv")
    with pytest.raises(InputError, match="the same folder"):
        check_outside(tmp_path, tmp_path)


def test_a_shipped_bundle_is_evaluated_compared_and_kept(
    monkeypatch, capsys, drawn: Path, tmp_path: Path
):
    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return (int(stop.value.code or 0), *capsys.readouterr())

    monkeypatch.chdir(tmp_path)
    shipped = mien.bundle.open_bundle("mien-s").folder
    before = contents(shipped)
    code, _, err = command("compare", "mien-s", "mien-s-wide-int8", "--out", "c")
    assert (code, "mien evaluate mien-s --data DATA --split public" in err) == (2, True)
    code, _, err = command("calibrate", "mien-s", "--data", drawn)
    assert code == 2
    assert "mien-s is shipped with mien and is not changed" in err
    assert f"copy {shipped}" in err
    (tmp_path / "mien-s-wide-int8").mkdir()
    for name in ("mien-s", "mien-s-wide-int8"):
        code, out, err = command("evaluate", name, "--data", drawn)
        assert (code, err) == (0, "")
        assert out.splitlines()[-1] == f"saved: {name}-bundle/evaluation/public"
        assert ("the folder here is ./mien-s-wide-int8" in out) == (name == "mien-s-wide-int8")
        facts = json.loads(Path(f"{name}-bundle/evaluation/public/metrics.json").read_text())
        assert facts["name"] == name
    (tmp_path / "mien-s-wide-int8").rmdir()
    code, out, _ = command("compare", "mien-s", "mien-s-wide-int8", "--out", "c")
    assert code == 0
    assert "page: c/index.html" in out
    code, out, err = command("quantize", "mien-s", "--weights-only", "--out", "w8")
    assert code == 0, err
    code, out, err = command("ensemble", "mien-s", "mien-s-wide-int8", "--out", "both")
    assert code == 0, err
    assert contents(shipped) == before
    shutil.copytree(shipped, tmp_path / "mien-s")
    code, _, err = command("calibrate", "./mien-s", "--data", drawn)
    assert code == 0, err
    assert contents(tmp_path / "mien-s") != before
    assert contents(shipped) == before
