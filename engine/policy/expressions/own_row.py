"""What an expression reads of the job's own row in Jobs, which it calls ``row``. Asked only where a policy is read."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.policy.expressions import OWN_ROW
from engine.policy.expressions.paths import FROM_LEFT, PLAIN, WITH_FALLBACK, Path, compile_path, dotted_names

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

ITSELF = {"current", "identity"}
"""Nodes that are what the expression is asked of: behind one of them it may begin anew (``@.row``)."""


def own_row_attributes(path: Path) -> frozenset[str] | None:
    """Return the attributes that an expression can look at by ``row``: none, these, or (None) all of the row."""
    found = [names[1:2] for names in looks(path) if names[0] == OWN_ROW]
    return None if any(not names or not names[0] for names in found) else frozenset(name for (name,) in found)


@functools.lru_cache(maxsize=256)
def event_parts(path: Path) -> tuple[Path, ...]:
    """Return what an expression looks at in the event itself: ``detail.n`` of ``multiply(detail.n, row.size)``."""
    written = dict.fromkeys(_written_parts(path.tree()))
    return tuple(compile_path(text) for text in written if text != path.text)


def _written_parts(node: Mapping[str, Any]) -> Iterator[str]:
    text = _written(node)
    if text is None:
        for child in _asked_of_event(node):
            yield from _written_parts(child)
    elif text != OWN_ROW and not text.startswith((f"{OWN_ROW}.", f"{OWN_ROW}[")):
        yield text


def _written(node: Mapping[str, Any]) -> str | None:
    """Return the text of a chain of names and places in lists; None for anything else."""
    if node["type"] == "field":
        return node["value"] if NAME.fullmatch(node["value"]) else _in_quotes(node["value"])
    if node["type"] == "index":
        return f"[{node['value']}]"
    if node["type"] not in {"subexpression", "index_expression"}:
        return None
    parts = [_written(child) for child in node["children"]]
    return None if None in parts else ("." if node["type"] == "subexpression" else "").join(map(str, parts))


def _in_quotes(name: str) -> str:
    import json  # noqa: PLC0415  names that need quotes are rare, and `validate` starts faster

    return json.dumps(name)


def looks(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the dotted names by which an expression looks into the event itself."""
    with_fallback = WITH_FALLBACK.fullmatch(path.text)
    plain = with_fallback["path"] if with_fallback else path.text
    if PLAIN.fullmatch(plain):
        yield tuple(plain.split("."))
        return
    yield from _looks_of(path.tree())


def is_asked_of_itself(path: Path) -> bool:
    """Say whether an expression other than a plain path may look at all of the event: it has ``@`` in it."""
    return _may_be_itself(path.tree())


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
