"""What a worker writes: the rows of a run on one machine, whatever it is cut into."""

from pathlib import Path

import pytest

from mien.cluster.listing import listed
from mien.cluster.plan import Job, Part, parts_of
from mien.cluster.worker import Reader
from mien.demo import PORTRAIT
from mien.output.saved import read_table
from mien.recognizer import Recognizer
from mien.sources import Cut
from mien.types import Readings
from tests.clips import film

OPTIONS = {"threads": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(**OPTIONS)


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos with and without a face, a broken one, and a film between them."""
    folder = tmp_path_factory.mktemp("album")
    for name in ("a.jpg", "b.jpg", "z/d.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(PORTRAIT.read_bytes())
    (folder / "broken.png").write_bytes(b"\x89PNG and no more")
    film(folder / "c.mp4", [n / 5 for n in range(30)], (320, 180))
    return folder


def job_for(out: Path, **more: object) -> Job:
    return Job(str(out), "mien-m-int8", recognizer=OPTIONS, base=str(Path.cwd()), **more)


def read_all(job: Job, parts: list[Part], careful: bool = False) -> Readings:
    """The rows of all files of a job, read by one worker."""
    reader, found = Reader(job), Readings()
    for part in parts:
        pieces = reader.read(part, careful=careful).pieces
        for piece in pieces:
            reader.read(part, piece)
        if pieces:
            reader.join(part, len(pieces))
        found += read_table(Path(job.out) / f"{part.name}.parquet")
    return found


def without_landmarks(readings: Readings) -> list[dict[str, object]]:
    return [reading.to_row(readings.labels) for reading in readings]


def test_a_folder_in_parts(recognizer, album, tmp_path):
    entries, notes = listed([str(album)], Cut(), False)
    parts = parts_of(entries, photos=2)
    assert [len(part.entries) for part in parts] == [2, 1, 1, 1] and notes == []
    found = read_all(job_for(tmp_path / "out"), parts)
    assert without_landmarks(found) == without_landmarks(recognizer.recognize(str(album)))


@pytest.mark.parametrize("cut", [Cut(), Cut(every=2), Cut(fps=3, start_s=0.5, end_s=9.8)])
def test_a_film_in_pieces(recognizer, tmp_path, cut):
    play = film(tmp_path / "play.mp4", [n / 10 for n in range(100)], (160, 90), faces=2)
    job = job_for(tmp_path / "out", cut=cut, piece_s=3)
    (part,) = parts_of(listed([str(play)], cut, False)[0])
    assert len(Reader(job).read(part).pieces) > 2
    whole = recognizer.recognize(str(play), cut=cut)
    assert without_landmarks(read_all(job, [part])) == without_landmarks(whole)
