"""What `mien evaluate` leaves beside its numbers: Markdown and figures."""

from pathlib import Path

from mien.evaluate import Evaluation, Metrics
from mien.files import replacing, write_text
from mien.report.curves import confusion_matrix, learning_curves
from mien.report.history import read_history


def write_evaluation(
    evaluation: Evaluation, metrics: Metrics, folder: Path, run: Path | None
) -> None:
    """Write confusion matrices, the learning curves of `run` if it is one, and evaluation.md."""
    pictures = {
        "confusion.png": confusion_matrix(metrics.confusion, evaluation.labels, evaluation.name),
        "confusion_counts.png": confusion_matrix(
            metrics.confusion, evaluation.labels, evaluation.name, normalised=False
        ),
    }
    if run is not None and (run / "history.csv").is_file():
        pictures["learning_curves.png"] = learning_curves(read_history(run), evaluation.name)
    for name, data in pictures.items():
        with replacing(folder / name) as file:
            file.write(data)
    write_text(folder / "evaluation.md", _markdown(evaluation, metrics, list(pictures)))


def _markdown(evaluation: Evaluation, metrics: Metrics, pictures: list[str]) -> str:
    loss = metrics.loss
    lines = [
        f"# {evaluation.name} on {evaluation.split} of {evaluation.data}",
        "",
        f"{len(evaluation.truth):,} images; 95 % bootstrap intervals over images in brackets.",
        "",
        "| figure | value |",
        "|---|---|",
        f"| accuracy, % | {metrics.accuracy.percent()} |",
        f"| macro-recall, % | {metrics.macro_recall.percent()} |",
        f"| macro-F1, % | {metrics.macro_f1.percent()} |",
        f"| loss, nats | {loss.value:.4f} [{loss.low:.4f}, {loss.high:.4f}] |",
        f"| parameters, M | {evaluation.parameters / 1e6:.2f} |",
        f"| multiply-accumulates, M | {evaluation.macs / 1e6:.0f} |",
        f"| one face, one CPU thread, ms | {evaluation.latency_ms:.2f} |",
        "",
        "```",
        metrics.report.rstrip("\n"),
        "```",
        "",
        *(f"![{Path(name).stem.replace('_', ' ')}]({name})\n" for name in pictures),
    ]
    return "\n".join(lines)
