"""What the log of a job or a grant should have cost by its facts, and the same in words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import assert_never

from attrs import evolve

from engine.domain.fact import Adjustment, Charge, Grant, Refund
from engine.domain.fact_kinds import Kind
from engine.domain.facts import Facts
from engine.domain.instants import instant_text
from engine.domain.log import JobLog
from engine.domain.money import EXACT, ZERO, Money, canonical


def cost_of(facts: Facts, log: JobLog, money: Money) -> Decimal:
    """Return what a job with these facts should cost, beside what its log says it should have cost.

    A known cost is never worked out again while what decides it stays: a later change of policy must not re-price it. (A log
    whose charge nobody knows any more, as after a repair, has a cost of its own until a new fact comes.)
    """
    decides = facts.counting if facts.charge or facts.grant else facts.work
    known = log.facts.counting if facts.charge or facts.grant else log.facts.work
    return log.cost if decides == known else desired_cost(facts, money)


def desired_cost(facts: Facts, money: Money) -> Decimal:
    """Return what a job with these facts should have cost (credits, >= 0), or what a grant gave, as a negative.

    No charge known: 0. No refund counts for the charge: its amount. Else what the refunds that count leave, rounded once, and
    never more than the charge; at equal times the refund is the later. With an open hold no less than that. Of all this a
    person may concede some, never below 0. A grant gives its amount less what is revoked, never below 0. An adjustment gives
    its amount or, below 0, takes it.
    """
    if facts.grant is not None:
        return _given(facts, facts.grant, money).copy_negate()
    if facts.adjustments:
        return EXACT.minus(facts.adjusted)  # 0 has no sign there
    cost = _charged(facts, money)
    return _less_conceded(facts, cost if (hold := facts.hold) is None else max(hold.amount, cost))


def held_of(facts: Facts, log: JobLog, money: Money) -> Decimal:
    """Return how many credits are held for a job with these facts, beside what its log says: as of the cost, so of these."""
    return log.held if facts.counting == log.facts.counting else desired_held(facts, money)


def desired_held(facts: Facts, money: Money) -> Decimal:
    """Return how many credits are held for a job with these facts: what an open hold adds to what the attempts below say."""
    if facts.hold is None:
        return ZERO
    return EXACT.subtract(desired_cost(facts, money), _less_conceded(facts, _charged(facts, money)))


def _charged(facts: Facts, money: Money) -> Decimal:
    """Return what the charge that counts and its refunds come to: 0 where none is known."""
    if (charge := facts.charge) is None:
        return ZERO
    return _left(charge.amount, _back(charge, refunds), money) if (refunds := facts.refunding) else charge.amount


def _less_conceded(facts: Facts, cost: Decimal) -> Decimal:
    return max(EXACT.subtract(cost, facts.conceded), ZERO) if facts.concessions else cost


def _back(charge: Charge, refunds: tuple[Refund, ...]) -> Decimal:
    """Return what goes back of a charge in all, unrounded: each refund gives of what those before it have left."""
    left = charge
    for refund in refunds:
        left = evolve(left, amount=EXACT.subtract(left.amount, refund.gives(left)))
    return EXACT.subtract(charge.amount, left.amount)


def _given(facts: Facts, grant: Grant, money: Money) -> Decimal:
    """Return what a grant gives less what its series of revokes take back together."""
    revoked = ZERO
    for revoke in facts.revoking:
        revoked = EXACT.add(revoked, revoke.takes(grant))
    return _left(grant.amount, min(revoked, grant.amount), money) if revoked else grant.amount


def _left(whole: Decimal, back: Decimal, money: Money) -> Decimal:
    """Return what is left of ``whole``, rounded, but never more than it was."""
    return min(money.round(EXACT.subtract(whole, back)), whole)


# --- in words ---------------------------------------------------------------------------------------------------------

type Steps = Callable[[Facts], Iterator[str]]


def _charge_steps(facts: Facts) -> Iterator[str]:
    if (counting := facts.charge) is None:
        return
    yield f"charged {counting.amount:f} at {instant_text(counting.at)}{_in_attempt(counting, facts)}"
    for other in (*facts.charges, *facts.weak_charges):
        if other != counting:
            yield _passed_over(other, counting)


def _passed_over(other: Charge, counting: Charge) -> str:
    if other.attempt != counting.attempt:
        return f"attempt {other.attempt} was charged {other.amount:f}: the charge of the highest attempt counts"
    if other.at == counting.at:
        return f"another charge of that instant says {other.amount:f}: the smallest counts"
    return f"an earlier one of {other.amount:f} at {instant_text(other.at)}: the latest counts"


def _in_attempt(fact: Charge | Refund, facts: Facts) -> str:
    """Name the attempt, where the policy has numbered some."""
    return f" in attempt {fact.attempt}" if facts.attempts != {0} else ""


def _revision_steps(facts: Facts) -> Iterator[str]:
    for charge in (*facts.charges, *facts.weak_charges):
        if charge.revision:
            times = "once" if charge.revision == 1 else f"{charge.revision} times"
            yield f"the charge of {charge.amount:f} was priced anew {times}, at last by policy {charge.policy}"


def _concession_steps(facts: Facts) -> Iterator[str]:
    yield from _adjusted(facts.concessions, "conceded")


def _adjustment_steps(facts: Facts) -> Iterator[str]:
    yield from _adjusted(facts.adjustments, "adjusted by")


def _adjusted(told: tuple[Adjustment, ...], verb: str) -> Iterator[str]:
    for each in told:
        whole = f"{verb} {each.amount:f} at {instant_text(each.at)} by adjustment {each.id}"
        if each.reverses:
            at = instant_text(each.at)
            yield f"adjustment {each.reverses} of {each.amount:f} taken back at {at} by adjustment {each.id}"
        else:
            yield f"{whole}: it moves the log of job {each.job}" if each.job else whole


def _first_charge_steps(facts: Facts) -> Iterator[str]:
    if any(charge.once for charge in (*facts.charges, *facts.weak_charges)):
        yield "its repeats are ignored: of charges that say the same the earliest counts"


def _refund_steps(facts: Facts) -> Iterator[str]:
    for refund in (*facts.refunds, *facts.weak_refunds):
        share = _share(refund.percent, refund.amount)
        yield f"{share} back at {instant_text(refund.at)}{_in_attempt(refund, facts)}"
        yield from _why_not(refund, facts.charge, facts.refunding)


def _why_not(refund: Refund, charge: Charge | None, counting: tuple[Refund, ...]) -> Iterator[str]:
    if charge is None:
        yield "no charge is known, so nothing goes back"
    elif refund.attempt < charge.attempt:
        yield f"attempt {charge.attempt} was charged, so nothing goes back"
    elif refund.attempt == charge.attempt and refund.at < charge.at:
        yield "the charge is later, so nothing goes back"
    elif not refund.is_in_time_for(charge):
        yield f"that is {refund.at - charge.at} after the charge, later than {refund.within}: nothing goes back"
    elif refund not in counting:
        yield "another refund counts instead"
    elif refund.attempt > charge.attempt:
        yield f"that attempt was not charged, so it is of what is left of the charge of attempt {charge.attempt}"


def _hold_steps(facts: Facts) -> Iterator[str]:
    counting = facts.hold
    for hold in facts.holds:
        since, until = instant_text(hold.at), instant_text(hold.expires_at)
        yield f"{hold.amount:f} held at {since} for attempt {hold.attempt}, until {until}"
        if counting is None or hold.attempt != counting.attempt:
            yield "its attempt is decided, has expired, or is not the highest: nothing is held for it"
        elif hold != counting:
            yield "another hold of that instant counts: the smallest does"


def _first_hold_steps(facts: Facts) -> Iterator[str]:
    for hold in facts.holds:
        yield f"held until {instant_text(hold.expires_at)} at the latest"


def _expiry_steps(facts: Facts) -> Iterator[str]:
    for expiry in facts.expiries:
        yield f"the hold of attempt {expiry.attempt} had expired by {instant_text(expiry.at)}"


def _first_refund_steps(facts: Facts) -> Iterator[str]:
    for refund in facts.refunds:
        yield from (f"{expression} is {text}" for expression, text in refund.content)
        limit = f", if it is not older than {refund.within}" if refund.within is not None else ""
        share = _share(refund.percent, refund.amount)
        yield f"gives back {share} of what the job was charged{limit}: nothing, since the event is taken as the job's first"


def _share(percent: Decimal | None, amount: Decimal | None) -> str:
    return f"{canonical(percent or ZERO)} %" if amount is None else f"{canonical(amount)} credits"


def _grant_steps(facts: Facts) -> Iterator[str]:
    if facts.grant is not None:
        yield f"granted {facts.grant.amount:f}"


def _revoke_steps(facts: Facts) -> Iterator[str]:
    for revoke in facts.revokes:
        yield f"{_share(revoke.percent, revoke.amount)} taken back by series `{revoke.series}` at {instant_text(revoke.at)}"
        if facts.grant is None:
            yield "no grant is known, so nothing is taken back"
        elif revoke not in facts.revoking:
            yield "a later one of that series, or one of that instant that takes more, counts instead"


def _first_revoke_steps(facts: Facts) -> Iterator[str]:
    for revoke in facts.revokes:
        yield from (f"{expression} is {text}" for expression, text in revoke.content)
        share = f"{_share(revoke.percent, revoke.amount)} of the grant"
        yield f"series `{revoke.series}` takes back {share}: nothing, since the event is taken as the grant's first"


def _no_steps(_facts: Facts) -> Iterator[str]:
    yield from ()


def _words(kind: Kind) -> tuple[Steps, Steps]:  # noqa: C901, PLR0911  a table, in the form that the type check completes
    """Return the words for what a log knows of this kind, and for what the first event of a log says, beside its price."""
    match kind:
        case Kind.CHARGE:
            return _charge_steps, _first_charge_steps
        case Kind.REFUND:
            return _refund_steps, _first_refund_steps
        case Kind.GRANT:
            return _grant_steps, _no_steps
        case Kind.REVOKE:
            return _revoke_steps, _first_revoke_steps
        case Kind.HOLD:
            return _hold_steps, _first_hold_steps
        case Kind.EXPIRY:
            return _expiry_steps, _no_steps
        case Kind.REVISION:
            return _revision_steps, _no_steps
        case Kind.CONCESSION:
            return _concession_steps, _no_steps
        case Kind.ADJUSTMENT:
            return _adjustment_steps, _no_steps
        case Kind.FLAG:
            return _no_steps, _no_steps
        case _:
            assert_never(kind)


WORDS: Mapping[Kind, tuple[Steps, Steps]] = {kind: _words(kind) for kind in Kind}


def cost_steps(facts: Facts, cost: Decimal, money: Money) -> Iterator[str]:
    """Yield how known facts come to what a job should cost, or a grant gives."""
    for known, _ in WORDS.values():
        yield from known(facts)
    if facts.revoking or facts.adjustments:
        yield f"gives {-cost:f} ({money.rounding}, {money.places} places)"
    elif facts.grant is None:
        yield f"should cost {cost:f} ({money.rounding}, {money.places} places)"


def told_steps(facts: Facts) -> Iterator[str]:
    """Yield what the facts of a log's first event mean for it, beside what is priced."""
    for _, told in WORDS.values():
        yield from told(facts)
