"""Run folder → bundle: torch to ONNX, with the parity of both proved on real images first."""

import dataclasses
import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.bundle import (
    CARD_FILE,
    MODEL_FILE,
    README_FILE,
    Bundle,
    Classifier,
    new_bundle,
    open_bundle,
    softmax,
)
from mien.card import CALIBRATED, Card, load_card
from mien.data import Clips, Dataset
from mien.data.drawn import draw_face
from mien.errors import BundleError
from mien.files import sha256
from mien.labels import FER2013
from mien.runs import RunFolder

TOLERANCE = 1e-4
"""Largest difference of a probability between torch and the exported network."""
HALF_TOLERANCE = 1e-2
"""The same where the weights are kept in 16 bits."""
_PROOFS = 256
_PROOF_BATCH = 32


def proof_images(data: Dataset | None) -> NDArray[np.uint8]:
    """(N, S, S) uint8 faces to prove parity on: of `data`, never of its training split if it has
    another; without data, drawn ones."""
    if data is not None:
        name = next((s for s in ("public", "val", "test", "private") if s in data.splits), "train")
        split = data.split(name)
        if isinstance(split, Clips):  # frames in their order
            return np.asarray(split.images[:_PROOFS])
        rows = np.linspace(0, len(split) - 1, min(_PROOFS, len(split))).astype(int)
        return np.asarray(split.images[rows])
    rng = np.random.default_rng(0)
    return np.stack([draw_face(FER2013[i % len(FER2013)], rng) for i in range(_PROOFS)])


def export(
    run: Path, images: NDArray[np.uint8], out: Path, *, half: bool = False
) -> tuple[Bundle, float]:
    """The bundle written to `out`, and the largest probability difference on `images`.

    The best checkpoint is exported; with `half`, its weights are kept in 16 bits (and computed in
    32). Nothing is written unless ONNX Runtime agrees with torch to within the tolerance; raises
    BundleError otherwise, and RunError if `run` holds no trained run. What was measured of the
    run's own bundle is taken over where that holds the same network.
    """
    tolerance = HALF_TOLERANCE if half else TOLERANCE
    source = RunFolder(run)
    model = source.network()
    with new_bundle(out, run) as folder:
        unsigned = source.card(model, "")
        _to_onnx(model, unsigned, folder / MODEL_FILE)
        if half:
            _halve(folder / MODEL_FILE)
        card = dataclasses.replace(unsigned, digest=sha256(folder / MODEL_FILE))
        card.save(folder / CARD_FILE)
        difference = _difference(model, open_bundle(folder), images)
        if not difference <= tolerance:  # NaN, too, is no parity
            raise BundleError(
                f"the exported network differs from torch by {difference:.2g} (allowed: "
                f"{tolerance}); nothing was written"
            )
        _take_over(source.bundle, card, folder)
    return open_bundle(out), difference


def _take_over(own: Path, card: Card, folder: Path) -> None:
    """Write what was measured of the bundle `own` into the new one in `folder`, with this `card`,
    if it answers as that does."""
    try:
        known = load_card(own / CARD_FILE)
    except BundleError:
        return
    same = all(getattr(known, n) == getattr(card, n) for n in ("digest", "labels", "preprocess"))
    if same and known.measured:
        found = {name: getattr(known, name) for name in CALIBRATED}
        dataclasses.replace(card, **found).save(folder / CARD_FILE)
        if (own / README_FILE).is_file():
            shutil.copyfile(own / README_FILE, folder / README_FILE)


def _to_onnx(model: Any, card: Card, path: Path) -> None:
    """Weights inside the file, any number of faces at a time; of a network for clips, a frame."""
    import torch

    crop = card.preprocess
    examples = [torch.zeros(2, crop.channels, crop.size_px, crop.size_px)]
    inputs, outputs = ["images"], ["logits"]
    if card.state is not None:
        from mien.models.clips import Step

        model = Step(model).eval()
        examples += [torch.zeros(2, *shape) for shape in card.state.shapes.values()]
        inputs, outputs = ["face", *card.state.inputs], ["logits", *card.state.outputs]
    faces: Any = {0: torch.export.Dim("faces")}
    shapes = (faces,) if len(examples) == 1 else (faces, (faces,) * (len(examples) - 1))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            tuple(examples),
            str(path),
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=shapes,
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
        faces = bundle.card.preprocess.resize(images[start : start + _PROOF_BATCH])
        inputs = bundle.card.preprocess.standardise(faces)
        with torch.inference_mode():
            ours = torch.softmax(model(torch.from_numpy(inputs)), 1).numpy()
        found.append(np.abs(ours - softmax(classifier.logits(inputs))).max())
        if bundle.card.state is not None:
            found.append(_difference_of_clip(model, classifier, faces))
    return float(np.max(found))


def _difference_of_clip(model: Any, classifier: Classifier, frames: NDArray[np.uint8]) -> float:
    """The same of a clip of these frames, which the bundle reads one after the other."""
    import torch

    inputs = torch.from_numpy(classifier.card.preprocess.standardise(frames))
    with torch.inference_mode():
        ours = torch.softmax(model(inputs, torch.tensor([len(frames)])), 1).numpy()
    state = classifier.begin(1)
    for frame in frames:
        theirs, state = classifier.next_scores(frame[None], state)
    return float(np.abs(ours - theirs).max())
