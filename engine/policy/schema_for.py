"""The JSON Schema for one policy file: the general one, and the names that stand in the file.

A schema cannot look into the file that it checks. So the names of its price books and rates are written into a schema of the
file's own, and an editor offers them. Where the file changes, the schema has to be made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from engine.domain.errors import PolicyError
from engine.domain.instants import instant_text
from engine.policy.loader import parse_policy
from engine.policy.price_books import rates_by_unit
from engine.policy.schema import policy_schema
from engine.policy.schema_patterns import FIELD, PRICED_ENVELOPE
from engine.policy.source import Items, Members, Node, Scalar, read_yaml
from engine.policy.words import PRICED_ABOUT

Schema = dict[str, Any]
Names = tuple[frozenset[str], ...]
"""The names of a book's rates: those by its first selector, those by its second inside them, and so on."""

NOTHING_TO_TAKE_AWAY = "Write a rate; null takes away only a rate that another row has."


def schema_for(data: bytes, file: str) -> Schema:
    """Return the JSON Schema for a policy file. Raises PolicyError where it is no YAML; other mistakes do not matter."""
    document, _ = read_yaml(data, file)
    books = dict(_books(document))
    schema = deepcopy(policy_schema())
    _complete_books(schema, books, file)
    schema["properties"]["prices"]["properties"] = {name: _book(names) for name, names in books.items()}
    _complete_figures(schema["$defs"], data, file)
    return schema


# --- what stands in the file ------------------------------------------------------------------------------------------


def _books(document: Node) -> Iterator[tuple[str, Names]]:
    prices = document.get("prices") if isinstance(document, Members) else None
    for name, rows in prices.pairs if isinstance(prices, Members) else ():
        yield name.text, _together(_names(rates) for rates in _rates(rows))


def _rates(rows: Node) -> Iterator[Node]:
    for row in rows.nodes if isinstance(rows, Items) else ():
        for key in ("rates", "changes"):
            if isinstance(row, Members) and (rates := row.get(key)) is not None:
                yield rates


def _names(rates: Node) -> Names:
    """Return the names of rates; one that is taken away is none."""
    there = [(key.text, rate) for key, rate in rates.pairs if not _is_gone(rate)] if isinstance(rates, Members) else []
    below = _together(_names(rate) for _, rate in there)
    return (frozenset(name for name, _ in there), *below) if there else ()


def _is_gone(rate: Node) -> bool:
    return isinstance(rate, Scalar) and rate.is_empty


def _together(several: Iterable[Names]) -> Names:
    levels: list[frozenset[str]] = []
    for names in several:
        levels += [frozenset()] * (len(names) - len(levels))
        levels = [level | (names[depth] if depth < len(names) else frozenset()) for depth, level in enumerate(levels)]
    return tuple(levels)


# --- what the schema says of it ---------------------------------------------------------------------------------------


def _complete_books(schema: Schema, books: Mapping[str, Names], file: str) -> None:
    """Wherever a price book is named, it is one of the file's."""
    message = f"There was no such price book in {file} when this schema was made; there were: {', '.join(books)}."
    for path, part in schema["$defs"].items():
        if path.endswith(".price"):
            part.pop("type")
            part.update({"enum": list(books), "errorMessage": message})


def _book(names: Names) -> Schema:
    rates, changes = _offered(names), _offered(names)
    _only_what_is_there(changes)
    return {
        "allOf": [{"$ref": "#/properties/prices/additionalProperties"}],
        "items": {"properties": {"rates": rates, "changes": changes}},
    }


def _offered(names: Names) -> Schema:
    """Return names that an editor offers, and that forbid nothing."""
    return {"properties": {name: _offered(names[1:]) for name in sorted(names[0])}} if names else {}


def _only_what_is_there(changes: Schema) -> None:
    """A rate that no row has cannot be taken away."""
    if "properties" in changes:
        a_rate = ["string", "number", "array", "object"]
        changes["additionalProperties"] = {"type": a_rate, "errorMessage": NOTHING_TO_TAKE_AWAY}
        for below in changes["properties"].values():
            _only_what_is_there(below)


def _complete_figures(definitions: Schema, data: bytes, file: str) -> None:
    """What anomalies may ask of a unit and of a price, as far as the policy can be read."""
    try:
        books = parse_policy(data, file).prices
    except PolicyError:
        return
    priced = [
        (f"{book.name} {instant_text(row.effective)} {unit}", unit)
        for book in books.values()
        for row in book.rows
        for unit, _ in rates_by_unit(row.rates)
    ]
    words = {"price": [price for price, _ in priced], "unit": [*dict.fromkeys(unit for _, unit in priced)]}
    for kind in PRICED_ABOUT:
        figures = definitions[PRICED_ENVELOPE]["properties"][kind]["properties"]
        for figure, known in words.items():
            offered = {"items": {"examples": known}}
            figures[figure] = {"description": figures[figure]["description"], "allOf": [{"$ref": f"#/$defs/{FIELD}"}, offered]}
