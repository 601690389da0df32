"""JMESPath expressions, exact in decimals. A plain dotted path costs no import of jmespath.

Source of the language: "JMESPath Specification". Numbers here may be Decimals, which the library does not know: sums and
comparisons of them stay exact, and a binary float enters as the decimal that it was written as.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import field, frozen

from engine.domain.errors import PolicyError, RowNeeded, shown

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
WITH_FALLBACK = re.compile(rf"(?P<path>{PLAIN.pattern}) *\|\| *'(?P<fallback>[^'\\]*)'")
"""``detail.resolution || 'default'``, the one expression beside a plain path that prices often need."""

CHARACTERS_MAX = 1000
LEVELS_MAX = 64
"""What an expression may be at most, so that neither reading it nor working it out can exhaust the stack."""

ROW = "detail"
"""The member of a catch-up event that is the job's row."""

MISFITS: Mapping[tuple[str, str], str] = {
    ("number", "string"): "finds a number, and a text is needed here: to_string() makes one of it",
    ("array", "string"): "finds a list of texts, and one text is needed here: [0] behind it is the first of them",
    ("string", "number"): "finds a text, and a number is needed here",
    ("array", "number"): "finds a list of texts, and a number is needed here",
}
"""What is wrong with the result of a function, by its type and the type that is wanted."""

Search = Callable[[Any], Any]


class PathProblem(ValueError):
    """The expression cannot be worked out on this document (a sum over words, say)."""


@frozen
class Path:
    """A compiled expression. ``tree`` is its syntax tree, where that is all that it takes to make it again."""

    text: str
    _search: Search = field(repr=False, eq=False)
    _tree: Mapping[str, Any] | None = field(default=None, repr=False, eq=False)

    def search(self, document: Any) -> Any:
        """Return what the expression finds in ``document``, or None. Raises PathProblem where it cannot be worked out.

        Raises RowNeeded where it reads the job's own row, which has not been read yet (``EventAndRow``).
        """
        try:
            return self._search(document)
        except RowNeeded as needed:
            needed.expression = self.text
            raise

    def __reduce__(self) -> tuple[Callable[..., Path], tuple[Any, ...]]:
        return (compile_path, (self.text,)) if self._tree is None else (linked_path, (self.text, self._tree))

    def misfit(self, wanted: str) -> str | None:
        """Return what is wrong where a text or a number is ``wanted`` and a function of this language finds something else."""
        if self._tree is None or self._tree["type"] != "function_expression":
            return None
        from engine.policy.expressions.functions import FUNCTIONS  # noqa: PLC0415  only what is not a plain path pays for it

        function = FUNCTIONS.get(self._tree["value"])
        return MISFITS.get((function.result, wanted)) if function is not None else None

    def row_attributes(self) -> frozenset[str] | None:
        """Return the attributes of a job's row that the expression can look at, or None where that cannot be told."""
        with_fallback = WITH_FALLBACK.fullmatch(self.text)
        path = with_fallback["path"] if with_fallback else self.text
        if PLAIN.fullmatch(path):
            return _row_attributes_of(tuple(path.split(".")))
        return _Attributes().of(self.tree())

    def tree(self) -> Mapping[str, Any]:
        """Return the expression's syntax tree."""
        return self._tree or _parse(self.text).parsed


def compile_path(text: str) -> Path:
    """Return the compiled expression. Raises PolicyError for a wrong one."""
    if len(text) > CHARACTERS_MAX:
        raise PolicyError.of(f"{shown(text)} has more than the {CHARACTERS_MAX} characters of an expression")
    if PLAIN.fullmatch(text):
        return Path(text, _plain(tuple(text.split("."))))
    if match := WITH_FALLBACK.fullmatch(text):
        return Path(text, _or(_plain(tuple(match["path"].split("."))), match["fallback"]))
    return linked_path(text, _parse(text).parsed)


def linked_path(text: str, tree: Mapping[str, Any]) -> Path:
    """Return the compiled expression of a syntax tree. It takes no jmespath where the tree can be made closures."""
    from engine.policy.expressions.closures import closure_of  # noqa: PLC0415  only what is not a plain path pays for it

    closure = closure_of(tree)
    return Path(text, _guarded(_interpreted(tree))) if closure is None else Path(text, _guarded(closure), tree)


def _plain(names: tuple[str, ...]) -> Search:
    def search(document: Any) -> Any:
        for name in names:
            if document.__class__ is not dict and not isinstance(document, Mapping):
                return None
            document = document.get(name)
        return document

    return search


def _or(search: Search, fallback: str) -> Search:
    """JMESPath's ``||``: what is missing, false or empty gives way. A number never is, not even 0."""

    def search_or(document: Any) -> Any:
        found = search(document)
        gives_way = found is None or found is False or (isinstance(found, str | list | Mapping) and not found)
        return fallback if gives_way else found

    return search_or


def _parse(text: str) -> Any:
    """Raises PolicyError for what is no expression, and for what could never be worked out, whatever the event."""
    from engine.policy.expressions.exact import ExactFunctions  # noqa: PLC0415  only what is not a plain path pays for it
    from engine.policy.expressions.growth import GROWTH_MAX, growth  # noqa: PLC0415  the same
    from engine.policy.expressions.syntax import hint_for, mistakes_of, parse  # noqa: PLC0415  the same

    too_deep = PolicyError.of(f"{shown(text)} is nested deeper than {LEVELS_MAX} levels")
    try:
        expression = parse(text)
    except RecursionError as error:
        raise too_deep from error
    except ValueError as error:
        raise PolicyError.of(f"{shown(text)} is no JMESPath expression: {_first_line(error)}{hint_for(text)}") from error
    levels = list(_levels(expression.parsed))
    if len(levels) > LEVELS_MAX:
        raise too_deep
    nodes = (node for level in levels for node in level)
    if mistake := next(mistakes_of(nodes, ExactFunctions.FUNCTION_TABLE), None):
        raise PolicyError.of(f"{shown(text)} {mistake}")
    if growth(expression.parsed) > GROWTH_MAX:
        raise PolicyError.of(f"{shown(text)} says one thing more than {GROWTH_MAX} times over; ask for less behind each `|`")
    return expression


def _levels(tree: Mapping[str, Any]) -> Iterator[list[Mapping[str, Any]]]:
    """Yield the nodes of a syntax tree, level by level."""
    level = [tree]
    while level:
        yield level
        level = [child for node in level for child in node["children"] if isinstance(child, Mapping)]


def _interpreted(tree: Any) -> Search:
    from jmespath.exceptions import JMESPathError  # noqa: PLC0415  only what has no closures pays for it

    from engine.policy.expressions.exact import interpreter  # noqa: PLC0415  the same
    from engine.policy.expressions.values import CannotBe, exact  # noqa: PLC0415  the same

    def search(document: Any) -> Any:
        try:
            return interpreter().visit(tree, exact(document))
        except JMESPathError as error:
            raise CannotBe(_first_line(error)) from error

    return search


def _guarded(search: Search) -> Search:
    """Return a search that raises PathProblem for whatever cannot be worked out."""
    from engine.policy.expressions.values import CannotBe  # noqa: PLC0415  only what is not a plain path pays for it

    def guarded(document: Any) -> Any:
        try:
            return search(document)
        except CannotBe as error:
            raise PathProblem(_first_line(error)) from error
        except ArithmeticError as error:
            raise PathProblem("a number in it is none that can be worked with (not finite, or beyond all bounds)") from error
        except RecursionError as error:
            raise PathProblem("what it looks at is nested too deeply") from error
        except (ValueError, TypeError) as error:
            raise PathProblem("it does not fit what it looks at") from error

    return guarded


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].removesuffix(", for expression:").rstrip(":")


FROM_LEFT = {"projection", "filter_projection", "flatten", "value_projection", "pipe"}
"""Nodes of which only the first child starts from the document itself; the rest starts from what that has found."""


class _Attributes:
    """Walks an expression's syntax tree for the members of ``detail`` that it can look at."""

    def of(self, node: Mapping[str, Any]) -> frozenset[str] | None:
        names = dotted_names(node)
        if names is not None:
            return _row_attributes_of(names)
        found: frozenset[str] = frozenset()
        if node["type"] in {"current", "identity"}:
            return None
        for child in self._rooted(node):
            attributes = self.of(child)
            if attributes is None:
                return None
            found |= attributes
        return found

    def _rooted(self, node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the children that start from the document itself."""
        return (
            node["children"][:1]
            if node["type"] in FROM_LEFT
            else [child for child in node["children"] if isinstance(child, Mapping)]
        )


def dotted_names(node: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the names that an expression begins with (an empty one for what is no name), or None where it has none."""
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] in FROM_LEFT:
        return dotted_names(node["children"][0])
    if node["type"] in {"subexpression", "index_expression"}:
        left = dotted_names(node["children"][0])
        return left and (*left, *(dotted_names(node["children"][1]) or ("",)))
    return None


def _row_attributes_of(names: tuple[str, ...]) -> frozenset[str] | None:
    if names[0] != ROW:
        return frozenset()
    return frozenset({names[1]}) if len(names) > 1 and names[1] else None
