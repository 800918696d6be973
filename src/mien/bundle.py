"""Bundles: a network as `model.onnx` with its card, run by ONNX Runtime."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.card import Card, load_card
from mien.errors import BundleError, InputError
from mien.extras import need
from mien.files import check_folder, home, replacing_folder, sha256
from mien.sessions import open_session
from mien.views import VIEWS, passes

State = list[NDArray[np.float32]]
"""What a network for clips knows of faces: a tensor for each name of its card, (faces, views,
*shape)."""

_FLOOR = 1e-12  # keeps the log of a probability that rounded to 0 finite
DEFAULT = "mien-m-int8"
MODEL_FILE = "model.onnx"
CARD_FILE = "card.json"
README_FILE = "README.md"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on disk whose digest holds."""

    folder: Path
    card: Card

    @property
    def model_file(self) -> Path:
        """The ONNX file."""
        return self.folder / MODEL_FILE

    @property
    def is_shipped(self) -> bool:
        """Whether it is part of the package, where nothing is changed."""
        return self.folder.resolve().parent == _shipped().resolve()


def open_bundle(name: str | Path = DEFAULT) -> Bundle:
    """The bundle in the folder `name`, or the one of that name in the package or pulled from a hub.

    Raises BundleError if there is none, its card is not valid, or its digest is wrong.
    """
    folder = _find(name)
    card = load_card(folder / CARD_FILE)
    model = folder / MODEL_FILE
    if not model.is_file():
        raise BundleError(f"{folder} is no bundle: {MODEL_FILE} is missing")
    if (found := sha256(model)) != card.digest:
        raise BundleError(
            f"{model} does not match its card: expected sha256 {card.digest[:12]}..., got "
            f"{found[:12]}...; the file is damaged or was changed, export or install it again"
        )
    return Bundle(folder, card)


def check_place(out: Path, *inputs: str | Path | None) -> None:
    """Raise unless a new bundle may be written to `out`.

    InputError if one of the `inputs` would go with what is there: `out` is its folder, or holds it.
    BundleError if `out` holds anything but a bundle, or anything besides one.
    """
    check_folder("--out", out, inputs, replaced=True)
    if out.exists() and not out.is_dir():
        raise BundleError(f"{out} is a file; choose another --out")
    if out.exists() and not (out / CARD_FILE).exists() and any(out.iterdir()):
        raise BundleError(f"{out} is there and is no bundle; choose another --out")
    if others := sorted({p.name for p in out.glob("*")} - {MODEL_FILE, CARD_FILE, README_FILE}):
        raise BundleError(
            f"{out} holds {', '.join(others[:3])} besides a bundle, and would be replaced with all "
            "that it holds; choose another --out"
        )


@contextmanager
def new_bundle(out: Path, *inputs: str | Path | None) -> Iterator[Path]:
    """A new folder that becomes the bundle `out`, in place of an older one, once it is whole.

    Raises as `check_place`.
    """
    check_place(out, *inputs)
    with replacing_folder(out) as folder:
        yield folder


def load_network(bundle: Bundle) -> Any:
    """The network of `bundle` as onnx reads it, to make another of; BundleError if it is none."""
    onnx = need("onnx", extra="train")
    try:
        network = onnx.load(bundle.model_file)
        onnx.checker.check_model(network)
    except Exception as error:  # protobuf's and onnx's have no other base
        reason = " ".join(str(error).split())[:200]
        raise BundleError(f"{bundle.model_file} is no ONNX network: {reason}") from error
    return network


def bundle_names() -> tuple[str, ...]:
    """Names of the bundles in the package."""
    return tuple(sorted(p.parent.name for p in _shipped().glob(f"*/{CARD_FILE}")))


def is_shipped(name: str | Path) -> bool:
    """Whether `name` is that of a bundle in the package, whatever folder lies here."""
    return isinstance(name, str) and name in bundle_names()


def _shipped() -> Path:
    return Path(str(resources.files("mien") / "bundles"))


def pulled(repository: str) -> Path:
    """Folder of the bundle that `mien pull` keeps of USER/NAME or USER/NAME@REVISION."""
    user, _, name = repository.partition("/")
    return home() / "bundles" / user / name.replace("/", "%2F")


def _find(name: str | Path) -> Path:
    if is_shipped(name):
        return _shipped() / name  # ./NAME is the folder
    if Path(name).is_dir():
        return Path(name)
    if isinstance(name, str) and re.fullmatch(r"[^/\\]+/[^/\\]+(@.+)?", name):
        if (kept := pulled(name)).is_dir():
            return kept
        pull = "" if Path(name).parent.is_dir() else f"; from a hub: mien pull {name}"
        raise BundleError(f"no bundle {name!r}: no such folder{pull}")
    known = ", ".join(bundle_names()) or "none"
    raise BundleError(f"no bundle {str(name)!r}: neither a folder nor a name; shipped: {known}")


class Classifier:
    """Crops in, probabilities out; reusable and safe to share between threads.

    `views` are averaged in place of those that the card names.
    """

    def __init__(
        self,
        bundle: Bundle,
        threads: int | None = None,
        device: str = "auto",
        views: str | None = None,
    ) -> None:
        import onnxruntime

        self.views = bundle.card.views if views is None else views
        if self.views not in VIEWS:
            raise InputError(f"expected views among {', '.join(VIEWS)}, got {self.views!r}")

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0  # 0: as many as there are cores
        options.log_severity_level = 3
        # Threads that wait by spinning would take the cores from those that decode and detect.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.card = bundle.card
        try:
            self._session = open_session(str(bundle.model_file), options, device)
        except InputError:
            raise
        except Exception as error:
            raise BundleError(f"{bundle.model_file} cannot be run: {error}") from error
        self._inputs = [one.name for one in self._session.get_inputs()]
        if len(self._inputs) != 1 + len(self._shapes):
            raise BundleError(
                f"{bundle.model_file} takes {', '.join(self._inputs)}; its card tells of a state "
                f"of {', '.join(self._shapes) or 'nothing'}: export it again"
            )
        self._views = passes(self.views)

    @property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return self.card.state.shapes if self.card.state else {}

    def logits(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, C, S, S) preprocessed float32 → (N, classes) float32, each face for itself."""
        start = [np.zeros((len(inputs), *shape), np.float32) for shape in self._shapes.values()]
        return self._run(inputs, start)[0]

    def _run(self, inputs: NDArray[np.float32], state: State) -> tuple[NDArray[np.float32], State]:
        given = dict(zip(self._inputs, (inputs, *state), strict=True))
        logits, *after = self._session.run(None, given)
        return np.asarray(logits, np.float32), after

    def probabilities(
        self, crops: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]
    ) -> NDArray[np.float64]:
        """(N, classes) float64 that sum to 1, from (H, W) grey or (H, W, 3) RGB uint8 crops."""
        return self.scores(self.card.preprocess.resize(crops))

    def scores(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """The same, from crops that the card's `preprocess.resize` has brought to size."""
        return self.next_scores(images, self.begin(len(images)))[0]

    def begin(self, faces: int) -> State:
        """What a network for clips knows of so many faces before their first frame; of a network
        of images nothing."""
        shapes = self._shapes.values()
        return [np.zeros((faces, self._views, *shape), np.float32) for shape in shapes]

    def next_scores(
        self, images: NDArray[np.uint8], state: State
    ) -> tuple[NDArray[np.float64], State]:
        """As `scores`, of one more frame of each face whose clip has led to `state`; and the state
        after it."""
        if len(images) == 0:
            return np.empty((0, len(self.card.labels))), state
        seen = self.card.preprocess.standardise(VIEWS[self.views](images))
        by_view = [tensor.swapaxes(0, 1).reshape(-1, *tensor.shape[2:]) for tensor in state]
        logits, after = self._run(seen, by_view)
        shape = (self._views, len(images))
        mean = softmax(logits).reshape(*shape, logits.shape[1]).mean(0)
        kept = [tensor.reshape(*shape, *tensor.shape[1:]).swapaxes(0, 1) for tensor in after]
        return temper(mean, self.card.temperature), kept


def temper(probabilities: NDArray[Any], temperature: float) -> NDArray[np.float64]:
    """(N, classes) float64: less sure for a `temperature` above 1, surer below; 1 leaves all."""
    if temperature == 1:
        return np.asarray(probabilities, np.float64)
    return softmax(np.log(np.maximum(probabilities, _FLOOR)) / temperature)


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """(N, classes) float64 along the last axis, safe from overflow."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return np.asarray(shifted / shifted.sum(1, keepdims=True))
