"""Fixtures: mien's home in a temporary folder, data sets from tiny to real, a tiny recipe."""

import os

# On a machine busy with a training, tiny networks on several threads wait for each other: 50 s
# instead of 1 s for three epochs (measured). Read by torch when it is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mien.data import Dataset, open_dataset
from mien.recipes import Recipe

FER2013_FILES = (
    "train/angry/Training_1.png",
    "train/happy/Training_2.png",
    "train/happy/Training_3.png",
    "test/angry/PublicTest_4.png",
    "test/happy/PrivateTest_5.png",
)


_LONG = (
    "/train/",
    "/serve/",
    "/search/",
    "/synthesis/",
    "test_export.py",
    "test_golden.py",
    "test_cli.py",
    "test_examples.py",
    "test_queue.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest come first, so that no worker ends with one of them alone.

    xdist itself would begin with the files of most tests, and end with the examples.
    """
    items.sort(key=lambda item: not any(part in item.path.as_posix() for part in _LONG))


@pytest.fixture(scope="session", autouse=True)
def mien_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test reads or writes the user's own cache, and none asks the network."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_HOME", str(home))
        patch.setenv("MIEN_OFFLINE", "1")
        yield home


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the real FER-2013."""
    chosen = os.environ.get("MIEN_SHARED")
    folder = Path(chosen) if chosen else Path(__file__).parents[2] / "shared"
    if not (folder / "data" / "fer2013.zip").is_file():
        pytest.skip(f"no data/fer2013.zip in {folder}; set MIEN_SHARED to test on the real data")
    return folder


@pytest.fixture(scope="session")
def fer2013_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mien's home for FER-2013, of all workers: the first of them decodes it."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "fer2013"


@pytest.fixture(scope="session")
def fer2013(shared: Path, mien_home: Path, fer2013_home: Path) -> Dataset:
    """The real FER-2013."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_HOME", str(fer2013_home))
        return open_dataset(shared / "data" / "fer2013.zip")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 210 drawn faces."""
    from mien.data.drawn import draw_dataset

    out = tmp_path_factory.mktemp("drawn") / "faces"
    draw_dataset(out, images=210, seed=0)
    return out


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """A network of some thousand weights, trained for two epochs."""
    return Recipe.model_validate(
        {
            "name": "tiny",
            "seed": 3,
            "model": {
                "name": "attention",
                "options": {"widths": [8, 16], "blocks": 1, "hidden": 16},
            },
            "input": {"size_px": 48, "mean": [0.5], "std": [0.5]},
            "training": {"epochs": 2, "batch": 16, "optimizer": {"lr": 0.02}},
        }
    )


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """`picture(seed, size=48, format="PNG")`: the bytes of a grey picture of noise."""
    import io

    from PIL import Image

    def encode(seed: int = 0, size: int = 48, format: str = "PNG") -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 256, (size, size), np.uint8)
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, format)
        return out.getvalue()

    return encode


@pytest.fixture
def kaggle(tmp_path: Path, picture: Callable[..., bytes]) -> Path:
    """Five pictures in Kaggle's layout: `train/` and a merged `test/`."""
    for seed, name in enumerate(FER2013_FILES):
        file = tmp_path / "kaggle" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture(seed))
    return tmp_path / "kaggle"
