import dataclasses
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax as scipy_softmax

from mien.bundle import (
    DEFAULT,
    Bundle,
    Classifier,
    bundle_names,
    load_network,
    new_bundle,
    open_bundle,
    softmax,
    temper,
)
from mien.errors import BundleError, InputError
from mien.files import sha256
from tests.fakes import brightness_bundle

SHIPPED = ("mien-m-int8", "mien-s", "mien-s-wide-int8")
NOISE = np.random.default_rng(0).integers(0, 256, (5, 8, 8)).astype(np.uint8)


@pytest.fixture(scope="module")
def brightness(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return brightness_bundle(tmp_path_factory.mktemp("brightness") / "b")


def as_worked_out(brightness: float) -> np.ndarray:
    """What the network of `tests.fakes` says of a crop of this mean brightness, 0-1."""
    centres = np.linspace(0, 1, 7)
    return scipy_softmax(20 * centres * brightness - 10 * centres**2)


def with_card(bundle: Bundle, **changes: object) -> Bundle:
    return dataclasses.replace(bundle, card=dataclasses.replace(bundle.card, **changes))


def test_the_package_ships_these_bundles():
    assert bundle_names() == SHIPPED
    assert DEFAULT == "mien-m-int8"
    assert open_bundle() == open_bundle("mien-m-int8")


@pytest.mark.parametrize("name", SHIPPED)
def test_each_shipped_bundle_opens_and_gives_probabilities(name: str):
    bundle = open_bundle(name)
    assert (bundle.card.name, bundle.folder.name) == (name, name)
    assert bundle.model_file == bundle.folder / "model.onnx"
    faces = np.random.default_rng(0).integers(0, 256, (3, 48, 48)).astype(np.uint8)
    rows = Classifier(bundle).probabilities(faces)
    assert rows.shape == (3, len(bundle.card.labels))
    assert np.allclose(rows.sum(1), 1)
    assert bundle.card.measured, "a shipped bundle states its accuracy"


@pytest.mark.parametrize("form", [str, Path])
def test_a_folder_is_a_bundle(brightness: Bundle, form):
    assert open_bundle(form(brightness.folder)) == brightness


def test_a_name_is_the_package_s_and_a_path_the_folder(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = brightness_bundle(tmp_path / "mien-s").card
    assert open_bundle("mien-s").card.name == "mien-s"
    for path in ("./mien-s", Path("mien-s")):
        assert open_bundle(path).card == mine


def test_a_changed_model_file_is_refused(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    was = bundle.card.digest
    with bundle.model_file.open("ab") as file:
        file.write(b"x")
    now = sha256(bundle.model_file)
    message = f"expected sha256 {was[:12]}..., got {now[:12]}...; the file is damaged"
    with pytest.raises(BundleError, match="does not match its card") as caught:
        open_bundle(bundle.folder)
    assert message in str(caught.value)


def test_a_missing_model_file(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    bundle.model_file.unlink()
    with pytest.raises(BundleError, match=r"is no bundle: model\.onnx is missing"):
        open_bundle(bundle.folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nope", f"no bundle 'nope': neither a folder nor a name; shipped: {', '.join(SHIPPED)}"),
        (Path("nope"), "no bundle 'nope'"),
        (".", r"card[.]json is missing"),
    ],
)
def test_what_is_no_bundle(tmp_path: Path, monkeypatch, name: str, message: str):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match=message):
        open_bundle(name)


def test_an_onnx_file_that_does_not_run(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    bundle.model_file.write_bytes(b"not a network")
    card = dataclasses.replace(bundle.card, digest=sha256(bundle.model_file))
    card.save(bundle.folder / "card.json")
    with pytest.raises(BundleError, match=r"model\.onnx cannot be run: "):
        Classifier(open_bundle(bundle.folder))


@pytest.mark.parametrize(("grey", "label"), [(0, "angry"), (128, "happy"), (255, "surprise")])
def test_probabilities_are_the_softmax_of_what_the_network_says(brightness, grey, label):
    crops = [np.full((20, 30), grey, np.uint8), np.full((9, 9, 3), grey, np.uint8)]
    rows = Classifier(brightness).probabilities(crops)
    assert rows.dtype == np.float64
    assert np.abs(rows - as_worked_out(grey / 255)).max() < 1e-5
    assert [brightness.card.labels[i] for i in rows.argmax(1)] == [label, label]


def test_logits_are_the_network_s_own(brightness: Bundle):
    inputs = np.full((2, 1, 8, 8), 0.5, np.float32)
    logits = Classifier(brightness).logits(inputs)
    assert logits.dtype == np.float32
    centres = np.linspace(0, 1, 7)
    assert np.allclose(logits, [10 * centres - 10 * centres**2] * 2, atol=1e-5)


def test_scores_take_crops_that_are_at_size(brightness: Bundle):
    classifier = Classifier(brightness)
    assert (classifier.scores(NOISE) == classifier.probabilities(NOISE)).all()


def test_no_crop_gives_no_row(brightness: Bundle):
    assert Classifier(brightness).probabilities([]).shape == (0, 7)
    assert Classifier(brightness).scores(np.empty((0, 8, 8), np.uint8)).shape == (0, 7)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_a_temperature_divides_the_logarithms(brightness: Bundle, temperature: float):
    """softmax(log p / t) is softmax(logits / t)."""
    face = [np.full((8, 8), 200, np.uint8)]
    row = Classifier(with_card(brightness, temperature=temperature)).probabilities(face)[0]
    logits = np.log(as_worked_out(200 / 255))
    assert np.abs(row - scipy_softmax(logits / temperature)).max() < 1e-5


def edge() -> np.ndarray:
    """Bright on the left, dark on the right: what is seen depends on where one looks."""
    face = np.zeros((1, 24, 24), np.uint8)
    face[:, :, :2] = 255
    return face


@pytest.mark.parametrize("views", ["plain", "flip", "ten-crop"])
def test_the_views_of_the_card_are_averaged_unless_others_are_chosen(tmp_path: Path, views: str):
    bundle = brightness_bundle(tmp_path / "b", size_px=24)
    card = with_card(bundle, views=views)
    plain = Classifier(bundle)
    assert (plain.views, Classifier(card).views) == ("plain", views)
    assert Classifier(card, views="plain").views == "plain"
    named = Classifier(card).scores(edge())
    assert np.allclose(named, Classifier(bundle, views=views).scores(edge()))
    unlike = np.abs(named - plain.scores(edge())).max()
    assert unlike > 1e-3 if views == "ten-crop" else unlike < 1e-6  # a mirror keeps brightness


def test_the_temperature_comes_after_the_mean_of_the_views(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b", size_px=24)
    bare = Classifier(bundle, views="ten-crop").scores(edge())
    warm = Classifier(with_card(bundle, temperature=2.0), views="ten-crop").scores(edge())
    assert np.allclose(warm, temper(bare, 2.0))


def test_unknown_views_and_devices_are_refused(brightness: Bundle):
    with pytest.raises(InputError, match="views among plain, flip, ten-crop, got 'x'"):
        Classifier(brightness, views="x")
    with pytest.raises(InputError, match="device auto, cpu or cuda, got 'tpu'"):
        Classifier(brightness, device="tpu")


@pytest.mark.parametrize(
    ("device", "card", "expected"),
    [
        ("auto", False, ["CPUExecutionProvider"]),
        ("cpu", False, ["CPUExecutionProvider"]),
        ("auto", True, ["CUDAExecutionProvider", "CPUExecutionProvider"]),
        ("cuda", True, ["CUDAExecutionProvider", "CPUExecutionProvider"]),
        ("cpu", True, ["CPUExecutionProvider"]),
    ],
)
def test_a_graphics_card_is_used_where_there_is_one(
    monkeypatch, brightness, device, card, expected, capsys
):
    """What onnxruntime is asked for: no test machine has the card."""
    there = ["CPUExecutionProvider"] + ["CUDAExecutionProvider"] * card
    asked = {}

    class Session(onnxruntime.InferenceSession):
        def __init__(self, path, options, providers):
            names = [one if isinstance(one, str) else one[0] for one in providers]
            asked.update(providers=names, threads=options.intra_op_num_threads)
            spins = options.get_session_config_entry("session.intra_op.allow_spinning")
            assert (spins, options.log_severity_level) == ("0", 3), "waits asleep, and says errors"
            super().__init__(path, options, providers=["CPUExecutionProvider"])

        def get_providers(self):
            return asked["providers"]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: sys.stdout.write("none"))
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    Classifier(brightness, device=device, threads=3)
    assert asked == {"providers": expected, "threads": 3}
    Classifier(brightness, device=device)
    assert asked["threads"] == 0, "as many as there are cores"
    assert capsys.readouterr().out == ""


def test_no_graphics_card_where_one_is_asked_for(monkeypatch, brightness: Bundle):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(InputError, match="pip uninstall onnxruntime and pip install 'onnxruntime"):
        Classifier(brightness, device="cuda")


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_card_that_cannot_be_used_is_not_passed_over(monkeypatch, brightness: Bundle):
    """A build for cards, which takes the processor in silence where it finds no driver."""
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    with pytest.raises(InputError, match="cannot use a graphics card here: the driver"):
        Classifier(brightness, device="cuda")
    grey = [np.zeros((48, 48), np.uint8)]
    assert Classifier(brightness, device="auto").probabilities(grey).shape == (1, 7)


def test_threads_share_one_classifier(brightness: Bundle):
    classifier = Classifier(brightness)
    faces = np.random.default_rng(0).integers(0, 256, (64, 8, 8)).astype(np.uint8)
    alone = classifier.probabilities(faces)
    with ThreadPoolExecutor(8) as pool:
        shared = list(pool.map(lambda i: classifier.probabilities(faces[i : i + 1])[0], range(64)))
    assert np.allclose(alone, shared)


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([[1000.0, 0.0], [-1000.0, -1000.0]], [[1, 0], [0.5, 0.5]]),
        ([[0.0, np.log(3)]], [[0.25, 0.75]]),
        ([[0.0, 0.0, 0.0, 0.0]], [[0.25] * 4]),
    ],
)
def test_softmax(logits, expected):
    assert np.allclose(softmax(np.array(logits)), expected)


@pytest.mark.parametrize(
    ("probabilities", "temperature", "expected"),
    [
        ([0.2, 0.8], 1, [0.2, 0.8]),
        ([0.2, 0.8], 2, [1 / 3, 2 / 3]),  # square roots: 1 to 2
        ([0.2, 0.8], 0.5, [1 / 17, 16 / 17]),  # squares: 1 to 16
        ([0.0, 1.0], 2, [1e-6 / (1 + 1e-6), 1 / (1 + 1e-6)]),  # 0 counts as 1e-12
    ],
)
def test_temper(probabilities, temperature, expected):
    found = temper(np.array([probabilities, probabilities], np.float32), temperature)
    assert found.dtype == np.float64
    assert np.allclose(found, [expected, expected], atol=1e-9, rtol=1e-6)


rows = st.lists(st.floats(-20, 20), min_size=2, max_size=7)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(rows, st.floats(0.2, 5), st.floats(0.2, 5))
def test_laws_of_temperature(logits, first, second):
    probabilities = softmax(np.array([logits]))
    assert np.allclose(probabilities, scipy_softmax(np.array([logits]), axis=1))
    once = temper(probabilities, first * second)
    assert once.sum() == pytest.approx(1)
    if probabilities.min() > 1e-9 and temper(probabilities, first).min() > 1e-9:
        assert np.allclose(temper(temper(probabilities, first), second), once, atol=1e-6)
        ranks = np.sort(probabilities)
        assert (np.diff(once[0][np.argsort(probabilities[0])]) >= -1e-9).all(), ranks


def test_a_new_bundle_replaces_a_bundle_or_an_empty_folder_and_nothing_else(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious")
    (tmp_path / "file").write_text("precious")
    brightness_bundle(tmp_path / "beside")
    (tmp_path / "beside" / "notes.txt").write_text("precious")
    for name, message in (
        ("beside", "beside holds notes.txt besides a bundle, and would be replaced"),
        ("mine", "mine is there and is no bundle; choose"),
        ("file", "is a file"),
    ):
        with pytest.raises(BundleError, match=message), new_bundle(tmp_path / name):
            pytest.fail("nothing may be written")
    for place in ("mine", "beside"):
        assert (tmp_path / place / "notes.txt").read_text() == "precious"
    assert (tmp_path / "file").read_text() == "precious"

    (tmp_path / "empty").mkdir()
    brightness_bundle(tmp_path / "old")
    for name in ("empty", "old", "new"):
        with new_bundle(tmp_path / name) as folder:
            (folder / "card.json").write_text("{}")
        assert [p.name for p in (tmp_path / name).iterdir()] == ["card.json"]


def test_a_bundle_s_network_is_read_for_another_or_told_to_be_none(tmp_path: Path):
    bundle = brightness_bundle(tmp_path / "b")
    assert [output.name for output in load_network(bundle).graph.output]
    bundle.model_file.write_bytes(b"no network at all")
    with pytest.raises(BundleError, match=r"model\.onnx is no ONNX network: "):
        load_network(bundle)
