"""A search on one page: how it went on, what mattered, which values were good."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.files import write_text
from mien.report.figures import WIDE, bars, colour, drawing, is_narrow, new_figure, styled
from mien.report.page import render
from mien.report.tables import Column, Table, percent
from mien.style import INK

_BEST = 10
"""Trials in the page's table."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One training of a search."""

    number: int
    state: str
    """finished, ended early or failed."""
    value: float | None
    """Mean of accuracy and field accuracy of its best epoch, 0-1."""
    params: Mapping[str, Any]
    epochs: Mapping[int, float]
    """The value after each epoch."""


def write_search(
    path: Path, name: str, trials: Sequence[Trial], importances: Mapping[str, float], log: set[str]
) -> None:
    """Write the page and, beside it, `trials.csv`; `log` are the keys drawn by their logarithm.

    MissingExtra without mien[report].
    """
    finished = sorted((t for t in trials if t.value is not None), key=lambda t: -(t.value or 0))
    table = trials_table(finished[:_BEST], for_readers=True)
    names = _names(finished[0].params)
    figures = {"history": partial(history, trials), "curves": partial(curves, trials)}
    if importances:
        shares = {names[key]: 100 * value for key, value in importances.items()}
        series = {"share": list(shares.values())}
        figures["importances"] = partial(bars, list(shares), series, "%", "{:.0f}")
    if len(finished) > 1:
        figures["parallel"] = partial(parallel, finished, log)
    drawn = {name: drawing(draw) for name, draw in figures.items()}
    states = {state: sum(t.state == state for t in trials) for state in ("finished", "ended early")}
    page = render(
        "search.html.j2",
        name=name,
        best=finished[0],
        values=[(key, names[key], _short(value)) for key, value in finished[0].params.items()],
        states=states,
        table=table,
        drawn=drawn,
    )
    trials_table(trials).write_csv(path.with_name("trials.csv"))
    write_text(path, page)


def trials_table(trials: Sequence[Trial], *, for_readers: bool = False) -> Table:
    """A row per trial; `for_readers` of a page those that were finished, in short names."""
    keys = _names(dict.fromkeys(key for trial in trials for key in trial.params))
    told = () if for_readers else (Column("state", "state"), Column("epochs", "epochs"))
    columns = (
        Column("number", "trial"),
        Column("value", "score, %", percent()),
        *told,
        *(Column(key, name, _short) for key, name in keys.items()),
    )
    rows = [
        {
            "number": trial.number,
            "state": trial.state,
            "value": trial.value,
            "epochs": max(trial.epochs, default=0),
            **trial.params,
        }
        for trial in trials
    ]
    return Table(columns, rows)


def _names(keys: Iterable[str]) -> dict[str, str]:
    """Of each key its last word, unless another key ends alike."""
    last = {key: key.rsplit(".", 1)[-1] for key in keys}
    return {key: name if [*last.values()].count(name) == 1 else key for key, name in last.items()}


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


@styled
def history(trials: Sequence[Trial]) -> Any:
    """A point a trial, and the best so far."""
    figure, axes = new_figure(WIDE, 4)
    ax = axes[0, 0]
    done = [t for t in trials if t.value is not None]
    numbers = [t.number for t in done]
    values = 100 * np.array([t.value for t in done])
    ax.plot(numbers, values, "o", label="trial")
    ax.step(numbers, np.maximum.accumulate(values), where="post", label="best so far")
    early = [t for t in trials if t.value is None and t.epochs]
    last = [100 * t.epochs[max(t.epochs)] for t in early]
    ax.plot([t.number for t in early], last, "x", color="#999999", label="ended early")
    ax.set_xlabel("trial")
    ax.set_ylabel("score, %")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(loc="lower right")
    return figure


@styled
def curves(trials: Sequence[Trial]) -> Any:
    """A line a trial over its epochs; the best is drawn thick."""
    figure, axes = new_figure(WIDE, 4)
    ax = axes[0, 0]
    best = max(trials, key=lambda t: t.value or 0)
    for trial in (*trials, best):
        strong = trial is best
        ax.plot(
            list(trial.epochs),
            [100 * value for value in trial.epochs.values()],
            color="#0072B2" if strong else "#999999",
            linewidth=2.4 if strong else 0.8,
            marker=".",
        )
    ax.set_xlabel("epoch")
    ax.set_ylabel("score, %")
    ax.xaxis.get_major_locator().set_params(integer=True)
    return figure


@styled
def parallel(trials: Sequence[Trial], log: set[str]) -> Any:
    """An axis a key and one for the score, a line a trial: the stronger, the better."""
    figure, axes = new_figure(WIDE, 4.6)
    ax = axes[0, 0]
    names = _names(trials[0].params)
    values = np.array([trial.value for trial in trials], float)
    columns = [_placed([t.params[key] for t in trials], key in log) for key in names]
    ends = [(0, f"{100 * values.min():.1f} %"), (1, f"{100 * values.max():.1f} %")]
    columns.append((_scaled(values), ends))
    heights = np.column_stack([places for places, _ in columns])
    for line, share in zip(heights[::-1], _scaled(values)[::-1], strict=True):
        ax.plot(line, color=colour(0), linewidth=1 + 1.5 * share, alpha=0.15 + 0.85 * share)
    for place, (_, marks) in enumerate(columns):
        for height, text in marks:
            _beside(ax, text, place, height)
    ax.set_xticks(range(len(columns)), [*names.values(), "score"])
    if is_narrow():
        ax.tick_params(axis="x", labelrotation=60)
    ax.tick_params(axis="x", length=0, pad=22)
    ax.set_yticks([])
    ax.margins(x=0.08)
    ax.spines[["left", "bottom"]].set_visible(False)
    return figure


def _beside(ax: Any, text: str, place: int, height: float) -> None:
    """A text below the foot of an axis, above its top, or right of where it stands."""
    foot, top = height == 0, height == 1
    offset = (0, -6) if foot else (0, 6) if top else (5, 0)
    ax.annotate(
        text,
        (place, height),
        offset,
        textcoords="offset points",
        ha="center" if foot or top else "left",
        va="top" if foot else "bottom" if top else "center",
        fontsize=9,
        color=INK,
    )


def _placed(values: Sequence[Any], log: bool) -> tuple[NDArray[np.float64], list[Any]]:
    """Heights 0-1 of values of one key, and the texts at some of them."""
    if any(isinstance(v, str | bool) for v in values):
        texts = sorted({str(v) for v in values})
        heights = _scaled(np.array([texts.index(str(v)) for v in values], float))
        at = dict(zip(map(str, values), heights, strict=True))
        return heights, [(height, text[:24]) for text, height in at.items()]
    numbers = np.array(values, float)
    heights = _scaled(np.log(numbers) if log else numbers)
    return heights, [(0, f"{numbers.min():.3g}"), (1, f"{numbers.max():.3g}")]


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    span = np.ptp(values)
    return (values - values.min()) / span if span else np.full(len(values), 0.5)
