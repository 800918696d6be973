"""The small faults that `mutate` tries: cosmic-ray's operators, and some that it lacks.

cosmic-ray was chosen over mutmut: its operators say what they change where and give the text of
one change; limits move by one, and the rest of the file stays as it is. Most of mutmut's faults
make a value or an argument None, which any test notices, and live in copies of each function.
"""

import ast
import difflib
import random
import re
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeGuard

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.operators.operator import Operator
from cosmic_ray.operators.provider import OperatorProvider

# Of each operator's replacements, those that a person could write by mistake.
_BINARY = {"Add": "Sub", "Sub": "Add", "Mul": "Div", "Div": "Mul", "FloorDiv": "Div", "Pow": "Mul"}
_BINARY |= {"Mod": "FloorDiv", "BitAnd": "BitOr", "BitOr": "BitAnd", "LShift": "RShift"}
_COMPARED: dict[str, tuple[str, ...]]
_COMPARED = {"Lt": ("LtE", "GtE"), "LtE": ("Lt", "Gt"), "Gt": ("GtE", "LtE"), "GtE": ("Gt", "Lt")}
_COMPARED |= {"Eq": ("NotEq",), "NotEq": ("Eq",), "Is": ("IsNot",), "IsNot": ("Is",)}
_OPERATORS = (
    *(f"ReplaceBinaryOperator_{old}_{new}" for old, new in _BINARY.items()),
    *(f"ReplaceComparisonOperator_{old}_{new}" for old, many in _COMPARED.items() for new in many),
    *("ReplaceUnaryOperator_USub_UAdd", "ReplaceUnaryOperator_Delete_Not", "AddNot"),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop"),
    *("ExceptionReplacer", "NumberReplacer", "RemoveDecorator"),
)
_SWAPS = {"min": "max", "any": "all", "lower": "upper", "floor": "ceil", "minimum": "maximum"}
_SWAPS |= {"argmin": "argmax", "startswith": "endswith", "partition": "rpartition"}
_SWAPS |= {new: old for old, new in _SWAPS.items()}
_COMMUTE = {"min", "max", "minimum", "maximum", "array_equal", "isinstance", "issubclass"}
_RETURNED = {"bool": "not ({})", "int": "({}) + 1", "float": "({}) + 1", "str": '""'}
_RETURNED |= {"list": "({})[::-1]", "NDArray": "({})[::-1]", "tuple": "({})[::-1]", "dict": "{{}}"}
# Speed, memory and checks of our own assumptions: no user sees them.
_DULL_KEYWORDS = {"slots", "strict", "stacklevel", "kw_only", "encoding"}
_DULL_DECORATORS = re.compile(r"(functools\.|typing\.)?((lru_)?cache\b|override|overload)")


@dataclass(frozen=True)
class Place:
    """Where a change is: the lines of its statement, its function, whether an import runs it."""

    first: int
    last: int
    function: str
    at_import: bool


@dataclass(frozen=True)
class Mutant:
    """A file with one change; `before` and `after` are what it does to the changed lines."""

    file: str
    line: int
    place: Place
    text: str = field(repr=False)
    before: str
    after: str

    @property
    def key(self) -> tuple[str, ...]:
        """What stays the same when the file is edited elsewhere or formatted anew."""
        return identity(self.file, self.place.function, self.before, self.after)


def identity(file: str, function: str, before: str, after: str) -> tuple[str, ...]:
    """A change's key, for all that is written about it."""
    return (file, function, *("".join(text.split()) for text in (before, after)))


@dataclass(frozen=True)
class Choice:
    """A change that can be made: the n-th spot of an operator of cosmic-ray, or an edit of ours."""

    kind: str
    number: int = 0
    edit: tuple[int, int, str] | None = None  # start, end, new text


Change = tuple[str, ast.AST, str]  # its kind, a node, the node's new text
Code = Callable[[ast.AST], str]


class Source:
    """A file and what can be changed in it."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.text, self.tree = file, text, ast.parse(text)
        self._lines = text.splitlines(keepends=True)
        self._begins = [0]
        for line in self._lines:
            self._begins.append(self._begins[-1] + len(line))
        self._places: list[tuple[int, int, Place]] = []
        self._note_places(self.tree, (), inside=False)
        self._dull = [self._wider(node) for node in _dull(self.tree)]

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where a node stands in the text."""
        ends = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
        start, end = (
            self._begins[line - 1] + len(self._lines[line - 1].encode()[:column].decode())
            for line, column in ends
        )
        return start, end

    def code(self, node: ast.AST) -> str:
        """The text of a node."""
        start, end = self.span(node)
        return self.text[start:end]

    def choices(self) -> dict[int, list[Choice]]:
        """By line, the changes that can be made there."""
        found: dict[int, list[Choice]] = {}
        nodes = list(ast_nodes(get_ast(self.text)))
        for name in _OPERATORS:
            spots = [spot for node in nodes for spot in _operator(name).mutation_positions(node)]
            for number, ((line, column), _) in enumerate(spots):
                if not self._is_dull(self._begins[line - 1] + column):
                    found.setdefault(line, []).append(Choice(name, number))
        for kind, node, new in _own(self):
            start, end = self.span(node)
            if not self._is_dull(start):
                line = bisect(self._begins, start)
                found.setdefault(line, []).append(Choice(kind, edit=(start, end, new)))
        return found

    def changed(self, choice: Choice) -> Mutant | None:
        """The mutant of a choice; None if it does not parse or means the same."""
        if choice.edit:
            start, end, new = choice.edit
            text = self.text[:start] + new + self.text[end:]
        else:
            operator = _operator(choice.kind)
            text = MutationVisitor.mutate_code(self.text, operator, choice.number)
        try:
            if ast.dump(ast.parse(text)) == ast.dump(self.tree):
                return None
        except SyntaxError:
            return None
        line, before, after = difference(self.text, text)
        indent = len(self._lines[line - 1]) - len(self._lines[line - 1].lstrip())
        at = self._begins[line - 1] + indent
        place = [place for start, end, place in self._places if start <= at < end][-1]
        return Mutant(self.file, line, place, text, before, after)

    def _is_dull(self, at: int) -> bool:
        return any(start <= at < end for start, end in self._dull)

    def _note_places(self, node: ast.AST, names: tuple[str, ...], *, inside: bool) -> None:
        if isinstance(node, ast.stmt | ast.ExceptHandler):
            start, end = self.span(node)
            body: list[ast.stmt] = getattr(node, "body", [])
            last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
            is_class = isinstance(node, ast.ClassDef)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names = (*names, node.name)
                for decorator in node.decorator_list:  # run where the function is defined
                    place = Place(decorator.lineno, node.lineno, ".".join(names), not inside)
                    self._places.append((*self._wider(decorator), place))
                inside = inside or not is_class
                last = last if is_class else node.end_lineno or last  # a default acts in the body
            self._places.append((start, end, Place(node.lineno, last, ".".join(names), not inside)))
        elif not self._places:
            self._places.append((0, len(self.text) + 1, Place(1, 1, "", True)))
        for child in ast.iter_child_nodes(node):
            self._note_places(child, names, inside=inside)

    def _wider(self, node: ast.AST) -> tuple[int, int]:
        start, end = self.span(node)
        return start - 1, end  # a decorator with its @


def mutants(
    files: Mapping[str, str], seed: int, lines: Mapping[str, set[int]] | None = None
) -> Iterator[Mutant]:
    """Mutants of the files, or of some `lines` of each, none twice.

    A line is drawn, then a kind of change, then one of these: no long formula or call dominates.
    """
    draw = random.Random(seed)
    seen: set[tuple[str, ...]] = set()
    sources = {file: Source(file, text) for file, text in sorted(files.items())}
    left = {
        (file, line): choices
        for file, source in sources.items()
        for line, choices in sorted(source.choices().items())
        if lines is None or line in lines.get(file, ())
    }
    while left:
        at = draw.choice(list(left))
        kind = draw.choice(sorted({choice.kind.partition("_")[0] for choice in left[at]}))
        choice = draw.choice([c for c in left[at] if c.kind.partition("_")[0] == kind])
        left[at].remove(choice)
        if not left[at]:
            del left[at]
        mutant = sources[at[0]].changed(choice)
        if mutant is not None and mutant.key not in seen:
            seen.add(mutant.key)
            yield mutant


def difference(old: str, new: str) -> tuple[int, str, str]:
    """The first changed line, and the changed lines before and after, each as one."""
    olds, news = old.splitlines(), new.splitlines()
    steps = difflib.SequenceMatcher(None, olds, news, autojunk=False).get_opcodes()
    changes = [step[1:] for step in steps if step[0] != "equal"]
    (begin, _, to_begin, _), (_, end, _, to_end) = changes[0], changes[-1]
    before, after = olds[begin:end], news[to_begin:to_end]
    return begin + 1, _joined(before), _joined(after)


def _joined(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


@cache
def _operator(name: str) -> Operator:
    made: Operator = OperatorProvider()[name]()
    return made


def _dull(tree: ast.AST) -> Iterator[ast.AST]:
    """What no mutation of interest touches: types, names for export, caches, our own checks."""
    for node in ast.walk(tree):
        match node:
            case ast.arg(annotation=ast.expr() as types) | ast.AnnAssign(annotation=types):
                yield types
            case ast.FunctionDef(returns=ast.expr() as types):
                yield types
            case ast.AsyncFunctionDef(returns=ast.expr() as types):
                yield types
            case ast.Assign(targets=[ast.Name("__all__")]) | ast.If(test=ast.Name("TYPE_CHECKING")):
                yield node
            case ast.keyword(arg) if arg in _DULL_KEYWORDS:
                yield node
            case ast.Assert():
                yield node
        for decorator in getattr(node, "decorator_list", []):
            if _DULL_DECORATORS.match(ast.unparse(decorator)):
                yield decorator


def _own(source: "Source") -> Iterator[Change]:
    """What cosmic-ray does not change."""
    code = source.code
    for node in _within(source.tree, ast.JoinedStr):  # whose parts have no true place in 3.11
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _statements(node, code)
            case ast.Compare(left, [ast.In() | ast.NotIn() as operator], [right]):
                word = "not in" if isinstance(operator, ast.In) else "in"
                yield "in", node, f"{code(left)} {word} {code(right)}"
            case ast.comprehension(ifs=conditions):
                yield from (
                    ("if", condition, f"not ({code(condition)})") for condition in conditions
                )
            case ast.Slice(lower, upper, None):
                if lower:
                    yield "slice", node, f":{code(upper) if upper else ''}"
                if upper:
                    yield "slice", node, f"{code(lower) if lower else ''}:"
            case ast.Name(name) if name in _SWAPS:
                yield "name", node, _SWAPS[name]
            case ast.Attribute(value, name) if name in _SWAPS:
                yield "name", node, f"{code(value)}.{_SWAPS[name]}"
            case ast.Call():
                yield from _arguments(node, code)


def _statements(function: ast.FunctionDef | ast.AsyncFunctionDef, code: Code) -> Iterator[Change]:
    """Statements left out, unless a name has no value then, and other values returned."""
    bound = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
    kind = ast.unparse(function.returns).partition("[")[0] if function.returns else ""
    for node in _within(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.JoinedStr):
        match node:
            case ast.Expr(value=ast.Call() | ast.Await()) | ast.AugAssign() | ast.Raise():
                yield "statement", node, "pass"
            case ast.Assign() | ast.AnnAssign(value=ast.expr()):
                names = {name.id for name in ast.walk(node) if _is_bound_by(name)}
                if names <= bound and (names or function.name != "__init__"):
                    yield "statement", node, "pass"
                bound |= names
            case ast.Return(value=ast.List(elts=[]) as value):
                yield "return", value, "None"
            case ast.Return(value=ast.expr() as value):
                yield "return", value, _RETURNED.get(kind, "None").format(code(value))


def _arguments(call: ast.Call, code: Code) -> Iterator[Change]:
    """Two neighbours swapped; a keyword left out."""
    function, arguments = code(call.func), [code(argument) for argument in call.args]
    keywords = [code(keyword) for keyword in call.keywords]
    if function.rpartition(".")[2] not in _COMMUTE and "*" not in {a[0] for a in arguments}:
        for at in range(1, len(arguments)):
            pair = arguments[at], arguments[at - 1]
            swapped = [*arguments[: at - 1], *pair, *arguments[at + 1 :], *keywords]
            yield "order", call, f"{function}({', '.join(swapped)})"
    for at, keyword in enumerate(call.keywords):
        if keyword.arg not in {None, *_DULL_KEYWORDS}:
            kept = [*arguments, *keywords[:at], *keywords[at + 1 :]]
            yield "keyword", call, f"{function}({', '.join(kept)})"


def _within(node: ast.AST, border: Any) -> Iterator[ast.AST]:
    """What a node consists of, in the order of the text, without what is in a `border`."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, border):
            yield from _within(child, border)


def _is_bound_by(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
