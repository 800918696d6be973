"""The figures of an evaluation as rows of a table, the same wherever they are shown."""

from mien.evaluate import Evaluation, Metrics
from mien.evaluate.evaluation import Subset

Row = tuple[str, str, int]
"""Name of a figure, its value with the 95 % interval, and the images it was taken on."""

_FIELD = "field accuracy (faces moved, scaled and turned), %"
_SUBSETS = {
    "deduplicated": "accuracy without copies of training images, %",
    "ferplus": "agreement with FER+'s majority, %",
    "ferplus_agreed": "accuracy where FER+'s majority is the label, %",
}


def facts(evaluation: Evaluation, metrics: Metrics) -> list[Row]:
    """Accuracy first, then what says how far to trust it."""
    images = len(evaluation.truth)
    found = metrics.calibration
    rows = [
        ("accuracy, %", metrics.accuracy.percent(), images),
        *((_FIELD, field.percent(), images) for field in [evaluation.field_accuracy] if field),
        ("macro-recall, %", metrics.macro_recall.percent(), images),
        ("macro-F1, %", metrics.macro_f1.percent(), images),
        *(
            (_SUBSETS[name], subset.accuracy.percent(), subset.images)
            for name, subset in evaluation.subsets().items()
        ),
        _sure(evaluation),
        ("loss, nats", found.loss.plain(), images),
        ("calibration error (ECE), %", found.ece.percent(), images),
        ("Brier score", found.brier.plain(), images),
    ]
    if evaluation.temperature != 1:
        before = evaluation.uncalibrated()
        rows += [
            ("loss at temperature 1, nats", before.loss.plain(), images),
            ("calibration error at temperature 1, %", before.ece.percent(), images),
        ]
    return rows


def _sure(evaluation: Evaluation) -> Row:
    sure: Subset = evaluation.sure()
    name = f"accuracy from confidence {evaluation.unsure_below:.3f} on, %"
    return name, sure.accuracy.percent(), sure.images


def as_text(rows: list[Row]) -> str:
    """For the terminal."""
    width = max(len(name) for name, _, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}  n={images}" for name, value, images in rows)


def as_markdown(rows: list[Row]) -> list[str]:
    """The lines of a Markdown table."""
    return [
        "| figure | value [95 %] | images |",
        "|---|---|---|",
        *(f"| {name} | {value} | {images:,} |" for name, value, images in rows),
    ]
