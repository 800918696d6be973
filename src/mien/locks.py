"""Files that one process holds against others for as long as it lives: a kill leaves no lock."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mien.errors import InputError
from mien.files import file_errors

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_BEYOND = 2**62
"""A byte that no file has: on Windows, nobody can read what is locked."""


def lock(file: IO[bytes]) -> bool:
    """Hold an open file until it is closed; False if another process holds it, or another opening.

    On a disk that knows no locks every file is held.
    """
    try:
        if sys.platform == "win32":
            file.seek(_BEYOND)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _TAKEN
    return True


@contextlib.contextmanager
def held(path: Path) -> Iterator[IO[bytes]]:
    """`path`, made if it is not there, to be read and added to; no other process may hold it.

    If the block fails, a file that it made and left empty is deleted. Raises InputError if another
    process holds it, FileError if it cannot be opened.
    """
    with file_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        file = _opened(path)
    try:
        yield file
    except BaseException:
        if is_new and file.seek(0, os.SEEK_END) == 0:
            path.unlink(missing_ok=True)
        raise
    finally:
        file.close()


def _opened(path: Path) -> IO[bytes]:
    while True:
        file = path.open("a+b", buffering=0)
        if not lock(file):
            file.close()
            raise InputError(
                f"{path} is being written by another run; wait for its end, or choose another name"
            )
        if os.name == "nt" or _is_still(path, file):
            return file
        file.close()  # whoever held it gave the name to another file


def _is_still(path: Path, file: IO[bytes]) -> bool:
    """Whether `path` leads to the open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
