"""The layout tells the story: imports go one way, and torch stays where it is needed."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import mien

ROOT = Path(mien.__file__).parent
ONLINE = ("recognizer", "bundle", "card", "preprocess", "sources", "output", "types", "faces")
FORBIDDEN = {
    **dict.fromkeys(ONLINE, ("torch", "mien.train", "mien.models", "mien.evaluate", "mien.report")),
    "evaluate": ("torch", "mien.train", "mien.models", "mien.report", "mien.export"),
    "report": ("torch", "mien.train", "mien.models", "mien.export", "mien.recognizer"),
    "data": ("torch", "mien.train", "mien.models", "mien.evaluate", "mien.report"),
    "models": ("mien.train", "mien.evaluate", "mien.report", "mien.data"),
    "explain": ("mien.train", "mien.evaluate", "mien.report"),
    "serve": ("torch", "mien.train", "mien.models", "mien.evaluate", "mien.report"),
    "train": ("mien.evaluate", "mien.report", "mien.export", "mien.recognizer"),
}


def modules() -> dict[str, Path]:
    """Dotted name → file of every module of mien."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = ("mien", *path.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, *, nested: bool) -> Iterator[str]:
    """Names that a file imports; `nested` ones too, but never those for type checkers."""
    tree = ast.parse(path.read_text())
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree) if nested else ast.iter_child_nodes(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("part", sorted(FORBIDDEN))
def test_no_arrow_goes_back(part: str):
    for name, path in modules().items():
        if name == f"mien.{part}" or name.startswith(f"mien.{part}."):
            for imported in imports(path, nested=True):
                for forbidden in FORBIDDEN[part]:
                    within = imported == forbidden or imported.startswith(f"{forbidden}.")
                    assert not within, f"{name} imports {imported}"


def test_there_is_no_import_cycle():
    known = modules()
    graph = {n: {i for i in imports(p, nested=False) if i in known} for n, p in known.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join((*trail, name))
        if name not in done:
            for imported in graph[name] - {name, "mien"}:
                visit(imported, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())
