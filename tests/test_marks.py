"""mien knows its own drawings, in every format that it writes."""

from pathlib import Path

import cv2
import numpy as np
import pytest

import mien
from mien import output
from mien.analyse import Outputs, analyse, place_of
from mien.cli import main
from mien.demo import PORTRAIT
from mien.errors import InputError
from mien.marks import check_own, is_drawn
from mien.output.clip import Clip
from mien.output.timeline import Timeline
from mien.sources import open_source, read_picture
from mien.types import Box, Face, Reading, Scores
from tests.clips import film
from tests.fakes import brightness_bundle

NOISE = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".jpeg", ".png", ".webp", ".tiff"])
def test_a_drawing_is_known(tmp_path: Path, suffix: str):
    """Of noise: its compressed bytes are many, and lie between the mark and one end of the file."""
    path = tmp_path / f"p{suffix}"
    output.save_picture(path, NOISE)
    assert path.stat().st_size > 100_000
    assert is_drawn(path)
    assert np.abs(read_picture(path).astype(int) - NOISE).mean() < 60


@pytest.mark.parametrize("suffix", [".mp4", ".MP4", ".mkv", ".mov"])
def test_a_video_is_known(tmp_path: Path, suffix: str):
    path = tmp_path / f"v{suffix}"
    sound = film(tmp_path / "sound.mp4", [i / 10 for i in range(20)], (64, 48), sound=True)
    with Clip(path, 10, str(sound)) as clip:
        for number in range(20):
            clip.write(np.roll(NOISE, number, 0), number / 10)
    assert is_drawn(path)
    assert not is_drawn(sound)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_timeline_is_known(tmp_path: Path, suffix: str):
    timeline = Timeline()
    for number in range(3):
        scores = Scores(("a", "b"), (0.5, 0.5))
        timeline.add(
            Reading(Face(Box(0, 0, 9, 9)), scores, time_s=number, face_id=0, smoothed=scores)
        )
    timeline.save(tmp_path / f"p{suffix}")
    assert is_drawn(tmp_path / f"p{suffix}")


def test_what_others_made_is_not(tmp_path: Path):
    assert not is_drawn(PORTRAIT)
    (tmp_path / "empty.jpg").touch()
    for path in (tmp_path / "empty.jpg", tmp_path / "gone.jpg", tmp_path):
        assert not is_drawn(path)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Two photos, and beside them what mien has drawn of them, and a plot."""
    (tmp_path / "album" / "drawn").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / "album" / name), NOISE[:90, :90])
    for name in ("drawn/a.png.jpg", "drawn/frame_000001.jpg", "b-drawn.png"):
        output.save_picture(tmp_path / "album" / name, NOISE[:90, :90])
    return tmp_path / "album"


@pytest.mark.parametrize("pattern", ["", "**/*", "*"])
def test_drawings_among_photos_are_left_out_with_a_word(album: Path, pattern: str):
    source = open_source(str(album / pattern))
    assert [Path(path).name for path in source.files] == ["a.png", "b.png"]
    (told,) = source.warnings
    assert told.startswith("3 drawings of mien left out: ")
    assert all(name in told for name in ("b-drawn.png", "a.png.jpg", "frame_000001.jpg"))


def test_drawings_beside_other_files_are_told_apart(album: Path):
    (album / "notes.txt").touch()
    (album / "drawn" / "a.png.jpg").unlink()
    (album / "drawn" / "frame_000001.jpg").unlink()
    (told,) = open_source(album).warnings
    assert told == "1 drawing of mien left out: b-drawn.png; 1 file left out: notes.txt"


def test_a_drawing_is_read_where_it_is_asked_for(album: Path):
    drawing = album / "b-drawn.png"
    for source in (drawing, [drawing], [str(drawing)]):
        assert open_source(source).files == [drawing] or open_source(source).files == [str(drawing)]
    for nothing in (album / "drawn", str(album / "drawn" / "*")):
        with pytest.raises(InputError, match=r"; 2 drawings of mien left out: "):
            open_source(nothing)


def test_the_next_run_does_not_read_what_a_run_has_drawn(tmp_path: Path, monkeypatch):
    bundle = brightness_bundle(tmp_path / "bundle", ("dark", "bright"))
    reader = mien.Recognizer(bundle.folder, detector="none")
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    cv2.imwrite("a.png", NOISE[:90, :90])
    film(Path("c.mp4"), [0.0, 0.1], (64, 48), empty=True)
    before = reader.recognize(".").to_json()
    analyse(reader, ".", Outputs(pictures=Path("drawn")))
    shown = {"video": Path("v.mp4"), "plot": Path("p.png"), "pictures": Path()}
    analyse(reader, "c.mp4", Outputs(**shown))
    written = {path.as_posix() for path in Path().rglob("*.*") if path.is_file()}
    assert {"drawn/a.png", "frame_000001.jpg", "v.mp4", "p.png"} < written
    assert reader.recognize(".").to_json() == before


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return film(tmp_path / "c.mp4", [0.0, 0.1], (64, 48), empty=True)


OUTPUTS = {
    "--csv": "t.csv",
    "--jsonl": "t.jsonl",
    "--parquet": "t.parquet",
    "--video": "v.mp4",
    "--plot": "p.png",
    "--segments": "s.csv",
    "--summary": "m.csv",
}


def as_outputs(folder: Path, names: dict[str, str]) -> Outputs:
    tables = [folder / name for option, name in names.items() if name.startswith("t.")]
    others = {o[2:]: folder / name for o, name in names.items() if not name.startswith("t.")}
    return Outputs(tuple(tables), **others)


def test_what_mien_wrote_is_replaced_and_nothing_else(tmp_path: Path, clip: Path):
    bundle = brightness_bundle(tmp_path / "bundle", ("dark", "bright"))
    reader = mien.Recognizer(bundle.folder, detector="none")
    for _ in range(2):
        analyse(reader, clip, as_outputs(tmp_path, OUTPUTS))
    for option, name in OUTPUTS.items():
        for content in (b"my only notes", clip.read_bytes(), b"path\nmine", b'{"a": 1}\n'):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(
                InputError, match=rf"{name} is there and is not known to be mien's; ch"
            ):
                analyse(reader, clip, as_outputs(tmp_path, {option: name}))
            assert (tmp_path / name).read_bytes() == content
        (tmp_path / name).write_bytes(b"")
        analyse(reader, clip, as_outputs(tmp_path, {option: name}))
        assert (tmp_path / name).stat().st_size


def test_a_drawing_does_not_replace_a_picture_of_that_name(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "bundle", ("dark", "bright"))
    reader = mien.Recognizer(bundle.folder, detector="none")
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "a.png"), NOISE[:90, :90])
    place = place_of(tmp_path / "out", str(tmp_path / "in" / "a.png"))
    place.parent.mkdir(parents=True)
    cv2.imwrite(str(place), NOISE[:60, :60])
    before = place.read_bytes()
    with pytest.raises(InputError, match=r"a\.png is there and is not known to be mien's"):
        analyse(reader, tmp_path / "in", Outputs(pictures=tmp_path / "out"))
    assert place.read_bytes() == before
    place.unlink()
    for _ in range(2):
        analyse(reader, tmp_path / "in", Outputs(pictures=tmp_path / "out"))
    assert is_drawn(place)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_that_excel_saved_or_that_is_of_release_01_is_one_of_mien(tmp_path, separator):
    heading = separator.join(['"path"', "time_s", "frame", "face_id"])
    for content in (f"\ufeff{heading}\r\n", heading.replace('"', "")[:9], "pa", ""):
        (tmp_path / "t.csv").write_text(content, newline="")
        check_own([("--csv", tmp_path / "t.csv"), ("--plot", None)])


def test_a_single_drawing_does_not_replace_another_picture(tmp_path: Path, monkeypatch, capsys):
    cv2.imwrite(str(tmp_path / "mine.png"), NOISE[:60, :60])
    before = (tmp_path / "mine.png").read_bytes()
    for command in (["demo"], ["explain", "mien-s", PORTRAIT], ["recognize", PORTRAIT]):
        words = ["mien", *map(str, command), "--out", str(tmp_path / "mine.png")]
        monkeypatch.setattr("sys.argv", words)
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        assert "mine.png is there and is not known to be mien's" in capsys.readouterr().err
    assert (tmp_path / "mine.png").read_bytes() == before
