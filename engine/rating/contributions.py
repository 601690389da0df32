"""What a rule of each action contributes, and how an event is recognised that tells a fact of each kind again. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, assert_never

from attrs import evolve, frozen

from engine.domain.envelope import Envelope
from engine.domain.fact_kinds import Action, Kind
from engine.domain.facts import Charge, Content, Facts, Grant, Refund
from engine.domain.instants import read_instant
from engine.domain.price import Price
from engine.policy.charges import ChargeTerms, Priced, price_charge
from engine.policy.model import Policy, Rule
from engine.policy.terms import RefundTerms
from engine.rating.recognise import Telling


@frozen
class Effect:
    """What a rule contributes: a fact, and how its price came about."""

    fact: Facts
    price: Price | None = None
    quantity: Decimal | None = None


# --- what a rule contributes ------------------------------------------------------------------------------------------


def _charge(rule: Rule, envelope: Envelope, at: datetime, policy: Policy) -> Effect:
    priced = _priced(rule, envelope, at, policy)
    if envelope.time_is_assumed:
        weak = Charge(priced.amount, at, _without(at, priced.content), policy.identity)
        return Effect(Facts(weak_charges=(weak,)), priced.price, priced.quantity)
    charge = Charge(priced.amount, at, priced.content, policy.identity)
    return Effect(Facts(charges=(charge,)), priced.price, priced.quantity)


def _without(assumed: datetime, content: Content) -> Content:
    """Return what a row itself said: a price that is taken at the start of a scan would make each scan tell another charge."""
    return tuple((expression, text) for expression, text in content if read_instant(text) != assumed)


def _grant(rule: Rule, envelope: Envelope, at: datetime, policy: Policy) -> Effect:
    priced = _priced(rule, envelope, at, policy)
    grant = Grant(priced.amount, at, priced.content, policy.identity)
    return Effect(Facts(grants=(grant,)), priced.price, priced.quantity)


def _priced(rule: Rule, envelope: Envelope, at: datetime, policy: Policy) -> Priced:
    assert isinstance(rule.terms, ChargeTerms)  # noqa: S101  the loader gives every debit and grant rule its terms
    return price_charge(rule.terms, envelope.document, at, policy.money)


def _refund(rule: Rule, envelope: Envelope, at: datetime, policy: Policy) -> Effect:
    terms = rule.terms
    assert isinstance(terms, RefundTerms)  # noqa: S101  the loader gives every refund rule its terms
    if envelope.time_is_assumed:  # the start of a scan says nothing of how old the charge was
        return Effect(Facts(weak_refunds=(Refund(terms.percent, at, None, policy.identity, rule.name),)))
    return Effect(Facts(refunds=(Refund(terms.percent, at, terms.within, policy.identity, rule.name),)))


def _flag(rule: Rule, _envelope: Envelope, at: datetime, _policy: Policy) -> Effect:
    return Effect(Facts(flags=((rule.name, at),)))


type Contribute = Callable[[Rule, Envelope, datetime, Policy], Effect]
"""Returns what an event tells that the rule takes. Raises PriceProblem for one that makes no sense."""


def _contribution(action: Action) -> Contribute:
    match action:
        case Action.DEBIT:
            return _charge
        case Action.REFUND:
            return _refund
        case Action.GRANT:
            return _grant
        case Action.FLAG:
            return _flag
        case _:
            assert_never(action)


CONTRIBUTE: Mapping[Action, Contribute] = {action: _contribution(action) for action in Action}


# --- what is told again -----------------------------------------------------------------------------------------------

type Fields = dict[str, tuple[Any, ...]]
"""Facts by the fields of ``Facts`` that keep them."""

type Recognise = Callable[[Telling, Facts], Fields]
"""Returns the fields that a telling fills, beside what is known: each fact that is known already as it was first told."""


def _known_charges(telling: Telling, known: Facts) -> Fields:
    new = telling.facts
    is_known = bool(known.charges or known.refunds)  # by an event, which a row without a time cannot overrule
    weak = () if is_known else tuple(_weak_charge(telling, known, charge) for charge in new.weak_charges)
    return {"charges": telling.first_told(known.charges, new.charges), "weak_charges": weak}


def _weak_charge(telling: Telling, known: Facts, new: Charge) -> Charge:
    """A row that still says what it said repeats the known charge, unless a failure was told of in between."""
    failed_at = max((refund.at for refund in known.weak_refunds), default=None)
    same = (old for old in known.weak_charges if telling.says(old.content, new.content))
    return next((old for old in same if failed_at is None or old.at > failed_at), new)


def _known_refunds(telling: Telling, known: Facts) -> Fields:
    new = telling.facts
    return {
        "refunds": tuple(_first_refund(known.refunds, refund) for refund in new.refunds),
        "weak_refunds": tuple(_weak_refund(known, refund) for refund in new.weak_refunds),
    }


def _first_refund(known: tuple[Refund, ...], new: Refund) -> Refund:
    return next((old for old in known if old.is_told_by(new)), new)


def _weak_refund(known: Facts, new: Refund) -> Refund:
    """A row that still says that it failed repeats the known refund, unless the job was rendered in between.

    It gives what it gave, and holds until the later scan: a charge in between may come late.
    """
    charge = known.charge
    same = (old for old in reversed(known.weak_refunds) if old.rule in {"", new.rule})
    old = next((old for old in same if charge is None or old.at >= charge.at), None)
    return evolve(old, at=max(old.at, new.at)) if old else new


def _known_grants(telling: Telling, known: Facts) -> Fields:
    return {"grants": telling.first_told(known.grants, telling.facts.grants)}


def _known_flags(telling: Telling, _known: Facts) -> Fields:
    return {"flags": telling.facts.flags}


def _recogniser(kind: Kind) -> Recognise:
    match kind:
        case Kind.CHARGE:
            return _known_charges
        case Kind.REFUND:
            return _known_refunds
        case Kind.GRANT:
            return _known_grants
        case Kind.FLAG:
            return _known_flags
        case _:
            assert_never(kind)


RECOGNISE: Mapping[Kind, Recognise] = {kind: _recogniser(kind) for kind in Kind}


def recognised(telling: Telling, known: Facts) -> Facts:
    """Return the facts of an event, each that is ``known`` already in the words of its first telling."""
    fields: Fields = {}
    for recognise in RECOGNISE.values():
        fields |= recognise(telling, known)
    return Facts(**fields)
