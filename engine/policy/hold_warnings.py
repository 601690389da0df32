"""Warnings of what a policy that holds most likely says by mistake: never settled, ended at once, or too little."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from attrs import frozen

from engine.domain.fact_kinds import Action
from engine.domain.money import canonical
from engine.policy.model import CatchUp
from engine.policy.patterns import required_values
from engine.policy.pricing import DraftHold, DraftTerms
from engine.policy.rules import DraftRule
from engine.policy.source import Items, Members, Notes, Place, named

type Told = Iterator[tuple[Place, str]]
"""Warnings, each with its place."""


@frozen
class _Hold:
    """A hold rule: as it was read, and the nodes of its terms."""

    draft: DraftRule
    terms: DraftHold
    node: Members

    def place_of(self, key: str) -> Place:
        """Return where a key stands, or else the terms."""
        return (self.node.get(key) or self.node).place


def warn_of_holds(values: Mapping[str, Any], policy: Members, notes: Notes) -> None:
    """Note what is most likely not meant in hold rules, and between them and the rest."""
    rules: Sequence[DraftRule] = values["rules"]
    holds = list(_holds(rules, policy.get("rules")))
    for hold in holds:
        for place, message in (
            *_never_settled(hold, rules),
            *_held_once(hold, rules, values["event"]),
            *_ends_at_once(hold, values["clock"].skew),
            *_priced_otherwise(hold, rules),
        ):
            notes.warning(place, message)
    for place, message in _rows_that_hold(rules, values["catch_up"], policy.get("catch_up")) if holds else ():
        notes.warning(place, message)


def _holds(rules: Sequence[DraftRule], node: Any) -> Iterator[_Hold]:
    for draft, rule in zip(rules, node.nodes, strict=True):
        if isinstance(draft.terms, DraftHold):
            yield _Hold(draft, draft.terms, rule.get("hold"))


def _charges(rules: Sequence[DraftRule]) -> list[DraftRule]:
    return [rule for rule in rules if rule.action is Action.DEBIT]


def _never_settled(hold: _Hold, rules: Sequence[DraftRule]) -> Told:
    if not _charges(rules):
        yield hold.node.place, "no rule has `action: debit`: nothing settles what is held, so that all of it goes back"


def _held_once(hold: _Hold, rules: Sequence[DraftRule], event: Mapping[str, Any]) -> Told:
    """Without numbers all tries of a job are one, and that is over once the job has failed."""
    refund = next((rule for rule in rules if rule.action is Action.REFUND), None)
    if event["attempt"] is None and refund is not None:
        after = f"after a failure ({named(refund.name)} in line {refund.place.line})"
        yield hold.node.place, f"without `event.attempt` a job is held for once: {after} another request for it is closed"


def _ends_at_once(hold: _Hold, skew: timedelta) -> Told:
    if hold.terms.expires < skew:
        expires, differ = (f"{length.total_seconds():g} s" for length in (hold.terms.expires, skew))
        yield hold.place_of("expires"), f"is {expires}: clocks that differ by `clock.skew`, {differ}, let it expire at once"


# --- what is held, and what is charged --------------------------------------------------------------------------------


def _priced_otherwise(hold: _Hold, rules: Sequence[DraftRule]) -> Told:
    """A hold at the prices of other work is most likely copied, and one that is bounded lower may be less than the charge."""
    books = _books(hold.terms.charge)
    charges = [rule for rule in _charges(rules) if books & _books(rule.terms)]
    if books and not charges and _charges(rules):
        told = ", ".join(map(named, sorted(books)))
        yield (
            hold.place_of("price"),
            f"is priced by {told}, by which no debit rule charges: another amount is held than is due",
        )
    if charges:
        yield from _bounded_lower(hold, charges[0])


def _bounded_lower(hold: _Hold, charge: DraftRule) -> Told:
    held, due = hold.terms.charge.terms, charge.terms.terms
    line = charge.place.line
    if _least(held.minimum) < _least(due.minimum):
        least = canonical(due.minimum)
        yield hold.place_of("minimum"), f"may hold less than is due: {named(charge.name)} in line {line} has `minimum` {least}"
    if held.maximum is not None and (due.maximum is None or held.maximum < due.maximum):
        most = "no `maximum`" if due.maximum is None else f"`maximum` {canonical(due.maximum)}"
        yield hold.place_of("maximum"), f"may hold less than is due: {named(charge.name)} in line {line} has {most}"


def _least(minimum: Decimal | None) -> Decimal:
    return minimum or Decimal(0)


def _books(terms: DraftTerms) -> set[str]:
    return {part.book for part in (terms, *terms.components) if part.book is not None}


# --- rows of Jobs -----------------------------------------------------------------------------------------------------


def _rows_that_hold(rules: Sequence[DraftRule], catch_ups: Sequence[CatchUp], node: Any) -> Told:
    """A scan makes an event of a row, and that has no id."""
    parts = [part for part in node.nodes if isinstance(part, Members)] if isinstance(node, Items) else []
    for catch_up, part in zip(catch_ups, parts, strict=True):
        rule = next((rule for rule in rules if rule.kind.decides and _takes(rule, catch_up)), None)
        if rule is not None and rule.action is Action.HOLD:
            event = part.get("event") or part
            taker = f"{named(rule.name)} in line {rule.place.line}"
            yield event.place, f"{taker} takes these rows, and cannot hold: a row has no `id`, which a hold needs"


def _takes(rule: DraftRule, catch_up: CatchUp) -> bool:
    """Say whether a rule asks for just the events that rows are made into."""
    asked = ((key, required_values(rule.matcher.matches.parsed, key)) for key in ("source", "detail-type"))
    made = {"source": catch_up.source, "detail-type": catch_up.detail_type}
    return all(values is None or made[key] in values for key, values in asked)
