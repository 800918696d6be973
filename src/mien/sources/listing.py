"""The files of folders and patterns, and the single pictures of what holds several."""

import codecs
import glob
import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mien.errors import InputError, ShapeError
from mien.files import existing
from mien.marks import is_drawn
from mien.sources.formats import HEAD_BYTES, picture_format
from mien.sources.frames import LIVE, REMOTE, VIDEO_SUFFIXES
from mien.sources.kinds import content_of, content_of_bytes
from mien.sources.pending import is_name, is_there
from mien.sources.pictures import PICTURE_SUFFIXES

_SUFFIXES = (PICTURE_SUFFIXES | VIDEO_SUFFIXES) - {".ts", ".dv"}
"""Of pictures and films; those of TypeScript and of other things need a film's content, too."""


_SHOWN = 100
_DRAWN = " (drawn by mien)"
_FILM_HEAD_BYTES = 4096


def several(source: Any, left_out: list[str]) -> Iterable[Any] | None:
    """The single pictures and films that `source` stands for; None if it is one itself.

    Names of files that are neither are added to `left_out`. Raises InputError for a folder or a
    pattern without any, and for a path where nothing is.
    """
    if isinstance(source, (str, Path)):
        return named(source, left_out)
    if isinstance(source, (bytes, bytearray, memoryview)) or hasattr(source, "getexif"):
        return None
    if hasattr(source, "__array__"):
        return _of_array(source)
    if isinstance(source, Iterable) and not hasattr(source, "read"):
        return source
    return None


def photo_or_paths(data: bytes) -> bytes | list[str]:
    """What standard input gave: a photo as it is, or paths, one a line or each up to a zero byte
    (`find -print0`). InputError for a film, and if there is nothing."""
    if picture_format(data[:HEAD_BYTES]) is not None:
        return data
    if content_of_bytes(data[:_FILM_HEAD_BYTES]) == "film":
        raise InputError("expected paths or a photo on standard input, got a film; give its path")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # a list of PowerShell's
        data = data.decode("utf-16", "replace").encode()
    data = data.removeprefix(codecs.BOM_UTF8)
    lines = data.split(b"\0") if b"\0" in data else data.splitlines()
    if not (paths := [os.fsdecode(line) for line in lines if line.strip()]):
        raise InputError("expected paths, one a line, or a photo on standard input, got nothing")
    return paths


def named(source: str | Path, left_out: list[str]) -> list[Any] | None:
    """The files of a folder or a pattern; None for the path or address of one."""
    text = str(source)
    if isinstance(source, str) and (not is_name(text) or text.startswith((*REMOTE, *LIVE))):
        return None
    if not is_there(text) and glob.has_magic(text):
        return _of_pattern(text, left_out)
    folder = existing(source, "picture" if Path(text).suffix else "file or folder")
    return _of_folder(folder, left_out) if folder.is_dir() else None


def _of_array(array: Any) -> list[Any] | None:
    """The paths of a pandas Series, the pictures of an (N, H, W, 3) array; None for one picture."""
    shape = tuple(getattr(array, "shape", ()))
    if len(shape) == 4:
        if shape[-1] not in (1, 3, 4):
            raise ShapeError(
                f"expected (N, H, W, 3) pictures, got {shape}; x.transpose(0, 2, 3, 1) puts the "
                "channels last (of a tensor: x.permute)"
            )
        return list(array)
    if len(shape) == 1 and hasattr(array, "tolist"):
        values = array.tolist()
        return values if any(isinstance(v, (str, bytes, Path)) for v in values) else None
    if len(shape) == 2 and hasattr(array, "columns"):
        raise InputError("expected one column of paths, got a whole table; give table['path']")
    return None


def _of_pattern(pattern: str, left_out: list[str]) -> list[Any]:
    """The files that match, those in folders that match, too."""
    if "**" in Path(pattern).parts:
        found = sorted(_deep_matches(pattern, left_out))
    else:
        matches = map(Path, sorted(glob.glob(pattern)))  # noqa: PTH207  (a pattern from anywhere)
        found = [
            file
            for match in matches
            for file in (_files(match, left_out) if match.is_dir() else [match])
        ]
    mine: list[str] = []
    if kept := _without_drawings(found, mine):
        left_out += mine
        return kept
    others = left_out_line(mine) if mine else "check the pattern"
    raise InputError(f"nothing matches {pattern}; {others}")


def _deep_matches(pattern: str, left_out: list[str]) -> Iterator[Path]:
    """Those of a pattern with `**`; `glob` would follow links that lead back without end."""
    parts = Path(pattern).parts
    depth = parts.index("**")
    for folder in glob.glob(str(Path(*parts[:depth]))):  # noqa: PTH207
        for path in _below(Path(folder), left_out):
            if _fits(path.relative_to(folder).parts, parts[depth:]):
                yield path


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatch(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _of_folder(folder: Path, left_out: list[str]) -> list[Any]:
    mine: list[str] = []
    if found := _files(folder, mine):
        left_out += mine
        return found
    others = f"; {left_out_line(mine)}" if mine else ""
    raise InputError(f"{folder} has no pictures and no films{others}")


def _files(folder: Path, left_out: list[str]) -> list[Any]:
    """The pictures and films below a folder, in order."""
    files = sorted(_below(folder, left_out))
    for path in files:
        if not _is_ours(path):
            left_out.append(path.relative_to(folder).as_posix())
    return _without_drawings(filter(_is_ours, files), left_out, folder)


def _without_drawings(
    paths: Iterable[Path], left_out: list[str], folder: Path | None = None
) -> list[Path]:
    """Without what mien has drawn: that is told as left out, by its name below `folder`."""
    kept = []
    for path in paths:
        if is_drawn(path):
            left_out.append(f"{path.relative_to(folder) if folder else path}{_DRAWN}")
        else:
            kept.append(path)
    return kept


def _is_ours(path: Path) -> bool:
    """By its suffix, so that a broken picture is told; or by its content."""
    return path.suffix.lower() in _SUFFIXES or content_of(path) is not None


def _below(folder: Path, left_out: list[str]) -> Iterator[Path]:
    """Every file that is not hidden, once: links are followed, and may lead back."""
    seen = set()

    def unreadable(error: OSError) -> None:
        left_out.append(f"{error.filename} ({error.strerror})")

    for place, folders, files in os.walk(folder, onerror=unreadable, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(place, name)
            if name.startswith("."):
                continue
            told = path.relative_to(folder).as_posix()
            try:
                is_ours = path.is_file() or not path.exists()  # a link to nothing is told, too
            except OSError as error:  # a link into a locked folder
                left_out.append(f"{told} ({error.strerror})")
                continue
            if is_ours:
                yield path
            else:  # a pipe would be waited for
                left_out.append(f"{told} (no file)")


def left_out_line(names: list[str]) -> str:
    """How many files were left out, and which: all of them up to a hundred; drawings apart."""
    drawings = [name.removesuffix(_DRAWN) for name in names if name.endswith(_DRAWN)]
    others = [name for name in names if not name.endswith(_DRAWN)]
    told = [("drawing of mien", "drawings of mien", drawings), ("file", "files", others)]
    return "; ".join(_told(one, several, found) for one, several, found in told if found)


def _told(one: str, several: str, names: list[str]) -> str:
    count = f"{len(names):,} {one if len(names) == 1 else several} left out"
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{count}: {', '.join(names[:_SHOWN])}{more}"
