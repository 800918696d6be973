"""Atomic writing, checks of outputs against inputs, digests, and mien's own folder."""

import contextlib
import csv
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, BinaryIO

from mien.errors import FileError, InputError, RunError

_Identity = tuple[int, int] | str
_UNTOUCHED: ContextVar[Mapping[_Identity, str]] = ContextVar(
    "untouched", default=MappingProxyType({})
)


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


def check_outputs(
    outputs: Iterable[tuple[str, Path | None]], inputs: Iterable[Path | str] = ()
) -> None:
    """InputError if an output, an option and its path, is the file of an input or of another one.

    Links, relative paths and, where the disk takes them for one, other cases are the same file.
    `inputs` are only looked at if one of the outputs is there already.
    """
    names: dict[_Identity, str] = {}
    for option, path in outputs:
        if path is None:
            continue
        file, name = _identity(path), f"{option} {path}"
        if file in names:
            raise InputError(
                f"{names[file]} and {name} are the same file; expected a file for each output: "
                "choose another name"
            )
        names[file] = name
    if all(isinstance(file, str) for file in names):
        return
    for source in inputs:
        if same := names.get(_identity(source)):
            raise InputError(
                f"{same} is the same file as the input {source}, which would be replaced; "
                "expected a file of its own: choose another name"
            )


def check_folder(
    option: str, out: Path, inputs: Iterable[Path | str | None], *, replaced: bool = False
) -> None:
    """InputError if the output folder `out` is one of the inputs, or one of them is in a folder
    that will be `replaced`."""
    folder = _identity(out)
    for source in inputs:
        if source is None:
            continue
        if _identity(source) == folder:
            raise InputError(
                f"{option} {out} is the same folder as the input {source}; expected a folder of "
                "its own: choose another name"
            )
        if replaced and folder in map(_identity, Path(os.path.realpath(source)).parents):
            raise InputError(
                f"{option} {out} holds the input {source}, and would be replaced with all that it "
                "holds; expected a new folder: choose another name"
            )


@contextlib.contextmanager
def untouched(*inputs: Path | str | None) -> Iterator[None]:
    """Inside this block, `replacing` raises InputError instead of replacing these files.

    For commands that write many files into one folder: the one that the user reads may be there.
    """
    files = {_identity(source): str(source) for source in inputs if source is not None}
    token = _UNTOUCHED.set({**_UNTOUCHED.get(), **files})
    try:
        yield
    finally:
        _UNTOUCHED.reset(token)


def same_file(one: Path | str, other: Path | str) -> bool:
    """Whether both lead to one file, by whatever name or link."""
    return _identity(one) == _identity(other)


def _identity(path: Path | str) -> _Identity:
    """What `os.path.samefile` compares; the real path of a file that does not exist."""
    try:
        found = os.stat(path)  # noqa: PTH116  (text need not be a path)
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):  # a zero byte, a name too long
            return os.path.realpath(path)
        return str(path)
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that gets the name `path` only when it is complete.

    On any error, a full disk too, nothing is left under `path` that was not there before. Raises
    FileError where it cannot be written, InputError for a file that is `untouched`.
    """
    if source := _UNTOUCHED.get().get(_identity(path)):
        raise InputError(
            f"{path} is the input {source}, which would be replaced; choose another folder"
        )
    with file_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into a FileError that names the file; a full disk does not say where."""
    try:
        yield
    except FileError:
        raise
    except OSError as error:
        name = error.filename or str(path)
        raise FileError(error.errno, error.strerror or str(error), name) from error


@contextlib.contextmanager
def replacing_folder(path: Path, *, keep: bool = False) -> Iterator[Path]:
    """A new folder that replaces `path` when it is complete.

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


def first_line(path: Path) -> str:
    """The first line of a text, up to 4,096 bytes of it."""
    with path.open("rb") as file:
        return file.readline(4096).decode("utf-8-sig", "replace")


def columns_of(heading: str, expected: Collection[str]) -> tuple[str, tuple[str, ...]]:
    """The separator with which a table's first line has most of the columns `expected`: a comma, a
    semicolon or a tab; and its columns, in lower case."""
    cells = {
        mark: tuple(cell.strip(' "\r\n').lower() for cell in heading.split(mark)) for mark in ",;\t"
    }
    separator = max(cells, key=lambda mark: len(set(expected).intersection(cells[mark])))
    return separator, cells[separator]


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
    """Write a table from its columns, numbers with six digits, NaN as an empty cell."""
    rows = ([_cell(value) for value in row] for row in zip(*columns.values(), strict=True))
    write_text(path, csv_text([tuple(columns), *rows]))


def csv_text(rows: Iterable[Sequence[object]], *, separator: str = ",", end: str = "\n") -> str:
    """Lines of CSV that end in `end`; cells with a line end of any kind are in quotes."""
    lines: list[str] = []
    # The writer puts into quotes what holds a character of its line's end, and names may hold both.
    target = SimpleNamespace(write=lines.append)
    csv.writer(target, delimiter=separator, lineterminator="\r\n").writerows(rows)
    return "".join(line.removesuffix("\r\n") + end for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):  # NumPy's float64 is one
        return "" if math.isnan(value) else f"{value:.6g}"
    return str(value)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
