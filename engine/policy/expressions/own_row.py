"""What an expression reads of the job's own row in Jobs, which it calls ``row``. Asked only where a policy is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.domain.job_row import OWN_ROW
from engine.policy.expressions.paths import FROM_LEFT, PLAIN, WITH_FALLBACK, Path, dotted_names

ITSELF = {"current", "identity"}
"""Nodes that are what the expression is asked of: behind one of them it may begin anew (``@.row``)."""


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
    for child in _asked_of_event(node):
        yield from _looks_of(child)


def _asked_of_event(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the parts of an expression that may be asked of the event itself, and not only of what another part has found."""
    children = [child for child in node["children"] if isinstance(child, Mapping)]
    if any(map(_may_be_itself, children)):
        return children
    if node["type"] in FROM_LEFT or node["type"] in {"subexpression", "index_expression"}:
        return children[:1]
    return [child for child in children if child["type"] != "expref"]  # which is asked of the elements of a list


def _may_be_itself(node: Mapping[str, Any]) -> bool:
    """Say whether a part has ``@`` in it, so that the event may be what it finds, or a part of that: ``(a || @) | row``."""
    return node["type"] in ITSELF or any(_may_be_itself(child) for child in node["children"] if isinstance(child, Mapping))
