"""An expression's syntax tree as closures, made once: the interpreter walks the tree again for every event.

Each closure gives what the interpreter gives. It finds its way in the document as it came, and makes exact only what it finds
there, where the interpreter makes the whole document exact. A tree is plain data: a compiled policy keeps it, and who loads it
neither parses nor imports jmespath. What has no closure (``&name``, and what takes it) is interpreted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from engine.policy.expressions.functions import FUNCTIONS, Function, call
from engine.policy.expressions.standard import STANDARD
from engine.policy.expressions.values import CannotBe, Signature, compared, exact, is_false, negated, type_problem, wanted_of

type Tree = Mapping[str, Any]

type Closure = Callable[[Any], Any]

PLAIN_CLASSES = frozenset({str, int, bool, type(None), Decimal})
"""Of these a value is exact as it is."""


class NoClosure(LookupError):
    """A part of an expression that only the interpreter works out."""


def closure_of(tree: Tree) -> Closure | None:
    """Return what works out an expression on a document, or None where it has to be interpreted.

    It raises CannotBe, or an ArithmeticError, TypeError, ValueError or RecursionError, for what cannot be worked out.
    """
    try:
        return _value(tree)
    except NoClosure:
        return None


def _value(tree: Tree) -> Closure:
    """Return a closure of which the answer is exact, as all that functions and comparisons work with."""
    kind = tree["type"]
    if (names := _names(tree)) is not None:
        return _dotted(names)
    if kind in WAYS:
        return _exactly(_way(tree))
    if (make := VALUES.get(kind)) is None:
        raise NoClosure
    return make(tree)


def _way(tree: Tree) -> Closure:
    """Return a closure that finds its way in a document as it came; its answer may hold binary floats."""
    make = WAYS.get(tree["type"])
    return make(tree) if make is not None else _value(tree)


def _exactly(way: Closure) -> Closure:
    def exactly(document: Any) -> Any:
        found = way(document)
        return found if found.__class__ in PLAIN_CLASSES else exact(found)

    return exactly


def _names(tree: Tree) -> tuple[str, ...] | None:
    """Return the names of ``detail.usage.input``, or None for what has more than names."""
    if tree["type"] == "field":
        return (tree["value"],)
    parts = [_names(child) for child in tree["children"]] if tree["type"] == "subexpression" else [None]
    return None if None in parts else tuple(name for part in parts for name in part or ())


def _dotted(names: tuple[str, ...]) -> Closure:
    def dotted(value: Any) -> Any:
        for name in names:
            if value.__class__ is not dict and not isinstance(value, Mapping):
                return None
            value = value.get(name)
        return value if value.__class__ in PLAIN_CLASSES else exact(value)

    return dotted


# --- ways in a document -----------------------------------------------------------------------------------------------


def _field(tree: Tree) -> Closure:
    name = tree["value"]

    def field(value: Any) -> Any:
        return value.get(name) if value.__class__ is dict or isinstance(value, Mapping) else None

    return field


def _index(tree: Tree) -> Closure:
    place = tree["value"]

    def index(value: Any) -> Any:
        is_there = isinstance(value, list | tuple) and -len(value) <= place < len(value)
        return value[place] if is_there else None

    return index


def _slice(tree: Tree) -> Closure:
    part = slice(*tree["children"])
    return lambda value: value[part] if isinstance(value, list | tuple) else None


def _one_behind_another(tree: Tree) -> Closure:
    """``a.b``, ``a[0]`` and ``a | b``: each starts from what the one before has found."""
    ways = [_way(child) for child in tree["children"]]

    def one_behind_another(document: Any) -> Any:
        for way in ways:
            document = way(document)
        return document

    return one_behind_another


def _itself(_tree: Tree) -> Closure:
    return lambda document: document


def _flatten(tree: Tree) -> Closure:
    base = _way(tree["children"][0])

    def flatten(document: Any) -> Any:
        found = base(document)
        if not isinstance(found, list | tuple):
            return None
        return [inner for one in found for inner in (one if isinstance(one, list | tuple) else (one,))]

    return flatten


WAYS: Mapping[str, Callable[[Tree], Closure]] = {
    "field": _field,
    "index": _index,
    "slice": _slice,
    "subexpression": _one_behind_another,
    "index_expression": _one_behind_another,
    "pipe": _one_behind_another,
    "current": _itself,
    "identity": _itself,
    "flatten": _flatten,
}


# --- values -----------------------------------------------------------------------------------------------------------


def _literal(tree: Tree) -> Closure:
    value = tree["value"]
    return lambda _document: value


def _or(tree: Tree) -> Closure:
    left, right = map(_value, tree["children"])

    def either(document: Any) -> Any:
        found = left(document)
        return right(document) if is_false(found) else found

    return either


def _and(tree: Tree) -> Closure:
    left, right = map(_value, tree["children"])

    def both(document: Any) -> Any:
        found = left(document)
        return found if is_false(found) else right(document)

    return both


def _not(tree: Tree) -> Closure:
    of = _value(tree["children"][0])
    return lambda document: negated(of(document))


def _comparator(tree: Tree) -> Closure:
    sign = tree["value"]
    left, right = map(_value, tree["children"])
    return lambda document: compared(sign, left(document), right(document))


def _list(tree: Tree) -> Closure:
    members = [_value(child) for child in tree["children"]]
    return lambda document: None if document is None else [member(document) for member in members]


def _object(tree: Tree) -> Closure:
    members = [(pair["value"], _value(pair["children"][0])) for pair in tree["children"]]
    return lambda document: None if document is None else {name: member(document) for name, member in members}


def _projection(tree: Tree) -> Closure:
    base, of = _way(tree["children"][0]), _value(tree["children"][1])

    def projection(document: Any) -> Any:
        found = base(document)
        return _each(found, of) if isinstance(found, list | tuple) else None

    return projection


def _value_projection(tree: Tree) -> Closure:
    base, of = _way(tree["children"][0]), _value(tree["children"][1])

    def projection(document: Any) -> Any:
        found = base(document)
        return _each(found.values(), of) if isinstance(found, Mapping) else None

    return projection


def _filter(tree: Tree) -> Closure:
    base, (of, is_wanted) = _way(tree["children"][0]), map(_value, tree["children"][1:])

    def projection(document: Any) -> Any:
        found = base(document)
        if not isinstance(found, list | tuple):
            return None
        return _each((one for one in found if not is_false(is_wanted(one))), of)

    return projection


def _each(elements: Any, of: Closure) -> list[Any]:
    return [found for element in elements if (found := of(element)) is not None]


# --- functions --------------------------------------------------------------------------------------------------------


def _function(tree: Tree) -> Closure:
    name, children = tree["value"], tree["children"]
    arguments = [_value(child) for child in children]
    if (own := FUNCTIONS.get(name)) is not None:
        return _own(name, own, arguments, [child["text"] for child in children])
    if name not in STANDARD:
        raise NoClosure
    signature, work = STANDARD[name]
    return _standard(name, work, arguments, signature)


def _own(name: str, function: Function, arguments: Sequence[Closure], texts: Sequence[str]) -> Closure:
    text_of = texts.__getitem__
    return lambda document: call(name, function, [argument(document) for argument in arguments], text_of)


def _standard(name: str, work: Callable[..., Any], arguments: Sequence[Closure], signature: Signature) -> Closure:
    wanted = [wanted_of(signature, index) for index in range(len(arguments))]

    def standard(document: Any) -> Any:
        given = [argument(document) for argument in arguments]
        for value, types in zip(given, wanted, strict=True):
            if problem := type_problem(name, value, types):
                raise CannotBe(problem)
        return work(*given)

    return standard


VALUES: Mapping[str, Callable[[Tree], Closure]] = {
    "literal": _literal,
    "or_expression": _or,
    "and_expression": _and,
    "not_expression": _not,
    "comparator": _comparator,
    "multi_select_list": _list,
    "multi_select_dict": _object,
    "projection": _projection,
    "value_projection": _value_projection,
    "filter_projection": _filter,
    "function_expression": _function,
}
