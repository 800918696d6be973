"""A folder that only one service uses; a temporary one is deleted with the service."""

import contextlib
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import IO

from mien.errors import InputError
from mien.files import file_errors

try:
    import fcntl
except ImportError:  # Windows; there, nobody looks after services that were killed
    fcntl = None  # type: ignore[assignment]

_PREFIX = "mien-jobs-"
_YOUNG_S = 60.0


class LockedFolder:
    """A folder that no other service uses; a temporary one if none is given.

    Raises InputError if another service has it, FileError if it cannot be written.
    """

    def __init__(self, given: Path | None) -> None:
        self._temporary = given is None
        if given is None:
            delete_abandoned()
            given = Path(tempfile.mkdtemp(prefix=_PREFIX))
        with file_errors(given):
            given.mkdir(0o700, parents=True, exist_ok=True)
            lock = _locked(given)
        if lock is None:
            raise InputError(f"another service uses {given}; choose another folder of jobs")
        self.path, self._lock = given.resolve(), lock

    def close(self) -> None:
        """Leave the folder to others, or delete it if it is temporary."""
        if self._temporary:
            shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _locked(folder: Path) -> IO[bytes] | None:
    """A lock that lasts as long as the file is open; None if another process has it."""
    file = (folder / ".lock").open("wb")
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def delete_abandoned() -> None:
    """Delete the temporary folders of services that were killed: their videos must not stay.

    Those of the last minute are left for later: one may be of a service that is starting.
    """
    if fcntl is None:
        return
    for place in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            facts = place.lstat()
            ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid()
            if not ours or time.time() - facts.st_mtime < _YOUNG_S:
                continue
            if (lock := _locked(place)) is not None:
                shutil.rmtree(place, ignore_errors=True)
                lock.close()
