"""The page of a table of readings, and how such tables are read again."""

import base64
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.demo import PORTRAIT
from mien.errors import InputError
from mien.labels import FER2013
from mien.output import open_table
from mien.output.saved import read_table
from mien.report import readings_page
from mien.report.readings_page import write_report
from mien.sources import read_picture
from mien.types import Box, Face, Reading, Readings, Scores
from tests.clips import film

HAPPY = Scores(FER2013, tuple(0.94 if label == "happy" else 0.01 for label in FER2013))
SAD = Scores(FER2013, tuple(0.88 if label == "sad" else 0.02 for label in FER2013))
HEAD = Face(Box(177, 63, 90, 113), 0.9)


def table(path: Path, found: list[Reading]) -> Path:
    with_labels = Readings(found, labels=FER2013)
    written = open_table(path, FER2013)
    for reading in with_labels:
        written.write(Readings([reading], labels=FER2013))
    written.close()
    return path


def of_photos(folder: Path, *names: str) -> list[Reading]:
    return [Reading(HEAD, HAPPY, path=str(folder / n), index=i) for i, n in enumerate(names)]


def of_film(path: str, index: int | None = None) -> list[Reading]:
    """Two seconds in which one face is sad in the second one."""
    return [
        Reading(HEAD, scores, "ok", path, t / 10, t, 3, scores, None, index)
        for t, scores in enumerate([HAPPY] * 10 + [SAD] * 10)
    ]


ALL = [
    *of_photos(Path("album"), "a.jpg", "b.jpg"),
    Reading(None, None, "no_face", "album/c.jpg", index=2),
    Reading(None, None, "unreadable", "album/d.jpg", error="it is cut off", index=3),
    *of_film("talk.mp4", 4),
]


@pytest.mark.parametrize("end", ["csv", "jsonl", "parquet"])
def test_a_table_is_read_as_it_was_written(end: str, tmp_path: Path):
    assert list(read_table(table(tmp_path / f"t.{end}", ALL))) == ALL


def test_a_table_that_a_spreadsheet_has_saved(tmp_path: Path):
    path = table(tmp_path / "t.csv", of_film("talk.mp4"))
    text = path.read_text().replace(",", ";").replace(".", ",").replace("talk,mp4", "talk.mp4")
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert list(read_table(path)) == of_film("talk.mp4")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "a,b\n1,2\n"),
        ("t.csv", ""),
        ("t.jsonl", '{"a": 1}\n'),
        ("t.jsonl", "[1]\n"),
        ("t.jsonl", "no JSON\n"),
        ("t.parquet", "no Parquet"),
    ],
)
def test_another_table_is_refused(name: str, text: str, tmp_path: Path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=r"is no table of readings; expected a \.csv, \.jsonl or"):
        read_table(tmp_path / name)


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path):
    path = table(tmp_path / "t.jsonl", ALL)
    path.write_bytes(path.read_bytes()[:-9])
    assert list(read_table(path)) == ALL[:-1]


def pictures(html: str) -> list[np.ndarray]:
    data = re.findall(r"data:image/webp;base64,([^\"]+)", html)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(d), np.uint8), 1) for d in data]


def test_the_page_sums_up_photos_and_each_face_of_a_film(tmp_path: Path):
    html = write_report(table(tmp_path / "t.csv", ALL), tmp_path / "r.html").read_text()
    facts = dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", html))
    assert facts == {
        **{"photos": "4", "films": "1", "faces in films": "1", "faces in photos": "2"},
        **{"unreadable": "1", "unsure readings": "0 %"},
    }
    assert re.findall("<h2>(.*?)</h2>", html) == ["In short", "Photos", "talk.mp4"]
    assert re.search("album</span></th><td>2 faces</td>.*?</div>happy 100 %<", html, re.DOTALL)
    assert re.search("face 3</span></th><td>2.0 s</td>.*?happy 50 %, sad 50 %<", html, re.DOTALL)
    assert html.count("<iframe srcdoc=") == 1
    assert pictures(html) == [], "there are no such files"
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", html), "nothing is fetched"


def sharpness(picture: np.ndarray) -> float:
    return float(cv2.Laplacian(picture, cv2.CV_64F).std())


@pytest.mark.parametrize("clear", [False, True])
def test_faces_are_blurred_unless_they_shall_be_clear(clear: bool, tmp_path: Path):
    """Also those of photos that lie beside the table, wherever it was made."""
    (tmp_path / "a.jpg").write_bytes(PORTRAIT.read_bytes())
    film(tmp_path / "talk.mp4", [t / 10 for t in range(20)])
    found = [*of_photos(Path("elsewhere"), "a.jpg"), *of_film(str(tmp_path / "talk.mp4"))]
    page = write_report(table(tmp_path / "t.csv", found), tmp_path / "r.html", clear=clear)
    shown = pictures(page.read_text())
    assert [picture.shape for picture in shown] == [(96, 96, 3)] * 2
    for picture in shown:
        assert (sharpness(picture) > 12) == clear
        assert picture.std() > 20, "colours can still be seen"
    assert ("Faces are blurred." in page.read_text()) != clear


def test_nothing_of_a_blurred_face_is_finer_than_its_averages(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(PORTRAIT.read_bytes())
    found = of_photos(tmp_path, "a.jpg")
    (shown,) = pictures(
        write_report(table(tmp_path / "t.csv", found), tmp_path / "r.html").read_text()
    )
    box = HEAD.box.square(1.4)
    face = read_picture(PORTRAIT)[box.y : box.y + box.height, box.x : box.x + box.width, ::-1]
    small = cv2.resize(face, (6, 6), interpolation=cv2.INTER_AREA)
    smooth = cv2.resize(small, (96, 96), interpolation=cv2.INTER_LINEAR)
    assert np.abs(shown.astype(int) - smooth).mean() < 8


def test_many_faces_and_films_are_cut_and_the_page_says_so(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(readings_page, "MOST_FACES", 1)
    monkeypatch.setattr(readings_page, "MOST_FILMS", 1)
    (tmp_path / "a.jpg").write_bytes(PORTRAIT.read_bytes())
    found = [*of_photos(tmp_path, "a.jpg", "a.jpg"), *of_film("x.mp4", 2), *of_film("y.mp4", 3)]
    html = write_report(table(tmp_path / "t.csv", found), tmp_path / "r.html").read_text()
    assert "1 of 2 faces are shown." in html
    assert "1 more films are in the table." in html


def test_names_of_folders_do_not_travel(tmp_path: Path):
    found = [*of_photos(tmp_path / "secret" / "album", "a.jpg"), *of_film("/home/me/talk.mp4")]
    html = write_report(table(tmp_path / "t.csv", found), tmp_path / "r.html").read_text()
    assert "secret" not in html
    assert "/home" not in html
