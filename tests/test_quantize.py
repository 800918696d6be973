import dataclasses
import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.bundle import CARD_FILE, MODEL_FILE, Bundle, Classifier, open_bundle
from mien.card import Card, Measured
from mien.data import Dataset
from mien.errors import BundleError, DataError
from mien.files import sha256
from mien.preprocess import Preprocess
from mien.provenance import Quantised
from mien.quantize import _quiet, _round, calibration_faces, quantize, quantize_weights
from tests.fakes import TRAINED, brightness_bundle

FACES = np.random.default_rng(0).integers(0, 256, (150, 8, 8)).astype(np.uint8)
FACES //= np.arange(1, 151, dtype=np.uint8)[:, None, None] % 5 + 1


def written(folder: Path, weights: dict[str, np.ndarray], *nodes: onnx.NodeProto) -> Bundle:
    """A bundle of 8 x 8 pictures of two labels with that network, from "images" to "logits"."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["faces", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["faces", 2])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(network, folder / MODEL_FILE)
    Card(
        name="seen",
        model="attention",
        paper="arXiv:1",
        licence="MIT",
        labels=("a", "b"),
        preprocess=Preprocess(8, (0.5,), (0.25,), 8),
        digest=sha256(folder / MODEL_FILE),
        parameters=5,
        macs=70,
        provenance=TRAINED,
        temperature=2.0,
        views="flip",
        unsure_below=0.4,
        measured=(Measured("d", "public", 9, "e" * 64, 0.5, 0.4, 0.6),),
        created_by="mien 0.0.1",
    ).save(folder / CARD_FILE)
    return open_bundle(folder)


FLAT = helper.make_node("Flatten", ["images"], ["flat"])


def normal(*shape: int) -> np.ndarray:
    """float32 weights, with channels of very different size along both axes."""
    values = np.random.default_rng(sum(shape)).normal(size=shape)
    values *= np.logspace(-2, 1, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    values *= np.logspace(0, 1, shape[1]).reshape(1, -1, *[1] * (len(shape) - 2))
    return values.astype(np.float32)


def dense(folder: Path) -> Bundle:
    """64 pixels → two logits of some size."""
    weights = np.random.default_rng(1).normal(size=(64, 2)).astype(np.float32)
    return written(
        folder, {"w": weights}, FLAT, helper.make_node("MatMul", ["flat", "w"], ["logits"])
    )


def kept(bundle: Bundle) -> dict[str, np.ndarray]:
    """Name → weights in the bundle's file."""
    graph = onnx.load(bundle.model_file).graph
    return {t.name: numpy_helper.to_array(t) for t in graph.initializer}


def logits(bundle: Bundle, faces: np.ndarray = FACES) -> np.ndarray:
    return Classifier(bundle).logits(bundle.card.preprocess(faces))


@pytest.mark.parametrize("kind", ["int8", "w8"])
def test_figures_of_the_original_are_not_those_of_the_copy(tmp_path: Path, kind: str):
    bundle = dense(tmp_path / "b")
    out = tmp_path / "s"
    small = quantize(bundle, FACES, out) if kind == "int8" else quantize_weights(bundle, out)
    assert small == open_bundle(out)
    assert small.card == dataclasses.replace(
        bundle.card,
        name=f"seen-{kind}",
        digest=sha256(out / MODEL_FILE),
        provenance=Quantised(bundle.card.digest, TRAINED),
        temperature=1.0,
        unsure_below=0.0,
        measured=(),
    )
    assert small.card.views == "flip", "how a face is looked at stays"
    assert small.card.digest != bundle.card.digest
    assert {p.name for p in out.iterdir()} == {MODEL_FILE, CARD_FILE}
    assert np.abs(logits(small) - logits(bundle)).max() < 0.05 * np.ptp(logits(bundle))


def test_eight_bits_are_smaller_and_answer_alike(fer2013: Dataset, tmp_path: Path):
    bundle = open_bundle("mien-s")
    small = quantize(bundle, fer2013.split("train").images[::100], tmp_path / "s")
    assert small.model_file.stat().st_size < 0.6 * bundle.model_file.stat().st_size
    faces = fer2013.split("public").images[:400]
    ours, theirs = (Classifier(b, views="plain").probabilities(faces) for b in (small, bundle))
    assert (ours.argmax(1) == theirs.argmax(1)).mean() > 0.95
    # Faces of another kind are no measure: black ones leave no range to the activations.
    assert np.abs(ours - theirs).mean() < 0.03


def test_eight_bits_are_what_processors_multiply(tmp_path: Path):
    """Integers throughout; weights of each output in seven bits, so that sums do not overflow."""
    weights = np.random.default_rng(1).normal(size=(4, 1, 3, 3)).astype(np.float32)
    weights *= np.array([1, 10, 100, 0.1], np.float32)[:, None, None, None]
    head = np.random.default_rng(2).normal(size=(4, 2)).astype(np.float32)
    bundle = written(
        tmp_path / "b",
        {"w": weights, "h": head},
        helper.make_node("Conv", ["images", "w"], ["c"]),
        helper.make_node("ReduceMax", ["c"], ["m"], keepdims=1),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "h"], ["logits"]),
    )
    small = quantize(bundle, FACES, tmp_path / "s")
    graph = onnx.load(small.model_file).graph
    kinds = {node.op_type for node in graph.node}
    assert {"QLinearConv", "QLinearMatMul"} <= kinds
    assert not {"Conv", "MatMul"} & kinds
    found = kept(small)
    rounded = found["w_quantized"]
    assert rounded.dtype == np.int8
    largest = np.abs(weights).max((1, 2, 3))
    assert np.abs(rounded.astype(int)).max((1, 2, 3)).tolist() == [64, 64, 64, 64]
    assert found["w_scale"] == pytest.approx(largest / 63.5, rel=0.02)
    assert found["c_zero_point"].dtype == np.uint8
    assert found["images_scale"] == pytest.approx((FACES.max() / 255) / 0.25 / 255, rel=0.01)


def test_activations_are_measured_on_all_faces(tmp_path: Path):
    """The brightest of 150 faces, in batches of 64, sets the range, wherever it is."""
    bundle = dense(tmp_path / "b")
    for place in (0, 63, 64, 149):
        faces = np.full((150, 8, 8), 128, np.uint8)
        faces[place] = 255
        scale = kept(quantize(bundle, faces, tmp_path / "s"))["flat_scale"]
        # Standardised, faces lie in 0.008 ... 2, and 0 is in every range: 255 steps.
        assert scale == pytest.approx(2 / 255, rel=1e-3), place


def test_weights_in_eight_bits_are_as_small_and_closer(fer2013: Dataset, tmp_path: Path):
    bundle = open_bundle("mien-s")  # whose weights lie in 16 bits
    small = quantize_weights(bundle, tmp_path / "s")
    assert small.model_file.stat().st_size < 0.55 * bundle.model_file.stat().st_size
    faces = fer2013.split("public").images[:400]
    ours, theirs = (
        Classifier(b, views="plain").logits(b.card.preprocess(faces)) for b in (small, bundle)
    )
    assert 0 < np.abs(ours - theirs).max() < 0.2
    assert (ours.argmax(1) == theirs.argmax(1)).mean() > 0.98
    assert (small.card.name, small.card.measured) == ("mien-s-w8", ())


def test_few_weights_stay_as_they_are(tmp_path: Path):
    small = quantize_weights(open_bundle("mien-s"), tmp_path / "s")
    found = {name: values.shape for name, values in kept(small).items()}
    assert found["features.0.weight"] == (32, 1, 3, 3)  # nine a channel
    assert not [
        n for n, dims in found.items() if len(dims) == 4 and dims[1] > 31 and "int8" not in n
    ]


LAYERS = {
    # kind: shape of n inputs and m outputs, the axis of outputs, the node
    "MatMul": (lambda n, m: (n, m), 1, lambda x: helper.make_node("MatMul", [x, "w"], ["y"])),
    "Gemm": (lambda n, m: (n, m), 1, lambda x: helper.make_node("Gemm", [x, "w"], ["y"])),
    "Gemm told": (
        *(lambda n, m: (n, m), 1),
        lambda x: helper.make_node("Gemm", [x, "w"], ["y"], transB=0, alpha=1.0),
    ),
    "Gemm turned": (
        *(lambda n, m: (m, n), 0),
        lambda x: helper.make_node("Gemm", [x, "w"], ["y"], transB=1),
    ),
    "Conv": (
        *(lambda n, m: (m, n, 1, 1), 0),
        lambda x: helper.make_node("Conv", [x, "w"], ["y"]),
    ),
}


def layer(folder: Path, kind: str, inputs: int, outputs: int) -> tuple[Bundle, np.ndarray, int]:
    """A network with a layer of that kind, its weights, and the axis of its outputs."""
    shape, axis, node = LAYERS[kind]
    weights = normal(*shape(inputs, outputs))
    seen = [inputs, 1, 1] if kind == "Conv" else [inputs]
    extra = {"first": np.arange(inputs), "pairs": np.array([-1, *seen]), "two": np.arange(2)}
    nodes = [
        FLAT,
        helper.make_node("Gather", ["flat", "first"], ["some"], axis=1),
        helper.make_node("Reshape", ["some", "pairs"], ["x"]),
        node("x"),
        helper.make_node("Flatten", ["y"], ["z"]),
        helper.make_node("Gather", ["z", "two"], ["logits"], axis=1),
    ]
    return written(folder, {"w": weights, **extra}, *nodes), weights, axis


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(("inputs", "rounded"), [(31, False), (32, True), (33, True)])
def test_weights_of_each_output_are_rounded_by_themselves(
    tmp_path: Path, kind: str, inputs: int, rounded: bool
):
    bundle, weights, axis = layer(tmp_path / "b", kind, inputs, 5)
    small = quantize_weights(bundle, tmp_path / "s")
    found = kept(small)
    if not rounded:
        assert np.array_equal(found["w"], weights)
        return
    assert "w" not in found
    assert found["w.int8"].dtype == np.int8
    others = tuple(a for a in range(weights.ndim) if a != axis)
    assert found["w.step"].shape == tuple(5 if a == axis else 1 for a in range(weights.ndim))
    largest = np.abs(weights).max(others)
    assert found["w.step"].ravel() == pytest.approx(largest / 127, rel=1e-6)
    assert np.abs(found["w.int8"].astype(int)).max(others).tolist() == [127] * 5
    back = found["w.int8"] * found["w.step"]
    assert (np.abs(back - weights) <= 0.5001 * found["w.step"]).all()
    used, _, _ = layer(tmp_path / "used", kind, inputs, 5)
    network = onnx.load(used.model_file)
    network.graph.initializer[0].CopyFrom(numpy_helper.from_array(back, "w"))
    expected = onnx.reference.ReferenceEvaluator(network)
    images = bundle.card.preprocess(FACES[:9])
    assert logits(small, FACES[:9]) == pytest.approx(
        expected.run(None, {"images": images})[0], rel=1e-4, abs=1e-3
    )


def test_what_is_no_layer_s_weight_stays_as_it_is(tmp_path: Path):
    """Of a sum, of a bias; whatever their size."""
    rng = np.random.default_rng(3)
    weights = {
        "added": rng.normal(size=(1, 64)).astype(np.float32),
        "w": rng.normal(size=(64, 2)).astype(np.float32),
        "b": rng.normal(size=(2,)).astype(np.float32),
    }
    bundle = written(
        tmp_path / "b",
        weights,
        FLAT,
        helper.make_node("Add", ["flat", "added"], ["more"]),
        helper.make_node("Gemm", ["more", "w", "b"], ["logits"]),
    )
    found = kept(quantize_weights(bundle, tmp_path / "s"))
    assert set(found) == {"added", "b", "w.int8", "w.step"}
    assert np.array_equal(found["added"], weights["added"])
    assert np.array_equal(found["b"], weights["b"])


def test_weights_in_16_bits_are_widened_before_they_are_rounded(tmp_path: Path):
    """`mien export --half` keeps them behind a cast; small ones come out of it in 32 bits."""
    rng = np.random.default_rng(3)
    halves = {"w.half": rng.normal(size=(64, 2)), "added.half": rng.normal(size=(1, 64))}
    halves = {name: values.astype(np.float16) for name, values in halves.items()}
    bundle = written(
        tmp_path / "b",
        halves,
        helper.make_node("Cast", ["w.half"], ["w"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["added.half"], ["added"], to=TensorProto.FLOAT),
        FLAT,
        helper.make_node("Add", ["flat", "added"], ["more"]),
        helper.make_node("MatMul", ["more", "w"], ["logits"]),
    )
    small = quantize_weights(bundle, tmp_path / "s")
    found = kept(small)
    assert set(found) == {"added", "w.int8", "w.step"}
    assert np.array_equal(found["added"], halves["added.half"].astype(np.float32))
    step = np.abs(halves["w.half"].astype(np.float32)).max(0) / 127
    assert found["w.step"].ravel() == pytest.approx(step)
    assert np.abs(logits(small) - logits(bundle)).max() < 0.02 * np.ptp(logits(bundle))


def test_weights_come_before_a_layer_that_is_the_first(tmp_path: Path):
    weights = np.random.default_rng(5).normal(size=(2, 1, 8, 8)).astype(np.float32)
    bundle = written(
        tmp_path / "b",
        {"w": weights},
        helper.make_node("Conv", ["images", "w"], ["y"]),
        helper.make_node("Flatten", ["y"], ["logits"]),
    )
    small = quantize_weights(bundle, tmp_path / "s")
    kinds = [node.op_type for node in onnx.load(small.model_file).graph.node]
    assert kinds == ["Cast", "Mul", "Conv", "Flatten"]
    assert np.abs(logits(small) - logits(bundle)).max() < 0.02 * np.ptp(logits(bundle))


def test_weights_in_8_bits_stay_so(tmp_path: Path):
    once = quantize_weights(open_bundle("mien-s"), tmp_path / "once")
    again = quantize_weights(once, tmp_path / "again")
    assert again.model_file.read_bytes() == once.model_file.read_bytes()


@pytest.mark.parametrize("axis", [0, 1])
def test_each_channel_has_steps_of_its_own(axis: int):
    values = np.random.default_rng(0).normal(size=(4, 50)).astype(np.float32)
    values *= np.array([[1], [1e3], [1e-3], [0]])
    values = values if axis == 0 else values.T
    rounded, step = _round(values, axis)
    assert (rounded.dtype, step.dtype) == (np.int8, np.float32)
    assert step.shape == ((4, 1) if axis == 0 else (1, 4))
    assert np.abs(rounded).max(1 - axis).tolist() == [127, 127, 127, 0]
    assert (np.abs(rounded * step - values) <= 0.501 * step).all()


def test_rounding_is_to_the_nearest_of_255_steps():
    values = np.array([[-127.0, 126.4, 126.6, 0.4, -0.6, 1.5, 2.5]], np.float32)
    rounded, step = _round(values, 0)
    assert step.tolist() == [[1.0]]
    assert rounded.tolist() == [[-127, 126, 127, 0, -1, 2, 2]]


@pytest.mark.parametrize(("faces", "chosen"), [(1, 1), (1279, 1279), (1280, 1280), (1281, 1280)])
def test_activations_are_measured_on_1280_faces_at_most(faces: int, chosen: int):
    numbered = np.zeros((faces, 1, 2), np.uint8)
    numbered[:, 0, 0], numbered[:, 0, 1] = np.divmod(np.arange(faces), 256)
    rows = calibration_faces(numbered)[:, 0].astype(int) @ [256, 1]
    assert len(rows) == chosen
    assert (rows[0], rows[-1]) == (0, faces - 1)
    assert set(np.diff(rows)) <= {1, 2}


def test_the_faces_that_activations_are_measured_on_are_spread_evenly():
    numbered = np.zeros((12_800, 1, 2), np.uint8)
    numbered[:, 0, 0], numbered[:, 0, 1] = np.divmod(np.arange(12_800), 256)
    rows = calibration_faces(numbered)[:, 0].astype(int) @ [256, 1]
    assert set(np.diff(rows)) == {10, 11}
    assert (rows[0], rows[-1]) == (0, 12_799)


def test_without_faces(tmp_path: Path):
    with pytest.raises(DataError, match="there is no face to measure activations on"):
        quantize(open_bundle(), np.empty((0, 48, 48), np.uint8), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def with_bytes(folder: Path, content: bytes) -> Bundle:
    """A bundle with that file as its network, and its digest."""
    bundle = brightness_bundle(folder)
    bundle.model_file.write_bytes(content)
    card = dataclasses.replace(bundle.card, digest=sha256(bundle.model_file))
    card.save(folder / CARD_FILE)
    return open_bundle(folder)


@pytest.mark.parametrize("content", [b"", b"text", b"\x08\x07"])
def test_what_is_no_network_is_told_in_one_line(tmp_path: Path, capfd, content: bytes):
    bundle = with_bytes(tmp_path / "b", content)
    with pytest.raises(BundleError, match=r"b cannot be quantised: .+") as caught:
        quantize(bundle, FACES, tmp_path / "s")
    with pytest.raises(BundleError, match=r"model\.onnx is no ONNX network: .+") as other:
        quantize_weights(bundle, tmp_path / "s")
    for error in (caught, other):
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 300 + len(str(tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["b"]
    assert capfd.readouterr().err == ""


def test_a_network_that_its_card_does_not_fit_is_told(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    crop = dataclasses.replace(bundle.card.preprocess, size_px=9)
    dataclasses.replace(bundle.card, preprocess=crop).save(bundle.folder / CARD_FILE)
    with pytest.raises(BundleError, match=r"b cannot be quantised: .*Got: 9 Expected: 8"):
        quantize(open_bundle(bundle.folder), FACES, tmp_path / "s")


def test_an_older_bundle_is_replaced_another_folder_is_not(tmp_path: Path):
    bundle = dense(tmp_path / "b")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    for write in (
        lambda out: quantize(bundle, FACES, out),
        lambda out: quantize_weights(bundle, out),
    ):
        write(tmp_path / "s")
        with pytest.raises(BundleError, match=r"mine is there and is no bundle; choose another"):
            write(tmp_path / "mine")
    assert open_bundle(tmp_path / "s").card.name == "seen-w8"
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize("before", [logging.NOTSET, logging.ERROR])
def test_others_log_again_afterwards(before: int, caplog):
    logging.disable(before)
    try:
        with pytest.raises(ZeroDivisionError), _quiet():
            logging.getLogger("root").warning("advice")
            logging.getLogger("root").error("trouble")
            _ = 1 / 0
        assert logging.root.manager.disable == before
    finally:
        logging.disable(logging.NOTSET)
    assert caplog.messages == ([] if before else ["trouble"])
