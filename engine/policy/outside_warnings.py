"""Warnings of what is looked for where nothing comes.

Beside an event's ``detail`` EventBridge has members of its own, and nothing else. And about the events of this system itself
no rule is asked: an entry about an entry would never end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from engine.domain.envelope import OWN_SOURCE
from engine.policy.expressions import OWN_ROW
from engine.policy.source import Items, Members, Node, Notes, Scalar, named
from engine.policy.word_warnings import fields_asked, paths_asked
from engine.policy.words import ENVELOPE_FIELDS, PRICED_ABOUT

AT_THE_TOP = frozenset(
    {*ENVELOPE_FIELDS, "version", "id", "account", "time", "region", "resources", "replay-name", "ingestion-time", OWN_ROW}
)
"""What EventBridge puts at the top of an event, and what expressions find beside it."""


def warn_of_outside(_values: Mapping[str, Any], policy: Members, notes: Notes) -> None:
    """Note paths and fields that no event has: most often ``detail.`` is missing before them."""
    for part, asked in chain(paths_asked(policy), fields_asked(policy)):
        first, _, rest = asked.text.partition(".")
        if first in AT_THE_TOP:
            continue
        if first not in PRICED_ABOUT:
            meant = named(f"detail.{rest if rest and first.casefold().startswith('detail') else asked.text}")
            notes.warning(asked.place, f"an event has no {named(first)} beside its `detail`; is {meant} meant?")
        elif part != "anomalies":
            notes.warning(asked.place, f"only anomalies see {named(first)}; here the event alone is asked")


def warn_of_own_events(_values: Mapping[str, Any], policy: Members, notes: Notes) -> None:
    """Note each rule, and each kind of row, that waits for events of this system itself."""
    for node in _sources(policy):
        if node.text == OWN_SOURCE:
            problem = f"{named(OWN_SOURCE)} is this system's own source, about whose events no rule is asked; name another"
            notes.warning(node.place, problem)


def _sources(policy: Members) -> Iterator[Scalar]:
    """Yield the sources that rules and anomalies ask for, and those of the events that rows of Jobs stand for."""
    for part, holder in (("rules", "match"), ("anomalies", "match"), ("catch_up", "event")):
        items = policy.get(part)
        for item in items.nodes if isinstance(items, Items) else ():
            asked = item.get(holder) if isinstance(item, Members) else None
            yield from _scalars(asked.get("source") if isinstance(asked, Members) else None)


def _scalars(node: Node | None) -> Iterator[Scalar]:
    nodes = node.nodes if isinstance(node, Items) else (node,)
    yield from (each for each in nodes if isinstance(each, Scalar))
