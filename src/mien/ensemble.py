"""Several networks as one: a bundle whose single ONNX file asks all of them and combines."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mien
from mien.bundle import CARD_FILE, MODEL_FILE, Bundle, load_network, new_bundle, open_bundle
from mien.card import Card
from mien.data import Dataset
from mien.errors import BundleError
from mien.evaluate import evaluate
from mien.evaluate.evaluation import TESTS
from mien.extras import need
from mien.files import sha256
from mien.preprocess import Preprocess
from mien.provenance import Ensemble, Member

RULES = ("mean", "weighted", "vote")
"""Mean of the probabilities; their mean with weights; majority vote, ties broken by the mean."""

_FLOOR = 1e-12  # keeps the log of a probability that rounded to 0 finite
_OPSET = 18
_IMAGES, _LOGITS = "images", "logits"


def combine(
    members: Sequence[Bundle],
    out: Path,
    *,
    by: str = "mean",
    weights: NDArray[np.float64] | None = None,
) -> Bundle:
    """The bundle of all `members`, written to `out`.

    Every member gets the same crop, brought to its own size, and its temperature is applied;
    `weights` (M,) are those of `weighted`. What comes out is an ordinary bundle: it is opened,
    evaluated, calibrated and recognised with as any other. Raises BundleError for members that
    answer with other labels or look at crops of another resolution.
    """
    _check(members)
    shares = _shares(by, len(members), weights)
    with new_bundle(out, *(member.folder for member in members)) as folder:
        _merge(members, shares, by, folder / MODEL_FILE)
        parts = zip(members, shares, strict=True)
        card = _card(
            Ensemble(by, tuple(_member(member.card, float(share)) for member, share in parts)),
            [member.card for member in members],
            out.resolve().name,
            sha256(folder / MODEL_FILE),
        )
        card.save(folder / CARD_FILE)
    return open_bundle(out)


def _card(provenance: Ensemble, members: Sequence[Card], name: str, digest: str) -> Card:
    crop = members[0].preprocess
    return Card(
        name=name,
        model="ensemble",
        paper="doi:10.1109/34.58871",
        licence=_licence(members),
        labels=members[0].labels,
        preprocess=Preprocess(crop.source_px, (0.0,), (1.0,), crop.source_px, denoise=crop.denoise),
        digest=digest,
        parameters=sum(member.parameters for member in members),
        macs=sum(member.macs for member in members),
        provenance=provenance,
        created_by=f"mien {mien.__version__}",
    )


def _member(card: Card, weight: float) -> Member:
    return Member(card.name, card.digest, weight, card.provenance)


def weigh(
    members: Sequence[Bundle],
    data: Dataset,
    split: str,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """(M,) weights of the members that fit `split` of `data` best; it must not be a test."""
    if split in TESTS:
        raise BundleError(f"{split} is a test: fit the weights on public or val")
    # An ensemble looks at the face alone, whatever views a member averages by itself.
    found = [evaluate(member, data, split, progress, views="plain") for member in members]
    return fit_weights([e.probabilities for e in found], found[0].truth)


def fit_weights(
    probabilities: Sequence[NDArray[np.float64]], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(M,) weights, which sum to 1, of the mixture of M (N, C) `probabilities` of least loss.

    Expectation-maximisation: the loss of a mixture has one minimum, and each step lowers it.
    """
    rows = np.arange(len(labels))
    likelihoods = np.stack([np.maximum(p[rows, labels], _FLOOR) for p in probabilities])
    weights = np.full(len(likelihoods), 1 / len(likelihoods))
    for _ in range(1000):
        shares = weights[:, None] * likelihoods
        moved = (shares / shares.sum(0)).mean(1)
        if np.abs(moved - weights).max() < 1e-6:
            break
        weights = moved
    return weights


def _check(members: Sequence[Bundle]) -> None:
    if len(members) < 2:
        raise BundleError("an ensemble needs at least two bundles")
    if of_clips := [member for member in members if member.card.state is not None]:
        raise BundleError(f"{of_clips[0].folder} reads clips; an ensemble is of bundles for images")
    first = members[0]
    for other in members[1:]:
        if other.card.labels != first.card.labels:
            raise BundleError(
                f"{first.folder} and {other.folder} have different labels: "
                f"{', '.join(first.card.labels)} and {', '.join(other.card.labels)}"
            )
        if other.card.preprocess.source_px != first.card.preprocess.source_px:
            raise BundleError(
                f"{first.folder} and {other.folder} look at crops of different resolutions"
            )
        if other.card.preprocess.denoise != first.card.preprocess.denoise:
            raise BundleError(
                f"of {first.folder} and {other.folder} one takes noise away from crops; set "
                "preprocess.denoise alike in both cards"
            )
    for member in members:
        crop = member.card.preprocess
        if crop.color:
            raise BundleError(
                f"{member.folder} reads colour; an ensemble is of grey ones: leave it out"
            )
        if crop.size_px < crop.source_px:
            raise BundleError(
                f"{member.folder} shrinks crops to {crop.size_px} px, which an ensemble of "
                f"{crop.source_px} px crops cannot; leave it out"
            )


def _shares(by: str, members: int, weights: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """(M,) shares that sum to 1: those of `weights` for a weighted mean, else equal ones."""
    if by not in RULES:
        raise BundleError(f"expected an ensemble by {', '.join(RULES)}, got {by!r}")
    if by != "weighted":
        return np.full(members, 1 / members)
    if weights is None:
        raise BundleError("a weighted ensemble needs weights; fit them on public or val")
    if weights.shape != (members,) or weights.min() < 0 or not 0 < weights.sum() < np.inf:
        raise BundleError(
            f"expected {members} weights of 0 or more, not all 0, got {weights.tolist()}"
        )
    return np.asarray(weights / weights.sum())


def _licence(members: Sequence[Card]) -> str:
    """All licences of `members`, each once, as SPDX joins them."""
    named = [part for member in members for part in member.licence.split(" AND ")]
    return " AND ".join(dict.fromkeys(named))


def _merge(members: Sequence[Bundle], shares: NDArray[np.float64], by: str, path: Path) -> None:
    """Write the network of all `members`: (N, 1, S, S) images in 0-1 → (N, C) log-probabilities."""
    onnx = need("onnx", extra="train")
    networks = [load_network(member) for member in members]
    opset = max(_OPSET, *(_opset(network) for network in networks))
    graph = _Graph()
    answers = [
        _answer(graph, member.card, _upgraded(onnx, network, opset, f"m{number}/"))
        for number, (member, network) in enumerate(zip(members, networks, strict=True))
    ]
    mean = graph.sum(
        graph.add("Mul", [answer, graph.constant(share)])
        for answer, share in zip(answers, shares, strict=True)
    )
    if by == "vote":
        mean = _vote(graph, answers, mean)
    floored = graph.add("Max", [mean, graph.constant(_FLOOR)])
    graph.add("Log", [floored], _LOGITS)
    others = {o.domain: o.version for network in networks for o in network.opset_import if o.domain}
    whole = graph.network(members[0].card, {"": opset, **others})
    onnx.checker.check_model(whole)
    onnx.save(whole, path)


def _upgraded(onnx: Any, network: Any, opset: int, prefix: str) -> Any:
    """`network` in operators of the version `opset`, its names with a `prefix`."""
    if _opset(network) < opset:
        network = onnx.version_converter.convert_version(network, opset)
    return onnx.compose.add_prefix(network, prefix)


def _answer(graph: "_Graph", card: Card, network: Any) -> str:
    """The name of the (N, C) probabilities of one member, its temperature applied."""
    graph.add("Identity", [_view(graph, card.preprocess)], network.graph.input[0].name)
    graph.take(network.graph)
    logits = network.graph.output[0].name
    return graph.add(
        "Softmax", [graph.add("Div", [logits, graph.constant(card.temperature)])], axis=1
    )


def _opset(network: Any) -> int:
    """Version of the operators that `network` is written in."""
    return int(next(o.version for o in network.opset_import if not o.domain))


def _view(graph: "_Graph", crop: Preprocess) -> str:
    """What the member of `crop` sees of the images: its size, its scale, its channels."""
    seen = _IMAGES
    if crop.size_px != crop.source_px:
        factor = crop.size_px / crop.source_px
        scales = graph.constant(np.array([1, 1, factor, factor], np.float32))
        seen = graph.add("Resize", [seen, "", scales], mode="linear")
    mean = np.array(crop.mean, np.float32).reshape(1, -1, 1, 1)
    std = np.array(crop.std, np.float32).reshape(1, -1, 1, 1)
    centred = graph.add("Sub", [seen, graph.constant(mean)])
    return graph.add("Div", [centred, graph.constant(std)])


def _vote(graph: "_Graph", answers: Sequence[str], mean: str) -> str:
    """The share of votes of each class, with the mean as one more voter: it breaks the ties."""
    ballots, classes = [], graph.axis(1)
    for answer in answers:
        best = graph.add("ReduceMax", [answer, classes], keepdims=1)
        ballots.append(graph.add("Cast", [graph.add("Equal", [answer, best])], to=1))
    total = graph.sum([*ballots, mean])
    return graph.add("Div", [total, graph.constant(len(answers) + 1)])


class _Graph:
    """Nodes and constants of a network in the making, with names that do not clash."""

    def __init__(self) -> None:
        self.onnx = need("onnx", extra="train")
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, inputs: list[str], name: str | None = None, **options: Any) -> str:
        """Append a node; the name of what comes out."""
        out = name or f"ensemble/{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [out], **options))
        return out

    def constant(self, value: float | NDArray[np.float32]) -> str:
        """The name of a float32 constant."""
        return self._keep(np.asarray(value, np.float32))

    def axis(self, number: int) -> str:
        """The name of a constant that names one axis."""
        return self._keep(np.array([number], np.int64))

    def sum(self, names: Any) -> str:
        """The sum of tensors of one shape."""
        return self.add("Sum", list(names))

    def take(self, graph: Any) -> None:
        """Everything of another network."""
        self.nodes.extend(graph.node)
        self.constants.extend(graph.initializer)

    def network(self, card: Card, opsets: dict[str, int]) -> Any:
        """All of it as one network, from images of the size that `card` asks for to its labels."""
        helper, kind = self.onnx.helper, self.onnx.TensorProto.FLOAT
        size = card.preprocess.source_px
        graph = helper.make_graph(
            self.nodes,
            "ensemble",
            [helper.make_tensor_value_info(_IMAGES, kind, ["faces", 1, size, size])],
            [helper.make_tensor_value_info(_LOGITS, kind, ["faces", len(card.labels)])],
            self.constants,
        )
        versions = [helper.make_opsetid(*wanted) for wanted in opsets.items()]
        return helper.make_model(graph, opset_imports=versions, ir_version=10)

    def _keep(self, value: NDArray[Any]) -> str:
        name = f"ensemble/constant{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(value, name))
        return name
