"""Several trainings of a search side by side, a process each."""

import multiprocessing
import os
import sys
from collections.abc import Callable

from mien.errors import MienError, RunError
from mien.search.study import Search, open_study, work


def side_by_side(search: Search, workers: int, tell: Callable[[str], None]) -> None:
    """Work on the study in so many processes until it is done; one works in this process.

    Raises the errors of `work`; RunError if a process ended otherwise.
    """
    open_study(search)  # makes the tables, once
    if workers == 1:
        work(search, tell)
        return
    context = multiprocessing.get_context("spawn")  # torch does not survive a fork
    threads = max(1, (os.cpu_count() or 1) // workers)
    processes = [context.Process(target=_worker, args=(search, threads)) for _ in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if ended := [p.exitcode for p in processes if p.exitcode]:
        raise RunError(
            f"{len(ended)} of {workers} workers ended with exit code {ended[0]}; "
            "the same command goes on"
        )


def _worker(search: Search, threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    try:
        work(search, lambda text: print(text, flush=True))  # noqa: T201
    except MienError as error:
        sys.stderr.write(f"mien: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
