"""Detector weights: found in `MIEN_HOME` or downloaded once; the digest is always checked."""

import hashlib
import http.client
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from mien.errors import WeightsError
from mien.files import home, offline, replacing, sha256

_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Weights:
    """A file that others publish: its name, place, size and digest."""

    name: str
    url: str
    sha256: str
    licence: str
    max_bytes: int


YUNET = Weights(
    name="face_detection_yunet_2023mar.onnx",
    url="https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/"
    "face_detection_yunet/face_detection_yunet_2023mar.onnx",
    sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    licence="MIT",
    max_bytes=1_000_000,
)


def locate(weights: Weights) -> Path:
    """The file in `MIEN_HOME`, downloaded if it is not there.

    Raises WeightsError if it cannot be had, `MIEN_OFFLINE` forbids it, or its digest is wrong.
    """
    path = home() / weights.name
    if not path.exists():
        _download(weights, path)
    if sha256(path) != weights.sha256:
        raise WeightsError(f"{path} is damaged (wrong sha256): delete it.")
    return path


def _download(weights: Weights, path: Path) -> None:
    if offline():
        raise WeightsError(f"{weights.name} is not in {path.parent} and MIEN_OFFLINE is set.")
    try:
        with urllib.request.urlopen(weights.url, timeout=_TIMEOUT_S) as answer:
            data = answer.read(weights.max_bytes + 1)
        if hashlib.sha256(data).hexdigest() != weights.sha256:
            raise WeightsError(f"{weights.url} sent another file (wrong sha256); it was not kept.")
        with replacing(path) as file:
            file.write(data)
    except (OSError, http.client.HTTPException) as error:
        # A server that speaks no HTTP is quoted: it may have sent anything.
        reason = " ".join(str(getattr(error, "reason", error)).split())[:100]
        raise WeightsError(
            f"{weights.name} is not in {path.parent} and cannot be downloaded ({reason})."
        ) from error


_said: set[str] = set()


def say_once(message: str) -> None:
    """Print a notice to standard error, once per process."""
    if message not in _said:
        _said.add(message)
        sys.stderr.write(f"mien: {message}\n")
