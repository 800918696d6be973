"""The model card: what a user of a bundle should read before trusting it (Mitchell et al. 2019)."""

from pathlib import Path
from textwrap import indent

import numpy as np

from mien.bundle import README_FILE, Bundle
from mien.card import Card
from mien.evaluate import Evaluation, Metrics
from mien.evaluate.evaluation import TESTS
from mien.files import write_text
from mien.provenance import Ensemble, Images, Member, Provenance, Quantised, Trained
from mien.report.facts import as_markdown, facts
from mien.report.tables import Column, Table, count, percent

_CLASSES = (
    Column("label", "expression"),
    Column("images", "images", count),
    Column("recall", "recall, % [95 %]", percent(0)),
    Column("precision", "precision, % [95 %]", percent(0)),
    Column("taken", "most often taken for (images)"),
)

_LIMITS = """\
It reads what a face shows, not what the person feels. Do not judge people by it: hiring, grading,
policing, diagnosis and border control are out, and in the European Union so is inferring emotions
at work or in education (AI Act, Art. 5(1)(f)). FER-2013 is grey, 48 px, gathered by a web search
in 2013, with unknown shares of ages, skin tones and origins; raters agree with its labels on about
65 % of its images."""


def write_model_card(bundle: Bundle, evaluation: Evaluation) -> Path:
    """Write README.md beside the network: its data, protocol, figures and limits."""
    card = bundle.card
    kind = "colour" if card.preprocess.color else "grey"
    metrics = evaluation.metrics()
    megabytes = bundle.model_file.stat().st_size / 1e6
    sections = [
        f"# {card.name}",
        f"A classifier of {len(card.labels)} expressions ({', '.join(card.labels)}) in "
        f"{card.preprocess.source_px} px {kind} faces. {card.parameters / 1e6:.2f} M parameters, "
        f"{card.macs / 1e6:.0f} M multiply-accumulates, {megabytes:.1f} MB.",
        _list(
            {
                "architecture": f"{card.model} ({card.paper})",
                "licence": card.licence,
                "made by": card.created_by,
                "sha256 of model.onnx": card.digest,
                "views averaged": card.views,
                "temperature": f"{card.temperature:g}",
                "unsure below": f"{card.unsure_below:g}",
                **_pace(card),
            }
        ),
        "## Training",
        _training(card.provenance),
        f"## On {evaluation.split} of {evaluation.data}",
        _protocol(card, evaluation),
        "\n".join(as_markdown(facts(evaluation, metrics))),
        "### Per class",
        "\n".join(_per_class(evaluation, metrics)),
        "## Limits",
        _LIMITS,
    ]
    path = bundle.folder / README_FILE
    write_text(path, "\n\n".join(sections) + "\n")
    return path


def _pace(card: Card) -> dict[str, str]:
    """What a network for clips was trained on; nothing for one of images."""
    if card.state is None:
        return {}
    frames, rate = card.state.frames, card.state.rate
    return {"reads": f"clips, up to {frames} frames of each, {rate:.3g} a second"}


def _list(values: dict[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in values.items())


def _training(provenance: Provenance | None) -> str:
    """How weights came about; of an ensemble, how those of each member did."""
    match provenance:
        case None:
            return "Not known."
        case Ensemble():
            members = [_member(member) for member in provenance.members]
            return "\n".join([f"- ensemble by: {provenance.by}", *members])
        case Quantised():
            source = f"- quantised from the network with sha256: {provenance.source}"
            return f"{_training(provenance.provenance)}\n{source}"
    start = provenance.start
    return _list(
        {
            "recipe": f"{provenance.recipe}, seed {provenance.seed}, {provenance.epochs} epochs",
            "start": "random weights" if start == "none" else f"weights {start}",
            "images": _images(provenance.train, provenance.data),
            "learned from": "; ".join(_targets(provenance)),
            "epoch or seed chosen on": _images(provenance.validation, provenance.data),
        }
    )


def _member(member: Member) -> str:
    training = indent(_training(member.provenance), "  ")
    return (
        f"- {member.name}, weight {member.weight:.3f}\n"
        f"  - sha256 of its model.onnx: {member.digest}\n{training}"
    )


def _targets(trained: Trained) -> list[str]:
    """What the answers to the training images were made of."""
    found = ["the labels"]
    if trained.votes:
        found.append(f"what FER+'s voters say of them ({trained.votes:g} of that target)")
    if trained.teachers:
        names = " and ".join(f"{t.name} (sha256 {t.digest[:12]})" for t in trained.teachers)
        found.append(f"the answers of {names} ({trained.distil:g} of the whole)")
    return found


def _images(used: Images, data: str) -> str:
    return f"{used.images:,} of {used.split} of {data} (digest {used.digest[:12]})"


def _protocol(card: Card, evaluation: Evaluation) -> str:
    text = "95 % bootstrap intervals over images. "
    if evaluation.split in TESTS:
        return text + "Nothing was chosen or fitted on these images."
    text += "Temperature and threshold were fitted on these same images"
    if card.provenance is None or evaluation.digest not in card.provenance.chosen_on:
        return text + "."
    several = isinstance(card.provenance, Ensemble)
    chosen = "the epochs or seeds of members were" if several else "the epoch or the seed was"
    return text + f", and {chosen} chosen on them."


def _per_class(evaluation: Evaluation, metrics: Metrics) -> list[str]:
    """A row per class: how many of its images are found, and what the others are taken for."""
    labels = np.array(evaluation.labels)
    wrong = metrics.confusion.copy()
    np.fill_diagonal(wrong, 0)
    rows = [
        {
            "label": label,
            "images": found.images,
            "recall": found.recall,
            "precision": found.precision,
            "taken": f"{labels[errors.argmax()]} ({errors.max()})" if errors.any() else None,
        }
        for label, found, errors in zip(labels, metrics.classes, wrong, strict=True)
    ]
    return Table(_CLASSES, rows).markdown()
