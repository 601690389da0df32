"""How facts of a kind join: of what several tellings have brought, what is kept. Each is a join of a semilattice.

They are told of one attempt; ``domain.facts`` joins several.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from attrs import evolve

from engine.domain.fact import Adjustment, Charge, Content, Expiry, Grant, Hold, Refund, Revoke
from engine.domain.money import ZERO

EARLIER_STEPS_MAX = 8
"""So many steps of a series are known beside the latest: under an edit that renames it they would take their credits again."""


def by_id(known: tuple[Adjustment, ...], new: tuple[Adjustment, ...]) -> tuple[Adjustment, ...]:
    """An id is told once: told again it says what it said."""
    if not (known and new):
        return known or new
    of_id = {each.id: each for each in (*new, *known)}
    return tuple(of_id[name] for name in sorted(of_id))


def latest_charges(charges: set[Charge]) -> tuple[Charge, ...]:
    """Return the charges of the latest instant, the smallest first; of those whose repeats are ignored one of each content."""
    if len(charges) <= 1:
        return tuple(charges)
    if ignores_repeats(charges):
        return _latest_first(charges)
    at = max(charge.at for charge in charges)
    return smallest_first(_as_revised([charge for charge in charges if charge.at == at]))


def _as_revised(charges: list[Charge]) -> list[Charge]:
    """Return of each content that a person has priced anew the highest revision, of equal ones the smaller amount.

    Where repeats are ignored it happened when its earliest telling did, whenever that became known.
    """
    if not any(charge.revision for charge in charges):
        return charges
    tellings: dict[object, list[Charge]] = {}
    for charge in charges:
        tellings.setdefault((charge.once or charge.at, charge.content), []).append(charge)
    return [charge for told in tellings.values() for charge in _last_revision(told)]


def _last_revision(told: list[Charge]) -> list[Charge]:
    revised = [charge for charge in told if charge.revision]
    if not revised:
        return told
    last = min(revised, key=lambda charge: (-charge.revision, charge.amount, charge.policy))
    return [evolve(last, at=min(charge.at for charge in told))]


def ignores_repeats(charges: Iterable[Charge]) -> bool:
    """Say whether repeats of any of these charges are ignored."""
    for charge in charges:  # noqa: SIM110  every event asks, and a generator takes three times as long
        if charge.once:
            return True
    return False


def _latest_first(charges: set[Charge]) -> tuple[Charge, ...]:
    """Return of each content whose repeats are ignored the earliest, and of the others those of their latest instant."""
    latest_at = max((charge.at for charge in charges if not charge.once), default=None)
    kept: dict[object, Charge] = {}
    for charge in sorted(_as_revised([*charges]), key=_by_age):
        if charge.once:
            kept.setdefault((charge.once, charge.content), charge)
        elif charge.at == latest_at:
            kept[charge] = charge
    smallest_first = sorted(kept.values(), key=lambda charge: (charge.amount, charge.content, charge.policy, charge.once))
    return tuple(sorted(smallest_first, key=lambda charge: charge.at, reverse=True))


def _by_age(charge: Charge) -> tuple[datetime, Decimal, str]:
    return charge.at, charge.amount, charge.policy


def smallest_first[T: (Charge, Grant)](claims: Iterable[T]) -> tuple[T, ...]:
    """Return claims in the one order that they have, whatever order they came in."""
    return tuple(sorted(claims, key=lambda claim: (claim.amount, claim.at, claim.content, claim.policy)))


def may_count(refunds: set[Refund]) -> tuple[Refund, ...]:
    """Return the refunds that may still count, by their instants. Before one without a window none ever does."""
    unbounded_at = max((refund.at for refund in refunds if refund.within is None), default=None)
    kept = (refund for refund in refunds if unbounded_at is None or refund.at >= unbounded_at)
    return tuple(sorted(kept, key=_by_instant))


def earliest_holds(holds: set[Hold]) -> tuple[Hold, ...]:
    """Return the holds of the earliest instant, the smallest first: later ones, as of progress reports, say nothing new."""
    if len(holds) <= 1:
        return tuple(holds)
    at = min(hold.at for hold in holds)
    return tuple(sorted((hold for hold in holds if hold.at == at), key=_by_size))


def _by_size(hold: Hold) -> tuple[Decimal, datetime, Content, str]:
    return hold.amount, hold.expires_at, hold.content, hold.policy


def first_expiry(expiries: Iterable[Expiry]) -> tuple[Expiry, ...]:
    """Return the first telling that an attempt's hold has expired: all others say the same."""
    return tuple(sorted(set(expiries), key=lambda expiry: expiry.at))[:1]


def _by_instant(refund: Refund) -> tuple[datetime, str, bool, Decimal, timedelta, Decimal, Content, str]:
    figures = refund.amount is None, refund.percent or ZERO, refund.within or timedelta.max, refund.amount or ZERO
    return refund.at, refund.rule, *figures, refund.content, refund.policy


def latest_by_rule(refunds: Iterable[Refund]) -> tuple[Refund, ...]:
    """Return the latest that each rule has told, the oldest first. They have no window: a scan's start is nobody's time."""
    latest: dict[str, Refund] = {}
    for refund in refunds:
        latest[refund.rule] = max(refund, latest.get(refund.rule, refund), key=_by_instant)
    return tuple(sorted(latest.values(), key=lambda refund: (refund.at, refund.rule)))


def steps_of_series(revokes: tuple[Revoke, ...]) -> tuple[Revoke, ...]:
    """Return the revokes of the latest instant of each series, and so many of its earlier ones that none is told as new."""
    if len(revokes) <= 1:
        return revokes
    steps: dict[str, list[Revoke]] = {}
    for revoke in sorted(set(revokes), key=_by_step, reverse=True):
        of_series = steps.setdefault(revoke.series, [])
        earlier = sum(step.at != of_series[0].at for step in of_series)
        if not of_series or revoke.at == of_series[0].at or earlier < EARLIER_STEPS_MAX:
            of_series.append(revoke)
    return tuple(step for series in sorted(steps) for step in reversed(steps[series]))


def _by_step(revoke: Revoke) -> tuple[datetime, bool, Decimal, Decimal, Content, str]:
    """Of two that take nothing, one by percent and one by amount, none comes first by chance."""
    figures = revoke.amount is None, revoke.percent or ZERO, revoke.amount or ZERO
    return revoke.at, *figures, revoke.content, revoke.policy
