import dataclasses
import math
from pathlib import Path

import numpy as np
import onnx
import pytest

import mien
from mien.bundle import CARD_FILE, MODEL_FILE, Bundle, Classifier, open_bundle
from mien.card import Measured, load_card
from mien.data import Dataset, Split
from mien.ensemble import RULES, combine, fit_weights, weigh
from mien.errors import BundleError, NotComparable
from mien.files import sha256
from mien.labels import FER2013
from mien.preprocess import Preprocess
from mien.provenance import Ensemble, Member
from mien.quantize import quantize
from tests.fakes import TRAINED, brightness_bundle

FACES = np.random.default_rng(0).integers(0, 256, (40, 48, 48)).astype(np.uint8)
GREYS = np.repeat(np.arange(0, 256, 5, np.uint8), 64).reshape(-1, 8, 8)
"""(52, 8, 8): from black to white, evenly lit."""


@pytest.fixture(scope="module")
def members() -> list[Bundle]:
    return [open_bundle("mien-s"), open_bundle("mien-m-int8")]


def answers(bundles: list[Bundle]) -> np.ndarray:
    return np.stack([Classifier(b, views="plain").probabilities(FACES) for b in bundles])


def changed(bundle: Bundle, **facts: object) -> Bundle:
    """The bundle with other facts on its card."""
    dataclasses.replace(bundle.card, **facts).save(bundle.folder / CARD_FILE)
    return open_bundle(bundle.folder)


def constant(folder: Path, *probabilities: float, size_px: int = 8, **facts: object) -> Bundle:
    """A bundle that gives every face those `probabilities`."""
    bundle = brightness_bundle(folder, tuple("abcdefg"[: len(probabilities)]), size_px)
    network = onnx.load(bundle.model_file)
    for tensor in network.graph.initializer:
        kept = [0.0] * len(probabilities) if tensor.name == "w" else np.log(probabilities)
        shape = (1, -1) if tensor.name == "w" else (-1,)
        values = np.array(kept, np.float32).reshape(shape)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(network, bundle.model_file)
    card = dataclasses.replace(bundle.card, digest=sha256(bundle.model_file), name=folder.name)
    card.save(folder / CARD_FILE)
    return changed(open_bundle(folder), **facts)


def answer(bundle: Bundle) -> list[float]:
    """What it gives for a grey face."""
    return Classifier(bundle).probabilities(GREYS[:1])[0].tolist()


def test_the_mean_is_that_of_the_members(members, tmp_path: Path):
    whole = combine(members, tmp_path / "both")
    assert np.allclose(Classifier(whole).probabilities(FACES), answers(members).mean(0), atol=1e-5)
    assert [m.name for m in whole.card.provenance.members] == ["mien-s", "mien-m-int8"]
    assert load_card(whole.folder / "card.json").name == "both"


def test_the_card_tells_what_was_combined(tmp_path: Path):
    one = constant(
        *(tmp_path / "one", 0.6, 0.4),
        parameters=5,
        macs=70,
        provenance=TRAINED,
        temperature=2.0,
        views="flip",
        unsure_below=0.3,
        measured=(Measured("d", "public", 9, "e" * 64, 0.5, 0.4, 0.6),),
    )
    other = constant(tmp_path / "other", 0.2, 0.8, parameters=600, macs=8000)
    weights = np.array([3.0, 1.0])
    card = combine([one, other], tmp_path / "both", by="weighted", weights=weights).card
    assert (card.name, card.model, card.licence) == ("both", "ensemble", "Apache-2.0")
    assert card.paper == "doi:10.1109/34.58871"  # Hansen & Salamon 1990
    assert card.labels == ("a", "b")
    assert card.preprocess == Preprocess(size_px=8, mean=(0.0,), std=(1.0,), source_px=8)
    assert card.digest == sha256(tmp_path / "both" / MODEL_FILE)
    assert (card.parameters, card.macs) == (605, 8070)
    assert card.provenance == Ensemble(
        "weighted",
        (
            Member("one", one.card.digest, 0.75, TRAINED),
            Member("other", other.card.digest, 0.25, None),
        ),
    )
    # What was measured of a member is not so of the whole; its temperature is in the network.
    assert (card.temperature, card.views, card.unsure_below) == (1.0, "plain", 0.0)
    assert card.measured == ()
    assert card.created_by == f"mien {mien.__version__}"
    assert {p.name for p in (tmp_path / "both").iterdir()} == {MODEL_FILE, CARD_FILE}


def test_every_licence_of_a_member_holds_for_the_whole(tmp_path: Path):
    bundles = [
        constant(tmp_path / str(number), 0.5, 0.5, licence=licence)
        for number, licence in enumerate(["Apache-2.0", "MIT", "Apache-2.0"])
    ]
    three = combine(bundles, tmp_path / "three")
    assert three.card.licence == "Apache-2.0 AND MIT"
    assert combine([three, *bundles], tmp_path / "more").card.licence == "Apache-2.0 AND MIT"


@pytest.mark.parametrize("by", RULES)
def test_an_ensemble_goes_into_8_bits_in_silence(members, tmp_path: Path, capfd, by: str):
    whole = combine(members, tmp_path / "both", by=by, weights=np.array([0.7, 0.3]))
    small = quantize(whole, FACES[:8], tmp_path / "small")
    assert capfd.readouterr().err == "", "ONNX Runtime warns of what the graph does not use"
    ours, theirs = (Classifier(bundle).probabilities(FACES) for bundle in (small, whole))
    assert np.abs(ours - theirs).mean() < 0.1


def test_members_in_8_bits_are_combined_as_any_others(tmp_path: Path):
    members = [open_bundle("mien-s-wide-int8"), open_bundle("mien-s")]
    both = combine(members, tmp_path / "both")
    assert np.allclose(Classifier(both).probabilities(FACES), answers(members).mean(0), atol=1e-5)


@pytest.mark.parametrize(
    ("by", "weights", "expected"),
    [
        ("mean", None, [0.4, 0.4, 0.2]),
        ("mean", [3, 1], [0.4, 0.4, 0.2]),  # weights are those of `weighted`
        ("weighted", [3, 1], [0.5, 0.25, 0.25]),
        ("weighted", [1, 3], [0.3, 0.55, 0.15]),
        ("weighted", [0.2, 0.6], [0.3, 0.55, 0.15]),
        ("weighted", [1, 0], [0.6, 0.1, 0.3]),
        ("vote", None, [1.4 / 3, 1.4 / 3, 0.2 / 3]),  # a vote each, and the mean's
    ],
)
def test_what_comes_of_two_by_each_rule(tmp_path: Path, by: str, weights, expected: list[float]):
    two = [constant(tmp_path / "one", 0.6, 0.1, 0.3), constant(tmp_path / "two", 0.2, 0.7, 0.1)]
    given = None if weights is None else np.array(weights, float)
    whole = combine(two, tmp_path / "both", by=by, weights=given)
    assert answer(whole) == pytest.approx(expected, abs=1e-6)
    kept = [m.weight for m in whole.card.provenance.members]
    share = np.divide(weights, np.sum(weights)) if by == "weighted" else [0.5, 0.5]
    assert kept == pytest.approx(list(share))
    assert whole.card.provenance.by == by


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        # The majority has it, however sure the third is; shares of three votes and the mean.
        ([[0.6, 0.4], [0.6, 0.4], [0.0, 1.0]], [(2 + 0.4) / 4, (1 + 0.6) / 4]),
        # One vote each: the mean decides.
        ([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.0, 0.3, 0.7]], [1.2 / 4, 1.4 / 4, 1.4 / 4]),
        # A member that cannot decide votes for both.
        ([[0.5, 0.5], [0.2, 0.8]], [1.35 / 4, 2.65 / 4]),
    ],
)
def test_the_majority_decides_and_the_mean_breaks_ties(tmp_path: Path, votes, expected):
    bundles = [constant(tmp_path / str(n), *np.maximum(vote, 1e-9)) for n, vote in enumerate(votes)]
    found = answer(combine(bundles, tmp_path / "vote", by="vote"))
    assert found == pytest.approx(np.array(expected) / sum(expected), abs=1e-6)


def test_a_vote_of_real_networks(members, tmp_path: Path):
    three = [*members, members[0]]
    voted = Classifier(combine(three, tmp_path / "vote", by="vote")).probabilities(FACES)
    one, other = answers(members)
    assert (one.argmax(1) != other.argmax(1)).any(), "the members never differ: nothing is tested"
    assert (voted.argmax(1) == one.argmax(1)).all()
    tied = Classifier(combine(members, tmp_path / "tie", by="vote")).probabilities(FACES)
    both = np.stack([one.argmax(1), other.argmax(1)])
    mean = (one + other) / 2
    rows = np.arange(len(FACES))
    better = np.where(mean[rows, both[0]] >= mean[rows, both[1]], *both)
    assert (tied.argmax(1) == better).all()


def test_the_temperature_of_each_member_is_applied(tmp_path: Path):
    # 0.8 : 0.2 is 4 : 1, and 2 : 1 at temperature 2, 16 : 1 at 0.5.
    warm = constant(tmp_path / "warm", 0.8, 0.2, temperature=2.0)
    cold = constant(tmp_path / "cold", 0.8, 0.2, temperature=0.5)
    whole = combine([warm, cold], tmp_path / "both")
    assert answer(whole) == pytest.approx([(2 / 3 + 16 / 17) / 2, (1 / 3 + 1 / 17) / 2], abs=1e-6)


def test_what_all_rule_out_is_nearly_impossible_not_an_error(tmp_path: Path):
    two = [constant(tmp_path / str(n), 1.0, 1e-30) for n in range(2)]
    whole = combine(two, tmp_path / "both")
    inputs = whole.card.preprocess(GREYS[:1])
    logits = Classifier(whole).logits(inputs)[0]
    assert logits == pytest.approx([0, math.log(1e-12)], abs=1e-4)


def test_an_ensemble_is_a_member_as_any_other(tmp_path: Path):
    inner = combine(
        [constant(tmp_path / "a", 0.9, 0.1), constant(tmp_path / "b", 0.5, 0.5)], tmp_path / "in"
    )
    whole = combine([inner, constant(tmp_path / "c", 0.1, 0.9), inner], tmp_path / "out")
    assert answer(whole) == pytest.approx([0.5, 0.5], abs=1e-6)  # (0.7 + 0.1 + 0.7) / 3
    assert [m.name for m in whole.card.provenance.members] == ["in", "c", "in"]


def test_members_of_other_sizes_and_channels_see_the_same_crop(tmp_path: Path):
    small, large = (brightness_bundle(tmp_path / str(s), size_px=s) for s in (8, 16))
    crop = dataclasses.replace(large.card.preprocess, mean=(0.2,), std=(0.5,))
    both = [small, changed(large, preprocess=crop)]
    whole = Classifier(combine(both, tmp_path / "both"))
    expected = np.mean([Classifier(b).probabilities(GREYS) for b in both], axis=0)
    assert np.allclose(whole.probabilities(GREYS), expected, atol=1e-5)


def seeing(folder: Path, size_px: int, channels: int) -> Bundle:
    """A bundle whose logits are five inputs, from here and there in the crop."""
    bundle = brightness_bundle(folder, tuple("abcde"), size_px)
    values = np.array([0, 1, size_px, size_px + 3, size_px * size_px * channels - 1])
    pick = onnx.numpy_helper.from_array(values, "pick")
    nodes = [
        onnx.helper.make_node("Flatten", ["images"], ["flat"]),
        onnx.helper.make_node("Gather", ["flat", "pick"], ["logits"], axis=1),
    ]
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "seeing",
        [onnx.helper.make_tensor_value_info("images", kind, ["n", channels, size_px, size_px])],
        [onnx.helper.make_tensor_value_info("logits", kind, ["n", 5])],
        [pick],
    )
    opset = [onnx.helper.make_opsetid("", 18)]
    network = onnx.helper.make_model(graph, opset_imports=opset, ir_version=10)
    onnx.save(network, bundle.model_file)
    card = dataclasses.replace(
        bundle.card,
        digest=sha256(bundle.model_file),
        preprocess=Preprocess(
            size_px, (0.5, 0.25, 0.125)[:channels], (0.25, 0.5, 2.0)[:channels], source_px=8
        ),
    )
    card.save(folder / CARD_FILE)
    return open_bundle(folder)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size_px", [8, 12, 16])
def test_each_member_sees_what_it_sees_alone(tmp_path: Path, size_px: int, channels: int):
    """Enlarged with its edges, standardised by channel: within what 8 bits round, as alone."""
    bundle = seeing(tmp_path / "one", size_px, channels)
    faces = np.random.default_rng(1).integers(0, 256, (6, 8, 8)).astype(np.uint8)
    whole = combine([bundle, bundle], tmp_path / "both")
    alone, together = (Classifier(b).probabilities(faces) for b in (bundle, whole))
    rounded = 0 if size_px == 8 else 1 / 255 / min(bundle.card.preprocess.std)
    assert np.abs(np.log(alone) - np.log(together)).max() < rounded + 1e-5
    assert np.abs(np.diff(alone, axis=1)).min() > 1e-6


def test_what_cannot_be_combined(members, tmp_path: Path):
    x = tmp_path / "x"
    for few in ([], members[:1]):
        with pytest.raises(BundleError, match="an ensemble needs at least two bundles"):
            combine(few, x)
    with pytest.raises(BundleError, match="mean, weighted, vote, got 'max'"):
        combine(members, x, by="max")
    with pytest.raises(BundleError, match="needs weights; fit them on public or val"):
        combine(members, x, by="weighted")
    two = brightness_bundle(tmp_path / "two", ("angry", "happy"))
    swapped = brightness_bundle(tmp_path / "swapped", ("happy", "angry"))
    with pytest.raises(
        BundleError, match=r"two and .*swapped have different labels: angry, happy and happy, angry"
    ):
        combine([two, two, swapped], x)
    coarse = brightness_bundle(tmp_path / "coarse")
    with pytest.raises(BundleError, match=r"mien-s and .*coarse look at .*different resolutions"):
        combine([members[0], coarse], x)
    fine = changed(
        brightness_bundle(tmp_path / "fine"),
        preprocess=Preprocess(size_px=7, mean=(0.0,), std=(1.0,), source_px=8),
    )
    quiet = changed(
        brightness_bundle(tmp_path / "quiet"),
        preprocess=dataclasses.replace(coarse.card.preprocess, denoise="auto"),
    )
    with pytest.raises(BundleError, match=r"coarse and .*quiet one takes noise away"):
        combine([coarse, quiet], x)
    for pair in ([coarse, fine], [fine, coarse]):
        with pytest.raises(BundleError, match=r"fine shrinks crops to 7 px, .* 8 px crops cannot"):
            combine(pair, x)
    assert not x.exists()


@pytest.mark.parametrize(
    "weights",
    [
        [1.0],
        [1.0, 2.0, 3.0],
        [0.0, 0.0],
        [2.0, -1.0],
        [1.0, math.nan],
        [1.0, math.inf],
        [[1.0, 1.0]],
    ],
)
def test_weights_that_are_none(tmp_path: Path, weights: list[float]):
    two = [constant(tmp_path / str(n), 0.5, 0.5) for n in range(2)]
    with pytest.raises(BundleError, match="expected 2 weights of 0 or more, not all 0, got"):
        combine(two, tmp_path / "x", by="weighted", weights=np.array(weights))
    assert not (tmp_path / "x").exists()


def test_an_older_bundle_is_replaced_another_folder_is_not(tmp_path: Path):
    two = [constant(tmp_path / str(n), 0.5, 0.5) for n in range(2)]
    combine(two, tmp_path / "b")
    again = combine([*two, two[0]], tmp_path / "b")
    assert len(again.card.provenance.members) == 3
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(BundleError, match=r"mine is there and is no bundle; choose another --out"):
        combine(two, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_members_of_older_and_newer_operators_go_together(tmp_path: Path):
    """brightness_bundle is written in operators 17, whose mean has its axes elsewhere."""
    old = brightness_bundle(tmp_path / "old", tuple("abcde"))
    new = seeing(tmp_path / "new", 8, 1)
    whole = combine([old, new], tmp_path / "both")
    assert [o.version for o in onnx.load(whole.model_file).opset_import if not o.domain] == [18]
    expected = np.mean([Classifier(b).probabilities(GREYS) for b in (old, new)], axis=0)
    assert np.allclose(Classifier(whole).probabilities(GREYS), expected, atol=1e-5)


def test_the_network_of_the_whole_names_its_input_and_output(tmp_path: Path):
    two = [constant(tmp_path / str(n), 0.5, 0.3, 0.2, size_px=16) for n in range(2)]
    network = onnx.load(combine(two, tmp_path / "both").model_file)
    (images,), (logits,) = network.graph.input, network.graph.output

    def shape(value) -> list[object]:
        return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]

    assert (images.name, shape(images)) == ("images", ["faces", 1, 8, 8])
    assert (logits.name, shape(logits)) == ("logits", ["faces", 3])
    names = [t.name for t in network.graph.initializer]
    assert len(names) == len(set(names))


def test_weights_find_the_better_member():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 500)
    truth = np.eye(3)[labels]
    good, bad = 0.8 * truth + 0.2 / 3, rng.dirichlet(np.ones(3), 500)
    weights = fit_weights([good, bad], labels)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > 0.95
    assert fit_weights([bad, good], labels) == pytest.approx(weights[::-1], abs=1e-4)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # Of n images, those of which each gives the label 0.9 and the other 0.1, so many times.
        # d/dw of a log(0.1 + 0.8 w) + b log(0.9 - 0.8 w) is 0 at w = (0.9 a - 0.1 b) / 0.8 n.
        (2, 1, (0.9 * 2 - 0.1) / 2.4),
        (1, 2, 1 - (0.9 * 2 - 0.1) / 2.4),
        (3, 2, (0.9 * 3 - 0.1 * 2) / 4.0),
        (1, 1, 0.5),
        (1, 0, 1.0),
    ],
)
def test_weights_are_those_of_least_loss(first: int, second: int, expected: float):
    labels = np.resize([0, 1], first + second)
    one, other = (np.full((len(labels), 2), 0.0) for _ in range(2))
    for row, label in enumerate(labels):
        for table, value in ((one, 0.9), (other, 0.1)):
            value = value if row < first else 1 - value
            table[row, label], table[row, 1 - label] = value, 1 - value
    weights = fit_weights([one, other], labels)
    assert weights == pytest.approx([expected, 1 - expected], abs=1e-4)


def test_weights_of_three_have_the_least_loss():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, 200)
    tables = [rng.dirichlet(np.ones(4) + s * np.eye(4)[t], 1)[0] for s in (1, 2, 3) for t in labels]
    members = np.array(tables).reshape(3, 200, 4)

    def loss(weights: np.ndarray) -> float:
        return -np.log(np.tensordot(weights, members, 1)[np.arange(200), labels]).mean()

    weights = fit_weights(list(members), labels)
    assert weights.sum() == pytest.approx(1)
    others = list(rng.dirichlet(np.ones(3), 500))
    others += [np.roll(weights, 1), weights[::-1], np.full(3, 1 / 3), *np.eye(3)]
    assert loss(weights) <= min(loss(w) for w in others) + 1e-6


def test_a_label_that_a_member_rules_out_counts_against_it_and_no_more():
    labels = np.array([0, 0, 1])
    sure = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    even = np.full((3, 2), 0.5)
    # a = share of sure: 2 log(0.5 + a / 2) + log(0.5 - a / 2) is greatest at 1 / 3.
    assert fit_weights([sure, even], labels) == pytest.approx([1 / 3, 2 / 3], abs=1e-4)
    both = fit_weights([sure, sure], np.array([1, 1, 1]))
    assert both == pytest.approx([0.5, 0.5])


def lit(truth: list[int], split: str = "public") -> Dataset:
    """Grey pictures of which `brightness_bundle` knows the labels, but for those it gets wrong."""
    labels = np.array(truth)
    images = np.repeat(np.array([0, 255] * 10, np.uint8)[: len(truth)], 64).reshape(-1, 8, 8)
    names = np.array([f"{n}.png" for n in range(len(truth))])
    return Dataset("d", ("a", "b"), {split: Split(split, images, labels, names)})


@pytest.mark.parametrize("split", ["public", "val"])
def test_weights_are_fitted_on_what_the_members_say_of_the_split(tmp_path: Path, split: str):
    right = brightness_bundle(tmp_path / "right", ("a", "b"))
    guess = constant(tmp_path / "guess", 0.5, 0.5)
    data = lit([0, 1, 0, 1, 0, 1, 0, 1], split)
    seen: list[int] = []
    weights = weigh([guess, right], data, split, seen.append)
    assert weights == pytest.approx([0, 1], abs=1e-3)
    assert weigh([right, guess], data, split) == pytest.approx([1, 0], abs=1e-3)
    assert sum(seen) == 2 * 8, "the images of each member are told"
    # One of four labels is wrong: p of right is 0 there, and 1 elsewhere; as above.
    halves = weigh([right, guess], lit([0, 1, 0, 0], split), split)
    assert halves == pytest.approx([0.5, 0.5], abs=1e-3)


def test_weights_are_fitted_on_the_views_that_the_ensemble_sees(tmp_path: Path):
    """Of a face and its mirror image: an ensemble looks at the face alone."""
    data = lit([0, 1, 0, 1])
    corner = seeing(tmp_path / "corner", 8, 1)
    images = data.splits["public"].images
    images[:, 0, 0] = 255 - images[:, 0, 0]
    split = dataclasses.replace(data.splits["public"], images=images, labels=np.array([0, 1, 0, 1]))
    faces = Dataset("d", corner.card.labels, {"public": split})
    plain = weigh([corner, constant(tmp_path / "c", *[0.2] * 5)], faces, "public")
    flipped = changed(corner, views="flip")
    again = weigh([flipped, open_bundle(tmp_path / "c")], faces, "public")
    assert again == pytest.approx(plain)
    assert Classifier(flipped).probabilities(images) != pytest.approx(
        Classifier(corner, views="plain").probabilities(images)
    )


@pytest.mark.parametrize("split", ["private", "test"])
def test_weights_are_never_fitted_on_a_test(members, split: str):
    with pytest.raises(BundleError, match=f"{split} is a test: fit the weights on public or val"):
        weigh(members, lit([0, 1], split), split)


def test_weights_want_the_labels_of_the_members(members):
    with pytest.raises(NotComparable):
        weigh(members, lit([0, 1]), "public")
    assert members[0].card.labels == FER2013


def test_a_member_that_is_no_network_is_told(tmp_path: Path):
    bundles = [constant(tmp_path / str(n), 0.5, 0.5) for n in range(2)]
    bundles[1].model_file.write_bytes(b"text")
    with pytest.raises(BundleError, match=r"1/model\.onnx is no ONNX network"):
        combine(bundles, tmp_path / "x")
    assert not (tmp_path / "x").exists()
