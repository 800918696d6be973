"""A process that reads the files of a part one after the other, and may end with one of them."""

import os
import pickle
import sys
from pathlib import Path

from mien.cluster.reading import READY, how_of, pending, read, recognizer_of
from mien.cluster.stores import ANSWERED
from mien.errors import FileError

_SHARE = 0.8


def _limit_memory() -> None:
    """To most of what is free: a file that wants more ends this process, and no other one."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return
    import resource

    sizes = dict(line.split(":") for line in meminfo.read_text().splitlines())
    most = int(_SHARE * 1024 * int(sizes["MemAvailable"].split()[0]))
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def main() -> None:
    """Take what `reading.alone` pickles; give the results of each file as it is through."""
    job, part, piece, answered = pickle.load(sys.stdin.buffer)
    ANSWERED.update(answered)
    _limit_memory()
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # what a library prints is no answer
        with recognizer_of(job) as recognizer:
            pickle.dump(READY, out)
            out.flush()
            try:
                for one in pending(part.entries, job):
                    pickle.dump([*read(recognizer, [one], how_of(job, piece), [])], out)
                    out.flush()
            except FileError as error:  # of the store: of no file alone
                pickle.dump(error, out)


if __name__ == "__main__":
    main()
