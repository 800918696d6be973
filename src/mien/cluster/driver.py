"""Ray's actors read the parts of a plan: which one is next, what is tried again, what is done.

Actors and not tasks: a graphics card that several share is given to a process for its life. And not
Ray Data: it tries a block that kills its worker again without end, and names files as it likes.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mien.analyse import Summary
from mien.cluster.plan import WORK, Job, Part, unreadable_in
from mien.cluster.reading import Piece
from mien.cluster.stores import Place
from mien.cluster.worker import Reader
from mien.errors import FileError, InputError, MienError, RunError
from mien.extras import need
from mien.origin import Origin

MOST_TRIES = 5
"""Of a call, whatever ends it: the loss of its machine, too."""
_LOOK_S = 10.0
"""So often it is seen whether the cluster has grown."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a worker takes of its machine."""

    cpus: int = 1
    cards: float = 0.0
    """Share of a graphics card."""

    def workers(self, machine: dict[str, float]) -> int:
        """How many find room on one of these resources."""
        room = machine.get("CPU", 0) // self.cpus
        if self.cards:
            room = min(room, machine.get("GPU", 0) * int(1 / self.cards + 1e-9))
        return int(room)


@dataclass(slots=True)
class Call:
    """One thing to do, and how often it was tried."""

    part: Part
    piece: Piece | None = None
    joins: int = 0
    """Pieces to be joined; 0: it is a reading."""
    tries: int = 0
    careful: bool = False
    """It has failed, and not because of a file system: each of its files is read alone."""


@dataclass(slots=True)
class Progress:
    """Where a run is; told after every call."""

    parts: int
    done: int = 0
    pictures: int = 0
    """Read in this run, frames included."""
    unreadable: int = 0
    again: int = 0
    """Calls that were tried again."""
    workers: int = 0
    """Those that are ready."""
    failed: list[str] = field(default_factory=list)
    """What could not be read in `MOST_TRIES`, and why."""


def run(
    ray: Any,
    job: Job,
    parts: Sequence[Part],
    origin: Origin,
    each: Need = Need(),
    tell: Callable[[Progress], None] = lambda _progress: None,
) -> tuple[Summary, Progress]:
    """Read the parts whose files are not there, and what came of them.

    MienError where a worker finds that the job cannot be done, such as a full disk; a file is tried
    anew before, as stores may fail for a moment.
    """
    there = {*Place(job.out).files()}
    left = [part for part in parts if f"{part.name}.parquet" not in there]
    done = [part for part in parts if f"{part.name}.parquet" in there]
    work = _Work(ray, job, origin, each, Progress(len(parts), len(done)))
    work.summary.skipped = sum(len(part.entries) for part in done)
    work.summary.unreadable = unreadable_in(job.out, done)
    work.add(left, {*(Place(job.out) / WORK).files()})
    work.go_on(tell)
    if not work.progress.failed:
        (Place(job.out) / WORK).delete()
    return work.summary, work.progress


class _Work:
    """The calls that are left, and who is at which."""

    def __init__(self, ray: Any, job: Job, origin: Origin, each: Need, progress: Progress) -> None:
        self.progress, self.summary = progress, Summary()
        self._ray, self._job, self._origin, self._need = ray, job, origin, each
        self._left: deque[Call] = deque()
        self._pieces: dict[int, tuple[set[int], int]] = {}
        """Of each film that is read in pieces, those that are not through, and how many it has."""
        self._there: set[str] = set()
        self._actor = ray.remote(Reader).options(
            num_cpus=each.cpus, num_gpus=each.cards, max_restarts=-1, max_task_retries=-1
        )
        self._actors: list[Any] = []
        self._idle: list[Any] = []
        self._running: dict[Any, tuple[Any, Call | None]] = {}
        """By what Ray will answer: the actor and its call; None while it gets ready."""

    def add(self, parts: Sequence[Part], there: set[str]) -> None:
        """Parts to be read, the films first, as they take longest; pieces that are `there` were
        read by a run that was stopped."""
        self._left += (Call(part) for part in sorted(parts, key=lambda part: not part.is_film))
        self._there = there

    def go_on(self, tell: Callable[[Progress], None]) -> None:
        """Until nothing is left."""
        try:
            while self._left or any(call for _, call in self._running.values()):
                self._grow()
                while self._left and self._idle:
                    self._send(self._idle.pop(), self._left.popleft())
                for answer in self._ray.wait([*self._running], timeout=_LOOK_S)[0]:
                    self._take(answer)
                waiting = sum(call is None for _, call in self._running.values())
                self.progress.workers = len(self._actors) - waiting
                tell(self.progress)
        finally:
            for actor in self._actors:
                self._ray.kill(actor)

    def _grow(self) -> None:
        """As many actors as find room and have something to do."""
        busy = sum(call is not None for _, call in self._running.values())
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        room = sum(map(self._need.workers, machines))
        if not self._actors and not room:
            cores, cards = (max(m.get(of, 0) for m in machines) for of in ("CPU", "GPU"))
            raise InputError(
                f"a worker wants {self._need.cpus} cores and {self._need.cards:g} of a graphics "
                f"card, but no machine of the cluster has more than {cores:g} and {cards:g}; lower "
                "--threads or --cards, or leave out --device cuda"
            )
        for _ in range(len(self._actors), min(room, len(self._left) + busy)):
            self._actors.append(self._actor.remote(self._job))
            self._get_ready(self._actors[-1])

    def _get_ready(self, actor: Any) -> None:
        """Ray starts it, here or there, again and again; it takes part once it answers."""
        self._running[actor.ready.remote()] = (actor, None)

    def _send(self, actor: Any, call: Call) -> None:
        # Ray shall not repeat a call that has ended its process: it would do so without end.
        if call.joins:
            answer = actor.join.options(max_task_retries=0).remote(call.part, call.joins)
        else:
            method = actor.read.options(max_task_retries=0, name=call.part.name)
            answer = method.remote(call.part, call.piece, call.careful)
        self._running[answer] = (actor, call)

    def _take(self, answer: Any) -> None:
        """What a call came to."""
        actor, call = self._running.pop(answer)
        errors = need("ray.exceptions", extra="ray")
        try:
            found = self._ray.get(answer)
        except errors.RayTaskError as error:  # raised by Reader, which is still there
            again = isinstance(error.cause, FileError) and call and call.tries + 1 < MOST_TRIES
            if isinstance(error.cause, MienError) and not again:
                raise error.cause from None
            if call:
                call.careful |= not again
            self._again(call, f"{type(error.cause).__name__}: {error.cause}")
            self._idle.insert(0, actor)  # another one tries, where there is one
            return
        except errors.RayError as error:  # its process or its machine is gone
            if call is None:
                raise _not_started(error) from error
            call.careful = True
            self._again(call, str(error))
            self._get_ready(actor)
            return
        else:
            self._done(call, found)
        self._idle.append(actor)

    def _again(self, call: Call | None, reason: str) -> None:
        if call is None:  # a worker whose first steps fail is of no use
            raise RunError(f"a worker cannot start: {' '.join(reason.split())[:300]}")
        call.tries += 1
        self.progress.again += 1
        if call.tries < MOST_TRIES:
            self._left.appendleft(call)
        else:
            self.progress.failed.append(f"{call.part.name}: {' '.join(reason.split())[:200]}")

    def _done(self, call: Call | None, found: Any) -> None:
        if call is None:
            self._check_same(found)
        elif found.pieces:
            numbers = {piece.number for piece in found.pieces}
            self._pieces[call.part.number] = (numbers, len(numbers))
            for piece in reversed(found.pieces):
                if f"{call.part.name}.{piece.number:04d}.parquet" in self._there:
                    self._through(call.part, piece)
                else:
                    self._left.appendleft(Call(call.part, piece))
        elif call.piece is not None:
            self.progress.pictures += found.summary.pictures
            self.summary.warnings += found.summary.warnings
            self._through(call.part, call.piece)
        else:
            self.progress.pictures += 0 if call.joins else found.summary.pictures
            self.progress.done += 1
            self.progress.unreadable += found.summary.unreadable
            _add(self.summary, found.summary)

    def _through(self, part: Part, piece: Piece) -> None:
        """A piece is read; after the last one they are joined."""
        left, number = self._pieces[part.number]
        left.discard(piece.number)
        if not left:
            self._left.appendleft(Call(part, joins=number))

    def _check_same(self, origin: Origin) -> None:
        if differences := self._origin.differences(asdict(origin)):
            raise InputError(
                f"a worker would read with {'; '.join(differences)} here; install the same mien "
                "and bundle on every machine"
            )


def _not_started(error: Exception) -> InputError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return InputError(
        f"no worker can start: {lines[-1][:200]}; is the same mien installed on every machine of "
        "the cluster?"
    )


def _add(total: Summary, more: Summary) -> None:
    for name in ("pictures", "faces", "without_face", "unreadable"):
        setattr(total, name, getattr(total, name) + getattr(more, name))
    for label, count in more.labels.items():
        total.labels[label] = total.labels.get(label, 0) + count
    total.clips.update(more.clips)
    total.warnings += more.warnings
