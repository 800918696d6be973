"""Photos and films in a fixed order: the source of a folder, a list, a pattern or one picture."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from mien.errors import MienError
from mien.sources.films import How, film_of, is_film
from mien.sources.frames import REMOTE, Cut, Frame, Item, Kind, Source, primed
from mien.sources.listing import left_out_line
from mien.sources.pending import Pending
from mien.types import Reading, Readings

_PLAIN = How()


@dataclass(frozen=True, eq=False)
class Pictures:
    """A single picture, or several photos and films in a fixed order."""

    name: str
    pictures: Iterable[Pending]
    how: How = _PLAIN
    single: bool = False
    left_out: Sequence[str] = ()
    """Names of files that are neither photos nor films."""
    begun: Readings = field(default_factory=Readings)
    """What an interrupted run has read of the last film it came to."""
    rate: float | None = None
    live: bool = False
    _notes: list[str] = field(default_factory=list)

    @cached_property
    def kind(self) -> Kind:
        """One picture; pictures, of an iterator at least; mixed if films are among them."""
        if self.single:
            return "picture"
        listed = self.pictures if isinstance(self.pictures, list) else []
        return "mixed" if any(is_film(p.source) for p in listed) else "pictures"

    @property
    def length(self) -> int | None:
        """How many; None for an iterator, which is taken one by one, and where films are."""
        listed = isinstance(self.pictures, list) and self.kind != "mixed"
        return len(self.pictures) if listed else None  # type: ignore[arg-type]

    @property
    def warnings(self) -> Sequence[str]:
        """What was left out, and what is odd about the films that have been read."""
        return [left_out_line(list(self.left_out))] * bool(self.left_out) + self._notes

    @property
    def files(self) -> Sequence[str | Path]:
        """The paths. An iterator has none, as listing would use it up."""
        listed = self.pictures if isinstance(self.pictures, list) else []
        named = (p for p in listed if p.name and not p.name.startswith(REMOTE))
        return [p.source if isinstance(p.source, (str, Path)) else str(p.name) for p in named]

    def __iter__(self) -> Iterator[Item]:
        return self._all(iter)

    def primed(self) -> Iterator[Item]:
        """The items, and before the rest of a film the last moments of it that are `done`."""
        return self._all(primed)

    def _all(self, frames: Callable[[Source], Iterator[Item]]) -> Iterator[Item]:
        for picture in self.pictures:
            if self.single or picture.error is not None:
                yield picture
            else:
                yield from self._items(picture, frames)

    def _items(
        self, picture: Pending, frames: Callable[[Source], Iterator[Item]]
    ) -> Iterator[Item]:
        """A photo, or the frames of a film; what cannot be opened is a frame with its error."""
        try:
            film = film_of(picture.source, self.how)
            if film is None:
                yield picture
                return
            if self.begun and self.begun[0].index == picture.index:
                film = film.rest(self.begun)
            try:
                for frame in frames(film):
                    yield replace(frame.load(), index=picture.index)
            finally:
                self._notes.extend(film.warnings)
        except MienError as error:
            yield Frame(picture.name, None, error=str(error), index=picture.index)

    @property
    def cut(self) -> Cut | None:
        """Which frames of films are read."""
        return self.how.cut

    def rest(self, done: Readings) -> "Pictures":
        """The pictures that have no reading in `done`, and the rest of the film it ends with.

        Where others have come in between since, what is new is numbered on from what is done.
        """
        last = _last_film(done)
        known = _place(done)
        over = known - _place(last)
        left = (p for p in self.pictures if (p.index, p.name) not in over)
        if not isinstance(self.pictures, list):
            return replace(self, pictures=left, begun=last)
        if known <= {(p.index, p.name) for p in self.pictures}:
            return replace(self, pictures=list(left), begun=last)
        return replace(self, pictures=_numbered_on(self.pictures, done, last), begun=last)


def _numbered_on(pictures: Iterable[Pending], done: Readings, last: Readings) -> list[Pending]:
    """Those whose names are not `done`, and the `last` film, under which number it was begun."""
    names = {reading.path for reading in done if reading.path} - {r.path for r in last}
    left = [picture for picture in pictures if picture.name not in names]
    next_ones = itertools.count(1 + max(reading.index or 0 for reading in done))
    begun = {r.path: r.index for r in last[:1]}
    return [replace(p, index=begun[p.name] if p.name in begun else next(next_ones)) for p in left]


def _last_film(done: Readings) -> Readings:
    """The readings of the film that an interrupted run came to last; none if it was a photo."""
    if not done or done[-1].frame is None:
        return Readings()
    place = _place(done[-1:])
    return Readings(r for r in done if {(r.index, r.path)} == place)


def _place(readings: Iterable[Reading]) -> set[tuple[int | None, str | None]]:
    """Number and name of the picture or film of these readings."""
    return {(reading.index, reading.path) for reading in readings}
