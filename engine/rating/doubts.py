"""What about a new fact is unsure, for a person to look at. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from attrs import frozen

from engine.domain.anomaly import Anomaly
from engine.domain.built_in_anomalies import (
    CLOSE_CALL,
    CONFLICTING_CHARGE,
    REPEAT_AFTER_REFUND,
    REPEATED_GRANT,
    REPLACED_CHARGE,
)
from engine.domain.digits import in_digits
from engine.domain.fact import Charge
from engine.domain.facts import Facts
from engine.domain.instants import instant_text
from engine.domain.joins import ignores_repeats
from engine.rating.recognise import Telling

GRANT_IS_REPEATED_AFTER = timedelta(days=1)
"""A purchase that is told again so much later is more likely another purchase under a used reference."""


@frozen
class Doubt:
    """What a person should look at. ``at`` is set where the log must remember that it was flagged, and up to when."""

    anomaly: Anomaly
    at: datetime | None = None


def doubts(telling: Telling, known: Facts, new: Facts, skew: timedelta) -> Iterator[Doubt]:
    """Yield what about the ``new`` facts (as ``contributions.recognised``) is unsure beside the ``known`` ones."""
    yield from _conflicts(known, new)
    yield from _replaced(telling, known, new)
    yield from _close_calls(known, known.join(new), skew)
    yield from _repeated(telling, known, new)
    if ignores_repeats(new.charges) or ignores_repeats(new.weak_charges):
        yield from _repeated_after_refund(telling.facts.charges, known.charges, new.charges, known)
        yield from _repeated_after_refund(telling.facts.weak_charges, known.weak_charges, new.weak_charges, known)


def _conflicts(known: Facts, new: Facts) -> Iterator[Doubt]:
    for before, now in ((known.charges, new.charges), (known.weak_charges, new.weak_charges)):
        for claim in now:
            if before and claim not in before and claim.at == before[0].at and not claim.is_one_with(before[0]):
                reason = "charges of one instant say different things; the smallest counts"
                yield Doubt(Anomaly(CONFLICTING_CHARGE, reason, _amounts(before[0].amount, claim.amount)))


def _replaced(telling: Telling, known: Facts, new: Facts) -> Iterator[Doubt]:
    """Two pieces of work under one job: the first would be free. The log remembers it by the first one's instant."""
    for claim in new.charges:
        if not known.charges or claim.at == known.charges[0].at or _is_same_work(telling, known, claim):
            continue
        earlier, later = sorted((known.charges[0], claim), key=lambda charge: charge.at)
        if not any(refund.at >= earlier.at for refund in (*known.refunds, *known.weak_refunds)):
            reason = "a later charge that says something else takes its place, and no refund lies between them"
            figures = ("replaced", in_digits(earlier.amount)), ("by", in_digits(later.amount))
            yield Doubt(Anomaly(REPLACED_CHARGE, reason, figures), earlier.at)


def _is_same_work(telling: Telling, known: Facts, claim: Charge) -> bool:
    """Say whether a charge of another instant says what a known one says, and the job's row what it said then."""
    return any(
        telling.says(old.content, claim.content) and not telling.finds_another_row(old.content, claim.content)
        for old in known.charges
    )


def _close_calls(known: Facts, facts: Facts, skew: timedelta) -> Iterator[Doubt]:
    for charge in facts.charges:
        if charge.at != facts.charges[0].at:
            return  # an earlier one, of which only repeats are known
        for refund in facts.refunds:
            is_new = charge not in known.charges or refund not in known.refunds
            if is_new and timedelta(0) < abs(charge.at - refund.at) <= skew:
                reason = "charge and refund lie so close together that the order of two clocks decides"
                figures = ("charge", instant_text(charge.at)), ("refund", instant_text(refund.at))
                yield Doubt(Anomaly(CLOSE_CALL, reason, figures))
                return


def _repeated(telling: Telling, known: Facts, new: Facts) -> Iterator[Doubt]:
    for told, claim in zip(telling.facts.grants, new.grants, strict=True):
        first = known.grant
        if first is None:
            continue
        if claim not in known.grants and claim.amount != first.amount:
            reason = "the reference is known with another amount; the smaller counts"
            yield Doubt(Anomaly(REPEATED_GRANT, reason, _amounts(first.amount, claim.amount)))
        elif abs(told.at - claim.at) > GRANT_IS_REPEATED_AFTER and not telling.time_is_assumed:
            reason = "the reference was granted more than a day apart; it counts once"
            figures = ("known", instant_text(claim.at)), ("new", instant_text(told.at))
            yield Doubt(Anomaly(REPEATED_GRANT, reason, figures), max(claim.at, told.at))


def _repeated_after_refund(
    told: tuple[Charge, ...], before: tuple[Charge, ...], now: tuple[Charge, ...], known: Facts
) -> Iterator[Doubt]:
    """A render after a failure is free if it says what the one before it said. The log remembers it by that one's instant."""
    for telling, claim in zip(told, now, strict=False):
        if not claim.once:
            continue
        others = (old for old in before if (old.once, old.content) == (claim.once, claim.content))
        last_at = max((old.at for old in others), default=claim.at)
        repeated_at = max(last_at, telling.at)
        if any(claim.at <= refund.at < repeated_at for refund in (*known.refunds, *known.weak_refunds)):
            reason = "a repeat of the charge, which is ignored, lies after a refund; work that was done again is free"
            figures = ("charge", instant_text(claim.at)), ("repeat", instant_text(repeated_at))
            yield Doubt(Anomaly(REPEAT_AFTER_REFUND, reason, figures), claim.at)


def _amounts(known: Decimal, new: Decimal) -> tuple[tuple[str, str], ...]:
    return ("known", in_digits(known)), ("new", in_digits(new))
