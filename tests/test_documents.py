"""The documents: short, plain, whole links, figures of the cards, commands that exist."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from mien.cli import app
from scripts import reference

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md"))]
PROJECT = ["ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "bundles/README.md"]
GUIDES = {"analyst", "developer", "researcher", "operator"}

each_page = pytest.mark.parametrize("page", PAGES)


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page: str) -> Iterator[tuple[int, str]]:
    """Numbered lines that are no table."""
    lines = enumerate(text(page).splitlines(), 1)
    return ((number, line) for number, line in lines if not line.startswith("|"))


# ---- Size ------------------------------------------------------------------------------------


def test_the_readme_fits_on_a_page():
    assert len(text("README.md").splitlines()) <= 90


def test_all_pages_together_are_read_in_an_hour():
    pages = [page for page in PAGES if page != "docs/decisions.md"]  # for those who change mien
    words = {page: len(re.findall(r"\S*\w\S*", text(page))) for page in pages}
    assert sum(words.values()) <= 11_300, words


@each_page
def test_lines_are_short(page: str):
    assert [(number, len(line)) for number, line in prose(page) if len(line) > 120] == []


@each_page
def test_tables_are_narrow(page: str):
    wide = [line for line in text(page).splitlines() if line.startswith("|")]
    assert [line for line in wide if len(re.split(r"(?<!\\)\|", line.strip("|"))) > 6] == []


def test_there_is_a_guide_for_each_user():
    assert {Path(page).stem for page in PAGES} >= GUIDES


# ---- Links -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [*PAGES, *PROJECT])
def test_links_lead_somewhere(page: str):
    assert list(broken(page)) == []


def broken(page: str) -> Iterator[str]:
    for _, _, target in reference.LINK.findall(without_code(page)):
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        if "://" not in target and not (file.exists() and (not anchor or anchor in anchors(file))):
            yield target


def without_code(page: str) -> str:
    return re.sub(r"```.*?```", "", text(page), flags=re.DOTALL)


def anchors(file: Path) -> set[str]:
    """As GitHub and Python-Markdown make them of headings."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    bare = [re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings]
    return {re.sub(r"\s+", "-", heading) for heading in bare}


# ---- Commands --------------------------------------------------------------------------------


def shown_commands() -> Iterator[tuple[str, str]]:
    """(page, command) of every `mien ...` in a block of shell."""
    for page in [*PAGES, "bundles/README.md", "CONTRIBUTING.md"]:
        for block in re.findall(r"```sh\n(.*?)```", text(page), flags=re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                for command in re.split(r"&&|;|\|", line):
                    found = re.search(r"(?:^|[ /])(mien .*)", command.strip())
                    if found and "pip" not in command:
                        yield page, found[1]


def parse(arguments: list[str]) -> None:
    """Let the command line parse `arguments`, without running the command."""
    command: Any = typer.main.get_command(app)
    name = "mien"
    while hasattr(command, "commands"):
        name, *arguments = arguments
        command = command.commands[name]
    command.make_context(name, arguments)


@pytest.mark.parametrize(("page", "command"), [*shown_commands()])
def test_a_command_shown_is_a_command(page: str, command: str):
    words = shlex.split(command, comments=True)[1:]
    if "--help" not in words:
        parse(words)


@each_page
def test_commands_in_sentences_exist(page: str):
    options = {name: known_options(command) for name, command in reference.commands()}
    spans = " ; ".join(re.findall(r"`([^`]+)`", without_code(page)))
    for span in re.findall(r"(?:^|; )(mien [^;&|]+)", spans):
        words = span.split()
        names = [name for name in options if words[: len(name.split())] == name.split()]
        if words[1] not in ("COMMAND", "--help"):
            assert names, f"{page}: {span}"
            unknown = {w for w in words if w.startswith("--")} - options[names[-1]]
            assert unknown == set(), f"{page}: {span}"


def known_options(command: Any) -> set[str]:
    names = [name for p in command.params for name in [*p.opts, *p.secondary_opts]]
    return {name for name in names if name.startswith("-")}


# ---- Python ----------------------------------------------------------------------------------


def test_examples_in_python_have_the_types_that_mien_promises(tmp_path: Path):
    """The blocks of a page, one after the other, as one module under `mypy --strict`."""
    for page in PAGES:
        blocks = re.findall(r"```python\n(.*?)```", text(page), flags=re.DOTALL)
        if blocks:
            (tmp_path / f"page_{Path(page).stem}.py").write_text("\n".join(blocks))
    assert len([*tmp_path.iterdir()]) >= 4
    settings = "[mypy]\nstrict = True\nfollow_imports = skip\n"
    settings += "[mypy-mien.*]\nfollow_imports = silent\n"  # all others' take a minute to read
    (tmp_path / "mypy.ini").write_text(settings)
    pages = sorted(tmp_path.glob("*.py"))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", *pages],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


# ---- Figures ---------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", reference.BUNDLES, ids=lambda folder: folder.name)
def test_the_readme_tells_what_the_cards_tell(folder: Path):
    row = next(line for line in text("README.md").splitlines() if f"{folder.name}` |" in line)
    card = json.loads((folder / "card.json").read_text())
    measured = next(m for m in card["measured"] if m["split"] == "public")
    accuracy, low, high = (f"{100 * measured[key]:.2f}" for key in ("accuracy", "low", "high"))
    megabytes = (folder / "model.onnx").stat().st_size / 1e6
    field = f"{100 * measured['field_accuracy']:.2f}"
    told = (f"{megabytes:.1f} MB", f"{accuracy} [{low}, {high}]", f"{card['macs'] / 1e6:.0f} M")
    told += (field,)
    assert [cell for cell in told if f"| {cell} |" not in row] == []


def test_error_rates_are_those_of_the_default():
    default = next(b for b in reference.BUNDLES if b.name == "mien-m-int8")
    recalls = re.findall(
        r"^\| (\w+) \| \d+ \| (\d+ \[\d+, \d+\]) \|", (default / "README.md").read_text(), re.M
    )
    told = re.findall(
        r"^\| (\w+) \| \d+ \| (\d+ \[\d+, \d+\]) \|", text("docs/intended-use.md"), re.M
    )
    assert sorted(told) == sorted(recalls) and len(told) == 7


# ---- The site --------------------------------------------------------------------------------


def test_every_command_is_in_the_reference():
    page = reference.cli_page()
    for name, command in reference.commands():
        assert f"## {name}\n" in page
        assert [o for o in known_options(command) - {"--help", "-h"} if o not in page] == []


def test_every_recipe_key_is_in_the_reference():
    keys = re.findall(r"^\| `([\w.]+)` \|", reference.recipe_page(), re.M)
    assert {"name", "seed", "model.options", "training.optimizer.lr", "augment.zoom"} <= set(keys)
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("page", ["recipe", "networks", "data-sets", "http", "cli"])
def test_every_row_of_the_reference_has_a_meaning(page: str):
    made = reference.pages()[f"reference/{page}.md"]
    assert [line for line in made.splitlines() if re.search(r"\| *\|$", line)] == []


def test_every_bundle_has_a_page():
    for folder in reference.BUNDLES:
        page = reference.model_page(folder)
        assert f"# {folder.name}\n" in page and "accuracy, %" in page
        assert all(line.count("|") <= 7 for line in page.splitlines() if line.startswith("|"))


def test_pages_of_the_site_link_to_pages():
    text = "[a](docs/data.md#audit) [b](examples/) [c](scripts/) [d](https://example.org)"
    told = "[a](../data.md#audit) [b](../examples.md) c [d](https://example.org)"
    assert reference.for_site(text, "README.md", "project/x.md") == told
