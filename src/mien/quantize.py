"""A bundle in 8 bits: a quarter of the size, and faster where the processor multiplies integers."""

import contextlib
import dataclasses
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.bundle import CARD_FILE, MODEL_FILE, Bundle, open_bundle
from mien.errors import BundleError, DataError
from mien.extras import need
from mien.files import replacing_folder, sha256

CALIBRATION = 1280
"""Faces on which the ranges of the activations are measured."""
_BATCH = 64


def quantize(bundle: Bundle, faces: NDArray[np.uint8], out: Path) -> Bundle:
    """The bundle with weights and activations in 8 bits, written to `out`.

    `faces` (N, H, W) uint8 crops, best of the training images, tell how large activations get
    (post-training static quantisation, Jacob et al. 2018; ONNX Runtime's). Accuracy, temperature
    and threshold are not those of the original: evaluate the new bundle with `--record`. Raises
    BundleError if the network cannot be quantised.
    """
    if len(faces) == 0:
        raise DataError("there is no face to measure activations on")
    with replacing_folder(out) as folder:
        with _quiet():
            _write(bundle, faces, folder / MODEL_FILE)
        card = dataclasses.replace(
            bundle.card,
            name=f"{bundle.card.name}-int8",
            digest=sha256(folder / MODEL_FILE),
            training={**bundle.card.training, "quantized_from": bundle.card.digest},
            temperature=1.0,
            unsure_below=0.0,
            measured=(),
        )
        card.save(folder / CARD_FILE)
    return open_bundle(out)


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
            quant_pre_process(bundle.model_file, folded, skip_symbolic_shape=True)
            quantization.quantize_static(
                folded,
                path,
                _Batches(bundle, faces),
                quant_format=quantization.QuantFormat.QOperator,
                per_channel=True,
                reduce_range=True,  # 7 bits of weight: without VNNI the sums of two overflow
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        except (ValueError, RuntimeError, KeyError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise BundleError(f"{bundle.folder} cannot be quantised: {reason}") from error


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
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
