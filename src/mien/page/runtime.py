"""ONNX Runtime for browsers: three files of an npm package that run networks on WebAssembly.

They are neither in the repository nor in the wheel: a package that lies here or in `MIEN_HOME` is
taken, else `npm` fetches it, as it is set up. Each file is checked, so it does not matter who sent
it.
"""

import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mien.errors import WeightsError
from mien.files import existing, home, offline, replacing

VERSION: Final = "1.30.0"
TARBALL: Final = f"onnxruntime-web-{VERSION}.tgz"
FILES: Final = {
    "ort.js": (
        "ort.wasm.min.mjs",
        "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    ),
    "ort-wasm.js": (
        "ort-wasm-simd-threaded.mjs",
        "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    ),
    "ort-wasm.wasm": (
        "ort-wasm-simd-threaded.wasm",
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    ),
}
"""Name in the page → file in `dist`, and its SHA-256. Some hosts do not know `.mjs`."""
_PACKAGE, _DIST = "package", "dist"
_TIMEOUT_S = 300.0


def open_runtime(given: Path | None = None) -> dict[str, bytes]:
    """Name → file of `FILES`: from the package as a tarball or a folder; by default from a tarball
    that lies here or in `MIEN_HOME`, else by npm.

    What was fetched is kept in `MIEN_HOME`. WeightsError for other files than those of `VERSION`,
    and where they are not here and cannot be fetched; InputError for a path that leads nowhere.
    """
    if given is not None:
        return _of_place(existing(given, "--runtime"))
    for place in (Path(TARBALL), home() / TARBALL):
        if place.is_file():
            return _of_place(place)
    tarball = _fetched()
    files = _of_tarball(tarball, TARBALL)
    with replacing(home() / TARBALL) as kept:
        kept.write(tarball)
    return files


def _fetched() -> bytes:
    package = f"onnxruntime-web@{VERSION}"
    by_hand = f"run npm pack {package} and give --runtime {TARBALL}"
    if offline():
        raise WeightsError(
            f"{TARBALL} is not here and not fetched, as MIEN_OFFLINE is set; unset it, or {by_hand}"
        )
    npm = shutil.which("npm")
    if npm is None:
        raise WeightsError(f"{TARBALL} is not here, nor npm, which fetches it; elsewhere {by_hand}")
    with tempfile.TemporaryDirectory() as place:
        command = [npm, "pack", "--silent", package]
        try:
            subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=_TIMEOUT_S)
            return (Path(place) / TARBALL).read_bytes()
        except (subprocess.SubprocessError, OSError) as error:
            raise WeightsError(f"npm did not fetch {package}: {error}; {by_hand}") from error


def _of_place(place: Path) -> dict[str, bytes]:
    if place.is_file():
        return _of_tarball(place.read_bytes(), str(place))
    root = place / _PACKAGE if (place / _PACKAGE).is_dir() else place
    return _checked(lambda file: (root / _DIST / file).read_bytes(), str(place))


def _of_tarball(tarball: bytes, name: str) -> dict[str, bytes]:
    def read(file: str) -> bytes:
        member = opened.extractfile(f"{_PACKAGE}/{_DIST}/{file}")
        return member.read() if member else b""

    try:
        with tarfile.open(fileobj=io.BytesIO(tarball), mode="r:gz") as opened:
            return _checked(read, name)
    except (tarfile.TarError, EOFError) as error:
        raise _other(name, str(error)) from error


def _checked(read: Callable[[str], bytes], name: str) -> dict[str, bytes]:
    found = {}
    for in_page, (file, digest) in FILES.items():
        try:
            content = read(file)
        except (OSError, KeyError) as error:
            raise _other(name, f"{_DIST}/{file} cannot be read") from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise _other(name, f"{_DIST}/{file} has another sha256")
        found[in_page] = content
    return found


def _other(name: str, why: str) -> WeightsError:
    return WeightsError(
        f"{name} is not the package onnxruntime-web {VERSION}: {why}; get it again: "
        f"npm pack onnxruntime-web@{VERSION}"
    )
