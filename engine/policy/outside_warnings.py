"""Warnings of what is looked for beside an event's ``detail``: there EventBridge has members of its own, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

from engine.policy.expressions import OWN_ROW
from engine.policy.source import Members, Notes, named
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
