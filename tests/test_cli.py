"""The command as a person meets it: the whole way from drawn faces to a reading, and every
mistake the issue names as one line and exit code 2."""

import csv
import dataclasses
import io
import json
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mien import __version__ as version
from mien import bundle
from mien.card import load_card
from mien.cli import main
from mien.cli.options import DEFAULT, clock_time
from mien.demo import PORTRAIT
from mien.errors import InputError
from mien.faces import open_detector
from mien.faces.yunet import MIN_FACE_PX, YuNet
from mien.recipes import recipe_names
from mien.serve.limits import Limits
from mien.serve.settings import Settings
from mien.watch import Watched
from tests.clips import film
from tests.data.formats.layouts import jpeg, npy
from tests.fakes import FakeSource, brightness_bundle

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
    """A folder with a small run trained on drawn faces for an epoch, by the command itself."""
    folder = tmp_path_factory.mktemp("workshop")
    arguments = ["train", "drawn", "--data", str(drawn), "--out", str(folder / "run")]
    small = [
        "training.epochs=1",
        "training.schedule.warmup_epochs=0",
        "model.options.widths=[16,32]",
    ]
    for change in small:
        arguments += ["--set", change]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mien", *arguments])
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
        *("compare", run, workshop / "twin", "--out", tmp_path / "c", "--split", "test"),
        *("--reference", "report"),
    )
    assert code == 0
    assert (tmp_path / "c" / "index.html").is_file()

    code, out, _ = mien("export", run, "--out", tmp_path / "bundle", "--half")
    assert code == 0
    assert "on images of faces" in out, "proved on the data of the run"
    assert f"next:   mien calibrate {tmp_path / 'bundle'} --data DATA" in out
    code, out, _ = mien("calibrate", tmp_path / "bundle", "--data", drawn)
    assert code == 0
    assert "field accuracy" in out
    card = json.loads((tmp_path / "bundle" / "card.json").read_text())
    assert card["measured"][0]["images"] == 21
    assert 0 <= card["measured"][0]["field_accuracy"] <= 1
    sizes = [p.stat().st_size for p in (run / "bundle/model.onnx", tmp_path / "bundle/model.onnx")]
    assert sizes[1] < 0.75 * sizes[0]

    face = next((drawn / "test" / "happy").iterdir())
    arguments = ("--model", tmp_path / "bundle", "--detector", "none", "--json")
    code, out, _ = mien("recognize", face, *arguments)
    assert code == 0
    assert set(json.loads(out)[0]["expressions"]) == set(card["labels"])


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


def test_a_trained_run_has_a_calibrated_bundle(workshop: Path):
    card = load_card(workshop / "run" / "bundle" / "card.json")
    assert [m.split for m in card.measured] == ["public"]
    assert card.unsure_below > 0
    assert "## On public of faces" in (workshop / "run" / "bundle" / "README.md").read_text()


@pytest.mark.parametrize("split", ["public", "private"])
def test_evaluating_changes_nothing_but_its_folder(mien, workshop, drawn, tmp_path, split: str):
    run = tmp_path / "run"
    shutil.copytree(workshop / "run", run)
    shutil.rmtree(run / "evaluation", ignore_errors=True)
    before = contents(run)
    code, out, _ = mien("evaluate", run, "--data", drawn, "--split", split, "--jitter")
    assert code == 0
    assert "field accuracy" in out
    after = contents(run)
    assert {name: after[name] for name in before} == before
    new = set(after) - set(before)
    assert {name.rsplit("/", 1)[0] for name in new} == {f"evaluation/{split}"}
    told = json.loads((run / "evaluation" / split / "metrics.json").read_text())
    assert told["images"] == 21
    assert told["field"]["draws"] == 4
    assert "| field accuracy" in (run / "evaluation" / split / "evaluation.md").read_text()


def test_a_run_without_a_bundle_is_not_evaluated(mien, workshop: Path, drawn: Path, tmp_path: Path):
    shutil.copytree(workshop / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "bundle")
    code, _, err = mien("evaluate", tmp_path / "run", "--data", drawn)
    assert code == 2
    assert f"has no bundle; make it with: mien export {tmp_path}/run --out" in err


def test_the_default_model_is_named_once():
    assert bundle.DEFAULT == DEFAULT


def test_demo_reads_the_portrait(mien, tmp_path: Path):
    code, out, _ = mien("demo", "--out", tmp_path / "demo.png")
    assert code == 0
    assert "happy" in out
    assert (tmp_path / "demo.png").stat().st_size > 10_000


@pytest.fixture(scope="module")
def album(tmp_path_factory) -> Path:
    """A dark picture, a bright one, and one that is torn; `b` is a model that tells them apart."""
    folder = tmp_path_factory.mktemp("album")
    brightness_bundle(folder / "b", ("dark", "bright"))
    (folder / "photos").mkdir()
    for name, grey in (("a.png", 0), ("c.png", 255)):
        cv2.imwrite(str(folder / "photos" / name), np.full((90, 90), grey, np.uint8))
    (folder / "photos" / "b.png").write_bytes(b"\x89PNG torn")
    return folder


@pytest.fixture
def read(mien, album: Path):
    """`read(source, *options)`: `mien recognize` with that model and no detector."""

    def run(*given: object) -> Run:
        return mien("recognize", *given, "--model", album / "b", "--detector", "none")

    return run


def test_a_photo_is_a_table_in_the_terminal_or_json(read, album: Path):
    photo = album / "photos" / "a.png"
    code, out, err = read(photo)
    assert (code, err) == (0, "")
    heading, row = out.splitlines()
    names = "face", "box (x y w h)", "detector score", "expression", "dark", "bright"
    assert tuple(re.split("  +", heading)) == names
    assert row.split()[:9] == ["1", "0", "0", "90", "90", "-", "dark", "100", "%"]
    code, out, err = read(photo, "--json")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert [(face["path"], face["label"]) for face in told] == [(str(photo), "dark")]
    assert out == json.dumps(told, indent=2) + "\n"


def test_json_is_a_list_of_readings_whatever_is_read(mien, read, album: Path, clip: Path):
    photos = album / "photos"
    shapes = set()
    for source in ([photos / "a.png"], [photos / "a.png", photos / "c.png"], [photos], [clip]):
        told = json.loads(read(*source, "--json")[1])
        shapes.add(type(told))
        assert {"path", "status"} <= set.intersection(*(set(one) for one in told))
    _, out, _ = mien("recognize", photos / "a.png", "--json")
    assert json.loads(out) == [{"path": str(photos / "a.png"), "status": "no_face"}]
    assert shapes == {list}


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_table_goes_to_standard_output_and_nothing_else_does(read, album, tmp_path, form: str):
    for source, expected in (("photos", 3), ("photos/a.png", 0)):
        code, out, err = read(album / source, f"--{form}", "-")
        assert code == expected
        assert err.splitlines()[-1].startswith(("3 read, 2 faces", "1 read, 1 faces"))
        read(album / source, f"--{form}", tmp_path / f"t.{form}")
        assert out == (tmp_path / f"t.{form}").read_text()
    assert not Path("-").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--csv", "-", "--jsonl", "-"], "expected one of --json, --csv - and --jsonl -"),
        (["--csv", "-", "--json"], "expected one of"),
        (["--parquet", "-"], "Parquet is not for standard output"),
        (["--csv", "-", "--resume"], "--resume continues a table"),
    ],
)
def test_what_standard_output_cannot_hold_is_refused(read, album: Path, options, words: str):
    code, out, err = read(album / "photos", *options)
    assert (code, out) == (2, "")
    assert words in err


def test_suffixes_may_be_capitals_and_excel_is_told_of_utf_8(read, clip: Path, tmp_path: Path):
    names = ["T.CSV", "S.CSV", "T.JSONL", "P.PNG"]
    files = dict(zip(("--csv", "--segments", "--jsonl", "--plot"), names, strict=True))
    options = [word for option, name in files.items() for word in (option, tmp_path / name)]
    code, _, err = read(clip, *options, "--bom")
    assert (code, err) == (0, "")
    starts = {name: (tmp_path / name).read_bytes()[:4] for name in names}
    mark = b"\xef\xbb\xbf"
    assert starts == dict(zip(names, (mark + b"p", mark + b"p", b'{"pa', b"\x89PNG"), strict=True))
    code, out, _ = read(clip, "--csv", tmp_path / "T.CSV", "--resume")
    assert out.startswith("0 read, 0 faces, 3 done before")


@pytest.mark.parametrize("out", ["drawn", "drawn.v2", "deep/a.jpg"])
@pytest.mark.parametrize("table", [False, True])
def test_one_photo_is_drawn_into_a_folder_or_a_file(read, album, tmp_path, out: str, table: bool):
    (tmp_path / "drawn.v2").mkdir()
    options = ["--csv", tmp_path / "t.csv"] if table else []
    code, told, _ = read(album / "photos" / "a.png", "--out", tmp_path / out, *options)
    assert code == 0
    place = tmp_path / (out if out.endswith(".jpg") else f"{out}/a.png")
    assert cv2.imread(str(place)) is not None
    assert table or told.splitlines()[-1] == f"picture: {place}"


def test_a_table_of_another_model_is_not_continued(mien, read, album: Path, tmp_path: Path):
    table = tmp_path / "t.csv"
    brightness_bundle(tmp_path / "other", ("dark", "bright"))
    read(album / "photos", "--csv", table)
    again = ("recognize", album / "photos", "--csv", table, "--resume", "--model")
    code, _, err = mien(*again, tmp_path / "other", "--detector", "yunet", "--no-align")
    assert code == 2
    assert "was made with detector none, now yunet; detector version none, now 2023mar" in err
    assert "; align yes, now no; continue it with the same" in err
    (tmp_path / "t.csv-metadata.json").unlink()
    _, _, err = read(album / "photos", "--csv", table, "--resume")
    assert f"mien: {table} does not tell what made it" in err


def test_what_is_left_out_of_a_folder_is_said(read, album: Path):
    (album / "photos" / "notes.txt").touch()
    code, out, err = read(album / "photos")
    (album / "photos" / "notes.txt").unlink()
    assert (code, len(out.splitlines()), err) == (3, 4, "mien: 1 file left out: notes.txt\n")


def test_several_photos_are_a_line_each_and_a_summary(read, album: Path):
    photos = album / "photos"
    code, out, _ = read(photos)
    assert code == 3, "all is written, but one cannot be read"
    first, torn, last, summary = out.splitlines()
    assert first.startswith(f"{photos}/a.png: dark 100 %")
    assert torn.startswith(f"{photos}/b.png ")
    assert last.startswith(f"{photos}/c.png: bright 100 %")
    assert summary == "3 read, 2 faces, 1 unreadable; dark 1, bright 1"
    _, out, _ = read(photos / "c.png", photos / "a.png", "--json")
    assert [one["label"] for one in json.loads(out)] == ["bright", "dark"]


def test_what_was_written_is_said_and_not_every_picture(read, album: Path, tmp_path: Path):
    tables = [tmp_path / f"t.{kind}" for kind in ("csv", "jsonl", "parquet")]
    options = [word for path in tables for word in (f"--{path.suffix[1:]}", path)]
    code, out, err = read(album / "photos", *options, "--out", tmp_path / "drawn")
    assert code == 3
    assert err.splitlines()[-1].startswith(f"mien: {album}/photos/b.png "), "why it is unreadable"
    assert out.splitlines() == [
        "3 read, 2 faces, 1 unreadable; dark 1, bright 1",
        *(f"saved: {path}" for path in (*tables, tmp_path / "drawn")),
    ]
    assert len(tables[0].read_text().splitlines()) == 4
    code, out, _ = read(album / "photos", "--csv", tables[0], "--resume")
    assert out.splitlines() == [
        "0 read, 0 faces, 1 unreadable, 3 done before",
        f"saved: {tables[0]}",
    ]


def test_strict_fails_at_the_first_picture_without_a_face(read, album: Path, tmp_path: Path):
    code, out, err = read(album / "photos", "--strict")
    assert code == 2
    assert err.startswith(f"mien: {album}/photos/b.png ")
    assert len(out.splitlines()) == 1, "of the one before it"


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return film(tmp_path_factory.mktemp("clip") / "c.mp4", [0.0, 0.5, 1.0], (64, 48), empty=True)


def test_a_film_is_a_line_a_face_with_its_time_and_number(read, clip: Path):
    code, out, _ = read(clip)
    assert code == 0
    lines = out.splitlines()
    told = [line.partition(" (")[0] for line in lines[:-1]]
    assert [re.sub(r"\d+ %$", "% %", line) for line in told] == [
        f"{clip} {time} s face 1: dark % %" for time in ("0.000", "0.500", "1.000")
    ]
    assert lines[-1] == "3 read, 3 faces; dark 3"


def test_a_frame_without_a_face_is_a_line_with_its_time(mien, album: Path, clip: Path):
    _, out, _ = mien("recognize", clip, "--model", album / "b", "--detector", "yunet")
    assert out.splitlines()[1] == f"{clip} 0.500 s: no face"


def test_a_part_after_the_end_of_a_film_is_an_error_that_harms_nothing(read, clip, tmp_path: Path):
    table = tmp_path / "t.csv"
    table.write_text("kept\n")
    code, out, err = read(clip, "--start", "0:01:00", "--csv", table, "--video", tmp_path / "v.mp4")
    assert (code, out) == (2, "")
    told = f"the last frame of {clip} is at 1.0 s; expected a start up to then, got 60 s"
    assert err == f"mien: {told}\n"
    assert table.read_text() == "kept\n" and not (tmp_path / "v.mp4").exists()
    code, out, err = read(clip, "--start", 0.6, "--end", 0.7)
    assert (code, out.splitlines()) == (0, ["0 read, 0 faces"])
    assert err == f"mien: no frame of {clip} was read; is one between --start and --end?\n"


@pytest.mark.parametrize(
    ("options", "frames"),
    [
        ([], [0, 1, 2]),
        (["--every", 2], [0, 2]),
        (["--start", 0.2], [1, 2]),
        (["--start", "0:00.2", "--end", "00:00:01"], [1]),
        (["--end", 1.0], [0, 1]),
        (["--fps", 1], [0, 2]),
    ],
)
def test_options_choose_the_frames_of_a_film(read, clip: Path, options, frames):
    _, out, _ = read(clip, "--json", *options)
    assert [one["frame"] for one in json.loads(out)] == frames


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90.5", 90.5), ("1:30", 90), ("00:01:30.25", 90.25), ("2:00:00", 7200)],
)
def test_times_are_written_as_people_write_them(text: str, seconds: float):
    assert clock_time(text) == seconds


@pytest.mark.parametrize("text", ["soon", "1:75", "1:2:3:4", "1:-5", "1.5:00", "1:", ":"])
def test_other_times_are_refused_with_what_would_do(mien, clip: Path, text: str):
    code, _, err = mien("recognize", clip, f"--start={text}")
    assert code == 2
    assert "90.5" in err and "00:01:30" in err


def test_everything_of_a_film_is_saved_where_asked(read, clip: Path, tmp_path: Path):
    names = {"--video": "v.mp4", "--plot": "p.png", "--segments": "s.csv"}
    names["--summary"] = "summary.csv"
    options = [word for name, file in names.items() for word in (name, tmp_path / file)]
    code, out, _ = read(clip, *options, "--blur")
    assert code == 0
    assert out.splitlines() == [
        "3 read, 3 faces; dark 3",
        *(f"saved: {tmp_path / file}" for file in names.values()),
    ]
    assert {path.name for path in tmp_path.iterdir()} == set(names.values())


def test_a_recognizer_is_made_as_asked(mien, album: Path, monkeypatch):
    made = []

    def refuse(*given: object, detector: YuNet, **how: object) -> None:
        made.append((given, detector.min_face, how))
        raise InputError("seen enough")

    monkeypatch.setattr("mien.recognizer.Recognizer.__init__", lambda _, *g, **h: refuse(*g, **h))
    photo = album / "photos" / "a.png"
    plain = {"device": "auto", "threads": None, "align": True, "views": None, "every_frame": False}
    plain["identify"] = False
    assert mien("recognize", photo)[0] == 2
    options = ("--model", "m", "--min-face", 50, "--device", "cpu", "--threads", 3)
    mien("recognize", photo, *options, "--no-align", "--views", "flip", "--every-frame")
    chosen = {"device": "cpu", "threads": 3, "align": False, "views": "flip", "every_frame": True}
    chosen["identify"] = False
    assert made == [((DEFAULT,), MIN_FACE_PX, plain), (("m",), 50, chosen)]


@pytest.mark.parametrize("words", [("--out", ""), ("--csv=",), ("--model", "")])
def test_an_option_without_a_value_is_not_the_current_folder(mien, album: Path, words):
    code, out, err = mien("recognize", album / "photos" / "a.png", *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"mien: {words[0].rstrip('=')} is empty; give a value")


def test_a_service_is_what_it_was_asked_to_be(mien, monkeypatch, tmp_path: Path):
    started = []
    monkeypatch.setattr("mien.serve.run.serve", lambda *given: started.append(given))
    (tmp_path / "key").write_text("  a key of many letters\n")
    assert mien("serve")[0] == 0
    code, _, _ = mien(
        *("serve", "--host", "::", "--port", 9, "--model", "m", "--detector", "yunet"),
        *("--threads", 2, "--batch", 3, "--api-key-file", tmp_path / "key", "--urls"),
        *("--allow-host", "a", "--allow-host", "b", "--rate", 5, "--keep", 1.5),
        *("--jobs", tmp_path / "jobs", "--access-log", "--request-bytes", "9MiB"),
    )
    assert code == 0
    asked = Settings(
        model="m",
        detector="yunet",
        threads=2,
        batch=3,
        api_key="a key of many letters",
        urls=True,
        access_log=True,
        jobs_folder=tmp_path / "jobs",
        keep_s=90,
        limits=Limits(rate=5, request_bytes=9 * 2**20),
    )
    assert started == [(Settings(), "127.0.0.1", 8000, ()), (asked, "::", 9, ("a", "b"))]


LIMITS = [limit.name for limit in dataclasses.fields(Limits)]


def test_every_limit_and_setting_is_an_option_and_a_variable(mien, monkeypatch):
    """Chosen ones arrive, and the help has each in a group, with what it is untold."""
    started = []
    monkeypatch.setattr("mien.serve.run.serve", lambda *given: started.append(given))
    chosen = {name: getattr(Limits(), name) * 0.9 for name in LIMITS}
    chosen = {name: int(v) if v > 1 else v for name, v in chosen.items()} | {
        "client_share": 0.9,
        "faces": 5,
    }
    words = [word for name, v in chosen.items() for word in (f"--{name.replace('_', '-')}", v)]
    assert mien("serve", *words)[0] == 0
    for name, value in chosen.items():
        monkeypatch.setenv(f"MIEN_SERVE_{name.upper()}", str(value))
    for name, value in {"port": "9", "allow_host": "a b", "urls": "1", "keep": "2"}.items():
        monkeypatch.setenv(f"MIEN_SERVE_{name.upper()}", value)
    assert mien("serve")[0] == 0
    limits = Limits(**chosen)
    told = Settings(urls=True, keep_s=120, limits=limits)
    assert started == [
        (Settings(limits=limits), "127.0.0.1", 8000, ()),
        (told, "127.0.0.1", 9, ("a", "b")),
    ]
    groups = ["Address:", "Model:", "Safety:", "One client:", "All clients:", "Pictures:"]
    shown = mien("serve", "--help")[1]
    assert [line for line in shown.splitlines() if line in groups] == groups
    assert shown.index("Films:") > shown.index("Pictures:")
    assert all(f"--{name.replace('_', '-')} " in shown for name in LIMITS)
    assert "20MiB" in shown and "MIEN_SERVE_ACCESS_LOG" in shown


@pytest.mark.parametrize(
    ("camera", "source"), [((), 0), (("2",), 2), (("rtsp://a/b",), "rtsp://a/b")]
)
def test_a_camera_is_watched_and_its_frames_are_counted(mien, monkeypatch, album, camera, source):
    watched = []

    def look(recognizer, camera: FakeSource, *given: object) -> Watched:
        who = (recognizer.card.name, recognizer.detector.name)
        watched.append((*who, camera.frames, *given[:-1]))
        return Watched(30, 5, 9.96)

    monkeypatch.setattr("mien.watch.watch", look)
    monkeypatch.setattr("mien.sources.live.Live", lambda chosen: FakeSource(chosen, live=True))
    options = ("--model", album / "b", "--detector", "none", "--csv", "t.csv", "--seconds", 2)
    code, out, _ = mien("watch", *camera, *options)
    assert (code, out) == (0, "30 frames read, 5 dropped, 10.0 a second\n")
    assert watched == [("brightness", "none", source, Path("t.csv"), 2.0)]


def test_a_film_named_as_a_number_is_no_camera(mien, monkeypatch, album, tmp_path: Path):
    watched = []
    monkeypatch.setattr("mien.watch.watch", lambda *_: Watched())
    monkeypatch.setattr("mien.sources.live.Live", lambda s: watched.append(s) or FakeSource(s))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7").write_bytes(b"x")
    mien("watch", "7", "--model", album / "b", "--detector", "none")
    assert watched == ["7"]


def test_the_version_is_the_packages(mien):
    assert mien("--version") == (0, f"mien {version}\n", "")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "t.csv"), "t.csv: No space left on device; free"),
        (OSError(13, "Permission denied", "t.csv"), "t.csv: Permission denied"),
        (OSError("odd"), "a file: odd"),
    ],
)
def test_a_full_disk_is_a_line_that_says_what_to_do(mien, monkeypatch, album, error, words):
    monkeypatch.setattr("mien.sources.pending.load", lambda *_a, **_k: (_ for _ in ()).throw(error))
    options = ("--model", album / "b", "--detector", "none")
    code, out, err = mien("recognize", album / "photos" / "a.png", *options)
    assert (code, out) == (2, "")
    assert err.startswith(f"mien: cannot read or write {words}")
    assert err.endswith("(training: with --resume)\n") == ("free" in words)


def test_a_photo_without_a_face_says_so(mien, tmp_path: Path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((200, 200), 99, np.uint8))
    code, out, _ = mien("recognize", tmp_path / "grey.png", "--detector", "yunet")
    assert code == 0
    assert out == "no face found; for a ready-made face crop use --detector none\n"


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


def test_data_sets_of_other_labels_train_and_test_and_say_what_they_leave_out(
    mien, tmp_path: Path, monkeypatch
):
    """AffectNet-8 with KDEF; then each of the two alone is a test, and KDEF's people are groups."""
    monkeypatch.chdir(tmp_path)
    eight, people = draw_affectnet(tmp_path / "aff"), draw_kdef(tmp_path / "kdef")
    small = ["training.epochs=1", "training.schedule.warmup_epochs=0", "training.batch=16"]
    small = [word for change in small for word in ("--set", change)]
    code, out, _ = mien("train", "drawn", "--data", eight, "--data", people, "--out", "r", *small)
    assert code == 0
    assert out.splitlines()[0] == "left out: 8 contempt; --labels 8 keeps contempt"
    assert "next:    mien evaluate r --data" in out
    code, _, err = mien("evaluate", "r", "--data", eight, "--split", "train", "--out", "e")
    assert (code, err) == (0, "mien: left out: 8 contempt\n")
    code, _, err = mien("evaluate", "mien-s", "--data", people, "--split", "train", "--out", "k")
    assert (code, err) == (0, "mien: kdef has no picture of: sad, surprise\n")
    code, out, _ = mien("groups", "k", "--by", people, "--column", "sex", "--minimum", 5)
    assert code == 0
    assert "| female | 10 |" in out
    assert "| male | 10 |" in out


def draw_affectnet(root: Path) -> Path:
    files = {}
    for number in range(64):
        files[f"train_set/images/{number}.jpg"] = jpeg()
        files[f"train_set/annotations/{number}_exp.npy"] = npy(str(number % 8))
    return written(root, files)


def draw_kdef(root: Path) -> Path:
    people = [f"A{sex}{number:02d}" for sex in "FM" for number in (1, 2)]
    return written(root, {f"{p}/{p}{e}S.JPG": jpeg() for p in people for e in KDEF_EXPRESSIONS})


KDEF_EXPRESSIONS = ("AF", "AN", "DI", "HA", "NE")


def written(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


@pytest.fixture(scope="module")
def spoilt(drawn: Path, tmp_path_factory) -> dict[str, object]:
    """One of everything that goes wrong: F a folder of it, D a good data set, P a good photo."""
    folder = tmp_path_factory.mktemp("spoilt")
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
        ("recognize {P} --identify", "is no video: --identify tells the people of one apart"),
        ("recognize {P} --every 0", "expected every >= 1"),
        ("recognize {P} --fps inf", "expected 0 < fps <= 1000"),
        ("recognize {P} --blur", "hides the faces in --video"),
        ("recognize {P} --plot {F}/p.png", "need one"),
        ("recognize {P} --csv {F}/t.xls --detector yunet", "use .csv, .jsonl or .parquet"),
        ("recognize {P} --csv {F}/notes.png/t.csv --detector yunet", "cannot read or write"),
        ("recognize {P} --resume", "the same --csv"),
        ("recognize {P} --device tpu", "expected device auto, cpu or cuda"),
        ("recognize {P} --device cuda", "onnxruntime-gpu"),
        ("recognize {P} --threads 0", "at least one thread"),
        ("recognize {F}/wall.png --strict --detector yunet", "no face found"),
        ("recognize http://127.0.0.1:9/a.png", "MIEN_OFFLINE"),
        ("watch 99", "camera 99 cannot be opened"),
        ("serve --api-key-file {F}/gone", "the key in"),
        ("serve --api-key-file {F}/half.jpg", "the key in"),
        ("recognize {F}/zero.jpg", "is empty"),
        ("recognize {F}/half.jpg", "truncated"),
        ("recognize {P} --model {F}/changed", "does not match its card"),
        ("recognize {P} --model vgg19", "no bundle 'vgg19'"),
        ("recognize {P} --detector mtcnn", "there are: yunet, none"),
        ("recognize {P} --detector yunet --out {F}/x.xyz", "use .png, .jpg or .webp"),
        ("recognize {P} --detector yunet --out {F}/notes.png/x.png", "cannot read or write"),
        ("data stats {F}/gone --out {F}/s", "does not exist"),
        ("data stats {F}/empty --out {F}/s", "holds no pictures"),
        ("data stats {F}/stray --out {F}/s", "notes.txt is not a picture"),
        ("data stats {F}/torn --out {F}/s", "truncated"),
        ("data stats {F}/short.csv --out {F}/s", "expected 2304 pixels (48x48), got 3"),
        ("data stats {F}/label.csv --out {F}/s", "unknown label 'bored'"),
        ("data stats {D} --format fer2031 --out {F}/s", "did you mean fer2013"),
        ("data audit {D} --format raf-db --out {F}/s", "lacks EmoLabel/list_patition_label.txt"),
        ("data crop {D} {D}", "OUT {D} is the same folder as the input"),
        ("data crop {F}/half.jpg {F}/new", "is not a data set; expected a folder"),
        ("data draw {F}/d --images 3", "70"),
        ("train nothing --data {D} --out {F}/r", "no recipe 'nothing'"),
        ("train mobilenetv3 --data {D} --out {F}/r", "did you mean mobilenetv2"),
        ("train {F}/key.yaml --data {D} --out {F}/r", "did you mean 'epochs'"),
        ("train {F}/model.yaml --data {D} --out {F}/r", "did you mean 'mobilenetv2'"),
        ("train drawn --data {F}/gone --out {F}/r", "does not exist"),
        ("train drawn --data {D} --data {F}/gone --out {F}/r", "gone does not exist"),
        ("train drawn --data {D} --labels 9 --out {F}/r", "7, 8 or 'common' (got 9)"),
        ("train drawn --data {D} --format kdef --out {F}/r", "holds no pictures"),
        ("train drawn --data {F}/torn --out {F}/r", "truncated"),
        ("train drawn --data {D} --out {F}/r --resume", "no run to resume"),
        ("train drawn --data {D} --out {F}/r --set nonsense", "expected --set key=value"),
        ("train report/resnet50 --data {D} --out {F}/r", "--set model.weights=none"),
        ("evaluate {F}/empty --data {D}", "card.json is missing"),
        ("evaluate {F}/changed --data {D}", "does not match its card"),
        ("evaluate mien-s --data {D} --format jaffe", "holds no pictures"),
        ("compare {F}/gone --out {F}/c", "no run folder"),
        ("compare {F}/empty --out {F}/c", "holds no evaluation"),
        ("export {F}/empty --out {F}/b", "recipe.yaml is missing"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(
    mien, spoilt: dict[str, object], command: str, message: str
):
    folder = Path(str(spoilt["F"]))
    open_detector()  # what a process says once, of the detector it does without, is said here
    before = set(folder.rglob("*"))
    code, out, err = mien(*(word.format(**spoilt) for word in command.split()))
    assert code == 2
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("mien: ")
    assert message.replace("{D}", str(spoilt["D"])) in err
    left = {p for p in set(folder.rglob("*")) - before if p.is_file()}
    assert not left, f"half-written: {left}"


def test_a_dash_reads_a_list_and_a_photo(read, album: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(album)

    def run(come: bytes, *sources: str) -> list[str]:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(come)))
        assert read(*sources, "--csv", tmp_path / "t.csv")[0] in (0, 3)
        with (tmp_path / "t.csv").open(newline="") as file:
            return [row["path"] for row in csv.DictReader(file)]

    paths = b"photos/a.png\nphotos/gone.png\n"
    assert run(paths, "-") == ["photos/a.png", "photos/gone.png"]
    assert run(paths, "photos/c.png", "-") == ["photos/c.png", "photos/a.png", "photos/gone.png"]
    assert run((album / "photos" / "a.png").read_bytes(), "-") == [""]
