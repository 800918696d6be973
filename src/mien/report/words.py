"""Sentences made from the numbers of a comparison."""

import itertools

import numpy as np

from mien.evaluate.paired import Difference
from mien.report.candidates import Candidate, Pooled, histories
from mien.runs import History


def complexity(macs: int) -> str:
    """The report's word for a network's cost, here by multiply-accumulates per face."""
    return "low" if macs < 50e6 else "medium" if macs < 300e6 else "high"


def verdict(
    candidates: list[Candidate], differences: list[Difference], pooled: list[Pooled]
) -> list[str]:
    """What separates the models; candidates come best first."""
    neighbours = {(a.name, b.name) for a, b in itertools.pairwise(candidates)}
    return [
        *(_difference(d) for d in differences if (d.better, d.worse) in neighbours),
        *(_pooled(p) for p in pooled),
        *(_against_report(c) for c in candidates if c.published is not None),
        *_extremes(candidates),
        *(_fit(run, history) for run, history in histories(candidates).items()),
        _cost(candidates),
    ]


def caveats(candidates: list[Candidate]) -> list[str]:
    """What a reader must know before believing the table."""
    first = candidates[0].evaluation
    found = ["Intervals are 95 % bootstrap intervals over images."]
    chosen_here = list(
        dict.fromkeys(c.run or c.name for c in candidates if c.validation == first.split)
    )
    if chosen_here:
        found.append(
            f"The epoch of {_list(chosen_here)} was chosen on these same images ({first.split}), "
            "so their figures are a little hopeful: test and validation are one here."
        )
    if any(c.published is not None for c in candidates):
        found.append(
            "The report's own figures are on the merged test of 7,178 images (PublicTest and "
            "PrivateTest), its ResNet-50 and MobileNetV2 started from ImageNet weights; compare "
            "with care."
        )
    return found


def _difference(d: Difference) -> str:
    points = f"{100 * d.accuracy.value:.1f} points [{100 * d.accuracy.low:.1f}, " + (
        f"{100 * d.accuracy.high:.1f}]"
    )
    chance = f"McNemar's test, Holm-corrected: p {_chance(d.adjusted)}"
    if d.real:
        return f"{d.better} is more accurate than {d.worse} by {points} ({chance})."
    return f"{d.better} and {d.worse} cannot be told apart on these images: {points} ({chance})."


def _chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _pooled(p: Pooled) -> str:
    mean, deviation = (100 * v for v in p.accuracy)
    return f"{p.recipe}, {p.runs} runs: {mean:.2f} ± {deviation:.2f} % (standard deviation)."


def _against_report(c: Candidate) -> str:
    accuracy, published = c.metrics.accuracy, c.published or 0.0
    place = "above" if accuracy.low > published else "below" if accuracy.high < published else "at"
    return (
        f"{c.name} reaches {100 * accuracy.value:.2f} %, {place} the report's "
        f"{100 * published:.2f} % for this architecture."
    )


def _extremes(candidates: list[Candidate]) -> list[str]:
    labels = candidates[0].evaluation.labels
    mean = np.mean([[k.recall.value for k in c.metrics.classes] for c in candidates], axis=0)
    best = candidates[0]
    shares = best.metrics.confusion.astype(float)
    shares /= np.maximum(shares.sum(1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    true, taken = np.unravel_index(int(shares.argmax()), shares.shape)
    present = np.flatnonzero(~np.isnan(mean))
    easy, hard = present[mean[present].argmax()], present[mean[present].argmin()]
    return [
        f"On average {labels[easy]} is found most ({100 * mean[easy]:.0f} % recall) and "
        f"{labels[hard]} least ({100 * mean[hard]:.0f} %).",
        f"{best.name} most often takes {labels[true]} for {labels[taken]} "
        f"({100 * shares[true, taken]:.0f} % of {labels[true]} faces).",
    ]


def _fit(run: str, history: History) -> str:
    """Under- or over-fitting, from the accuracies of the kept epoch.

    Augmentation and dropout act on training images alone, so equal accuracies are no gap at all.
    """
    best = history.best
    gap = 100 * (history["train_accuracy"][best] - history["val_accuracy"][best])
    last = best == len(history.epochs) - 1
    if gap > 5:
        shape = f"overfits: training accuracy is {gap:.0f} points above validation"
    elif last:
        shape = "was best in its last epoch: a longer schedule may pay"
    else:
        shape = f"peaked in epoch {history.epochs[best]} without overfitting"
    return f"{run} {shape}."


def _cost(candidates: list[Candidate]) -> str:
    fastest = min(candidates, key=lambda c: c.evaluation.latency_ms)
    smallest = min(candidates, key=lambda c: c.evaluation.parameters)
    speed = f"{fastest.evaluation.latency_ms:.1f} ms a face on one CPU thread"
    size = f"{smallest.evaluation.parameters / 1e6:.2f} M parameters"
    if fastest is smallest:
        return f"{fastest.name} is the fastest ({speed}) and the smallest ({size})."
    return f"{fastest.name} is the fastest ({speed}), {smallest.name} the smallest ({size})."


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
