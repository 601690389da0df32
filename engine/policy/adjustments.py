"""``adjustments``: how much a person may adjust, and from when on a second person has to approve it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.policy.grammar import WRONG, Key, Keys
from engine.policy.model import AdjustmentBounds
from engine.policy.price_rows import AMOUNT
from engine.policy.source import Members, Notes


def _warn_of_bounds(values: Mapping[str, Any], node: Members, notes: Notes) -> None:
    """What is refused anyway needs nobody's approval."""
    maximum, above, place = values["maximum"], values["second_person_above"], node.get("second_person_above")
    is_said = place is not None and not any(bound is None or bound is WRONG for bound in (maximum, above))
    if is_said and place is not None and above >= maximum:
        notes.warning(place.place, f"is {above:f}: no adjustment ever needs a second person, `maximum` is {maximum:f}")


ADJUSTMENTS = Keys(
    {"maximum": Key(AMOUNT, None), "second_person_above": Key(AMOUNT, None)},
    lambda values, _node, _notes: AdjustmentBounds(**values),
    _warn_of_bounds,
)
