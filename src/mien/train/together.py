"""What the processes of one training do together, each on a device of its own.

Every step's batch is shared among them, and gradients are averaged (Li et al. 2020,
arXiv:2006.15704): with the same recipe they take the same steps as one process. The first alone
writes files.
"""

import contextlib
from collections.abc import Iterator
from datetime import timedelta

import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch import Tensor, distributed

from mien.errors import InputError, RunError
from mien.train.launch import place

_PATIENCE = timedelta(days=1)
"""The others wait while the first decodes the data and asks teachers."""


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Join the other processes, if `mien.train.launch.place` says that there are any.

    InputError if SLURM does not say how many each machine has, RunError if another is lost.
    """
    rank, size = place()
    if size == 1:
        yield
        return
    try:
        elastic = TorchElasticEnvironment.detect()
        cluster = TorchElasticEnvironment() if elastic else SLURMEnvironment()
    except RuntimeError as error:  # of srun with --ntasks: how many are on each machine is not said
        raise InputError(
            f"{size} processes of SLURM, not so many a machine; start them by srun "
            "--kill-on-bad-exit --nodes N --ntasks-per-node M"
        ) from error
    if torch.cuda.is_available():
        torch.cuda.set_device(cluster.local_rank())
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
        init_method=f"tcp://{cluster.main_address}:{cluster.main_port}",
        rank=rank,
        world_size=size,
        timeout=_PATIENCE,
    )
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        raise RunError(
            "another process of the training was lost; the same command with --resume goes on "
            "after the last whole epoch"
        ) from error
    finally:
        distributed.destroy_process_group()


def count() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def number() -> int:
    """Which of them this one is, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def wait() -> None:
    """Wait for the others."""
    if distributed.is_initialized():
        distributed.barrier()


@contextlib.contextmanager
def first_alone() -> Iterator[None]:
    """What the first does before the others, who then find it done."""
    if number():
        wait()
    yield
    if not number():
        wait()


def own(rows: Tensor) -> Tensor:
    """This process's rows of a batch."""
    return rows[number() :: count()]
