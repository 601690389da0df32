"""What a rule of each action contributes, and how an event is recognised that tells a fact of each kind again. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, assert_never

from attrs import evolve, frozen

from engine.domain.envelope import Document, Envelope
from engine.domain.fact import Charge, Content, Grant, Hold, Refund, Revoke, until
from engine.domain.fact_kinds import Action, Kind
from engine.domain.facts import Facts
from engine.domain.instants import read_instant
from engine.domain.money import canonical, read_number
from engine.domain.price import Price
from engine.domain.texts import text_problem
from engine.policy.charges import ChargeTerms, HoldTerms, Priced, price_charge
from engine.policy.expressions.paths import Path
from engine.policy.model import NOTHING_READ, Policy, Rule
from engine.policy.shares import RefundTerms, RevokeTerms, Share, ShareTold, share_told
from engine.rating.recognise import Telling, needs_row


@frozen
class Effect:
    """What a rule contributes: a fact, and how its price came about."""

    fact: Facts
    price: Price | None = None
    quantity: Decimal | None = None
    may_overdraw: bool = False


# --- what a rule contributes ------------------------------------------------------------------------------------------


def _charge(rule: Rule, envelope: Envelope, at: datetime, policy: Policy) -> Effect:
    priced = _priced(rule, envelope, at, policy)
    once = rule.name if rule.ignores_repeats else ""
    charges = (Charge(priced.amount, at, priced.content, policy.identity, once),)
    fact = Facts(weak_charges=charges) if envelope.time_is_assumed else Facts(charges=charges)
    return Effect(fact, priced.price, priced.quantity)


def _hold(rule: Rule, envelope: Envelope, at: datetime, policy: Policy) -> Effect:
    terms = rule.terms
    assert isinstance(terms, HoldTerms)  # noqa: S101  the loader gives every hold rule its terms
    priced = _priced(rule, envelope, at, policy)
    hold = Hold(priced.amount, at, until(at, terms.expires), priced.content, policy.identity)
    return Effect(Facts(holds=(hold,)), priced.price, priced.quantity, may_overdraw=terms.may_overdraw)


def _grant(rule: Rule, envelope: Envelope, at: datetime, policy: Policy) -> Effect:
    priced = _priced(rule, envelope, at, policy)
    grant = Grant(priced.amount, at, priced.content, policy.identity)
    return Effect(Facts(grants=(grant,)), priced.price, priced.quantity)


def _priced(rule: Rule, envelope: Envelope, at: datetime, policy: Policy) -> Priced:
    terms = rule.terms.charge if isinstance(rule.terms, HoldTerms) else rule.terms
    assert isinstance(terms, ChargeTerms)  # noqa: S101  the loader gives every debit, hold and grant rule its terms
    priced = price_charge(terms, envelope.document, at, policy.money)
    if policy.own_row != NOTHING_READ:
        priced = evolve(priced, content=_with_its_own(rule, envelope.document, priced.content))
    return evolve(priced, content=_without(at, priced.content)) if envelope.time_is_assumed else priced


def _with_its_own(rule: Rule, document: Document, content: Content) -> Content:
    """Return what the event and the job's row said together, with what the event said there by itself.

    Of ``multiply(detail.n, row.size)`` only the row's part is fixed at the first telling: another ``n`` is another event.
    """
    asked = {path.text: path for path in rule.terms.paths()}
    mixed = [path for text, _ in content if needs_row(path := asked[text], document)]
    if not mixed:
        return content
    from engine.policy.expressions.own_row import event_parts  # noqa: PLC0415  few facts rest on the row

    parts = {part.text: text for path in mixed for part in event_parts(path) if (text := _said(part, document)) is not None}
    return tuple(sorted({**parts, **dict(content)}.items()))


def _said(part: Path, document: Document) -> str | None:
    """Return the text or the number that an event says; None for anything else."""
    try:
        value = part.search(document)
        return value if isinstance(value, str) and text_problem(value) is None else canonical(read_number(value))
    except ValueError:
        return None


def _without(assumed: datetime, content: Content) -> Content:
    """Return what a row itself said: a price that is taken at the start of a scan would make each scan tell another fact."""
    return tuple((expression, text) for expression, text in content if read_instant(text) != assumed)


def _refund(rule: Rule, envelope: Envelope, at: datetime, policy: Policy) -> Effect:
    terms = rule.terms
    assert isinstance(terms, RefundTerms)  # noqa: S101  the loader gives every refund rule its terms
    share = _share(rule, terms, envelope, policy)
    # the start of a scan says nothing of how old the charge was
    within = None if envelope.time_is_assumed else terms.within
    refunds = (Refund(share.percent, at, within, policy.identity, rule.name, share.amount, share.content),)
    return Effect(Facts(weak_refunds=refunds) if envelope.time_is_assumed else Facts(refunds=refunds))


def _revoke(rule: Rule, envelope: Envelope, at: datetime, policy: Policy) -> Effect:
    terms = rule.terms
    assert isinstance(terms, RevokeTerms)  # noqa: S101  the loader gives every revoke rule its terms
    share = _share(rule, terms, envelope, policy)
    content = share.content or _kind_said(envelope.document)
    revoke = Revoke(share.percent, share.amount, at, terms.series or rule.name, content, policy.identity)
    return Effect(Facts(revokes=(revoke,)))


def _share(rule: Rule, terms: Share, envelope: Envelope, policy: Policy) -> ShareTold:
    share = share_told(terms, envelope.document, policy.money)
    if policy.own_row == NOTHING_READ:
        return share
    return evolve(share, content=_with_its_own(rule, envelope.document, share.content))


def _kind_said(document: Document) -> Content:
    """Return what tells an event of a flat figure from another of its instant, under whatever policy: its detail-type."""
    said = document.get("detail-type")
    return (('"detail-type"', said),) if isinstance(said, str) and text_problem(said) is None else ()


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
        case Action.REVOKE:
            return _revoke
        case Action.HOLD:
            return _hold
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
    new, of_attempt = telling.facts, known.of_attempt(telling.attempt)
    is_known = bool(of_attempt.charges or of_attempt.refunds)  # by an event, which a row without a time cannot overrule
    weak = () if is_known else tuple(_weak_charge(telling, of_attempt, charge) for charge in new.weak_charges)
    return {"charges": telling.first_charges(known.charges, new.charges), "weak_charges": weak}


def _weak_charge(telling: Telling, known: Facts, new: Charge) -> Charge:
    """A row that still says what it said repeats the known charge, unless a failure was told of in between."""
    if new.once or any(old.once for old in known.weak_charges):
        return telling.first_charges(known.weak_charges, (new,))[0]
    failed_at = max((refund.at for refund in known.weak_refunds), default=None)
    same = (old for old in known.weak_charges if telling.says(old.content, new.content))
    return next((old for old in same if failed_at is None or old.at > failed_at), new)


def _known_refunds(telling: Telling, known: Facts) -> Fields:
    new, of_attempt = telling.facts, known.of_attempt(telling.attempt)
    return {
        "refunds": tuple(_first_refund(telling, known.refunds, refund) for refund in new.refunds),
        "weak_refunds": tuple(_weak_refund(telling, of_attempt, refund) for refund in new.weak_refunds),
    }


def _first_refund(telling: Telling, known: tuple[Refund, ...], new: Refund) -> Refund:
    told = (old for old in known if old.is_told_by(evolve(new, at=old.at) if telling.is_its_event(old.content) else new))
    return next((old for old in told if telling.says(old.content, new.content)), new)


def _weak_refund(telling: Telling, known: Facts, new: Refund) -> Refund:
    """A row that still says that it failed repeats the known refund, unless the job was rendered in between.

    It gives what it gave, and holds until the later scan: a charge in between may come late.
    """
    charge = known.charge
    by_rule = (old for old in reversed(known.weak_refunds) if old.rule in {"", new.rule})
    same = (old for old in by_rule if telling.says(old.content, new.content))
    old = next((old for old in same if charge is None or old.at >= charge.at), None)
    return evolve(old, at=max(old.at, new.at)) if old else new


def _known_grants(telling: Telling, known: Facts) -> Fields:
    return {"grants": telling.first_told(known.grants, telling.facts.grants)}


def _known_revokes(telling: Telling, known: Facts) -> Fields:
    return {"revokes": tuple(_first_revoke(telling, known.revokes, revoke) for revoke in telling.facts.revokes)}


def _known_holds(telling: Telling, known: Facts) -> Fields:
    return {"holds": telling.first_told(known.holds, telling.facts.holds)}


def _known_expiries(telling: Telling, known: Facts) -> Fields:
    """That an attempt's hold has expired is told once."""
    of_attempt = {expiry.attempt: expiry for expiry in known.expiries}
    return {"expiries": tuple(of_attempt.get(expiry.attempt, expiry) for expiry in telling.facts.expiries)}


def _first_revoke(telling: Telling, known: tuple[Revoke, ...], new: Revoke) -> Revoke:
    """Return a revoke in the words of its first telling.

    A row without a time of its own tells it again until it says something else. Under one policy another figure or another
    series is another event. Another policy may have another series for the event, and must not take the credits twice.
    """
    of_moment = (old for old in known if old.at == new.at or telling.is_its_event(old.content))
    if telling.time_is_assumed:
        of_moment = (old for old in known if all(old.at >= step.at for step in known if step.series == old.series))
    alike = (old for old in of_moment if old.policy != new.policy or _is_one_step(telling, old, new))
    return next((old for old in alike if telling.says(old.content, new.content)), new)


def _is_one_step(telling: Telling, old: Revoke, new: Revoke) -> bool:
    """Say whether two revokes are of one series and of one figure; a figure of the job's own row may have changed."""
    is_one_figure = (old.percent, old.amount) == (new.percent, new.amount)
    return old.series == new.series and (is_one_figure or telling.finds_another_row(old.content, new.content))


def _known_corrections(telling: Telling, _known: Facts) -> Fields:
    """A person's word is known by its id."""
    return {"concessions": telling.facts.concessions, "adjustments": telling.facts.adjustments}


def _none_of_its_own(_telling: Telling, _known: Facts) -> Fields:
    return {}


def _known_flags(telling: Telling, _known: Facts) -> Fields:
    return {"flags": telling.facts.flags}


def _recogniser(kind: Kind) -> Recognise:  # noqa: PLR0911  a table, in the form that the type check completes
    match kind:
        case Kind.CHARGE:
            return _known_charges
        case Kind.REFUND:
            return _known_refunds
        case Kind.GRANT:
            return _known_grants
        case Kind.REVOKE:
            return _known_revokes
        case Kind.HOLD:
            return _known_holds
        case Kind.EXPIRY:
            return _known_expiries
        case Kind.REVISION:
            return _none_of_its_own  # it stands among the charges
        case Kind.CONCESSION | Kind.ADJUSTMENT:
            return _known_corrections
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
