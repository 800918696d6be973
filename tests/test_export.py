import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mien import trained
from mien.bundle import Classifier, bundle_names, open_bundle
from mien.errors import BundleError, RunError
from mien.export import export, proof_images
from mien.labels import FER2013
from mien.models import build, names
from mien.recipe import Recipe
from mien.trained import load_run

OPTIONS = {"attention": {"widths": [8, 16], "blocks": 1, "hidden": 16}}


def untrained_run(folder: Path, model: str) -> Path:
    """A run folder as training leaves it, with the weights of a random start."""
    channels = 1 if model == "attention" else 3
    recipe = Recipe.model_validate(
        {
            "name": f"{model}-random",
            "model": {"name": model, "options": OPTIONS.get(model, {})},
            "input": {"size_px": 32, "mean": [0.5] * channels, "std": [0.25] * channels},
            "training": {"epochs": 1, "optimizer": {"lr": 0.1}},
        }
    )
    recipe.save(folder / "recipe.yaml")
    split = {"split": "train", "images": 1, "digest": "0"}
    facts = {"name": "none", "labels": FER2013, "side_px": 48, "train": split, "validation": split}
    (folder / "data.json").write_text(json.dumps(facts))
    torch.manual_seed(0)
    network = build(model, classes=7, channels=channels, **recipe.model.options)
    state = {f"model.{k}": v for k, v in network.state_dict().items()}
    (folder / "checkpoints").mkdir()
    torch.save({"state_dict": state}, folder / "checkpoints" / "best.ckpt")
    return folder


@pytest.mark.parametrize("model", names())
def test_every_model_exports_with_parity_for_any_number_of_faces(model: str, tmp_path: Path):
    bundle, difference = export(untrained_run(tmp_path, model), proof_images(None), tmp_path / "b")
    assert difference < 1e-5
    card = bundle.card
    assert card.parameters > 1000
    assert card.macs > 1000
    assert card.preprocess.size_px == 32
    faces = np.random.default_rng(0).integers(0, 256, (5, 48, 48)).astype(np.uint8)
    rows = Classifier(bundle).probabilities(faces)
    alone = [Classifier(bundle).probabilities(face[None])[0] for face in faces]
    assert np.allclose(rows, alone, atol=1e-6)


def test_an_exported_network_says_nothing_of_the_machine_it_was_exported_on(tmp_path: Path):
    run = untrained_run(tmp_path, "attention")
    for half in (False, True):
        export(run, proof_images(None), tmp_path / "b", half=half)
        content = (tmp_path / "b" / "model.onnx").read_bytes()
        assert b"conv" in content.lower(), "the nodes keep their names"
        assert not re.search(rb"\.py\b", content)
        assert str(Path.cwd()).encode() not in content
    for name in bundle_names():
        assert not re.search(rb"\.py\b", open_bundle(name).model_file.read_bytes()), name


def test_half_the_bits_half_the_size_nearly_the_same_answer(tmp_path: Path):
    run = untrained_run(tmp_path, "attention")
    full, _ = export(run, proof_images(None), tmp_path / "full")
    half, difference = export(run, proof_images(None), tmp_path / "half", half=True)
    assert 0 < difference < 1e-2
    assert half.model_file.stat().st_size < full.model_file.stat().st_size
    assert half.card.digest != full.card.digest


def test_without_parity_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = untrained_run(tmp_path, "attention")
    really = trained.count_macs

    def disturb(model, preprocess):
        with torch.no_grad():
            model.head[-1].bias += 1.0 * torch.arange(7)
        return really(model, preprocess)

    monkeypatch.setattr(trained, "count_macs", disturb)  # after the ONNX file, before the proof
    with pytest.raises(BundleError, match="differs from torch by"):
        export(run, proof_images(None), tmp_path / "b")
    assert not (tmp_path / "b").exists()
    assert not list(tmp_path.glob(".b*"))


def test_an_older_bundle_is_replaced_another_folder_is_not(tmp_path: Path):
    run = untrained_run(tmp_path, "attention")
    first, _ = export(run, proof_images(None), tmp_path / "b")
    again, _ = export(run, proof_images(None), tmp_path / "b")
    assert dataclasses.replace(again.card, digest="") == dataclasses.replace(first.card, digest="")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(BundleError, match="is no bundle"):
        export(run, proof_images(None), tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("gone", "message"),
    [("recipe.yaml", "recipe.yaml is missing"), ("checkpoints/best.ckpt", "no checkpoint yet")],
)
def test_what_is_no_trained_run(tmp_path: Path, gone: str, message: str):
    run = untrained_run(tmp_path, "attention")
    (run / gone).unlink()
    with pytest.raises(RunError, match=message):
        export(run, proof_images(None), tmp_path / "b")


def test_weights_of_another_network_are_told_from_damage(tmp_path: Path):
    run = untrained_run(tmp_path, "attention")
    place = run / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(place, weights_only=True)
    checkpoint["state_dict"]["model.features.other"] = torch.zeros(1)
    torch.save(checkpoint, place)
    with pytest.raises(RunError, match="holds other weights than attention"):
        load_run(run)
    place.write_bytes(place.read_bytes()[:1000])
    with pytest.raises(RunError, match="is damaged"):
        load_run(run)
