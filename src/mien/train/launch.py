"""Processes that train one network together: who this one is, and how they are started.

Started here (`--devices`), by torchrun, or by SLURM's srun. Imports no torch until it starts them.
"""

import logging
import os
import signal
import sys
from collections.abc import Sequence

from mien.errors import InputError, RunError

_MEMORY = ", as the system does where memory is full"


def place() -> tuple[int, int]:
    """(rank, processes) of this one; (0, 1) if it trains alone.

    SLURM counts the tasks of a job, too: a script that srun did not start trains alone.
    """
    for rank, size in (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS")):
        if rank in os.environ and size in os.environ:
            return int(os.environ[rank]), int(os.environ[size])
    return 0, 1


def nodes() -> int:
    """Machines on which they run, of equally many processes each."""
    _, size = place()
    if "LOCAL_WORLD_SIZE" in os.environ:
        return size // int(os.environ["LOCAL_WORLD_SIZE"])
    return int(os.environ.get("SLURM_STEP_NUM_NODES", "1"))


def shares(batch: int, size: int) -> None:
    """Raise InputError unless a batch can be shared by so many processes."""
    if batch % size:
        raise InputError(
            f"training.batch={batch} is shared by {size} devices; choose a multiple of {size}: "
            f"--set training.batch={max(size, batch // size * size)}"
        )


def launch(devices: int, command: Sequence[str]) -> int:
    """Run `mien` with these words in so many processes of this machine; the exit code of the first
    that failed, 128 and its number after Ctrl-C, else 0. RunError if a signal ended one."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # mien says it
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // devices)))
    config = LaunchConfig(1, 1, devices, run_id="mien", rdzv_backend="c10d")
    config.rdzv_endpoint, config.max_restarts = "localhost:0", 0  # --resume goes on
    try:
        elastic_launch(config, sys.executable)("-m", "mien", *command)
    except ChildFailedError as error:
        rank, first = error.get_first_failure()
        if first.exitcode < 0:
            raise RunError(
                f"process {rank} of {devices} was ended by signal {-first.exitcode}"
                f"{_MEMORY if -first.exitcode == signal.SIGKILL else ''}; the same command with "
                "--resume goes on"
            ) from error
        return first.exitcode
    except SignalException as stop:  # Ctrl-C: the others were told, too
        return 128 + int(stop.sigval)
    return 0
