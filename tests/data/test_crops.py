import csv
import zipfile
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data import Asked, open_dataset
from mien.data.crops import Cropper, _targets
from mien.data.records import Record
from mien.errors import DataError, InputError
from mien.faces import find, open_detector
from tests.data.formats.layouts import LAYOUTS, face

PORTRAIT = Image.open(str(resources.files("mien") / "assets" / "astronaut.jpg")).convert("RGB")


def save(path: Path, picture: Image.Image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return path


@pytest.fixture
def photos(tmp_path) -> Path:
    """A portrait, the same twice in one photo, a landscape, a broken file and a text."""
    root = tmp_path / "photos"
    save(root / "train" / "happy" / "one.jpg", PORTRAIT)
    small = PORTRAIT.resize((PORTRAIT.width // 2, PORTRAIT.height // 2))
    both = Image.new("RGB", (PORTRAIT.width + small.width, PORTRAIT.height), "white")
    both.paste(PORTRAIT, (0, 0))
    both.paste(small, (PORTRAIT.width, 0))
    save(root / "train" / "sad" / "two.png", both)
    save(root / "test" / "sad" / "landscape.png", Image.new("RGB", (300, 200), "navy"))
    (root / "test" / "sad" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (root / "train" / "happy" / "notes.txt").write_text("hello")
    return root


def files(out: Path) -> dict[str, bytes]:
    return {
        p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()
    }


def table(out: Path) -> dict[str, str]:
    with (out / "left-out.csv").open(newline="") as file:
        return {row["name"]: row["reason"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_faces_are_cut_into_the_folders_of_their_photos(photos, tmp_path, form):
    source = photos
    if form == "zip":
        source = tmp_path / "photos.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for name in files(photos):
                archive.write(photos / name, name)
    done = []
    found = Cropper(source, tmp_path / "out").run(done.append)
    assert set(files(tmp_path / "out")) == {
        "train/happy/one.png",
        "train/sad/two.png",
        "left-out.csv",
    }
    assert (found.faces, sum(done)) == (2, 4)
    told = table(tmp_path / "out")
    assert told["test/sad/landscape.png"] == "no face"
    assert told["train/happy/notes.txt"] == "not a picture"
    assert "broken.jpg" in told["test/sad/broken.jpg"]
    assert len(told) == len(found.left_out) == 3
    data = open_dataset(tmp_path / "out")
    assert data.split("train").labels.tolist() == [3, 5]


def test_a_face_is_framed_as_recognition_frames_it(photos, tmp_path):
    Cropper(photos, tmp_path / "out").run()
    picture = np.asarray(Image.open(photos / "train/happy/one.jpg"))
    expected = find(picture, open_detector())[1][0]
    cut = np.asarray(Image.open(tmp_path / "out/train/happy/one.png"))
    assert cut.shape[2] == 3
    assert max(cut.shape) <= 224
    if max(expected.shape) <= 224:
        assert (cut == expected).all()


def test_all_faces_of_a_photo_where_they_are_asked_for(photos, tmp_path):
    found = Cropper(photos, tmp_path / "out", every=True).run()
    assert found.faces == 3
    names = set(files(tmp_path / "out"))
    assert {"train/sad/two.png", "train/sad/two.face2.png"} <= names
    largest, other = (
        Image.open(tmp_path / "out/train/sad" / name).width for name in ("two.png", "two.face2.png")
    )
    assert largest > other


def test_an_interrupted_run_goes_on_and_cuts_nothing_twice(photos, tmp_path):
    out = tmp_path / "out"

    def stop(done: int) -> None:
        if (out / "train/happy/one.png").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Cropper(photos, out, every=True).run(stop)
    before = (out / "train/happy/one.png").stat().st_mtime_ns
    again = Cropper(photos, out, every=True).run()
    assert (out / "train/happy/one.png").stat().st_mtime_ns == before
    fresh = Cropper(photos, tmp_path / "fresh", every=True).run()
    assert files(out) == files(tmp_path / "fresh")
    assert again == fresh


def test_what_is_not_ours_is_not_written_into(photos, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="was not made by mien data crop; expected a new folder"):
        Cropper(photos, tmp_path / "out")
    with pytest.raises(DataError, match="holds no pictures; expected a folder or zip of photos"):
        (tmp_path / "empty").mkdir()
        Cropper(tmp_path / "empty", tmp_path / "new")


def test_files_of_one_name_do_not_replace_each_other(tmp_path):
    for name in ("one.jpg", "one.png"):
        save(tmp_path / "photos" / "happy" / name, PORTRAIT)
    Cropper(tmp_path / "photos", tmp_path / "out").run()
    assert set(files(tmp_path / "out")) == {
        "happy/one.jpg.png",
        "happy/one.png.png",
        "left-out.csv",
    }


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("x.jpg", "x.png", "x.jpg.webp"), ("x.jpg.png", "x.png.png", "x.jpg.webp.png")),
        (("a.jpg", "a.face2.jpg"), ("a.jpg.png", "a.face2.jpg.png")),
        (("a.face2.jpg", "b.jpg"), ("a.face2.png", "b.png")),
        (("x.jpg", "X.JPG", "x.jpg-2.webp"), ("x.jpg.png", "X.JPG-2.png", "x.jpg-2.webp-2.png")),
    ],
)
def test_every_photo_has_a_target_of_its_own(names, expected):
    records = [Record("", "", f"sad/{name}", np.zeros((1, 1), np.uint8)) for name in names]
    assert tuple(_targets(records)) == tuple(f"sad/{name}" for name in expected)


def test_a_second_run_tells_the_same_and_all_faces_may_be_asked_for_later(photos, tmp_path):
    save(photos / "train/sad/two.face2.jpg", PORTRAIT)
    out, told = tmp_path / "out", []
    for every in (False, False, True, True, False):
        told.append(Cropper(photos, out, every=every).run().faces)
        assert told[-1] == len([*out.rglob("*.png")])
    assert told == [3, 3, 4, 4, 4]


def test_a_data_set_of_people_becomes_classes_and_keeps_who_they_are(tmp_path):
    for name in ("AF01/AF01HAS.JPG", "AM02/AM02SUS.JPG"):
        save(tmp_path / "KDEF" / name, PORTRAIT)
    Cropper(tmp_path / "KDEF", tmp_path / "out").run()
    assert set(files(tmp_path / "out")) == {
        "train/happy/AF01HAS.png",
        "train/surprise/AM02SUS.png",
        "left-out.csv",
    }
    assert open_dataset(tmp_path / "out").split("train").persons.tolist() == ["F01", "M02"]


def test_films_are_no_photos(tmp_path):
    with pytest.raises(DataError, match=r"data set of films \(dfew\); expected photos"):
        Cropper(LAYOUTS["dfew"].write(tmp_path / "films"), tmp_path / "out")


def test_films_among_photos_are_left_out_and_persons_keep_their_folders(tmp_path):
    save(tmp_path / "photos" / "happy" / "anna" / "1.jpg", PORTRAIT)
    (tmp_path / "photos" / "happy" / "film.mp4").write_bytes(b"film")
    Cropper(tmp_path / "photos", tmp_path / "out").run()
    assert set(files(tmp_path / "out")) == {"happy/anna/1.png", "left-out.csv"}
    assert table(tmp_path / "out") == {"happy/film.mp4": "not a picture"}


def test_the_command_says_what_it_did_and_refuses_its_own_input(photos, tmp_path):
    from typer.testing import CliRunner

    from mien.cli import app

    done = CliRunner().invoke(app, ["data", "crop", str(photos), str(tmp_path / "out")])
    assert done.output == f"faces:    2\nleft out: 3 ({tmp_path / 'out' / 'left-out.csv'})\n"
    before = files(photos)
    for out in (photos, photos / "new"):
        with pytest.raises(
            InputError, match=r"OUT .* (is the same folder as the input|lies among)"
        ):
            CliRunner().invoke(app, ["data", "crop", str(photos), str(out)], catch_exceptions=False)
    assert files(photos) == before


def test_a_format_that_is_named_is_used(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "a.jpg").write_bytes(face())
    with pytest.raises(DataError, match="lacks"):
        Cropper(tmp_path, tmp_path / "out", asked=Asked("raf-db"))
