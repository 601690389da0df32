"""What the policy makes of an envelope: which rules match, what they contribute, and what that costs. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import evolve, frozen

from engine.anomalies import find_anomalies
from engine.errors import EventError, shown
from engine.instants import read_instant
from engine.paths import Path, PathProblem
from engine.policy.model import Action, Policy, Rule
from engine.prices import EVENT_TIME, Money, PriceProblem, price_charge
from engine.values import Anomaly, Assessment, Charge, Document, Envelope, Facts, Price, Refund, Source

IDENTIFIER_CHARACTERS_MAX = 1024
IDENTIFIER_BYTES_MAX = 2044
"""A DynamoDB key holds 2,048 bytes of UTF-8, four of which are the ledger's ``job#``."""


@frozen
class Effect:
    """What a rule contributes: a fact, and how its price came about."""

    fact: Facts
    price: Price | None = None
    quantity: Decimal | None = None


def assess(envelope: Envelope, policy: Policy) -> Assessment | None:
    """Return what the policy makes of an event, or None when no rule matches it.

    Raises EventError when a rule matches but the event makes no sense.
    """
    document = envelope.document
    matching = [rule for rule in policy.rules if rule.matches(document)]
    deciding = next((rule for rule in matching if rule.action in EFFECTS), None)
    flags = [rule for rule in matching if rule.action is Action.FLAG]
    if deciding is None and not flags:
        return None
    reader = _Reader(envelope, (deciding or flags[0]).name, policy)
    job, user = reader.identifier(policy.fields.job), reader.identifier(policy.fields.user)
    at = reader.instant(policy.fields.time)
    effect = reader.effect(deciding, at) if deciding else Effect(Facts())
    raised = tuple(sorted((rule.name, at) for rule in flags))
    return Assessment(
        job=job,
        user=user,
        at=at,
        rule=reader.rule,
        fact=evolve(effect.fact, flags=raised),
        source=envelope.source,
        event_id=envelope.id,
        price=effect.price,
        quantity=effect.quantity,
        anomalies=(
            *(Anomaly(rule.name, rule.reason) for rule in flags),
            *find_anomalies(policy.anomalies, document, charge_view(effect)),
        ),
        status=envelope.status if envelope.source is Source.SCAN else _status(document, policy),
        time_is_assumed=envelope.time_is_assumed,
    )


def _debit(rule: Rule, document: Document, at: datetime, money: Money) -> Effect:
    assert rule.charge is not None  # noqa: S101  the loader gives every debit rule its terms
    priced = price_charge(rule.charge, document, at, money)
    return Effect(Facts(charge=Charge(priced.amount, at, priced.content)), priced.price, priced.quantity)


def _refund(rule: Rule, _document: Document, at: datetime, _money: Money) -> Effect:
    assert rule.refund_percent is not None  # noqa: S101  the loader gives every refund rule its percent
    return Effect(fact=Facts(refund=Refund(rule.refund_percent, at)))


def charge_view(effect: Effect | Assessment) -> dict[str, Decimal | None] | None:
    """Return the ``charge`` that anomalies see, or None for what charges nothing."""
    charge = effect.fact.charge
    if charge is None:
        return None
    rate = effect.price.rate if effect.price else None
    return {"amount": charge.amount, "quantity": effect.quantity, "rate": rate}


EFFECTS: Mapping[Action, Callable[[Rule, Document, datetime, Money], Effect]] = {
    Action.DEBIT: _debit,
    Action.REFUND: _refund,
}
"""What each action that decides contributes to the facts of a job."""


@frozen
class _Reader:
    """Reads an envelope and turns whatever makes no sense into an EventError that names event, rule and field."""

    envelope: Envelope
    rule: str
    policy: Policy

    def identifier(self, path: Path) -> str:
        value = self._search(path)
        if not isinstance(value, str):
            raise self.error(path.text, f"is {shown(value)}; a string is needed")
        if problem := _identifier_problem(value):
            raise self.error(path.text, problem)
        return value

    def instant(self, path: Path) -> datetime:
        value = self._search(path)
        if (instant := read_instant(value)) is None:
            raise self.error(path.text, f"is {shown(value)}; an ISO 8601 instant with a zone is needed")
        return instant

    def effect(self, rule: Rule, at: datetime) -> Effect:
        try:
            return EFFECTS[rule.action](rule, self.envelope.document, at, self.policy.money)
        except PriceProblem as problem:
            field = self.policy.fields.time.text if problem.field == EVENT_TIME else problem.field
            raise self.error(field, problem.problem) from problem

    def error(self, field: str, problem: str) -> EventError:
        return EventError(describe(self.envelope), self.rule, field, problem)

    def _search(self, path: Path) -> Any:
        try:
            return path.search(self.envelope.document)
        except PathProblem as problem:
            raise self.error(path.text, str(problem)) from problem


def describe(envelope: Envelope) -> str:
    """Name an event for a person: its id where it has one, else what it is and where it came from."""
    if envelope.id:
        return envelope.id
    return f"{shown(envelope.document.get('detail-type'))} from {envelope.source}"


def _identifier_problem(value: str) -> str | None:
    if not 1 <= len(value) <= IDENTIFIER_CHARACTERS_MAX:
        return f"has {len(value)} characters; 1 to {IDENTIFIER_CHARACTERS_MAX} are needed"
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in value):
        return f"is {shown(value)}; control characters are not allowed"
    if len(value.encode()) > IDENTIFIER_BYTES_MAX:
        return f"takes {len(value.encode())} bytes as UTF-8; a key of DynamoDB takes at most {IDENTIFIER_BYTES_MAX}"
    return None


def _status(document: Document, policy: Policy) -> str | None:
    """Return the status of Jobs that an event stands for: the catch-up read backwards."""
    for catch_up in policy.catch_up:
        same_kind = document.get("source") == catch_up.source and document.get("detail-type") == catch_up.detail_type
        if same_kind and catch_up.statuses:
            return catch_up.statuses[0]
    return None
