"""Readers: a file of torch, TensorFlow or TensorFlow.js → its tensors."""

import json
import pickle
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mien.errors import WeightsError

_EXPECTED = "expected a file of torch or safetensors that holds tensors by name, and no code"


@contextmanager
def reading(path: Path | str, network: str) -> Iterator[None]:
    """Turn what readers raise for a file of another kind into a WeightsError."""
    from google.protobuf.message import DecodeError
    from safetensors import SafetensorError

    foreign = (DecodeError, SafetensorError, pickle.UnpicklingError, tarfile.TarError, EOFError)
    try:
        yield
    except (
        *foreign,
        *(OSError, RuntimeError, StopIteration, ValueError, LookupError, TypeError, AttributeError),
    ) as error:
        # torch and timm would advise to trust the file.
        reason = _EXPECTED if "weights_only" in str(error) else error
        raise unfit(path, network, reason) from error


def unfit(path: Path | str, network: str, reason: object) -> WeightsError:
    """The error that says that `path` holds no weights for `network`."""
    line = (str(reason).strip().splitlines() or [type(reason).__name__])[0]
    return WeightsError(f"{path} holds no weights of {network}: {line[:200]}")


def read_torch(path: str) -> dict[str, Tensor]:
    """Name → tensor of a torch or safetensors file; WeightsError if it holds none."""
    from timm.models import load_state_dict

    if not Path(path).is_file():
        raise WeightsError(
            f"weights {path!r} are neither 'imagenet', 'none' nor a file; check the path"
        )
    with reading(path, "any network"):
        found: dict[str, Tensor] = load_state_dict(path, weights_only=True)
    return found


def read_tensorflow(content: bytes) -> dict[str, Tensor]:
    """Name → constant of a TensorFlow graph (a GraphDef), where that is an array of float32."""
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    found = {}
    for node in GraphDef.FromString(content).node:
        if values := node.attr["value"].tensor.tensor_content:
            sizes = [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim]
            found[node.name] = torch.from_numpy(np.frombuffer(values, "<f4").reshape(sizes).copy())
    return found


def read_tensorflow_js(archive: Path, model: str) -> dict[str, Tensor]:
    """Name → float32 tensor of `model`.json and .bin in a tar file; 16 bits where quantised."""
    with tarfile.open(archive) as files:
        manifest = json.loads(_member(files, f"{model}.json"))["weightsManifest"]
        values = _member(files, f"{model}.bin")
    found, place = {}, 0
    for entry in manifest[0]["weights"]:
        kind = np.dtype("<f2" if "quantization" in entry else "<i4")
        flat = np.frombuffer(values, kind, int(np.prod(entry["shape"])), place)
        place += flat.nbytes
        tensor = torch.from_numpy(flat.astype(np.float32))
        found[entry["name"]] = tensor.view(entry["shape"])
    return found


def _member(files: tarfile.TarFile, name: str) -> bytes:
    member = files.extractfile(name)
    return member.read() if member else b""
