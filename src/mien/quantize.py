"""A bundle in 8 bits: a quarter of the size, and faster where the processor multiplies integers.

Or its weights alone in 8 bits: as small, no faster, and closer to the original.
"""

import contextlib
import dataclasses
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.bundle import CARD_FILE, MODEL_FILE, Bundle, load_network, new_bundle, open_bundle
from mien.card import Card
from mien.errors import BundleError, DataError
from mien.extras import need
from mien.files import sha256
from mien.provenance import Quantised

CALIBRATION = 1280
"""Faces on which the ranges of the activations are measured."""
_BATCH = 64
_LAYERS = ("Conv", "Gemm", "MatMul")
_FEW = 32  # weights of a channel: those of depthwise convolutions are no size, and matter most
_TINY = 1e-30  # where all weights of a channel are 0


def quantize(bundle: Bundle, faces: NDArray[np.uint8], out: Path) -> Bundle:
    """The bundle with weights and activations in 8 bits, written to `out`.

    `faces` (N, H, W) uint8 crops, best of the training images, tell how large activations get
    (post-training static quantisation, Jacob et al. 2018; ONNX Runtime's). Accuracy, temperature
    and threshold are not those of the original: run `mien calibrate` on the new bundle. Raises
    BundleError if the network cannot be quantised.
    """
    if len(faces) == 0:
        raise DataError("there is no face to measure activations on")
    if bundle.card.state is not None:
        raise BundleError(f"{bundle.folder} reads clips, whose weights alone can be quantised")
    with new_bundle(out, bundle.folder) as folder:
        with _quiet():
            _write(bundle, faces, folder / MODEL_FILE)
        _card(bundle, "int8", folder).save(folder / CARD_FILE)
    return open_bundle(out)


def quantize_weights(bundle: Bundle, out: Path) -> Bundle:
    """The bundle with the weights of its layers in 8 bits, written to `out`; it computes in 32.

    Weights are rounded to 255 steps of each output channel (Jacob et al. 2018, section 3), but for
    channels of a few weights, as depthwise convolutions have. No face is needed; the new bundle
    must be calibrated, as after `quantize`.
    """
    with new_bundle(out, bundle.folder) as folder:
        _write_weights(bundle, folder / MODEL_FILE)
        _card(bundle, "w8", folder).save(folder / CARD_FILE)
    return open_bundle(out)


def _card(bundle: Bundle, kind: str, folder: Path) -> Card:
    """The card of what was made of `bundle` in `folder`, without figures yet."""
    return dataclasses.replace(
        bundle.card,
        name=f"{bundle.card.name}-{kind}",
        digest=sha256(folder / MODEL_FILE),
        provenance=Quantised(bundle.card.digest, bundle.card.provenance),
        temperature=1.0,
        unsure_below=0.0,
        measured=(),
    )


def calibration_faces(faces: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`CALIBRATION` of (N, H, W) `faces`, spread evenly."""
    rows = np.linspace(0, len(faces) - 1, min(CALIBRATION, len(faces))).astype(int)
    return np.asarray(faces[rows])


def _write(bundle: Bundle, faces: NDArray[np.uint8], path: Path) -> None:
    need("onnx", extra="train")
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as scratch:
        folded = Path(scratch) / MODEL_FILE
        try:
            batches = _Batches(bundle, faces)  # first: it tells a file that is no network at all
            quant_pre_process(bundle.model_file, folded, skip_symbolic_shape=True)
            quantization.quantize_static(
                folded,
                path,
                batches,
                quant_format=quantization.QuantFormat.QOperator,
                per_channel=True,
                reduce_range=True,  # 7 bits of weight: without VNNI the sums of two overflow
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        except Exception as error:  # ONNX Runtime's and protobuf's have no other base
            reason = " ".join(str(error).split())[:200]
            raise BundleError(f"{bundle.folder} cannot be quantised: {reason}") from error


def _write_weights(bundle: Bundle, path: Path) -> None:
    onnx = need("onnx", extra="train")
    network = load_network(bundle)
    graph, helper, arrays = network.graph, onnx.helper, onnx.numpy_helper
    _widen(onnx, graph)
    channels = {node.input[1]: _channels(node) for node in graph.node if node.op_type in _LAYERS}
    for tensor in [t for t in graph.initializer if t.name in channels]:
        values, axis = arrays.to_array(tensor), channels[tensor.name]
        if values.size < _FEW * values.shape[axis]:
            continue
        rounded, step = _round(values, axis)
        eight, steps, wide = (f"{tensor.name}.{part}" for part in ("int8", "step", "wide"))
        graph.initializer.remove(tensor)
        graph.initializer.append(arrays.from_array(rounded, eight))
        graph.initializer.append(arrays.from_array(step, steps))
        # ONNX Runtime computes both once, when it opens the network.
        graph.node.insert(0, helper.make_node("Mul", [wide, steps], [tensor.name]))
        graph.node.insert(0, helper.make_node("Cast", [eight], [wide], to=onnx.TensorProto.FLOAT))
    onnx.checker.check_model(network)
    onnx.save(network, path)


def _round(values: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """`values` in -127 ... 127, and the step of each channel along `axis`, to multiply them by."""
    others = tuple(other for other in range(values.ndim) if other != axis)
    step = np.maximum(np.abs(values).max(others, keepdims=True), _TINY) / 127
    return np.rint(values / step).astype(np.int8), step.astype(np.float32)


def _widen(onnx: Any, graph: Any) -> None:
    """Weights that lie in 16 bits behind a cast, as `mien export --half` writes them, in 32."""
    arrays, sixteen = onnx.numpy_helper, onnx.TensorProto.FLOAT16
    kept = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == sixteen}
    for cast in [n for n in graph.node if n.op_type == "Cast" and n.input[0] in kept]:
        half = kept[cast.input[0]]
        wide = arrays.from_array(arrays.to_array(half).astype(np.float32), cast.output[0])
        graph.initializer.remove(half)
        graph.initializer.append(wide)
        graph.node.remove(cast)


def _channels(node: Any) -> int:
    """The axis of output channels of a layer's weights."""
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return 0 if node.op_type == "Conv" or transposed else 1


class _Batches:
    """Inputs for ONNX Runtime's calibration, a batch at a time; what its reader must look like."""

    def __init__(self, bundle: Bundle, faces: NDArray[np.uint8]) -> None:
        import onnxruntime

        session = onnxruntime.InferenceSession(
            str(bundle.model_file), providers=["CPUExecutionProvider"]
        )
        self._name = session.get_inputs()[0].name
        crops = (faces[start : start + _BATCH] for start in range(0, len(faces), _BATCH))
        self._inputs = (bundle.card.preprocess(batch) for batch in crops)

    def get_next(self) -> dict[str, Any] | None:
        """The next inputs by name; None at the end."""
        inputs = next(self._inputs, None)
        return None if inputs is None else {self._name: inputs}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while (inputs := self.get_next()) is not None:
            yield inputs


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's advice to its own developers."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)
