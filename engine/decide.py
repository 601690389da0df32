"""The one idea: posting = desired(facts, policy) - posted so far. Pure: no clock, no network, no randomness.

``assess`` reads an envelope by the policy (match and price); ``decide`` compares what it says with the job's log.
"""

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
from engine.policy.model import Action, Overdraft, Policy, Rule, UnknownUser
from engine.prices import EVENT_TIME, Money, PriceProblem, price_charge
from engine.values import (
    CONFLICTING_CHARGE,
    EXACT,
    OVERDRAFT,
    UNKNOWN_USER,
    ZERO,
    Anomaly,
    Assessment,
    Charge,
    Decision,
    Document,
    Entry,
    EntryType,
    Envelope,
    Facts,
    Guard,
    JobLog,
    Mark,
    Outcome,
    Price,
    Refund,
    Source,
    Standing,
    due,
)

IDENTIFIER_CHARACTERS_MAX = 1024
IDENTIFIER_BYTES_MAX = 2044
"""A DynamoDB key holds 2,048 bytes of UTF-8, four of which are the ledger's ``job#``."""


# --- assess: what the policy makes of an envelope ---------------------------------------------------------------------


@frozen
class Effect:
    """What a rule contributes: a fact, and how its price came about."""

    fact: Facts
    price: Price | None = None
    quantity: Decimal | None = None
    charge: Mapping[str, Any] | None = None


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
            *find_anomalies(policy.anomalies, document, effect.charge),
        ),
        status=envelope.status if envelope.source is Source.SCAN else _status(document, policy),
        time_is_assumed=envelope.time_is_assumed,
    )


def _debit(rule: Rule, document: Document, at: datetime, money: Money) -> Effect:
    assert rule.charge is not None  # noqa: S101  the loader gives every debit rule its terms
    priced = price_charge(rule.charge, document, at, money)
    return Effect(
        fact=Facts(charge=Charge(priced.amount, at, priced.content)),
        price=priced.price,
        quantity=priced.quantity,
        charge={
            "amount": priced.amount,
            "quantity": priced.quantity,
            "rate": priced.price.rate if priced.price else None,
        },
    )


def _refund(rule: Rule, _document: Document, at: datetime, _money: Money) -> Effect:
    assert rule.refund_percent is not None  # noqa: S101  the loader gives every refund rule its percent
    return Effect(fact=Facts(refund=Refund(rule.refund_percent, at)))


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


# --- decide: what to post ---------------------------------------------------------------------------------------------


def decide(assessment: Assessment, log: JobLog, standing: Standing, policy: Policy) -> Decision:
    """Return the entry that brings the job's postings to what it should cost, or why there is none.

    ``standing`` is what is known of the user's balance so far. Raises EventError when the event names another user than
    the job's first entry did, or a user who does not exist where the policy refuses those.
    """
    if log.user is not None and assessment.user != log.user:
        raise _error(assessment, policy.fields.user, f"is {assessment.user!r}; the job's first entry names {log.user!r}")
    facts = log.facts if _says_nothing_new(assessment, log.facts) else log.facts.join(assessment.fact)
    known = facts == log.facts
    if known and log.due == ZERO:
        return Decision(Outcome.DUPLICATE, mark=_mark(assessment, facts))
    # A known cost is never worked out again: a later change of policy must not re-price it.
    cost = log.cost if known else desired_charge(facts, policy.money)
    entry = _entry(assessment, log, facts, cost, policy)
    if entry.amount == ZERO:
        return _settle(entry, Guard.NONE, assessment)
    if standing is Standing.UNKNOWN_USER and policy.unknown_user is UnknownUser.REFUSE:
        raise _error(assessment, policy.fields.user, f"is {assessment.user!r}; there is no such user in Credits")
    entry = evolve(entry, anomalies=(*entry.anomalies, *_standing_anomalies(entry, standing)))
    if _is_refused(entry, standing, policy):
        return _refuse(entry, assessment, known=known)
    return _settle(entry, _guard(entry, standing, policy), assessment)


def desired_charge(facts: Facts, money: Money) -> Decimal:
    """Return what a job with these facts should have cost (credits, >= 0).

    Nothing known: 0. The latest fact is the charge: its amount. The latest fact is the refund (also on equal times): what
    the refund leaves of the charge, and 0 where no charge is known.
    """
    if facts.charge is None:
        return ZERO
    latest = facts.latest()
    if isinstance(latest, Refund):
        return money.round(EXACT.multiply(facts.charge.amount, EXACT.scaleb(100 - latest.percent, -2)))
    return facts.charge.amount


def _says_nothing_new(assessment: Assessment, facts: Facts) -> bool:
    """Say whether a row without a time of its own only repeats the latest known fact.

    Its time is the scan's, so it would otherwise look new to every scan.
    """
    if not assessment.time_is_assumed:
        return False
    said, latest = assessment.fact.latest(), facts.latest()
    if isinstance(said, Charge) and isinstance(latest, Charge):
        return said.content == latest.content
    return isinstance(said, Refund) and isinstance(latest, Refund) and said.percent == latest.percent


def _entry(assessment: Assessment, log: JobLog, facts: Facts, cost: Decimal, policy: Policy) -> Entry:
    amount = due(cost, log.posted)
    return Entry(
        job=assessment.job,
        sequence=log.sequence + 1,
        user=assessment.user,
        type=_type(amount, moves_nothing_known=_same_work(facts, log.facts)),
        amount=amount,
        occurred_at=assessment.at,
        rule=assessment.rule,
        policy=policy.identity,
        facts=facts,
        cost=cost,
        source=assessment.source,
        price=assessment.price,
        quantity=assessment.quantity,
        anomalies=(*assessment.anomalies, *_conflict(assessment, log)),
        event_id=assessment.event_id,
        time_is_assumed=assessment.time_is_assumed,
    )


def _type(amount: Decimal, *, moves_nothing_known: bool) -> EntryType:
    if amount < ZERO:
        return EntryType.DEBIT
    if amount > ZERO:
        return EntryType.REFUND
    return EntryType.FLAG if moves_nothing_known else EntryType.VOID


def _same_work(facts: Facts, known: Facts) -> bool:
    return facts.charge == known.charge and facts.refund == known.refund


def _conflict(assessment: Assessment, log: JobLog) -> tuple[Anomaly, ...]:
    known, new = log.facts.charge, assessment.fact.charge
    if known is None or new is None or not known.conflicts_with(new):
        return ()
    reason = "two charges of one instant differ; the smaller counts"
    return (Anomaly(CONFLICTING_CHARGE, reason, (("known", str(known.amount)), ("new", str(new.amount)))),)


def _standing_anomalies(entry: Entry, standing: Standing) -> tuple[Anomaly, ...]:
    overdraft = Anomaly(OVERDRAFT, "the balance does not cover the debit", (("debit", str(-entry.amount)),))
    unknown = Anomaly(UNKNOWN_USER, "the user had no row in Credits")
    if standing is Standing.UNKNOWN_USER:
        return (unknown, overdraft) if entry.amount < ZERO else (unknown,)
    if standing is Standing.NOT_COVERED and entry.amount < ZERO:
        return (overdraft,)
    return ()


def _is_refused(entry: Entry, standing: Standing, policy: Policy) -> bool:
    is_covered = standing is Standing.ASSUMED_COVERED
    return entry.amount < ZERO and not is_covered and policy.overdraft is Overdraft.REFUSE


def _guard(entry: Entry, standing: Standing, policy: Policy) -> Guard:
    if standing is Standing.UNKNOWN_USER:
        return Guard.MISSING
    if entry.amount > ZERO or policy.overdraft is Overdraft.ALLOW:
        return Guard.EXISTS
    return Guard.COVERED if standing is Standing.ASSUMED_COVERED else Guard.NOT_COVERED


def _refuse(entry: Entry, assessment: Assessment, *, known: bool) -> Decision:
    """Keep the charge due. A refusal that is already in the log is not written again."""
    if known:
        return Decision(Outcome.REFUSED)
    flag = evolve(entry, type=EntryType.FLAG, amount=ZERO)
    return Decision(Outcome.REFUSED, flag, Guard.NONE, Mark(assessment.status, settled=False))


OUTCOMES: Mapping[EntryType, Outcome] = {
    EntryType.DEBIT: Outcome.DEBITED,
    EntryType.REFUND: Outcome.REFUNDED,
    EntryType.FLAG: Outcome.FLAGGED,
    EntryType.VOID: Outcome.VOIDED,
}


def _settle(entry: Entry, guard: Guard, assessment: Assessment) -> Decision:
    return Decision(OUTCOMES[entry.type], entry, guard, _mark(assessment, entry.facts))


def _mark(assessment: Assessment, facts: Facts) -> Mark | None:
    """Return the mark for the job's row.

    A scan has read the row and marks what it read. An event speaks for the row only while no later fact is known.
    """
    latest = facts.latest()
    is_latest = latest is None or assessment.at >= latest.at
    speaks_for_the_row = assessment.source is Source.SCAN or is_latest
    return Mark(assessment.status) if assessment.status is not None and speaks_for_the_row else None


def _error(assessment: Assessment, field: Path, problem: str) -> EventError:
    event = assessment.event_id or f"of job {assessment.job} from {assessment.source}"
    return EventError(event, assessment.rule, field.text, problem)
