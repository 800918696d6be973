"""A network small enough to reason about, so that tests of recognition need no training; answers
that no network gave, so that tests of figures need none."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.bundle import CARD_FILE, MODEL_FILE, Bundle, open_bundle
from mien.card import Card, State
from mien.evaluate import Evaluation
from mien.files import sha256
from mien.labels import FER2013
from mien.preprocess import Preprocess
from mien.provenance import Images, Trained

TRAINED = Trained(
    recipe="mien-s",
    seed=3,
    epochs=7,
    data="greys",
    train=Images("train", 1234, "a" * 64),
    validation=Images("public", 40, "b" * 64),
)


def brightness_bundle(folder: Path, labels: tuple[str, ...] = FER2013, size_px: int = 8) -> Bundle:
    """A bundle that reads the mean brightness of a crop: dark is the first label, bright the last.

    logit[i] = 20 c[i] b - 10 c[i]^2 for brightness b and centres c, evenly spaced in 0-1.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    centres = np.linspace(0, 1, len(labels), dtype=np.float32)
    weights = {"w": 20 * centres[None], "b": -10 * centres**2}
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Gemm", ["mean", "w", "b"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [
            helper.make_tensor_value_info(
                "images", TensorProto.FLOAT, ["faces", 1, size_px, size_px]
            )
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["faces", len(labels)])],
        [numpy_helper.from_array(v, k) for k, v in weights.items()],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(network, folder / MODEL_FILE)
    Card(
        name="brightness",
        model="brightness",
        paper="-",
        licence="Apache-2.0",
        labels=labels,
        preprocess=Preprocess(size_px=size_px, mean=(0.0,), std=(1.0,), source_px=8),
        digest=sha256(folder / MODEL_FILE),
        parameters=2 * len(labels),
        macs=64 + len(labels),
    ).save(folder / CARD_FILE)
    return open_bundle(folder)


def brightness_over_frames(
    folder: Path, labels: tuple[str, ...] = FER2013, rate: float = 25.0, views: str = "plain"
) -> Bundle:
    """The same for clips: it reads the mean brightness of all frames of a face."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    centres = np.linspace(0, 1, len(labels), dtype=np.float32)
    constants = {"w": 20 * centres[None], "b": -10 * centres**2, "one": np.ones(1, np.float32)}
    nodes = [
        helper.make_node("ReduceMean", ["face"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Add", ["state_sum", "mean"], ["next_sum"]),
        helper.make_node("Add", ["state_count", "one"], ["next_count"]),
        helper.make_node("Div", ["next_sum", "next_count"], ["brightness"]),
        helper.make_node("Gemm", ["brightness", "w", "b"], ["logits"]),
    ]

    def told(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["faces", *shape])

    graph = helper.make_graph(
        nodes,
        "brightness",
        [told("face", 1, 8, 8), told("state_sum", 1), told("state_count", 1)],
        [told("logits", len(labels)), told("next_sum", 1), told("next_count", 1)],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    card = brightness_bundle(folder, labels).card
    onnx.save(network, folder / MODEL_FILE)
    state = State({"sum": (1,), "count": (1,)}, frames=4, rate=rate)
    digest = sha256(folder / MODEL_FILE)
    replace(card, digest=digest, state=state, views=views).save(folder / CARD_FILE)
    return open_bundle(folder)


@dataclass
class FakeSource:
    """A video, or a camera, of these frames, of which it has dropped so many."""

    frames: Any
    live: bool = False
    dropped: int = 0
    name: str = "camera"
    length: int | None = None
    rate: float | None = None
    warnings: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return "live" if self.live else "video"

    def __iter__(self) -> Any:
        return iter(self.frames)

    def rest(self, done: Any) -> "FakeSource":
        return self


def an_evaluation(truth: np.ndarray, probabilities: np.ndarray, **more: Any) -> Evaluation:
    """What a network that gave `probabilities` (N, C) for `truth` (N,) is scored from."""
    told = {
        "name": "fake",
        "model": "attention",
        "data": "fer2013",
        "split": "public",
        "digest": "d" * 64,
        "network": "n" * 64,
        "views": "plain",
        "temperature": 1.0,
        "labels": FER2013,
        "names": np.array([f"{number}.png" for number in range(len(truth))]),
        "parameters": 1,
        "macs": 1,
        "size_mb": 1.0,
        "latency_ms": 1.0,
    }
    return Evaluation(truth=truth, probabilities=probabilities, **told | more)
