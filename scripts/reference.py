"""The pages of the site that are made from the code: a hook of MkDocs (mkdocs.yml).

Front page (README), reference (commands, recipe keys, networks, Python, HTTP), a page per bundle
from its card, examples, and the documents for contributors. Nothing is written to docs/.
"""

import ast
import dataclasses
import functools
import inspect
import json
import re
import textwrap
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer.main
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import mien
from mien.cli import app as cli

ROOT = Path(__file__).resolve().parents[1]
BUNDLES = [
    card.parent
    for place in ("src/mien/bundles", "bundles")
    for card in sorted((ROOT / place).glob("*/card.json"))
]
PROJECT = ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
MODULES = (
    "mien.types",
    "mien.errors",
    "mien.card",
    "mien.bundle",
    "mien.data",
    "mien.models",
    "mien.evaluate",
    "mien.explain",
)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


# ---- MkDocs calls these ----------------------------------------------------------------------


def on_config(config: Any) -> Any:
    """Add a page per bundle to the navigation."""
    for section in config.nav:
        section.get("Models", []).extend({b.name: f"models/{b.name}.md"} for b in BUNDLES)
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links to files of the repository into links to pages of the site."""
    place = page.file.src_uri
    return markdown if place in pages() else for_site(markdown, f"docs/{place}", place)


# ---- Pages -----------------------------------------------------------------------------------


@functools.cache
def pages() -> dict[str, str]:
    """Path in the site -> Markdown, of every generated page."""
    return {
        "index.md": for_site((ROOT / "README.md").read_text(), "README.md", "index.md"),
        "examples.md": examples_page(),
        "reference/cli.md": cli_page(),
        "reference/recipe.md": recipe_page(),
        "reference/networks.md": networks_page(),
        "reference/data-sets.md": data_sets_page(),
        "reference/python.md": python_page(),
        "reference/http.md": http_page(),
        **{f"models/{bundle.name}.md": model_page(bundle) for bundle in BUNDLES},
        **{_project(name): _document(name) for name in PROJECT},
    }


def cli_page() -> str:
    """Every command with its arguments and options, as `--help` tells them."""
    parts = ["# Commands", "`mien COMMAND --help` says the same."]
    for name, command in commands():
        usage = [name, *(_name(p) for p in command.params if _is_argument(p)), "[OPTIONS]"]
        parts += [f"## {name}", f"```text\n{' '.join(usage)}\n```"]
        parts += [inspect.cleandoc(command.help or ""), _table(_parameters(command), "Option")]
    return _joined(parts)


def commands() -> Iterator[tuple[str, Any]]:
    """(`mien data stats`, its command), of every command of the command line."""
    for name, command in typer.main.get_command(cli).commands.items():  # type: ignore[attr-defined]
        nested = getattr(command, "commands", None)
        if nested is None:
            yield f"mien {name}", command
        else:
            yield from ((f"mien {name} {inner}", c) for inner, c in nested.items())


def recipe_page() -> str:
    """Every key of a recipe: type, default, meaning."""
    from mien.recipes import Recipe

    parts = [
        "# Recipe keys",
        "A recipe is a YAML file with these keys. `--set KEY=VALUE` changes one. An unknown key is "
        "an error. `mien recipes` lists the recipes in the package.",
    ]
    for key, section in sections(Recipe):
        parts += [f"## {key or 'Top level'}", inspect.cleandoc(section.__doc__ or "")]
        parts.append(_table(_keys(key, section), "Key", "Type", "Default"))
    return _joined(parts)


def data_sets_page() -> str:
    """Every data set that is read: its name and its layout."""
    from mien.data.formats import FORMATS

    rows = [(f"`{f.name}`", "films" if f.clips else "pictures", f.about) for f in FORMATS]
    about = "The first that recognises the files reads them, in this order; `--format` names one."
    return _joined(["# Data sets", about, _table(rows, "Format", "Of", last="Layout")])


def networks_page() -> str:
    """Every network that a recipe may name: its facts and its options."""
    from mien.models.catalogue import ENTRIES, any_of_timm

    entries = (*ENTRIES.values(), any_of_timm("timm/NAME"))
    facts = [
        (f"`{e.name}`", f"{e.size_px}", _numbers(e.mean), _numbers(e.std), e.paper, e.licence)
        for e in entries
    ]
    heads = ("Network", "Input, px", "Mean", "Standard deviation", "Source")
    parts = ["# Networks", _table(facts, *heads, last="Licence")]
    for entry in entries:
        options = type(entry.defaults)
        kinds, meaning = typing.get_type_hints(options, include_extras=True), meanings(options)
        values = dataclasses.asdict(entry.defaults)
        rows = [(f"`{o}`", _kind(kinds[o]), _yaml(values[o]), meaning.get(o, "")) for o in values]
        parts += [f"## {entry.name}", _table(rows, "Option", "Type", "Default")]
    return _joined(parts)


def python_page() -> str:
    """What mkdocstrings reads from docstrings."""
    public = sorted(mien.__all__, key=lambda name: (name[0].isupper(), name))
    homes = {_home(name) for name in public}
    told = [f"::: {_home(name)}\n    options: {{heading: mien.{name}}}" for name in public]
    for module in MODULES:
        shown = [home.rpartition(".")[2] for home in homes if home.rpartition(".")[0] == module]
        filters = json.dumps(["!^_", *(f"!^{name}$" for name in sorted(shown))])
        told.append(f"::: {module}\n    options: {{filters: {filters}}}")
    return _joined(["# Python", *told])


def http_page() -> str:
    """Paths, their answers and the limits of the service."""
    from mien.serve.app import create
    from mien.serve.limits import Limits, option

    parts = [
        "# HTTP",
        "The same, with schemas and examples: `GET /openapi.json` of the service. "
        "Cameras: the WebSocket [`/v1/stream`](../operator.md#cameras).",
    ]
    for path, methods in create().openapi()["paths"].items():
        for method, told in methods.items():
            parts += [f"## {method.upper()} {path}", told.get("description", told["summary"])]
            parts.append(f"Statuses: {', '.join(sorted(told['responses']))}.")
    limits = [
        (f"`{option(f)}`", f"{f.default:,}", f"{f.metadata['panel']}: {f.metadata['means']}")
        for f in dataclasses.fields(Limits)
    ]
    return _joined([*parts, "## Limits", _table(limits, "Option", "Value")])


def model_page(folder: Path) -> str:
    """How a bundle is used, what it is and what was measured, from `card.json` and its README."""
    card = json.loads((folder / "card.json").read_text())
    name = folder.name if "src" in folder.parts else f"bundles/{folder.name}"
    size_px = card["preprocess"]["size_px"]
    facts = [
        ("Network", f"{card['model']} ({card['paper']})"),
        ("Input", f"{size_px} x {size_px} px, {len(card['preprocess']['mean'])} channel(s)"),
        ("Labels", ", ".join(card["labels"])),
        ("Parameters", f"{card['parameters'] / 1e6:.2f} M"),
        ("Multiply-accumulates per face", f"{card['macs'] / 1e6:,.0f} M"),
        ("Size", f"{(folder / 'model.onnx').stat().st_size / 1e6:.1f} MB"),
        ("Licence", card["licence"]),
        ("SHA-256 of model.onnx", f"`{card['digest']}`"),
    ]
    parts = [
        f"# {folder.name}",
        f"```sh\nmien recognize photo.jpg --model {name}\n```",
        f'```python\nimport mien\n\nrecognizer = mien.Recognizer(model="{name}")\n```',
        _table(facts, "Fact", last="Value"),
    ]
    figures = _section((folder / "README.md").read_text(), "## Training", "## Limits")
    return _joined([*parts, _narrow(figures), "Limits: [intended use](../intended-use.md)."])


def examples_page() -> str:
    """The scripts, as they are."""
    parts = ["# Examples", "Files in the folder `examples` of the repository, run by a test."]
    for path in sorted((ROOT / "examples").iterdir()):
        if path.suffix in (".py", ".sh"):
            text = path.read_text().rstrip()
            parts.append(f"## {path.name}\n\n```{path.suffix[1:]}\n{text}\n```")
    return _joined([*parts, "## tour.ipynb", "A notebook: open it with Jupyter."])


# ---- Links -----------------------------------------------------------------------------------


def for_site(text: str, source: str, place: str) -> str:
    """`text` of the repository's file `source`, with its links as the page `place` needs them.

    A link to a file that the site lacks becomes plain text.
    """
    here = (ROOT / source).parent

    def link(found: re.Match[str]) -> str:
        mark, label, target = found.groups()
        path, hash_, anchor = target.partition("#")
        if "://" in target or not path or target.startswith("mailto:"):
            return found[0]
        page = page_of((here / path).resolve())
        if page is None:
            return label
        up = "../" * place.count("/")
        return f"{mark}[{label}]({up}{page}{hash_}{anchor})"

    return LINK.sub(link, text)


def page_of(path: Path) -> str | None:
    """The page, or the picture, of the site that shows a file of the repository."""
    if path.is_relative_to(ROOT / "docs"):
        return path.relative_to(ROOT / "docs").as_posix()
    if path == ROOT / "README.md":
        return "index.md"
    if path.name in PROJECT and path.parent == ROOT:
        return _project(path.name)
    if path.is_relative_to(ROOT / "examples"):
        return "examples.md"
    bundle = path if path.is_dir() else path.parent
    return f"models/{bundle.name}.md" if bundle in BUNDLES else None


def _project(name: str) -> str:
    return f"project/{name.lower()}"


def _document(name: str) -> str:
    return for_site((ROOT / name).read_text(), name, _project(name))


# ---- What the code says of itself ------------------------------------------------------------


def meanings(section: type) -> dict[str, str]:
    """Name -> the docstring below it, of the attributes of a class and of those it extends."""
    above = section.__mro__[1]
    found = meanings(above) if dataclasses.is_dataclass(above) else {}
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(body, ast.ClassDef)
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            assert isinstance(field.target, ast.Name) and isinstance(text.value, ast.Constant)
            found[field.target.id] = " ".join(str(text.value.value).split())
    return found


def sections(model: type[BaseModel], key: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """(`training.loss`, its class), of a recipe and of every section in it."""
    yield key, model
    for name, field in model.model_fields.items():
        inner = _section_of(field)
        if inner is not None:
            yield from sections(inner, f"{key}.{name}".strip("."))


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    options = typing.get_args(field.annotation) or (field.annotation,)
    return next((o for o in options if inspect.isclass(o) and issubclass(o, BaseModel)), None)


def _keys(section_key: str, section: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    meaning = meanings(section)
    for name, field in section.model_fields.items():
        if _section_of(field) is None or field.default is None:
            key = f"`{section_key}.{name}`".replace("`.", "`")
            default = "required" if field.is_required() else _yaml(field.get_default())
            kind = "section" if _section_of(field) else _kind(field.annotation, field.metadata)
            yield key, kind, default, meaning.get(name, field.description or "")


def _kind(annotation: Any, bounds: Iterable[Any] = ()) -> str:
    """A type, as a reader of YAML calls it."""
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", dict: "keys"}
    inner, origin = typing.get_args(annotation), typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _kind(inner[0], inner[1:])
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_kind(a, bounds) for a in inner if a is not type(None))
    if origin is tuple:
        return f"list: {_kind(inner[0])}"
    return names.get(origin or annotation, str(annotation)) + _bounds(bounds)


def _bounds(bounds: Iterable[Any]) -> str:
    """`, ≥ 0, < 1`, of pydantic's constraints."""
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    flat = [b for bound in bounds for b in getattr(bound, "metadata", [bound])]
    limits = [(f.name, getattr(bound, f.name)) for bound in flat for f in dataclasses.fields(bound)]
    return "".join(f", {signs[name]} {value:g}" for name, value in limits if name in signs)


def _yaml(value: Any) -> str:
    return f"`{json.dumps(value)}`" if value != "" else ""


def _parameters(command: Any) -> Iterator[tuple[str, str]]:
    for parameter in command.params:
        if parameter.name != "help":
            names = [_name(parameter), *parameter.opts[1:], *parameter.secondary_opts]
            default = parameter.default
            is_told = isinstance(default, (str, int, float, Path)) and not _is_flag(parameter)
            shown = f" Default: {default}." if is_told else ""
            yield f"`{', '.join(names)}`", f"{(parameter.help or '').rstrip('.')}.{shown}"


def _name(parameter: Any) -> str:
    """`RUN`, `--blur` or `--out <path>`."""
    if _is_argument(parameter):
        return str(parameter.make_metavar(None))
    takes = "" if _is_flag(parameter) else f" {parameter.make_metavar(None)}"
    return f"{parameter.opts[0]}{takes}"


def _is_argument(parameter: Any) -> bool:
    return not parameter.opts[0].startswith("-")


def _is_flag(parameter: Any) -> bool:
    return bool(getattr(parameter, "is_flag", False))


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _home(name: str) -> str:
    """`mien.types.Box` of `Box`."""
    return f"{getattr(mien, name).__module__}.{name}"


# ---- Markdown --------------------------------------------------------------------------------


def _table(rows: Iterable[tuple[str, ...]], *heads: str, last: str = "Meaning") -> str:
    head = f"| {' | '.join([*heads, last])} |\n{'|---' * (len(heads) + 1)}|"
    lines = ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows]
    return "\n".join([head, *lines])


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(text: str, start: str, end: str) -> str:
    return start + text.partition(start)[2].partition(end)[0]


def _narrow(text: str) -> str:
    """Without the columns of tables beyond the sixth: a confusion matrix keeps its recalls."""
    lines = []
    for line in text.splitlines():
        cells = line.strip("|").split("|")
        is_wide = line.startswith("|") and len(cells) > 6
        lines.append(f"|{'|'.join(cells[:2])}|" if is_wide else line)
    return "\n".join(lines)
