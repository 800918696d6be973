"""Sentences made from the numbers of a comparison."""

from collections.abc import Sequence

import numpy as np

from mien.evaluate.intervals import Spread
from mien.evaluate.paired import Difference
from mien.report.entries import Entry, Pool
from mien.report.references import Published, Reference
from mien.runs import History


def complexity(macs: int) -> str:
    """The report's word for a network's cost, here by multiply-accumulates per face."""
    return "low" if macs < 50e6 else "medium" if macs < 300e6 else "high"


def verdict(
    entries: Sequence[Entry],
    differences: Sequence[Difference],
    pooled: Sequence[Pool],
    reference: Reference | None = None,
) -> list[str]:
    """What separates the models, in five sentences at most; entries and pools come best first."""
    rivals = [d for d in differences if entries[0].name in (d.better, d.worse)]
    several = [pool for pool in pooled if pool.seeds > 1]
    figures = ((e, published(e, reference)) for e in entries)
    against = [_against(entry, figure) for entry, figure in figures if figure is not None]
    return [
        _first(entries, rivals),
        *([_rivals(entries, rivals)] if len(entries) > 2 else []),
        *([*against, *map(_seeds, several)][:1]),
        _extremes(entries),
        *_cost(entries),
    ]


def caveats(entries: Sequence[Entry], reference: Reference | None = None) -> list[str]:
    """What a reader must know before believing the tables."""
    first = entries[0].evaluation
    found = ["Intervals are 95 % bootstrap intervals over images."]
    names = [e.run.name if e.run else e.name for e in entries if e.validation == first.split]
    if chosen_here := list(dict.fromkeys(names)):
        found.append(
            f"The epoch of {_list(chosen_here)} was chosen on these same images ({first.split}), "
            "so their figures are a little optimistic."
        )
    compared = [p for e in entries if (p := published(e, reference)) is not None]
    if any(p.n != len(first.truth) for p in compared):
        found.append(
            f"Published figures are on other images than these {len(first.truth):,}: compare with "
            "care."
        )
    if reference is None:
        return found
    if not compared:
        known = ", ".join(reference.figures)
        return [*found, f"The reference has no figure for these models; it has: {known}."]
    return [*found, *([reference.note] if reference.note else [])]


def published(entry: Entry, reference: Reference | None) -> Published | None:
    """The published figure of this architecture; None where there is none."""
    return reference.figures.get(entry.evaluation.model) if reference else None


def _first(entries: Sequence[Entry], rivals: Sequence[Difference]) -> str:
    """The best, beside the second."""
    names = {entry.name for entry in entries[:2]}
    alone = f"{entries[0].name} answers {entries[0].metrics.accuracy.percent()} % rightly."
    return next((_difference(d) for d in rivals if {d.better, d.worse} == names), alone)


def _rivals(entries: Sequence[Entry], rivals: Sequence[Difference]) -> str:
    """How many models may be as good as the best, and which of them is the smallest."""
    best = entries[0].name
    names = {name for d in rivals if not d.real for name in (d.better, d.worse)} - {best}
    if not names:
        return f"All others are less accurate than {best}, and chance alone is no reason for it."
    count = f"{len(names)} of the {len(entries) - 1} other models"
    found = f"{count} cannot be told apart from {best} on these images"
    sized = [e for e in entries if e.name in names | {best} and e.evaluation.parameters]
    if not sized:
        return f"{found}."
    small = min(sized, key=lambda e: e.evaluation.parameters)
    return f"{found}; the smallest of them all is {small.name} ({_size(small)})."


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


def _seeds(pool: Pool) -> str:
    spread = Spread.of([entry.metrics.accuracy.value for entry in pool.entries])
    return f"{pool.name}, {pool.seeds} seeds: {spread.percent()} % (mean and standard deviation)."


def _against(entry: Entry, published: Published) -> str:
    accuracy, other = entry.metrics.accuracy, published.accuracy
    place = "above" if accuracy.low > other else "below" if accuracy.high < other else "at"
    return (
        f"{entry.name} reaches {100 * accuracy.value:.2f} %, {place} the {100 * other:.2f} % "
        f"published for {published.model} ({published.source}; n = {published.n:,})."
    )


def _extremes(entries: Sequence[Entry]) -> str:
    labels = entries[0].evaluation.labels
    mean = np.mean([[k.recall.value for k in c.metrics.classes] for c in entries], axis=0)
    best = entries[0]
    shares = best.metrics.confusion.astype(float)
    shares /= np.maximum(shares.sum(1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    true, taken = np.unravel_index(int(shares.argmax()), shares.shape)
    present = np.flatnonzero(~np.isnan(mean))
    easy, hard = present[mean[present].argmax()], present[mean[present].argmin()]
    return (
        f"On average {labels[easy]} is found most ({100 * mean[easy]:.0f} % recall) and "
        f"{labels[hard]} least ({100 * mean[hard]:.0f} %); {best.name} most often takes "
        f"{labels[true]} for {labels[taken]} ({100 * shares[true, taken]:.0f} % of {labels[true]} "
        "faces)."
    )


def fit(history: History) -> str:
    """Under- or over-fitting, from the accuracies of the kept epoch.

    Augmentation and dropout act on training images alone, so equal accuracies are no gap at all.
    """
    best = history.best
    gap = 100 * (history["train_accuracy"][best] - history["val_accuracy"][best])
    if gap > 5:
        return f"overfits by {gap:.0f} points"
    if best == len(history.epochs) - 1:
        return "best in its last epoch"
    return f"peaked in epoch {history.epochs[best]}"


def _cost(entries: Sequence[Entry]) -> list[str]:
    """The fastest and the smallest; nothing where neither is known."""
    timed = [e for e in entries if e.evaluation.latency_ms > 0]
    sized = [e for e in entries if e.evaluation.parameters]
    if not timed or not sized:
        return []
    fastest = min(timed, key=lambda e: e.evaluation.latency_ms)
    smallest = min(sized, key=lambda e: e.evaluation.parameters)
    speed = f"{fastest.evaluation.latency_ms:.1f} ms a face on one CPU thread"
    if fastest is smallest:
        return [f"{fastest.name} is the fastest ({speed}) and the smallest ({_size(smallest)})."]
    return [
        f"{fastest.name} is the fastest ({speed}), {smallest.name} the smallest "
        f"({_size(smallest)})."
    ]


def _size(entry: Entry) -> str:
    return f"{entry.evaluation.parameters / 1e6:.2f} M parameters"


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
