"""What a search leaves: the best recipe, a table of trials, a page."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import RunError
from mien.report.search_page import Trial, write_search
from mien.search.space import short
from mien.search.study import Search, open_study

if TYPE_CHECKING:
    import optuna

_STATES = {"COMPLETE": "finished", "PRUNED": "ended early", "FAIL": "failed"}


def write_results(search: Search) -> Path:
    """Write `best.yaml`, `trials.csv` and `search.html` into the search's folder; the best recipe.

    RunError if no trial was trained to its end.
    """
    study = open_study(search)
    trials = [_trial(one) for one in study.trials if one.state.name in _STATES]
    if not any(trial.value is not None for trial in trials):
        raise RunError(f"no trial of {search.name!r} was trained to its end; raise --trials")
    best = search.out / "best.yaml"
    search.recipe_of(study.best_trial.params).save(best)
    log = {key for key in search.space.keys if search.space.is_log(key)}
    write_search(search.out / "search.html", search.name, trials, _importances(study), log)
    return best


def _trial(one: "optuna.trial.FrozenTrial") -> Trial:
    value = one.value if one.state.name == "COMPLETE" else None
    params = {key: short(value) for key, value in one.params.items()}
    state = _STATES[one.state.name]
    return Trial(one.number + 1, state, value, params, one.intermediate_values)


def _importances(study: "optuna.Study") -> Mapping[str, float]:
    """Share of each key in the differences; nothing where too few trials were finished."""
    from optuna.importance import get_param_importances

    finished = [t for t in study.trials if t.state.name == "COMPLETE"]
    if len(finished) < 4 or len({t.value for t in finished}) < 2:
        return {}
    return get_param_importances(study)
