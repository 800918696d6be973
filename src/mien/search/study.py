"""A search as a story: open the study, train a trial, keep what was best.

Optuna (Akiba et al. 2019, arXiv:1907.10902) chooses the values, ends hopeless trials early and
keeps the study in a database, which several workers share.
"""

import contextlib
import hashlib
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import InputError, MissingExtra, OutOfMemory, RunError
from mien.extras import need, remedy
from mien.recipes import Recipe, load_recipe
from mien.runs import RunFolder, data_of
from mien.search.space import Space, near, overrides, short

if TYPE_CHECKING:
    import optuna

SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("asha", "median", "none")
HEARTBEAT_S = 30
"""Seconds between a worker's signs of life; after four without one its trial is begun again."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched, and how."""

    recipe: str
    changes: tuple[str, ...]
    """`key=value` for all trials."""
    space: Space
    data: Path
    out: Path
    trials: int
    """How many in all, those that were ended early included."""
    sampler: str = "tpe"
    pruner: str = "asha"
    storage: str | None = None
    """Address of a database (SQLAlchemy's form); None: a SQLite file in `out`."""
    study: str | None = None
    """Name in the database; None: that of the recipe."""

    def __post_init__(self) -> None:
        for name, known in ((self.sampler, SAMPLERS), (self.pruner, PRUNERS)):
            if name not in known:
                raise InputError(f"unknown {name!r}; {near(name, list(known))}")
        if self.trials < 1:
            raise InputError(f"expected at least one trial, got {self.trials}")

    @property
    def url(self) -> str:
        """Where the study is kept."""
        return self.storage or f"sqlite:///{(self.out / 'study.db').resolve()}"

    @property
    def name(self) -> str:
        """The study's name."""
        return self.study or load_recipe(self.recipe, list(self.changes)).name

    def recipe_of(self, params: Any) -> Recipe:
        """The recipe with these values."""
        return load_recipe(self.recipe, [*self.changes, *overrides(params)])

    def folder_of(self, number: int) -> RunFolder:
        """The run of the trial `number`."""
        return RunFolder(self.out / "trials" / f"{number:04d}")

    @property
    def digest(self) -> str:
        """Equal for searches of which one continues the other: of one recipe and space, on the
        same images, wherever they lie. The errors of the data set."""
        recipe = load_recipe(self.recipe, list(self.changes))
        data = data_of(recipe, self.data)
        images = [(name, split.digest) for name, split in data.splits.items()]
        return self._digest(recipe, f"{data.labels} {images}")

    @property
    def digest_by_name(self) -> str:
        """That of older versions of mien, which took a data set for another by its name alone."""
        return self._digest(load_recipe(self.recipe, list(self.changes)), self.data.resolve().name)

    def _digest(self, recipe: Recipe, data: str) -> str:
        said = (recipe.to_yaml(), str(self.space.keys), data)
        return hashlib.sha256("\0".join(said).encode()).hexdigest()


def work(search: Search, tell: Callable[[str], None]) -> None:
    """Train trials until the study has as many as were asked for.

    A worker: several may share a study. `tell` gets a line after each trial. Raises InputError
    for a database that cannot be opened, RunError for a study of another search, and for a database
    that is lost on the way; and those of the data set.
    """
    engine = _optuna()
    study = open_study(search)
    over = engine.trial.TrialState
    done = (over.COMPLETE, over.PRUNED, over.FAIL)

    def objective(trial: "optuna.Trial") -> float:
        try:
            return train(search, trial)
        except KeyboardInterrupt:  # as if its worker was killed
            _retry()(study, trial.storage.get_trial(trial._trial_id))
            raise

    def report(study: "optuna.Study", trial: "optuna.trial.FrozenTrial") -> None:
        tell(line(study, trial, search.trials))
        _forget(search, study)

    if sum(trial.state in done[:2] for trial in study.trials) < search.trials:
        enough = engine.study.MaxTrialsCallback(search.trials, states=done[:2])
        with _kept(search.url):
            study.optimize(objective, callbacks=[report, enough])


def open_study(search: Search) -> "optuna.Study":
    """The study, begun if it is not there; InputError, RunError as `work` says."""
    engine = _optuna()
    search.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PGCONNECT_TIMEOUT", "20")  # psycopg would wait for 130 s
    with _database_errors(search.url):
        storage = engine.storages.RDBStorage(
            search.url,
            heartbeat_interval=HEARTBEAT_S,
            grace_period=4 * HEARTBEAT_S,
            heartbeat_stale_trial_callback=_retry(),
        )
        study: optuna.Study = engine.create_study(
            storage=storage,
            study_name=search.name,
            sampler=_sampler(search),
            pruner=_pruner(search.pruner),
            direction="maximize",
            load_if_exists=True,
        )
    digest = search.digest
    if study.user_attrs.get("digest", digest) not in (digest, search.digest_by_name):
        raise RunError(
            f"the study {search.name!r} was begun with another recipe, --set, space or data "
            "set; choose another --study or --out"
        )
    study.set_user_attr("digest", digest)
    return study


def train(search: Search, trial: "optuna.Trial") -> float:
    """Train the recipe with the values of `trial`: the best epoch's mean of accuracy and field
    accuracy on the validation images, 0-1. A trial that was stopped goes on where it stood."""
    from mien.search.watch import Watch
    from mien.train.run import run

    recipe = search.recipe_of(search.space.suggest(trial))
    first = _optuna().storages.RetryHeartbeatStaleTrialCallback.retried_trial_number
    number = first(trial.storage.get_trial(trial._trial_id))
    folder = search.folder_of(trial.number if number is None else number)
    trial.set_user_attr("folder", folder.path.name)
    try:
        run(recipe, search.data, folder.path, resume=folder.has_data, shown=Watch(trial))
    except OutOfMemory as error:  # as bad as any: the search goes on
        raise _optuna().TrialPruned(str(error)) from error
    return score(folder)


def _forget(search: Search, study: "optuna.Study") -> None:
    """Delete the weights of trials that are over, all but the best: they are most of its disk."""
    over = [t for t in study.trials if t.state.name in ("COMPLETE", "PRUNED")]
    with contextlib.suppress(ValueError):  # before the first that was trained to its end
        over.remove(study.best_trial)
    for name in (trial.user_attrs.get("folder") for trial in over):
        if name is not None:
            shutil.rmtree(RunFolder(search.out / "trials" / name).checkpoints, ignore_errors=True)


def score(folder: RunFolder) -> float:
    """The mean of accuracy and field accuracy of the epoch that was kept, 0-1."""
    history = folder.history
    best = history.best
    return (history["val_accuracy"][best] + history["val_field_accuracy"][best]) / 2


def line(study: "optuna.Study", trial: "optuna.trial.FrozenTrial", wanted: int) -> str:
    """What a trial came to, and the best so far."""
    values = ", ".join(
        f"{key.rsplit('.', 1)[-1]} {short(value)}" for key, value in trial.params.items()
    )
    result = f"{100 * trial.value:.2f} %" if trial.value is not None else "no result"
    state = {"PRUNED": "ended early", "FAIL": "failed"}.get(trial.state.name, "")
    with contextlib.suppress(ValueError):  # before the first that was trained to its end
        best = study.best_trial
        state = f"{state}; best {100 * (best.value or 0):.2f} % (trial {best.number + 1})".lstrip(
            "; "
        )
    return f"trial {trial.number + 1}/{wanted}: {result} with {values}  [{state}]"


def _optuna() -> Any:
    optuna = need("optuna", extra="search")
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # of a trial that ends, mien tells
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def _retry() -> Any:
    """What puts a trial that was stopped, or whose worker was killed, back into the queue."""
    return _optuna().storages.RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True)


def _sampler(search: Search) -> Any:
    samplers = _optuna().samplers
    seed = load_recipe(search.recipe, list(search.changes)).seed
    if search.sampler == "grid":
        return samplers.GridSampler(search.space.grid(), seed=seed)
    if search.sampler == "random":
        return samplers.RandomSampler()  # without a seed: workers would draw the same
    return samplers.TPESampler(n_startup_trials=8)


def _pruner(name: str) -> Any:
    pruners = _optuna().pruners
    if name == "asha":  # Li et al. 2020, arXiv:1810.05934
        # From the second epoch on: averaged weights lag behind in the first, most in large batches.
        return pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=3)
    return pruners.MedianPruner(n_startup_trials=5) if name == "median" else pruners.NopPruner()


@contextlib.contextmanager
def _database_errors(url: str) -> Iterator[None]:
    """What a database or its driver raises, as one line."""
    errors = need("sqlalchemy", extra="search").exc
    place = _place(url)
    try:
        yield
    except (errors.NoSuchModuleError, errors.ArgumentError) as error:
        raise InputError(
            f"--storage {place} is no database address; expected sqlite:///study.db or "
            "postgresql+psycopg://user@host/database"
        ) from error
    except ImportError as error:
        drivers = f"for PostgreSQL {remedy('search')}"
        raise MissingExtra(f"{place} needs a driver that is not installed; {drivers}") from error
    except errors.SQLAlchemyError as error:
        said = str(error.__cause__ or error).splitlines()[0]
        raise InputError(f"cannot open the study in {place}: {said}; check --storage") from error


@contextlib.contextmanager
def _kept(url: str) -> Iterator[None]:
    """RunError where a database does not answer any more."""
    lost = need("sqlalchemy", extra="search").exc.SQLAlchemyError
    try:
        yield
    except (lost, _optuna().exceptions.StorageInternalError, UnboundLocalError) as error:
        # The last is what Optuna 5 trips over when it cannot keep how a trial has ended.
        chain: list[BaseException] = [error]
        while (earlier := chain[-1].__cause__ or chain[-1].__context__) is not None:
            chain.append(earlier)
        if not any(isinstance(one, lost) for one in chain):
            raise
        said = str(chain[-1]).partition("\n")[0]
        raise RunError(
            f"the study in {_place(url)} cannot be reached any more: {said}; once it can, the same "
            "command goes on"
        ) from error


def _place(url: str) -> str:
    """A database without its password."""
    return url.rsplit("@", 1)[-1]
