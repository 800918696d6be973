"""How mien knows its own files: drawings are no photos, and no other file is replaced by one."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from mien.errors import InputError

MARK = "drawn by mien"
_BYTES = 4096
"""The mark lies among so many of the first or the last ones, in each format that is drawn."""

_TABLES = (
    *("path,index,time_s", "path,face_id,expression", "kind,path,index"),
    *("path,time_s,frame", "face_id,expression"),
)
"""How tables, segments and summaries begin, those of release 0.1, too."""
_JSON = re.compile(rb'\{"(path|index|time_s|frame|face_id|status)"')


def check_own(outputs: Iterable[tuple[str, Path | None]]) -> None:
    """InputError if an output, an option and its path, is there and is not known to be mien's."""
    for option, path in outputs:
        if path is not None and path.is_file() and path.stat().st_size and not _is_own(path):
            raise InputError(
                f"{option} {path} is there and is not known to be mien's; choose another name, or "
                "delete it"
            )


def _is_own(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_BYTES)
    suffix = path.suffix.lower()
    if suffix == ".csv":  # a spreadsheet may have saved it
        plain = re.sub("[;\t]", ",", head.decode("utf-8", "replace").lstrip("\ufeff"))
        begun = plain.replace('"', "")  # the heading, or what a kill left of it
        return any(begun.startswith(known) or known.startswith(begun) for known in _TABLES)
    if suffix in (".jsonl", ".ndjson"):
        return _JSON.match(head) is not None or b'{"status"'.startswith(head[:9])
    if suffix == ".parquet":
        return _columns_of(path) >= {"path", "label", "status"}
    return is_drawn(path)


def _columns_of(path: Path) -> set[str]:
    from mien.extras import need

    need("pyarrow", extra="report")
    parquet = need("pyarrow.parquet", extra="report")
    try:
        return set(parquet.read_schema(path).names)
    except (OSError, ValueError):  # no Parquet at all
        return set()


def is_drawn(path: Path) -> bool:
    """Whether mien has drawn this picture, video or timeline."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            head = file.read(_BYTES)
            file.seek(max(0, file.seek(0, os.SEEK_END) - _BYTES))
            return MARK.encode() in head + file.read(_BYTES)
    except OSError:  # told when it is read
        return False
