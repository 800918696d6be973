"""The mutation check itself: what it changes, and what it finds in a drawn package."""

import ast
import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "scripts"
OUTPUT = sorted(path.stem for path in (ROOT / "src/mien/output").glob("*.py"))

CLIP = '''
"""A value between two limits."""


def clip(value: int, low: int, high: int) -> int:
    """The nearest value that is allowed."""
    if value < low:
        return low
    return high if value > high else value


def following(value: int) -> int:
    return value + 1
'''
STRONG = """
import pytest
from drawn.{part} import clip, following

@pytest.mark.parametrize(("value", "clipped"), [(-1, 0), (0, 0), (5, 5), (10, 10), (99, 10)])
def test_clip(value, clipped):
    assert clip(value, 0, 10) == clipped

def test_following():
    assert following(1) == 2
"""
WEAK = """
from drawn.{part} import clip

def test_clip():
    assert clip(5, 0, 10) == 5
"""
EQUIVALENT = """
[["drawn/strong.py"]]
in = "clip"
before = "if value < low:"
after = "if value <= low:"
why = "equal values are the limit itself"

[["drawn/strong.py"]]
in = "clip"
before = "return high if value > high else value"
after = "return high if value >= high else value"
why = "equal values are the limit itself"
"""
SAMPLE = """
[[mutant]]
file = "drawn/strong.py"
before = "value + 1"
after = "value + 2"
tests = ["tests/test_strong.py"]
what = "following adds two"

[[mutant]]
file = "drawn/weak.py"
before = "value + 1"
after = "value + 2"
tests = ["tests/test_weak.py"]
what = "following adds two, unseen"
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a part that is tested well, and the same part tested badly."""
    root = tmp_path_factory.mktemp("project")
    files = {
        "src/drawn/__init__.py": "",
        "src/drawn/strong.py": CLIP,
        "src/drawn/weak.py": CLIP,
        "tests/test_strong.py": STRONG.format(part="strong"),
        "tests/test_weak.py": WEAK.format(part="weak"),
        "scripts/equivalents.toml": EQUIVALENT,
        "scripts/mutants.toml": SAMPLE,
        "scripts/mutate.toml": 'package = "drawn"\npreload = []\n[tests]\n'
        'strong = ["tests/test_strong.py"]\nweak = ["tests/test_weak.py"]\n',
        "pyproject.toml": "[tool.pytest.ini_options]\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name in ("mutate", "mutations.py", "trials.py"):
        shutil.copy(SCRIPTS / name, root / "scripts" / name)
    return root


@pytest.fixture(scope="module")
def tool() -> Iterator[Any]:
    """The script as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        loader = SourceFileLoader("mutate", str(SCRIPTS / "mutate"))
        spec = importlib.util.spec_from_loader("mutate", loader)
        assert spec is not None
        patch.setitem(sys.modules, "mutate", module := importlib.util.module_from_spec(spec))
        loader.exec_module(module)
        yield module


def run(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(root / "scripts" / "mutate"), *arguments]
    plain = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # pytest alone starts at once
    return subprocess.run(command, capture_output=True, text=True, timeout=200, env=plain)


def test_strong_tests_kill_and_weak_ones_do_not(drawn: Path) -> None:
    done = run(drawn, "strong", "weak", "--number", "10", "--json", str(drawn / "told.json"))
    assert done.returncode == 1, done.stderr  # a score is below the least
    told = json.loads((drawn / "told.json").read_text())

    def outcomes(part: str) -> set[tuple[str, str]]:
        return {(v["outcome"], v["after"]) for v in told[part]["verdicts"]}

    assert (told["strong"]["mutants"], told["strong"]["score"]) == (10, 100)
    assert told["strong"]["equivalent"] == 2
    assert ("equivalent", "if value <= low:") in outcomes("strong")
    assert ("survived", "return high if value >= high else value") in outcomes("weak")
    assert ("unreached", "return value - 1") in outcomes("weak")
    assert "killed" in {outcome for outcome, _ in outcomes("weak")}
    assert told["weak"]["killed"] < told["weak"]["mutants"] == 10
    survivor = "return high if value > high else value  ->  return high if value >= high else value"
    assert f"src/drawn/weak.py:9 in clip: {survivor}" in done.stdout.rpartition("score")[2]


def test_the_sample_tells_what_is_not_noticed_and_what_to_rewrite(drawn: Path) -> None:
    done = run(drawn, "--sample")
    assert done.returncode == 1, done.stderr
    assert "1 of 2 noticed" in done.stdout
    assert "following adds two, unseen" in done.stdout.rpartition("noticed")[2]
    entries = drawn / "scripts" / "mutants.toml"
    entries.write_text(SAMPLE.replace('"value + 1"', '"value + 7"'))
    try:
        done = run(drawn, "--sample")
        assert done.returncode == 1
        assert "rewrite this entry" in done.stderr
        assert "0 times in src/drawn/strong.py" in done.stderr
    finally:
        entries.write_text(SAMPLE)


CHANGES = (
    ("if a < b: c()", ["if a <= b: c()", "if a >= b: c()", "if not a < b: c()"]),
    ("a = b and c or d", ["a = b or c or d", "a = b and c and d"]),
    ("a = True", ["a = False"]),
    ("a = [b for b in c if d]", ["a = [b for b in c if not (d)]"]),
    ("a = b in c", ["a = b not in c"]),
    ("a = b is None", ["a = b is not None"]),
    ("a = b[c:d]", ["a = b[:d]", "a = b[c:]"]),
    ("a = f(b, c, d=e)", ["a = f(c, b, d=e)", "a = f(b, c)"]),
    ("a = -b", ["a = +b"]),
    ("a = not b", ["a = b"]),
    ("a = b * 3", ["a = b / 3", "a = b * 4", "a = b * 2"]),
    ("for a in b: continue", ["for a in []: continue", "for a in b: break"]),
    ("def f(a=1): return g(a)", ["def f(a=2): return g(a)", "def f(a=0): return g(a)"]),
    ("def f() -> bool: return a", ["def f() -> bool: return not (a)"]),
    ("def f(): return a", ["def f(): return None"]),
    ("def f(): a()", ["def f(): pass"]),
    ("def f(a): a = g(a)", ["def f(a): pass"]),
    ("@a\ndef f(): pass", ["def f(): pass"]),
    ("a = min(b, c)", ["a = max(b, c)"]),
    # What no user sees is left alone.
    ('def f(a: "int | str", b: A | B = c) -> list[0]: """1 + 1"""', []),
    ("__all__ = ['a', *b[1:]]", []),
    ("a = zip(b, strict=True)", []),
    ("@cache\ndef f(): pass", []),
)


@pytest.mark.parametrize(("text", "wanted"), CHANGES)
def test_what_is_changed(tool: Any, text: str, wanted: list[str]) -> None:
    found = ["".join(m.text.split()) for m in tool.mutants({"a.py": text + "\n"}, 0)]
    missing = [change for change in wanted if "".join(change.split()) not in found]
    assert not missing, found
    assert wanted or not found


def test_a_draw_is_known_by_its_seed_and_has_nothing_twice(tool: Any) -> None:
    def drawn(seed: int) -> list[str]:
        return [m.text for m in itertools.islice(tool.mutants({"a.py": CLIP}, seed), 8)]

    assert drawn(3) == drawn(3) != drawn(4)
    everything = [m.text for m in tool.mutants({"a.py": CLIP}, 3)]
    assert len(set(everything)) == len(everything) > 8
    assert all(text != CLIP for text in everything)


def test_chosen_lines_alone_are_changed(tool: Any) -> None:
    assert {m.line for m in tool.mutants({"a.py": CLIP}, 0, {"a.py": {7, 13}})} == {7, 13}


@pytest.mark.parametrize(
    ("name", "part", "files"),
    [
        ("preprocess", "preprocess", ["mien/preprocess.py"]),
        ("src/mien/preprocess.py", "preprocess", ["mien/preprocess.py"]),
        ("faces/tracking", "faces", ["mien/faces/tracking.py"]),
        ("serve/guard", "serve/guard", ["mien/serve/guard.py"]),
        ("src/mien/output/", "output", sorted(f"mien/output/{name}.py" for name in OUTPUT)),
    ],
)
def test_parts_are_named_by_module_or_path(
    tool: Any, name: str, part: str, files: list[str]
) -> None:
    assert tool.part_of(name) == part
    assert tool.files_of(name) == files


def test_files_that_are_parts_of_their_own_are_not_tried_twice(tool: Any) -> None:
    files = tool.files_of("train")
    assert "mien/train/batches.py" in files
    assert not {"mien/train/targets.py", "mien/train/module.py"} & set(files)
    with pytest.raises(SystemExit, match=r"expected a part of mutate.toml.*'nothing'"):
        tool.files_of("nothing")


def test_the_changed_lines_are_those_of_the_diff(
    tool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "src" / "mien" / "a.py"
    file.parent.mkdir(parents=True)
    file.write_text("one = 1\ntwo = 2\nthree = 3\nfour = 4\n")
    monkeypatch.chdir(tmp_path)
    author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "one"]):
        subprocess.run(["git", *command], check=True)
    file.write_text("one = 1\ntwo = 3\nfour = 4\nfive = 5\nsix = 6\n")
    assert tool.changed_lines("HEAD") == {"mien/a.py": {2, 4, 5}}


def test_every_fault_of_the_sample_fits_the_source() -> None:
    entries = tomllib.loads((SCRIPTS / "mutants.toml").read_text())["mutant"]
    assert len(entries) >= 40
    for entry in entries:
        text = (ROOT / "src" / entry["file"]).read_text()
        assert text.count(entry["before"]) == 1, f"rewrite {entry}"
        changed = text.replace(entry["before"], entry["after"])
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text))
        assert all((ROOT / test.partition("::")[0]).exists() for test in entry["tests"]), entry


def test_every_part_and_accepted_fault_names_what_is_there() -> None:
    tests = tomllib.loads((SCRIPTS / "mutate.toml").read_text())["tests"]
    package = ROOT / "src" / "mien"
    for part, paths in tests.items():
        assert (package / part).is_dir() or (package / f"{part}.py").is_file(), part
        assert all((ROOT / path).exists() for path in paths), part
    for file, entries in tomllib.loads((SCRIPTS / "equivalents.toml").read_text()).items():
        lines = "".join((ROOT / "src" / file).read_text().split())
        for entry in entries:
            assert "".join(entry["before"].split()) in lines, f"rewrite {entry}"
            assert entry["why"]
