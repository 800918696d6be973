"""Weights that others publish: found, fetched once, and never taken for what they are not."""

import dataclasses
import hashlib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.errors import WeightsError
from mien.faces import weights
from mien.faces.weights import YUNET, Weights, locate, say_once
from tests.sources.web import PICTURE, serving

DIGEST = hashlib.sha256(PICTURE).hexdigest()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """mien's own folder, not made yet; the network may be asked."""
    monkeypatch.setenv("MIEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MIEN_OFFLINE", "0")
    return tmp_path / "home"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as port:
        yield f"http://127.0.0.1:{port}"


def of(url: str, sha256: str = DIGEST, max_bytes: int = len(PICTURE)) -> Weights:
    return Weights("face.onnx", url, sha256, "MIT", max_bytes)


def refusal(wanted: Weights) -> str:
    with pytest.raises(WeightsError) as caught:
        locate(wanted)
    return str(caught.value)


def test_they_are_fetched_once_and_kept(home: Path, server: str, monkeypatch):
    path = locate(of(f"{server}/picture"))
    assert path == home / "face.onnx"
    assert path.read_bytes() == PICTURE
    assert [file.name for file in home.iterdir()] == ["face.onnx"]
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    assert locate(of(f"{server}/gone")) == path


def test_offline_is_said_with_the_folder_where_they_should_lie(home: Path, monkeypatch):
    monkeypatch.setenv("MIEN_OFFLINE", "1")
    assert refusal(of("http://127.0.0.1:1/")) == (
        f"face.onnx is not in {home} and MIEN_OFFLINE is set."
    )


def test_a_damaged_file_is_told_by_its_path(home: Path, server: str):
    home.mkdir()
    (home / "face.onnx").write_bytes(PICTURE + b"!")
    message = refusal(of(f"{server}/picture"))
    assert message == f"{home / 'face.onnx'} is damaged (wrong sha256): delete it."
    assert (home / "face.onnx").read_bytes() == PICTURE + b"!"


@pytest.mark.parametrize(
    "wanted",
    [
        {"sha256": "0" * 64},
        {"max_bytes": len(PICTURE) - 2},
    ],
    ids=str,
)
def test_another_or_a_longer_file_is_not_kept(home: Path, server: str, wanted: dict):
    url = f"{server}/picture"
    assert refusal(of(url, **wanted)) == (
        f"{url} sent another file (wrong sha256); it was not kept."
    )
    assert not home.exists() or not list(home.iterdir())


@pytest.mark.parametrize(
    ("path", "reason"),
    [("not-found", "x"), ("no-http-at-length", "x" * 100), ("no-http", "SSH-2.0-OpenSSH")],
)
def test_a_server_that_answers_badly_is_told_in_a_line(
    home: Path, server: str, path: str, reason: str
):
    assert refusal(of(f"{server}/{path}")) == (
        f"face.onnx is not in {home} and cannot be downloaded ({reason})."
    )
    assert not home.exists() or not list(home.iterdir())


def test_a_place_that_cannot_be_reached_is_told(home: Path, tmp_path: Path):
    message = refusal(of((tmp_path / "gone").as_uri()))
    assert message.startswith(f"face.onnx is not in {home} and cannot be downloaded (")
    assert "No such file" in message


def test_a_silent_server_is_waited_for_two_seconds(home: Path, monkeypatch):
    waited = []

    def silent(url: str, timeout: float) -> None:
        waited.append((url, timeout))
        raise TimeoutError("timed out")

    monkeypatch.setattr(urllib.request, "urlopen", silent)
    assert "cannot be downloaded (timed out)" in refusal(of("http://faces.test/"))
    assert waited == [("http://faces.test/", 2.0)]


def test_a_notice_is_given_once_per_process(monkeypatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(weights, "_said", set())
    for message in ("one", "two", "one", "two"):
        say_once(message)
    assert capsys.readouterr().err == "mien: one\nmien: two\n"


def test_yunet_is_the_file_of_opencv_s_zoo(home: Path, shared: Path):
    file = shared / "models" / YUNET.name
    assert hashlib.sha256(file.read_bytes()).hexdigest() == YUNET.sha256
    assert file.stat().st_size <= YUNET.max_bytes
    assert YUNET.licence == "MIT"
    assert YUNET.url.startswith("https://media.githubusercontent.com/media/opencv/opencv_zoo/")
    assert YUNET.url.endswith(f"/{YUNET.name}")
    assert locate(dataclasses.replace(YUNET, url=file.as_uri())).name == YUNET.name
    with pytest.raises(dataclasses.FrozenInstanceError):
        YUNET.url = ""
