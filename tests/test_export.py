import contextlib
import dataclasses
import io
import json
import logging
import math
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from mien import runs
from mien.bundle import CARD_FILE, MODEL_FILE, Bundle, Classifier, bundle_names, open_bundle
from mien.card import Measured
from mien.data import Dataset, Split
from mien.data.drawn import draw_face
from mien.errors import BundleError, RunError
from mien.export import _anonymise, _halve, export, proof_images
from mien.labels import FER2013
from mien.models import build, names
from mien.recipes import Recipe

SMALL = {"widths": [8, 16], "blocks": 1, "hidden": 16}
OF_CLIPS = ("cnn-lstm", "frame-mean", "temporal-transformer")
OPTIONS = {
    "attention": SMALL,
    "timm/test_vit": {"self_attention": 2, "cbam": True},
    **{name: {"encoder": "attention", "encoder_options": SMALL} for name in OF_CLIPS},
}
_SPOTS = np.random.default_rng(0).integers(0, 256, (70, 4, 4)) // np.resize([1, 4], (70, 1, 1))
FACES = np.kron(_SPOTS, np.ones((12, 12), int)).astype(np.uint8)
"""(70, 48, 48): bright and dark spots, which a random network tells apart; noise it does not."""
Logits = torch.Tensor


def shallow(name: str, **more: object) -> nn.Module:
    """The network with one block of each kind, of the blocks that do not change the shape.

    torch's exporter takes its time for each.
    """
    network, keeps, kinds = build(name, **more), set(), set()

    def look(layer: nn.Module, given: tuple[torch.Tensor, ...], found: torch.Tensor) -> None:
        if given[0].shape == found.shape:
            keeps.add(layer)

    hooks = [layer.register_forward_hook(look) for layer in network.modules()]
    network(torch.zeros(2, more["channels"], 32, 32))
    for hook in hooks:
        hook.remove()
    for layers in [m for m in network.modules() if isinstance(m, nn.Sequential) and len(m) > 1]:
        for place in reversed(range(len(layers))):
            kind = re.sub(r"\d+", "", repr(layers[place]))
            if layers[place] in keeps and [*layers[place].children()]:
                if kind in kinds:
                    del layers[place]
                kinds.add(kind)
    return network


def untrained_run(folder: Path, model: str, build: Callable[..., nn.Module] = build) -> Path:
    """A run folder as training leaves it, with random weights and the statistics of `FACES`:
    without them most networks answer alike to everything."""
    channels = 1 if model in OPTIONS else 3
    recipe = Recipe.model_validate(
        {
            "name": f"{model.replace('/', '-')}-random",
            "model": {"name": model, "options": OPTIONS.get(model, {})},
            "input": {"size_px": 32, "mean": [0.5] * channels, "std": [0.25] * channels},
            "training": {"epochs": 1, "optimizer": {"lr": 0.1}},
        }
    )
    recipe.save(folder / "recipe.yaml")
    split = {"split": "train", "images": 1, "digest": "0"}
    facts = {"name": "none", "labels": FER2013, "side_px": 48, "train": split, "validation": split}
    rate = 25.0 if model in OF_CLIPS else None
    (folder / "data.json").write_text(json.dumps({**facts, "rate": rate}))
    torch.manual_seed(0)
    options = recipe.model.options
    network = build(model, classes=7, channels=channels, size_px=32, **options)
    for norm in (layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)):
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.from_numpy(recipe.input.preprocess(48)(FACES[:16])))
    state = {f"model.{k}": v for k, v in network.state_dict().items()}
    (folder / "checkpoints").mkdir()
    torch.save({"state_dict": state}, folder / "checkpoints" / "best.ckpt")
    return folder


@pytest.fixture(scope="module", autouse=True)
def _exporter_that_remembers() -> Iterator[None]:
    """torch's exporter takes seconds: what it made of a network it gives again for the same one."""
    really, made = torch.onnx.export, {}

    def again(model: nn.Module, example: tuple, path: str, **more: object) -> None:
        weights = torch.cat([t.flatten().double() for t in model.state_dict().values()])
        key = (repr(model), weights.numpy().tobytes(), example[0].shape)
        if key not in made:
            really(model, example, path, **more)
            made[key] = Path(path).read_bytes()
        Path(path).write_bytes(made[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", again)
        yield


class _Said(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run of the tiny attention model, and what was said while it was exported in earnest."""
    run = untrained_run(tmp_path_factory.mktemp("run"), "attention")
    said = _Said()
    logging.getLogger().addHandler(said)
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
        warnings.catch_warnings(record=True) as warned,
    ):
        warnings.simplefilter("always")
        export(run, FACES[:1], tmp_path_factory.mktemp("first") / "b")
    logging.getLogger().removeHandler(said)
    printed = [text for text in (out.getvalue(), err.getvalue()) if text]
    return run, [*printed, *said.lines, *(str(w.message) for w in warned)]


@pytest.fixture(scope="module")
def run(first: tuple[Path, list[str]]) -> Path:
    """A run of the tiny attention model, to be read only."""
    return first[0]


@pytest.fixture
def disturb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Logits], None]], None]:
    """`disturb(change)`: torch's logits are changed after the ONNX file, before the proof."""

    def install(change: Callable[[Logits], None]) -> None:
        really = runs.count_macs

        def counted(model: nn.Module, preprocess: object) -> int:
            macs = really(model, preprocess)
            model.register_forward_hook(lambda module, inputs, logits: change(logits))
            return macs

        monkeypatch.setattr(runs, "count_macs", counted)

    return install


def moved_by(more: float) -> Callable[[Logits], None]:
    """A change that moves `more` of the probability of the second label to the first."""

    def change(logits: Logits) -> None:
        probabilities = torch.softmax(logits, 1)
        probabilities[:, 0] += more
        probabilities[:, 1] -= more
        logits.copy_(probabilities.log())

    return change


@pytest.mark.parametrize("model", [*names(), "timm/test_vit"])
def test_every_model_exports_with_parity_for_any_number_of_faces(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    smaller = build if model in OPTIONS else shallow
    monkeypatch.setattr("mien.models.build", smaller)
    run = untrained_run(tmp_path, model, smaller)
    bundle, difference = export(run, FACES[:40], tmp_path / "b")
    assert difference < 1e-5
    card = bundle.card
    assert card.parameters > 1000
    assert card.macs > 1000
    assert card.preprocess.size_px == 32
    classifier = Classifier(bundle)
    rows = classifier.probabilities(FACES[:5])
    assert rows.std(0).max() > 1e-3, "a network that answers alike to all proves nothing"
    alone = [classifier.probabilities(face[None])[0] for face in FACES[:5]]
    assert np.allclose(rows, alone, atol=1e-6)


def test_a_bundle_is_two_files_and_its_input_and_output_have_names(run: Path, tmp_path: Path):
    bundle, _ = export(run, FACES, tmp_path / "b")
    assert bundle == open_bundle(tmp_path / "b")
    assert {file.name for file in bundle.folder.iterdir()} == {MODEL_FILE, CARD_FILE}
    session = onnxruntime.InferenceSession(bundle.model_file)
    (images,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.shape) == ("images", ["faces", 1, 32, 32])
    assert (logits.name, logits.shape) == ("logits", ["faces", 7])
    assert (bundle.card.name, bundle.card.model) == ("attention-random", "attention")
    assert bundle.card.labels == FER2013
    assert bundle.card.provenance.recipe == "attention-random"


def test_the_answers_of_a_bundle_are_torch_s(run: Path, tmp_path: Path):
    bundle, difference = export(run, FACES, tmp_path / "b")
    folder = runs.RunFolder(run)
    model = folder.network()
    with torch.no_grad():
        expected = torch.softmax(model(torch.from_numpy(folder.preprocess(FACES))), 1).numpy()
    assert expected.std(0).max() > 1e-3, "the network tells pictures apart"
    found = Classifier(bundle).probabilities(FACES)
    assert found == pytest.approx(expected, abs=1e-6)
    assert difference == pytest.approx(np.abs(found - expected).max(), abs=2e-7)


def test_exporting_says_nothing_of_its_own(first: tuple[Path, list[str]]):
    """torch's exporter is talkative: its notes are for who writes exporters."""
    assert first[1] == []


def test_an_exported_network_says_nothing_of_the_machine_it_was_exported_on(
    run: Path, tmp_path: Path
):
    for half in (False, True):
        export(run, FACES[:1], tmp_path / "b", half=half)
        content = (tmp_path / "b" / "model.onnx").read_bytes()
        assert b"conv" in content.lower(), "the nodes keep their names"
        assert not re.search(rb"\.py\b", content)
        assert str(Path.cwd()).encode() not in content
    for name in bundle_names():
        assert not re.search(rb"\.py\b", open_bundle(name).model_file.read_bytes()), name


def gemm(weights: np.ndarray, **more: object) -> onnx.ModelProto:
    """images (N, K) @ weights (K, M) → logits (N, M), with a whole number that nobody needs."""
    kept = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.arange(999), "whole")]
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["images", "w"], ["logits"], name="dense")],
        "graph",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["faces", len(weights)])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["faces", weights.shape[1]])],
        kept,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


PARTS = {
    "network": lambda network: network,
    "graph": lambda network: network.graph,
    "node": lambda network: network.graph.node[0],
    "input": lambda network: network.graph.input[0],
    "output": lambda network: network.graph.output[0],
    "weight": lambda network: network.graph.initializer[0],
    "what lies between": lambda network: network.graph.value_info.add(name="between"),
}


@pytest.mark.parametrize("part", PARTS)
def test_notes_are_taken_out_wherever_they_are(part: str, tmp_path: Path):
    network = gemm(np.ones((4, 3), np.float32))
    noted = PARTS[part](network)
    noted.doc_string = "/home/me"
    noted.metadata_props.add(key="trace", value="my_model.py")
    onnx.save(network, tmp_path / "model.onnx")
    _anonymise(tmp_path / "model.onnx")
    content = (tmp_path / "model.onnx").read_bytes()
    assert b"/home/me" not in content
    assert b"my_model.py" not in content
    assert b"dense" in content
    assert onnx.load(tmp_path / "model.onnx").graph.initializer[0] == numpy_helper.from_array(
        np.ones((4, 3), np.float32), "w"
    )


@pytest.mark.parametrize(("rows", "halved"), [(85, False), (86, True)])  # 255 weights, 258
def test_large_weights_alone_are_kept_in_16_bits(rows: int, halved: bool, tmp_path: Path):
    weights = np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)
    onnx.save(gemm(weights), tmp_path / "model.onnx")
    _halve(tmp_path / "model.onnx")
    kept = {t.name: t for t in onnx.load(tmp_path / "model.onnx").graph.initializer}
    kinds = {numpy_helper.to_array(t).dtype for n, t in kept.items() if n != "whole"}
    assert kinds == {np.dtype(np.float16 if halved else np.float32)}
    assert np.array_equal(numpy_helper.to_array(kept["whole"]), np.arange(999)), "no weights"
    images = np.random.default_rng(1).normal(size=(2, rows)).astype(np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    used = weights.astype(np.float16).astype(np.float32) if halved else weights
    assert session.run(None, {"images": images})[0] == pytest.approx(images @ used, abs=1e-5)


def test_256_weights_are_large(tmp_path: Path):
    onnx.save(gemm(np.ones((256, 1), np.float32)), tmp_path / "model.onnx")
    _halve(tmp_path / "model.onnx")
    kept = onnx.load(tmp_path / "model.onnx").graph.initializer
    assert {t.data_type for t in kept} == {TensorProto.FLOAT16, TensorProto.INT64}


def test_half_the_bits_half_the_size_nearly_the_same_answer(run: Path, tmp_path: Path):
    full, none = export(run, FACES, tmp_path / "full")
    half, difference = export(run, FACES, tmp_path / "half", half=True)
    assert none < 1e-6
    assert 1e-6 < difference < 1e-2
    assert half.model_file.stat().st_size < 0.8 * full.model_file.stat().st_size
    assert half.card == dataclasses.replace(full.card, digest=half.card.digest)
    assert half.card.digest != full.card.digest


@pytest.mark.parametrize(
    ("half", "more", "agrees"),
    [
        (False, 0.9e-4, True),
        (False, 1.1e-4, False),
        (False, -0.9e-4, True),
        (False, -1.1e-4, False),
        (True, 0.9e-2, True),
        (True, 1.1e-2, False),
        (True, -1.1e-2, False),
    ],
)
def test_a_difference_above_the_tolerance_is_no_parity(
    run: Path, tmp_path: Path, disturb, half: bool, more: float, agrees: bool
):
    disturb(moved_by(more))
    if agrees:
        _, difference = export(run, FACES, tmp_path / "b", half=half)
        assert difference == pytest.approx(abs(more), rel=0.05)
        assert (tmp_path / "b" / MODEL_FILE).is_file()
        return
    allowed = 0.01 if half else 0.0001
    told = rf"torch by {abs(more):.1g}\S* \(allowed: {allowed}\); nothing was written"
    with pytest.raises(BundleError, match=told):
        export(run, FACES, tmp_path / "b", half=half)
    assert list(tmp_path.iterdir()) == [], "nothing was written"


def only(size: int, row: int, change: Callable[[Logits], object]) -> Callable[[Logits], None]:
    """The `change` of one face of a batch of `size`."""

    def of_one(logits: Logits) -> None:
        if len(logits) == size:
            found = logits[[row]]
            change(found)
            logits[row] = found[0]

    return of_one


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (only(6, -1, moved_by(0.05)), r"by 0\.05"),  # the last of 70, in batches of 32
        (only(32, 0, moved_by(0.05)), r"by 0\.05"),
        (only(6, -1, lambda logits: logits.fill_(math.nan)), "by nan"),
        (only(32, 31, lambda logits: logits.fill_(math.nan)), "by nan"),
        (only(6, 0, lambda logits: logits.fill_(math.inf)), "by nan"),
    ],
    ids=["last", "first", "nan at the end", "nan at the beginning", "infinite"],
)
def test_one_face_without_parity_is_enough(run: Path, tmp_path: Path, disturb, change, told):
    disturb(change)
    with pytest.raises(BundleError, match=told):
        export(run, FACES, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_without_parity_the_older_bundle_stays(run: Path, tmp_path: Path, disturb):
    first, _ = export(run, FACES, tmp_path / "b")
    disturb(lambda logits: logits.add_(torch.arange(7)))
    with pytest.raises(BundleError, match="nothing was written"):
        export(run, FACES, tmp_path / "b", half=True)
    assert open_bundle(tmp_path / "b") == first
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_what_the_run_s_own_bundle_has_measured_is_taken_over(run: Path, tmp_path: Path):
    shutil.copytree(run, tmp_path / "run")
    own, _ = export(tmp_path / "run", FACES[:1], tmp_path / "run" / "bundle")
    found = Measured("faces", "public", 21, "d" * 64, 0.5, 0.4, 0.6)
    card = dataclasses.replace(own.card, temperature=2.0, unsure_below=0.4, measured=(found,))
    card.save(own.folder / CARD_FILE)
    (own.folder / "README.md").write_text("measured")
    same, _ = export(tmp_path / "run", FACES[:1], tmp_path / "same")
    half, _ = export(tmp_path / "run", FACES[:1], tmp_path / "half", half=True)
    assert same.card == card
    assert (same.folder / "README.md").read_text() == "measured"
    assert (half.card.temperature, half.card.measured) == (1.0, ())
    assert not (half.folder / "README.md").exists()


def test_an_older_bundle_is_replaced_another_folder_is_not(run: Path, tmp_path: Path):
    first, _ = export(run, FACES, tmp_path / "b")
    (tmp_path / "b" / "README.md").write_text("of the older one")
    again, _ = export(run, FACES, tmp_path / "b", half=True)
    assert again.card.digest != first.card.digest
    assert {file.name for file in (tmp_path / "b").iterdir()} == {MODEL_FILE, CARD_FILE}
    (tmp_path / "empty").mkdir()
    export(run, FACES, tmp_path / "empty")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(BundleError, match=r"mine is there and is no bundle; choose another --out"):
        export(run, FACES, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize(
    ("gone", "message"),
    [("recipe.yaml", "recipe.yaml is missing"), ("checkpoints/best.ckpt", "no checkpoint yet")],
)
def test_what_is_no_trained_run(tmp_path: Path, gone: str, message: str):
    run = untrained_run(tmp_path, "attention")
    (run / gone).unlink()
    with pytest.raises(RunError, match=message):
        export(run, FACES, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def splits(*found: str) -> Dataset:
    """Splits of ten 2 x 2 pictures, each pixel of which is 10 x the split's place + the image's."""
    made = {}
    for place, name in enumerate(found):
        values = np.arange(10, dtype=np.uint8) + 10 * place
        images = np.tile(values[:, None, None], (1, 2, 2))
        made[name] = Split(name, images, np.zeros(10, np.int64), values.astype(str))
    return Dataset("d", FER2013, made)


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        (["train", "val", "public", "private", "test"], "public"),
        (["train", "private", "test", "val"], "val"),
        (["train", "private", "test"], "test"),
        (["train", "private"], "private"),
        (["train"], "train"),
    ],
)
def test_parity_is_proved_on_what_was_not_trained_on(found: list[str], chosen: str):
    images = proof_images(splits(*found))
    assert images[:, 0, 0].tolist() == [10 * found.index(chosen) + i for i in range(10)]


@pytest.mark.parametrize(("images", "proofs"), [(1, 1), (256, 256), (257, 256), (2000, 256)])
def test_at_most_256_images_from_the_first_to_the_last_prove_parity(images: int, proofs: int):
    faces = np.zeros((images, 2, 2), np.uint8)
    faces[:, 0, 0], faces[:, 0, 1] = np.divmod(np.arange(images), 256)
    split = Split("val", faces, np.zeros(images, np.int64), np.arange(images).astype(str))
    proof = proof_images(Dataset("d", FER2013, {"val": split}))
    rows = proof[:, 0].astype(int) @ [256, 1]
    assert len(rows) == proofs
    assert (rows[0], rows[-1]) == (0, images - 1)
    assert set(np.diff(rows)) <= {images // proofs, images // proofs + 1}, "evenly spread"


def test_without_data_faces_of_every_label_are_drawn():
    images = proof_images(None)
    assert images.shape == (256, 48, 48)
    assert images.dtype == np.uint8
    rng = np.random.default_rng(0)
    expected = [draw_face(label, rng) for label in [*FER2013, FER2013[0]]]
    assert np.array_equal(images[:8], expected)
    assert len(np.unique(images, axis=0)) == 256, "no face is drawn twice"


def test_the_best_checkpoint_is_exported(run: Path, tmp_path: Path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "last.ckpt").write_bytes(b"not to be read")
    bundle, _ = export(tmp_path / "run", FACES[:1], tmp_path / "b")
    expected, _ = export(run, FACES[:1], tmp_path / "c")
    assert bundle.card == expected.card
    assert isinstance(bundle, Bundle)
