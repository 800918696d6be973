"""Readings drawn on their photo, and as cards in a notebook."""

import base64
import re
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest

import mien
from mien.demo import PORTRAIT
from mien.errors import InputError, PictureError
from mien.output import notebook
from mien.sources import read_picture
from mien.types import SHOWN

SCORES = mien.Scores(("<b>", "happy"), (0.25, 0.75))
FACE = mien.Face(mien.Box(178, 63, 90, 113), 0.9)


def of(path: object, **more: object) -> mien.Reading:
    return mien.Reading(FACE, SCORES, path=None if path is None else str(path), **more)


def test_the_picture_is_drawn_that_the_readings_name_or_the_one_that_is_given():
    readings = mien.Readings([of(PORTRAIT)])
    picture = read_picture(PORTRAIT)
    expected = mien.draw(picture, readings)
    assert expected.shape[1] > picture.shape[1]
    for drawn in (readings.draw(), readings.draw(PORTRAIT), readings.draw(picture)):
        assert (drawn == expected).all()
    for one in (of(None), mien.Readings([of(None)])):
        assert (one.draw(picture) == expected).all()


@pytest.mark.parametrize(
    "readings", [[], [of(None)], [of("a.jpg"), of("b.jpg")], [of("a.mp4", time_s=0.5)]]
)
def test_without_one_photo_the_picture_must_be_given(readings):
    with pytest.raises(InputError, match=r"give the picture: readings\.draw\(picture\)"):
        mien.Readings(readings).draw()


def test_a_photo_that_is_gone_is_told(tmp_path: Path):
    with pytest.raises((InputError, PictureError), match=r"gone\.jpg"):
        mien.Readings([of(tmp_path / "gone.jpg")]).draw()


def thumbnails(page: str) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    data = [np.frombuffer(base64.b64decode(one), np.uint8) for one in found]
    assert all(len(one) < 4000 for one in data)
    return [cv2.imdecode(one, cv2.IMREAD_COLOR)[:, :, ::-1] for one in data]


def test_a_card_has_the_face_its_words_and_its_bars():
    page = mien.Readings([of(PORTRAIT)])._repr_html_()
    assert page == of(PORTRAIT)._repr_html_()
    (face,) = thumbnails(page)
    cut = read_picture(PORTRAIT)[63 : 63 + 113, 178 : 178 + 90]
    expected = cv2.resize(cut, face.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(face.astype(int) - expected).mean() < 6
    assert "astronaut.jpg happy 75 %" in page
    assert re.findall(r"<td>([^<]*)</td>", page) == ["&lt;b&gt;", "25 %", "happy", "75 %"]
    assert re.findall(r"width:(\d+)px\"></div>", page) == ["20", "60"]


def test_bars_alone_where_there_is_no_photo(tmp_path: Path):
    (tmp_path / "torn.jpg").write_bytes(b"torn")
    outside = mien.Reading(mien.Face(mien.Box(900, 900, 9, 9)), SCORES, path=str(PORTRAIT))
    for reading in (
        of(None),
        of("gone.jpg"),
        of(tmp_path / "torn.jpg"),
        of(PORTRAIT, time_s=0.0),
        outside,
    ):
        page = mien.Readings([reading])._repr_html_()
        assert thumbnails(page) == []
        assert "75 %" in page
    nobody = mien.Reading(None, None, "no_face", path="<i>.jpg")
    assert "&lt;i&gt;.jpg no_face" in mien.Readings([nobody])._repr_html_()
    assert "no readings" in mien.Readings()._repr_html_()


def test_of_many_readings_the_first_are_shown():
    page = mien.Readings([of(None)] * 5000)._repr_html_()
    assert page.count("<table>") == SHOWN
    assert f"... {5000 - SHOWN} more" in page


def test_a_drawing_opens_in_the_viewer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(notebook.tempfile, "tempdir", str(tmp_path))
    opened = []
    monkeypatch.setattr(notebook.webbrowser, "open", lambda uri: opened.append(uri) or True)
    readings = mien.Readings([of(PORTRAIT)])
    assert readings.show() is None
    (file,) = tmp_path.iterdir()
    assert opened == [file.as_uri()]
    assert (read_picture(file) == readings.draw()).all()
    monkeypatch.setattr(notebook.webbrowser, "open", lambda _: False)
    with pytest.raises(InputError, match=r"expected a viewer of pictures.*mien-.*\.png"):
        readings.show()


def test_a_drawing_is_shown_below_the_cell(monkeypatch: pytest.MonkeyPatch):
    shown = []
    kernel = types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace(kernel=1))
    display = types.SimpleNamespace(Image=lambda data: data, display=shown.append)
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    mien.Readings([of(PORTRAIT)]).show()
    of(PORTRAIT).show()
    assert [data[:4] for data in shown] == [b"\x89PNG"] * 2
