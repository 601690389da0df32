"""What an expression reads of the job's own row in Jobs, which it calls ``row``. Asked only where a policy is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.domain.job_row import OWN_ROW
from engine.policy.expressions.paths import FROM_LEFT, PLAIN, WITH_FALLBACK, Path, dotted_names

ITSELF = {"current", "identity"}
"""Nodes that are what the expression is asked of: behind one of them it begins anew (``@.row``)."""


def own_row_attributes(path: Path) -> frozenset[str] | None:
    """Return the attributes that an expression can look at by ``row``: none, these, or (None) all of the row."""
    found = [names[1:2] for names in _looks(path) if names[0] == OWN_ROW]
    return None if any(not names or not names[0] for names in found) else frozenset(name for (name,) in found)


def _looks(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the dotted names by which an expression looks into the event itself."""
    with_fallback = WITH_FALLBACK.fullmatch(path.text)
    plain = with_fallback["path"] if with_fallback else path.text
    if PLAIN.fullmatch(plain):
        yield tuple(plain.split("."))
        return
    yield from _looks_of(path.tree())


def _looks_of(node: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    names = dotted_names(node)
    if names is not None:
        yield names
        return
    children = [child for child in node["children"] if isinstance(child, Mapping)]
    if node["type"] == "expref":  # it is asked of the elements of a list
        return
    if node["type"] in FROM_LEFT or node["type"] in {"subexpression", "index_expression"}:
        children = children[1:] if children[0]["type"] in ITSELF else children[:1]
    for child in children:
        yield from _looks_of(child)
