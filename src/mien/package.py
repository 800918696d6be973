"""A trained run → the bundles that its recipe asks for."""

from pathlib import Path

from mien.bundle import Bundle
from mien.data import Dataset
from mien.export import export, proof_images
from mien.quantize import calibration_faces, quantize, quantize_weights
from mien.runs import RunFolder


def package(run: Path, data: Dataset) -> list[Bundle]:
    """Export the best epoch of `run` to RUN/bundle, and in 8 bits beside it where the recipe says
    so: RUN/bundle-int8 or RUN/bundle-w8.

    `data` is what the run was trained on: parity is proved on it, and the ranges of activations are
    measured on its training images. Raises RunError for a run without a checkpoint and BundleError
    if the exported network differs from torch's.
    """
    folder = RunFolder(run)
    wanted = folder.recipe.export
    bundle, _ = export(run, proof_images(data), folder.bundle, half=wanted.half)
    if wanted.quantize == "int8":
        faces = calibration_faces(data.split(folder.recipe.data.train).images)
        return [bundle, quantize(bundle, faces, run / "bundle-int8")]
    if wanted.quantize == "weights":
        return [bundle, quantize_weights(bundle, run / "bundle-w8")]
    return [bundle]
