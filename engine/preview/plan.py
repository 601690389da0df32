"""What an edit of the policy would do: the same events under both policies, side by side, without a database."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from attrs import Factory, define, evolve, fields, frozen, has

from engine.domain.digits import as_text
from engine.domain.entry import Entry
from engine.domain.envelope import Document, Envelope, Source
from engine.domain.errors import EventError, NoRow
from engine.domain.fact_kinds import BY_ACTION, PRICED
from engine.domain.instants import instant_text
from engine.domain.log import log_of
from engine.domain.money import EXACT, ZERO
from engine.domain.price import Tier
from engine.ledger.memory import MemoryStore
from engine.policy.charges import ChargeTerms
from engine.policy.detectors import DETECTORS
from engine.policy.model import AnomalyRule, Policy, Rule
from engine.policy.price_books import PriceRow, rates_by_unit
from engine.policy.terms import Terms
from engine.preview.dry_run import DryRun, store_of

REFUSED = "error"
"""How an event ends that makes no sense."""


@frozen
class Difference:
    """A job or a grant that would end otherwise: what it moves in all (credits, signed) now and then."""

    reference: str
    user: str
    now: Decimal
    then: Decimal

    @property
    def by(self) -> Decimal:
        """How much more the user would have."""
        return EXACT.subtract(self.then, self.now)


@frozen
class Plan:
    """The outcome of a comparison. ``outcomes`` counts events by how they end now and then; ``sums`` credits by entry type."""

    changes: tuple[str, ...]
    events: int
    outcomes: Mapping[tuple[str, str], int]
    sums: Mapping[str, tuple[Decimal, Decimal]]
    anomalies: Mapping[str, tuple[int, int]]
    differences: tuple[Difference, ...]
    refused: tuple[str, ...]
    """What is wrong with events that make sense now and would not then."""

    def answer(self) -> dict[str, Any]:
        """Return the plan as JSON-like values; credits are exact strings."""
        return {
            "changes": list(self.changes),
            "events": self.events,
            "outcomes": [{"now": now, "then": then, "events": n} for (now, then), n in sorted(self.outcomes.items())],
            "credits": {name: _pair(*sums) for name, sums in self.sums.items()},
            "anomalies": {name: {"now": now, "then": then} for name, (now, then) in self.anomalies.items()},
            "differences": [
                {"reference": d.reference, "user": d.user, **_pair(d.now, d.then), "by": format(d.by, "f")}
                for d in self.differences
            ],
            "refused": list(self.refused),
        }


def _pair(now: Decimal, then: Decimal) -> dict[str, str]:
    return {"now": format(now, "f"), "then": format(then, "f")}


type Rows = Mapping[str, Document]
"""Rows of Jobs by their jobs."""


def plan(
    documents: Iterable[Document],
    now: Policy,
    then: Policy,
    seen: Callable[[int], None] = lambda _: None,
    rows: Rows | None = None,
) -> Plan:
    """Return what the events would come to under the policy ``then`` instead of ``now``, as if neither had seen them before.

    Every user exists and has enough. ``seen`` is told how many events were read so far. ``rows`` are what a policy reads by
    ``row``. Raises NoRow where it reads one and none were handed over (None).
    """
    with _seldom_collected():
        return _plan(documents, (_Side(now, rows), _Side(then, rows)), seen)


def _plan(documents: Iterable[Document], sides: tuple[_Side, _Side], seen: Callable[[int], None]) -> Plan:
    outcomes: dict[tuple[str, str], int] = {}
    refused = []
    count = 0
    for count, document in enumerate(documents, start=1):
        ends = tuple(side.deliver(document) for side in sides)
        pair = (ends[0][0], ends[1][0])
        outcomes[pair] = outcomes.get(pair, 0) + 1
        if pair[1] == REFUSED != pair[0]:
            refused.append(ends[1][1])
        seen(count)
    for side in sides:
        side.run.look_back()
    return Plan(
        changes=tuple(changes(sides[0].policy, sides[1].policy)),
        events=count,
        outcomes=outcomes,
        sums=_both(_sums, sides, ZERO),
        anomalies=_both(_anomalies, sides, 0),
        differences=tuple(sorted(_differences(*sides), key=lambda difference: -abs(difference.by))),
        refused=tuple(refused),
    )


ALLOCATIONS_BETWEEN_COLLECTIONS = 50_000


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Let Python look seldom for cycles among what is kept: entries have none, and there may be a million of them."""
    before = gc.get_threshold()
    gc.set_threshold(ALLOCATIONS_BETWEEN_COLLECTIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@define
class _Side:
    """One policy at work."""

    policy: Policy
    rows: Rows | None = None
    run: DryRun = Factory(lambda side: DryRun(side.policy, side.store()), takes_self=True)

    def store(self) -> MemoryStore:
        """Return a store with the rows of jobs."""
        store = store_of()
        store.jobs.update({job: dict(row) for job, row in (self.rows or {}).items()})
        return store

    def deliver(self, document: Document) -> tuple[str, str]:
        """Return how an event ends, and what is wrong with it."""
        try:
            return self.run.reconcile(Envelope(document, Source.REPLAY)).outcome.value, ""
        except EventError as error:
            if isinstance(error, NoRow) and self.rows is None:
                raise
            return REFUSED, str(error)

    def entries(self) -> Iterator[Entry]:
        return self.run.entries()

    def nets(self) -> dict[str, tuple[str, Decimal]]:
        """Return user and sum of each reference."""
        return {log[0].reference: (log[0].user, log_of(log).posted) for log in self.run.store.all_logs()}


def _both[T](count: Callable[[_Side], dict[str, T]], sides: tuple[_Side, _Side], none: T) -> dict[str, tuple[T, T]]:
    now, then = count(sides[0]), count(sides[1])
    return {name: (now.get(name, none), then.get(name, none)) for name in sorted({*now, *then})}


def _sums(side: _Side) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for entry in side.entries():
        if entry.amount:
            sums[entry.type.value] = EXACT.add(sums.get(entry.type.value, ZERO), entry.amount)
    return {**sums, "net": sum(sums.values(), ZERO)}


def _anomalies(side: _Side) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in side.entries():
        for anomaly in entry.anomalies:
            counts[anomaly.name] = counts.get(anomaly.name, 0) + 1
    return counts


def _differences(now: _Side, then: _Side) -> Iterator[Difference]:
    before, after = now.nets(), then.nets()
    for reference in {**before, **after}:
        user = (before.get(reference) or after[reference])[0]
        amounts = [nets.get(reference, (user, ZERO))[1] for nets in (before, after)]
        if amounts[0] != amounts[1]:
            yield Difference(reference, user, amounts[0], amounts[1])


# --- what was edited --------------------------------------------------------------------------------------------------


def changes(now: Policy, then: Policy) -> Iterator[str]:
    """Yield which parts of the policy differ, each in a few words."""
    for kind, before, after in (
        ("price", _price_rows(now), _price_rows(then)),
        ("rule", _named(now.rules), _named(then.rules)),
        ("anomaly", _named(now.anomalies), _named(then.anomalies)),
        ("catch-up", _catch_ups(now), _catch_ups(then)),
        ("setting", _settings(now), _settings(then)),
    ):
        yield from _changed(kind, before, after)
    if [rule.name for rule in now.rules] != [rule.name for rule in then.rules] and {*_named(now.rules)} == {
        *_named(then.rules)
    }:
        yield "rules are in another order"


def _changed(kind: str, now: Mapping[str, Any], then: Mapping[str, Any]) -> Iterator[str]:
    for name in {**now, **then}:
        if name not in then:
            yield f"{kind} {name} is gone"
        elif name not in now:
            yield f"{kind} {name} is new"
        elif now[name] != then[name]:
            yield f"{kind} {name}: {', '.join(DETAILS.get(kind, _fields)(now[name], then[name])) or 'differs'}"


KEYS = {"tier_model": "tiers"}
"""Fields of the model that have another name in the file."""


def _members(part: Any) -> Mapping[str, Any]:
    """Return what a part of a policy says, each under its key."""
    if isinstance(part, Mapping):
        return part
    return {KEYS.get(attribute.name, attribute.name): getattr(part, attribute.name) for attribute in fields(type(part))}


def _fields(now: Any, then: Any) -> Iterator[str]:
    """Yield which keys differ."""
    if not (isinstance(now, Mapping) or has(type(now))):
        yield f"{as_text(now)} -> {as_text(then)}"
        return
    after = _members(then)
    yield from (f"`{key}` differs" for key, value in _members(now).items() if value != after[key])


def _rates(now: PriceRow, then: PriceRow) -> Iterator[str]:
    """Yield which rates differ, and how; then what else. How a row is written makes no difference."""
    before, after = dict(rates_by_unit(now.rates)), dict(rates_by_unit(then.rates))
    for unit in {**before, **after}:
        if before.get(unit) != after.get(unit):
            yield f"{unit} {_tiers(before.get(unit))} -> {_tiers(after.get(unit))}"
    if now.until != then.until:
        yield f"`until` {_end(now)} -> {_end(then)}"
    yield from _fields(*(evolve(row, rates={}, until=None, over=None) for row in (now, then)))


def _end(row: PriceRow) -> str:
    return "none" if row.until is None else instant_text(row.until)


def _tiers(tiers: tuple[Tier, ...] | None) -> str:
    if tiers is None:
        return "none"
    return " then ".join(f"{tier.rate:f}" + (f" up to {tier.up_to:f}" if tier.up_to is not None else "") for tier in tiers)


DETAILS: Mapping[str, Callable[[Any, Any], Iterator[str]]] = {"price": _rates}


def _price_rows(policy: Policy) -> dict[str, Any]:
    return {f"{book.name} from {instant_text(row.effective)}": row for book in policy.prices.values() for row in book.rows}


def _named(parts: Iterable[Rule | AnomalyRule]) -> dict[str, Mapping[str, Any]]:
    """Return parts by name, without where they stand."""
    return {part.name: _rule(part) if isinstance(part, Rule) else _anomaly(part) for part in parts}


TERMS = {kind.name: " or ".join(each.key for each in PRICED) if kind.is_priced else kind.key for kind in BY_ACTION.values()}
"""What the terms of each kind of rule are called: those with a price are all written alike."""


def _rule(rule: Rule) -> Mapping[str, Any]:
    """Return a rule without the rows of its price books, which are compared by themselves."""
    terms: Terms = rule.terms
    if isinstance(terms, ChargeTerms):
        terms = _without_rows(terms)
    said = {**dict.fromkeys(TERMS.values()), TERMS[rule.kind.name]: terms}
    return {"name": rule.name, "action": rule.action, "match": rule.pattern, **said}


def _without_rows(terms: ChargeTerms) -> ChargeTerms:
    book = evolve(terms.book, rows=()) if terms.book else None
    return evolve(terms, book=book, components=tuple(map(_without_rows, terms.components)))


def _anomaly(rule: AnomalyRule) -> Mapping[str, Any]:
    detectors = {key: rule.detector if isinstance(rule.detector, detector) else None for key, detector in DETECTORS.items()}
    return {"name": rule.name, "match": rule.pattern, "reason": rule.reason, **detectors}


def _catch_ups(policy: Policy) -> dict[str, Mapping[str, Any]]:
    return {
        f"to {part.source} {part.detail_type}": {"match": part.pattern, "statuses": part.statuses, "time": part.time}
        for part in policy.catch_up
    }


def _settings(policy: Policy) -> dict[str, Any]:
    return {
        "event": policy.fields,
        "money": policy.money,
        "overdraft": policy.overdraft,
        "unknown_user": policy.unknown_user,
        "explain": policy.explain,
    }
