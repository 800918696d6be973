"""Files that are whole or not there: atomic writing, digests, and where mien keeps its own."""

import contextlib
import csv
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

from mien.errors import InputError, RunError


def home() -> Path:
    """mien's folder for downloaded weights and decoded data: `MIEN_HOME`, or the user's cache."""
    if chosen := os.environ.get("MIEN_HOME"):
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or "~/.cache"
    return Path(cache).expanduser() / "mien"


def offline() -> bool:
    """Whether `MIEN_OFFLINE` forbids downloads."""
    return os.environ.get("MIEN_OFFLINE", "0").lower() not in {"", "0", "false", "no"}


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def existing(path: Path | str, what: str) -> Path:
    """`path` if something is there; InputError otherwise."""
    path = Path(path)
    try:
        found = path.exists()
    except (OSError, ValueError) as error:  # too long for a name, or with a zero byte
        raise InputError(f"{what} {str(path)[:80]!r}... is no path ({error.args[-1]})") from error
    if not found:
        raise InputError(f"{what} {path} does not exist; check the path")
    return path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the name `path` only once it is whole.

    On any error, a full disk too, nothing is left under `path` that was not there before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk does not say where
        raise


@contextlib.contextmanager
def replacing_folder(path: Path, *, keep: bool = False) -> Iterator[Path]:
    """A new folder that takes the name `path`, in place of what was there, once it is whole.

    With `keep` what is there by then stays, and OSError is raised.
    """
    path = path.resolve()
    if path == Path.cwd():
        raise InputError("the current folder cannot be replaced; name a folder inside it")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    aside = temporary.with_name(f"{temporary.name}.old")
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        if path.exists() and not keep:
            path.rename(aside)
        temporary.rename(path)
        shutil.rmtree(aside, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if aside.exists() and not path.exists():
            aside.rename(path)
        raise


def read_json(path: Path) -> Any:
    """The value in a JSON file; RunError names the file if it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, FileNotFoundError) as error:
        raise RunError(f"{path} is missing or damaged ({error}); make it again") from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with replacing(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_csv(path: Path, columns: Mapping[str, Iterable[Any]]) -> None:
    """Write a table from its columns, numbers to six digits, what is no number left empty."""
    rows = ([_cell(value) for value in row] for row in zip(*columns.values(), strict=True))
    write_text(path, csv_text([tuple(columns), *rows]))


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Lines of CSV that end in a line feed; cells with a line end of any kind are in quotes."""
    lines: list[str] = []
    # The writer puts into quotes what holds a character of its line's end, and names may hold both.
    csv.writer(SimpleNamespace(write=lines.append), lineterminator="\r\n").writerows(rows)
    return "".join(line.removesuffix("\r\n") + "\n" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):  # NumPy's float64 is one
        return "" if math.isnan(value) else f"{value:.6g}"
    return str(value)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
