"""What an edit has changed in a policy, part by part, in a few words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from attrs import evolve, fields, has

from engine.domain.digits import as_text
from engine.domain.fact_kinds import BY_ACTION, PRICED, Action
from engine.domain.instants import instant_text
from engine.domain.price import Tier
from engine.policy.charges import ChargeTerms, HoldTerms
from engine.policy.detectors import DETECTORS
from engine.policy.model import AnomalyRule, Policy, Rule
from engine.policy.price_books import PriceRow, rates_by_unit
from engine.policy.terms import Terms


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


FINAL = [kind for kind in PRICED if kind.action is not Action.HOLD]
TERMS = {kind.name: " or ".join(each.key for each in FINAL) if kind in FINAL else kind.key for kind in BY_ACTION.values()}
"""What the terms of each kind of rule are called: those with a price are all written alike, but for a hold, which ends."""


def _rule(rule: Rule) -> Mapping[str, Any]:
    """Return a rule without the rows of its price books, which are compared by themselves."""
    terms: Terms = rule.terms
    if isinstance(terms, ChargeTerms):
        terms = _without_rows(terms)
    elif isinstance(terms, HoldTerms):
        terms = evolve(terms, charge=_without_rows(terms.charge))
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
