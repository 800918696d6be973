"""Tests run on a copy of the source, in a forked process: importing torch anew takes seconds."""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import coverage
import pytest
from mutations import Mutant

_SLOW_S = 1.0
_WRAPPER = pytest.hookimpl(wrapper=True)


@dataclass(frozen=True)
class Reach:
    """Which tests reach which line, and the seconds that they and their shared fixtures take."""

    seconds: dict[str, float]
    fixtures: dict[str, tuple[float, list[str]]]  # seconds, and the tests that use it
    lines: dict[str, dict[str, list[str]]]  # of a file, of a line
    start_s: float  # importing and collecting

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests that reach the mutated statement; all of them if an import runs it."""
        lines = self.lines.get(mutant.file, {})
        span = range(mutant.place.first, mutant.place.last + 1)
        found = {test for line in span for test in lines.get(str(line), ())}
        if "" in found or (mutant.place.at_import and lines):
            return list(self.seconds)
        return sorted(found & set(self.seconds))

    def cost(self, test: str) -> float:
        """The seconds of a test run alone."""
        return self.seconds[test] + sum(s for s, tests in self.fixtures.values() if test in tests)

    def limit_s(self, tests: Iterable[str], slower: float, more_s: float) -> float:
        """The time that tests may take before they are stopped."""
        run = set(tests)
        own = sum(self.seconds[test] for test in run)
        shared = sum(seconds for seconds, users in self.fixtures.values() if run & set(users))
        return slower * (self.start_s + own + shared) + more_s


class Recorder:
    """A plugin of pytest that finds out the reach of the tests.

    Lines and time of a fixture that tests share belong to each test that uses it.
    """

    def __init__(self, place: Path) -> None:
        self._place, self._context, self._begun = place, "", time.monotonic()
        config = place / "coveragerc"  # also of the processes that tests start
        config.write_text(
            f"[run]\nsource = {place / 'src'}\nparallel = true\nsigterm = true\n"
            f"data_file = {place / 'coverage' / 'part'}\ncontext = ${{MUTATE_CONTEXT}}\n"
        )
        os.environ |= {"COVERAGE_PROCESS_START": str(config), "MUTATE_CONTEXT": ""}
        self._coverage = coverage.Coverage(config_file=str(config))
        self._coverage.start()
        self._uses: dict[str, list[str]] = {}
        self._seconds: dict[str, float] = {}
        self._fixtures: dict[str, tuple[float, list[str]]] = {}
        self._start_s = 0.0

    def _switch(self, context: str) -> str:
        before, self._context = self._context, context
        os.environ["MUTATE_CONTEXT"] = context
        self._coverage.switch_context(context)
        return before

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note who uses which fixture."""
        self._uses = {item.nodeid: getattr(item, "fixturenames", []) for item in session.items}
        self._seconds = dict.fromkeys(self._uses, 0.0)
        self._start_s = time.monotonic() - self._begun

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the time of a part of a test."""
        self._seconds[report.nodeid] += report.duration

    @_WRAPPER
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Lines are reached by this test now."""
        self._switch(item.nodeid)
        try:
            return (yield)
        finally:
            self._switch("")

    @_WRAPPER
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object]
    ) -> Generator[None, object, object]:
        """Lines are reached by all that use this fixture, unless each test makes its own."""
        if fixturedef.scope == "function":
            return (yield)
        name, where = fixturedef.argname, fixturedef.baseid
        users = [t for t, uses in self._uses.items() if name in uses and t.startswith(where)]
        test, begun = self._switch(f"fixture {where} {name}"), time.monotonic()
        try:
            return (yield)
        finally:
            seconds = time.monotonic() - begun
            before, _ = self._fixtures.get(self._context, (0.0, []))
            self._fixtures[self._context] = (before + seconds, users)
            self._switch(test)
            if test in self._seconds:
                self._seconds[test] -= seconds

    def save(self) -> None:
        """Write the reach to `reach.json`."""
        self._coverage.stop()
        self._coverage.save()
        whole = coverage.Coverage(data_file=str(self._place / "coverage" / "part"))
        whole.combine([str(self._place / "coverage")])
        data = whole.get_data()
        root = self._place / "src"
        lines = {
            Path(file).relative_to(root).as_posix(): {
                str(line): sorted({test for c in contexts for test in self._tests(c)})
                for line, contexts in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }
        told = (self._seconds, self._fixtures, lines, self._start_s)
        (self._place / "reach.json").write_text(json.dumps(told), "utf-8")

    def _tests(self, context: str) -> list[str]:
        return self._fixtures[context][1] if context in self._fixtures else [context]


class Chosen:
    """A plugin of pytest that leaves the chosen tests, fast ones first."""

    def __init__(self, reach: Reach, tests: Iterable[str]) -> None:
        self._known, self._cost = reach.seconds, {test: reach.cost(test) for test in tests}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave them, in their order."""
        # Names that were not there before can come of a mutated table of cases.
        wanted = [i for i in items if i.nodeid in self._cost or i.nodeid not in self._known]
        cost = {item: self._cost.get(item.nodeid, 0.0) for item in wanted}
        group = {item: (cost[item] > _SLOW_S, str(item.path)) for item in wanted}
        least = {key: min(cost[i] for i in wanted if group[i] == key) for key in group.values()}
        # The tests of a file stay together, so that its fixtures are made once.
        wanted.sort(key=lambda i: (group[i][0], least[group[i]], group[i][1], cost[i]))
        items[:] = wanted


class Child:
    """A forked process that does a job with `place/src` first on the path."""

    def __init__(self, place: Path, limit_s: float, job: Callable[[], int]) -> None:
        self._log, self.begun, self._limit_s = place / "output.txt", time.monotonic(), limit_s
        self._pid = os.fork()
        if self._pid == 0:
            self._be(place, job)

    def _be(self, place: Path, job: Callable[[], int]) -> None:
        code = 99
        try:
            os.setsid()
            log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            sys.path.insert(0, str(place / "src"))
            os.environ["PYTHONPATH"] = str(place / "src")
            os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(place / "hypothesis")
            code = job()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)

    def ended(self) -> int | None:
        """None while it runs; then what the job returned, -1 if its time was over."""
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            self._kill()
            return abs(os.waitstatus_to_exitcode(status))
        if time.monotonic() - self.begun < self._limit_s:
            return None
        self.stop()
        return -1

    def stop(self) -> None:
        """End it at once."""
        self._kill()
        os.waitpid(self._pid, 0)

    def _kill(self) -> None:
        with suppress(ProcessLookupError):  # what tests started goes with it
            os.killpg(self._pid, signal.SIGKILL)

    @property
    def output(self) -> str:
        """What the job wrote."""
        return self._log.read_text("utf-8", errors="replace")


def run_pytest(place: Path, tests: Iterable[str], *plugins: object) -> int:
    """pytest's exit code for some paths or names of tests, and options."""
    more = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "--tb=short"]
    return int(pytest.main([*more, f"--basetemp={place / 'tmp'}", *tests], [*plugins]))


def record(place: Path, tests: Iterable[str]) -> int:
    """pytest's exit code for all tests, whose reach is noted."""
    recorder = Recorder(place)
    code = run_pytest(place, tests, recorder)
    recorder.save()
    return code


def copy_source(source: Path, place: Path) -> None:
    """Make `place/src` a fresh copy of `source`."""
    shutil.copytree(source, place / "src", ignore=shutil.ignore_patterns("__pycache__"))


def put(place: Path, file: str, text: str) -> None:
    """Write a file of the copy; what Python has compiled of it is forgotten."""
    path = place / "src" / file
    path.write_text(text, "utf-8")
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        compiled.unlink()
