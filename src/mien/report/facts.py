"""The figures of an evaluation, the same wherever they are shown."""

from dataclasses import dataclass

from mien.evaluate import Evaluation, Metrics
from mien.evaluate.intervals import Estimate
from mien.report.tables import Column, Table, count, percent, plain

_COLUMNS = {
    column.key: column
    for column in (
        Column("accuracy", "accuracy, %", percent()),
        Column("field", "field accuracy (faces moved, scaled and turned), %", percent()),
        Column("macro_recall", "macro-recall, %", percent()),
        Column("macro_f1", "macro-F1, %", percent()),
        Column("deduplicated", "accuracy without copies of training images, %", percent()),
        Column("ferplus", "agreement with FER+'s majority, %", percent()),
        Column("ferplus_agreed", "accuracy where FER+'s majority is the label, %", percent()),
        Column("sure", "accuracy of the surest 80 %, %", percent()),
        Column("loss", "loss, nats", plain(), falls=True),
        Column("ece", "calibration error (ECE), %", percent(), falls=True),
        Column("brier", "Brier score", plain(), falls=True),
        Column("loss_at_1", "loss at temperature 1, nats", plain(), falls=True),
        Column("ece_at_1", "calibration error at temperature 1, %", percent(), falls=True),
    )
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure, and the images it was taken on."""

    column: Column
    estimate: Estimate
    images: int

    @property
    def shown(self) -> str:
        """The value with its interval."""
        return self.column.show(self.estimate)


def facts(evaluation: Evaluation, metrics: Metrics) -> list[Fact]:
    """Accuracy first, then what says how far to trust it; what was not measured is left out."""
    images, found, before = len(evaluation.truth), metrics.calibration, evaluation.uncalibrated()
    sure = evaluation.sure()
    figures: dict[str, tuple[Estimate | None, int]] = {
        "accuracy": (metrics.accuracy, images),
        "field": (evaluation.field_accuracy, images),
        "macro_recall": (metrics.macro_recall, images),
        "macro_f1": (metrics.macro_f1, images),
        **{name: (s.accuracy, s.images) for name, s in evaluation.subsets().items()},
        "sure": (sure.accuracy, sure.images),
        "loss": (found.loss, images),
        "ece": (found.ece, images),
        "brier": (found.brier, images),
    }
    if evaluation.temperature != 1:
        figures |= {"loss_at_1": (before.loss, images), "ece_at_1": (before.ece, images)}
    return [Fact(_COLUMNS[k], value, n) for k, (value, n) in figures.items() if value is not None]


def as_text(found: list[Fact]) -> str:
    """For the terminal."""
    width = max(len(fact.column.title) for fact in found)
    return "\n".join(f"{f.column.title:<{width}}  {f.shown}  n={f.images}" for f in found)


def as_markdown(found: list[Fact]) -> list[str]:
    """The lines of a Markdown table."""
    columns = Column("figure", "figure"), Column("value", "value [95 %]")
    rows = [{"figure": f.column.title, "value": f.shown, "images": f.images} for f in found]
    return Table((*columns, Column("images", "images", count)), rows).markdown()


def columns() -> tuple[Column, ...]:
    """Every figure that an evaluation may have."""
    return tuple(_COLUMNS.values())
