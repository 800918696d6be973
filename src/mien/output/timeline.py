"""Smoothed probabilities of each face of a video over time, as a picture."""

from pathlib import Path
from typing import Any

from mien.extras import need
from mien.faces.tracking import SMOOTHED
from mien.files import replacing
from mien.marks import MARK
from mien.types import Reading

_MOST_FACES = 8
_MOST_POINTS = 4_000
_COLOURS = ("#d55e00", "#8c6d31", "#7b4fa3", "#e69f00", "#8a8f94", "#0072b2", "#009e73")


class Timeline:
    """Collects the readings of a video, at most some thousand for each face."""

    def __init__(self) -> None:
        self._moments: dict[int, list[tuple[float, tuple[float, ...]]]] = {}
        self._strides: dict[int, int] = {}
        self._seen: dict[int, int] = {}
        self._labels: tuple[str, ...] = ()

    def add(self, reading: Reading) -> None:
        """Add a reading; one without a face id is ignored."""
        if reading.face_id is None or reading.smoothed is None or reading.time_s is None:
            return
        key = reading.face_id
        self._labels = reading.smoothed.labels
        moments = self._moments.setdefault(key, [])
        count = self._seen[key] = self._seen.get(key, -1) + 1
        if count % self._strides.setdefault(key, 1) == 0:
            moments.append((reading.time_s, reading.smoothed.values))
        if len(moments) >= _MOST_POINTS:
            del moments[1::2]
            self._strides[key] *= 2

    def save(self, path: Path) -> None:
        """Draw a band per face, the longest-seen first; needs mien[report]."""
        need("matplotlib", extra="report")
        from matplotlib.figure import Figure

        faces = sorted(self._moments, key=lambda k: (-self._seen[k], k))[:_MOST_FACES]
        figure = Figure(figsize=(11, 1.2 + 1.7 * max(1, len(faces))), layout="constrained")
        bands = figure.subplots(max(1, len(faces)), 1, sharex=True, squeeze=False)[:, 0]
        for band, face in zip(bands, sorted(faces), strict=False):
            self._draw(band, face)
        if faces:
            handles, labels = bands[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside upper center", ncols=7, frameon=False)
        else:
            bands[0].text(0.5, 0.5, "no face", ha="center", transform=bands[0].transAxes)
        bands[-1].set_xlabel(f"time, s; probabilities {SMOOTHED}")
        kind = path.suffix[1:].lower() or "png"
        told = {"Software" if kind == "png" else "Creator": MARK}
        with replacing(path) as file:
            figure.savefig(file, format=kind, dpi=120, metadata=told)

    def _draw(self, band: Any, face: int) -> None:
        times, values = zip(*self._moments[face], strict=True)
        columns = list(zip(*values, strict=True))
        colours = [_COLOURS[i % len(_COLOURS)] for i in range(len(columns))]
        band.stackplot(times, columns, labels=self._labels, colors=colours, linewidth=0)
        band.set_ylim(0, 1)
        band.set_ylabel(f"face {face}")
        band.margins(x=0)
        band.spines[["top", "right"]].set_visible(False)
