"""ONNX Runtime's sessions, on the processor or on a graphics card."""

import contextlib
import io
from typing import TYPE_CHECKING, Any

from mien.errors import InputError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_WARNINGS, _NOTHING = 2, 4


def open_session(
    model: str | bytes, options: "SessionOptions", device: str = "cpu", **card: str
) -> "InferenceSession":
    """The session of an ONNX file, by its path or as bytes.

    `device` is cpu, cuda, or auto: a card where this onnxruntime drives one and it can be used.
    `card` are options of ONNX Runtime's CUDA provider. Raises InputError for another device, and
    for cuda where no card can be used; ONNX Runtime's errors for a file that it cannot open.
    """
    import onnxruntime

    if not _on_card(device):
        return onnxruntime.InferenceSession(model, options, providers=[_CPU])
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21: CUDA as pip installs it
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()
    wanted: list[Any] = [(_CUDA, card), _CPU]
    onnxruntime.set_default_logger_severity(_NOTHING)  # what is missing is told below, in a line
    try:
        made = onnxruntime.InferenceSession(model, options, providers=wanted)
    finally:
        onnxruntime.set_default_logger_severity(_WARNINGS)
    if device == "cuda" and _CUDA not in made.get_providers():
        raise InputError(
            "ONNX Runtime cannot use a graphics card here: the driver (see nvidia-smi) or CUDA is "
            "missing; pip install 'onnxruntime-gpu[cuda,cudnn]', or use cpu"
        )
    return made


def _on_card(device: str) -> bool:
    import onnxruntime

    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"expected device auto, cpu or cuda, got {device!r}")
    drives = _CUDA in onnxruntime.get_available_providers()
    if device == "cuda" and not drives:
        raise InputError(
            "this onnxruntime drives no graphics card; pip uninstall onnxruntime and pip install "
            "'onnxruntime-gpu[cuda,cudnn]', or use cpu"
        )
    return drives and device != "cpu"
