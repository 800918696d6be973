"""The process that trains: the libraries it uses, and how they behave."""

import importlib.metadata
import logging
import platform
import shutil
import subprocess
import warnings
from pathlib import Path

import torch

import mien
from mien.train.memory import keep_freed

_PACKAGES = ("torch", "timm", "lightning", "numpy", "opencv-python-headless")


def configure_libraries(*, save_memory: bool) -> None:
    """Silence banners and warnings of Lightning; trade memory for speed unless `save_memory`."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=r".*LeafSpec.*")
    if not save_memory:
        keep_freed()


def environment() -> dict[str, str | int | None]:
    """Versions and machine of this process, for the run folder."""
    return {
        "mien": mien.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def _commit() -> str | None:
    """The commit of a development checkout; None for an installed wheel."""
    here = Path(__file__).parent
    if (git := shutil.which("git")) is None or not (here.parents[2] / ".git").exists():
        return None
    answer = subprocess.run(
        [git, "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or None
