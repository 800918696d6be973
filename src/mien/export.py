"""Run folder → bundle: torch to ONNX, with the parity of both proved on real images first."""

import logging
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mien
from mien.bundle import CARD_FILE, MODEL_FILE, Bundle, Classifier, open_bundle, softmax
from mien.card import Card
from mien.data import Dataset
from mien.data.drawn import draw_face
from mien.errors import BundleError, RunError
from mien.files import read_json, replacing_folder, sha256
from mien.labels import FER2013
from mien.preprocess import Preprocess

TOLERANCE = 1e-4
"""Largest difference of a probability between torch and the exported network."""
HALF_TOLERANCE = 1e-2
"""The same where the weights are kept in 16 bits."""
_PROOFS = 256
_PROOF_BATCH = 32


def recorded_source(run: Path) -> Path | None:
    """The data set that `run` was trained on, if it is still in its place."""
    source = read_json(run / "data.json").get("source", "")
    return Path(source) if source and Path(source).exists() else None


def proof_images(data: Dataset | None) -> NDArray[np.uint8]:
    """(N, S, S) uint8 faces to prove parity on: of `data`, never of its training split if it has
    another; without data, drawn ones."""
    if data is not None:
        name = next((s for s in ("public", "val", "test") if s in data.splits), "train")
        images = data.split(name).images
        rows = np.linspace(0, len(images) - 1, min(_PROOFS, len(images))).astype(int)
        return np.asarray(images[rows])
    rng = np.random.default_rng(0)
    return np.stack([draw_face(FER2013[i % len(FER2013)], rng) for i in range(_PROOFS)])


def export(
    run: Path, images: NDArray[np.uint8], out: Path, *, half: bool = False
) -> tuple[Bundle, float]:
    """The bundle written to `out`, and the largest probability difference on `images`.

    The best checkpoint is exported; with `half`, its weights are kept in 16 bits (and computed in
    32). Nothing is written unless ONNX Runtime agrees with torch to within the tolerance; raises
    BundleError otherwise, and RunError if `run` holds no trained run.
    """
    tolerance = HALF_TOLERANCE if half else TOLERANCE
    model, facts = load_run(run)
    if out.exists() and not (out / CARD_FILE).exists() and any(out.iterdir()):
        raise BundleError(f"{out} is there and is no bundle; choose another --out")
    with replacing_folder(out) as folder:
        _to_onnx(model, facts.preprocess, folder / MODEL_FILE)
        if half:
            _halve(folder / MODEL_FILE)
        card = facts.card(model, sha256(folder / MODEL_FILE))
        card.save(folder / CARD_FILE)
        difference = _difference(model, open_bundle(folder), images)
        if not difference <= tolerance:  # NaN, too, is no parity
            raise BundleError(
                f"the exported network differs from torch by {difference:.2g} (allowed: "
                f"{tolerance}); nothing was written"
            )
    return open_bundle(out), difference


class _Facts:
    """What a run folder says of itself."""

    def __init__(self, run: Path) -> None:
        from mien.recipe import load_recipe

        self.run = run
        self.recipe = load_recipe(run / "recipe.yaml")
        self.data = read_json(run / "data.json")
        self.labels: tuple[str, ...] = tuple(self.data["labels"])
        self.preprocess: Preprocess = self.recipe.input.preprocess(self.data["side_px"])

    def card(self, model: Any, digest: str) -> Card:
        from mien.models import entry

        architecture = entry(self.recipe.model.name)
        return Card(
            name=self.recipe.name,
            model=self.recipe.model.name,
            paper=architecture.paper,
            licence=architecture.licence,
            labels=self.labels,
            preprocess=self.preprocess,
            digest=digest,
            parameters=sum(p.numel() for p in model.parameters()),
            macs=_macs(model, self.preprocess),
            training={
                "recipe": self.recipe.name,
                "start": self.recipe.model.weights,
                "seed": self.recipe.seed,
                "epochs": self.recipe.training.all_epochs,
                "data": self.data["name"],
                "train": self.data["train"],
                **({"fold": list(fold)} if (fold := self.recipe.data.fold) else {}),
                "validation": self.data["validation"],
                "votes": self.recipe.training.loss.votes,
                "teachers": (teachers := self.data.get("teachers", [])),
                "distil": self.recipe.training.distil.weight if teachers else 0,
            },
            created_by=f"mien {mien.__version__}",
        )


def load_run(run: Path) -> tuple[Any, _Facts]:
    """The network of a run's best checkpoint, in evaluation mode, and the run's facts."""
    import torch

    from mien.models import build

    checkpoint = run / "checkpoints" / "best.ckpt"
    if not (run / "recipe.yaml").is_file():
        raise RunError(f"{run} is no run folder: recipe.yaml is missing; make one with mien train")
    if not checkpoint.is_file():
        raise RunError(f"{run} has no checkpoint yet; continue it with mien train --resume")
    facts = _Facts(run)
    model = build(
        facts.recipe.model.name,
        classes=len(facts.labels),
        channels=facts.preprocess.channels,
        **facts.recipe.model.options,
    )
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    except (RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(f"{checkpoint} is damaged ({reason}); train again") from error
    weights = {k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"{checkpoint} holds other weights than {facts.recipe.model.name} has in this version "
            f"of mien ({reason}); use the version that trained it, or train again"
        ) from error
    return model.eval(), facts


def _to_onnx(model: Any, preprocess: Preprocess, path: Path) -> None:
    """Weights inside the file, any number of faces at a time."""
    import torch

    example = torch.zeros(2, preprocess.channels, preprocess.size_px, preprocess.size_px)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (example,),
            str(path),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("faces")},),
            external_data=False,
            verbose=False,
            dynamo=True,
        )
    _anonymise(path)


def _anonymise(path: Path) -> None:
    """Take out what the exporter notes beside each node: stack traces, and with them file names of
    the machine that exported."""
    import onnx

    network = onnx.load(path)
    graph = network.graph
    for part in (network, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    graph.ClearField("value_info")
    onnx.save(network, path)


def _halve(path: Path) -> None:
    """Store every large weight as float16 with a cast before its use.

    ONNX Runtime folds the casts when it loads the file, so speed is that of the full network.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    network = onnx.load(path)
    graph = network.graph
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < 256:
            continue
        small = numpy_helper.from_array(
            numpy_helper.to_array(tensor).astype(np.float16), f"{tensor.name}.half"
        )
        cast = helper.make_node("Cast", [small.name], [tensor.name], to=TensorProto.FLOAT)
        graph.initializer.remove(tensor)
        graph.initializer.append(small)
        graph.node.insert(0, cast)
    onnx.checker.check_model(network)
    onnx.save(network, path)


def _difference(model: Any, bundle: Bundle, images: NDArray[np.uint8]) -> float:
    import torch

    classifier = Classifier(bundle)
    found = []
    for start in range(0, len(images), _PROOF_BATCH):
        inputs = bundle.card.preprocess(images[start : start + _PROOF_BATCH])
        with torch.inference_mode():
            ours = torch.softmax(model(torch.from_numpy(inputs)), 1).numpy()
        found.append(np.abs(ours - softmax(classifier.logits(inputs))).max())
    return float(np.max(found))


def _macs(model: Any, preprocess: Preprocess) -> int:
    """Multiply-accumulates of one forward pass, as torch's own counter sees it."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    face = torch.zeros(1, preprocess.channels, preprocess.size_px, preprocess.size_px)
    with FlopCounterMode(display=False) as counter, torch.inference_mode(False), torch.no_grad():
        model(face)
    return int(counter.get_total_flops() // 2)
