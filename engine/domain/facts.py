"""What is known of one job or one grant: charges, refunds, grants, revokes, flags, corrections, and how they join.

Facts are a join-semilattice: any order and any repetition of the same facts ends in one value. Of charges those of the latest
instant are kept, of refunds all that may still count, of grants all, of each series of revokes its latest steps, of
corrections all; each as it was first told.

A person may price a charge anew: then it has a higher *revision*, and of charges with one content the highest counts.

A rule may ignore repeats (``Charge.once``): of what it tells with one content the earliest telling counts. Such charges are
kept beside the others, of each content the earliest, however early that is: its next repeat must find it, and an earlier
telling may still come, so that another content is the latest. Both parts join by themselves (the others upwards to the latest
instant, these downwards to the earliest of each content), and what counts is read from both together: the latest of all.

A policy may number the tries of a job (``attempt``). Then all this holds of each attempt by itself, and the facts of a higher
one decide over those of a lower one, whatever their times.

A hold is a provisional charge of its attempt: of several the earliest counts. It is open while its attempt is the highest that
is known, and nothing else is known of that.
"""

from __future__ import annotations

import functools
from collections import Counter
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import evolve, frozen

from engine.domain.fact import Adjustment, Charge, Claim, Content, Expiry, Fact, Grant, Hold, Refund, Revoke
from engine.domain.joins import (
    by_id,
    earliest_holds,
    first_expiry,
    latest_by_rule,
    latest_charges,
    may_count,
    smallest_first,
    steps_of_series,
)
from engine.domain.money import EXACT, ZERO

TWINS_MAX = 8
"""So many facts that say different things are kept of one instant (charges, refunds of one rule, revokes of one series).

So many grants are kept of one reference, and of one job so many charges whose repeats are ignored.

One more makes no sense."""


@frozen
class Facts:
    """All that is known of one job or one grant.

    *Weak* facts were told by rows of Jobs without a time of their own, at the start of a scan. A weak charge counts only while
    no charge or refund with a time of its own is known, and is forgotten then; a weak refund, whatever its window, only where
    none with its own time is in time for the charge.
    """

    charges: tuple[Charge, ...] = ()
    """Those of the latest instant, the one that counts (the smallest) first; then earlier ones whose repeats are ignored.

    So of each attempt, the highest first."""
    refunds: tuple[Refund, ...] = ()
    """The latest that is in time for every charge, and those after it that have a window; the oldest first.

    So of each attempt, the highest last."""
    grants: tuple[Grant, ...] = ()
    """The one that counts (the smallest) first."""
    flags: tuple[tuple[str, datetime], ...] = ()
    """Flags raised so far, each with the latest instant it was raised at; sorted by name."""
    weak_charges: tuple[Charge, ...] = ()
    weak_refunds: tuple[Refund, ...] = ()
    revokes: tuple[Revoke, ...] = ()
    """Of each series those of its latest instant, which count, and some before them, which are known; by series and age."""
    concessions: tuple[Adjustment, ...] = ()
    """What was conceded of a job, and what of that was taken back; by id."""
    adjustments: tuple[Adjustment, ...] = ()
    """What moved a user's balance by a person's word, on a log of its own, and what took it back; by id."""
    holds: tuple[Hold, ...] = ()
    """Of each attempt those of its earliest instant, the smallest first; the highest attempt first."""
    expiries: tuple[Expiry, ...] = ()
    """Of each attempt whose hold has expired the first telling; the highest attempt first."""
    refused: tuple[str, ...] = ()
    """The ids of the events whose hold was refused. They say nothing of the job: they are known, so that they stay refused."""

    def join(self, new: Facts) -> Facts:
        """Return these facts and the ``new`` ones together."""
        if self == NOTHING_KNOWN:
            return new
        attempts = self.attempts | new.attempts
        if len(attempts) > 1:
            return _together([self.of_attempt(each).join(new.of_attempt(each)) for each in sorted(attempts)])
        flags = dict(self.flags)
        for name, at in new.flags:
            flags[name] = max(at, flags.get(name, at))
        charges, refunds = latest_charges({*self.charges, *new.charges}), may_count({*self.refunds, *new.refunds})
        has_own_time = bool(charges or refunds)
        revokes = (*self.revokes, *new.revokes)
        return Facts(
            charges=charges,
            refunds=refunds,
            grants=smallest_first({*self.grants, *new.grants}),
            flags=tuple(sorted(flags.items())),
            weak_charges=() if has_own_time else latest_charges({*self.weak_charges, *new.weak_charges}),
            weak_refunds=latest_by_rule((*self.weak_refunds, *new.weak_refunds)),
            revokes=steps_of_series(revokes) if revokes else (),
            concessions=by_id(self.concessions, new.concessions),
            adjustments=by_id(self.adjustments, new.adjustments),
            holds=earliest_holds({*self.holds, *new.holds}) if self.holds or new.holds else (),
            expiries=first_expiry((*self.expiries, *new.expiries)) if self.expiries or new.expiries else (),
            refused=tuple(sorted({*self.refused, *new.refused})) if self.refused or new.refused else (),
        )

    @property
    def attempts(self) -> frozenset[int]:
        """The attempts of which something is known."""
        told = (self.charges, self.refunds, self.weak_charges, self.weak_refunds, self.holds, self.expiries)
        return frozenset({fact.attempt for facts in told for fact in facts})

    def of_attempt(self, attempt: int) -> Facts:
        """Return what is known of one attempt, and with it all that is not numbered."""
        if self.attempts <= {attempt}:
            return self
        told: dict[str, Any] = {name: getattr(self, name) for name in NUMBERED}
        return evolve(self, **{name: tuple(each for each in facts if each.attempt == attempt) for name, facts in told.items()})

    def in_attempt(self, attempt: int, said: Content) -> Facts:
        """Return what an event tells that is about one attempt, with what it ``said`` of that."""
        told: dict[str, Any] = {name: getattr(self, name) for name in NUMBERED}
        return evolve(
            self, **{name: tuple(_in_attempt(each, attempt, said) for each in facts) for name, facts in told.items()}
        )

    def same_work(self, other: Facts) -> bool:
        """Say whether both know the same charges, refunds, grants, revokes and corrections; they may differ in flags."""
        return self.work == other.work

    @property
    def work(self) -> tuple[tuple[Fact, ...], ...]:
        """All but the flags."""
        told = self.charges, self.refunds, self.grants, self.weak_charges, self.weak_refunds, self.revokes
        return (*told, self.concessions, self.adjustments, self.holds, self.expiries)

    @property
    def kept(self) -> int:
        """How many facts an entry tells that knows these; flags are as many as the policy has, and not counted."""
        return sum(map(len, self.work)) + len(self.refused)

    @property
    def charge(self) -> Charge | None:
        """The charge that counts: of the highest attempt that has one the smallest of the latest instant."""
        if not self.weak_charges:
            return self.charges[0] if self.charges else None
        return max((*self.charges[:1], self.weak_charges[0]), key=lambda charge: charge.attempt)

    @property
    def refunding(self) -> tuple[Refund, ...]:
        """The refunds that count for that charge: one of its attempt, and of each attempt above it one of what is left.

        Of those in time the latest instant's, there the most generous; a weak one only where no other is in time.
        """
        if (charge := self.charge) is None or not (self.refunds or self.weak_refunds):
            return ()
        counting, refund = list[Refund](), None
        for attempt in sorted(each for each in self.attempts if each >= charge.attempt):
            if refund is not None:
                charge = evolve(charge, amount=EXACT.subtract(charge.amount, refund.gives(charge)))
            told = self.of_attempt(attempt)
            if refund := _most_generous(told.refunds, charge) or _most_generous(told.weak_refunds, charge):
                counting.append(refund)
        return tuple(counting)

    @property
    def hold(self) -> Hold | None:
        """The hold that is open: of the highest attempt, while nothing else is known of that."""
        if not self.holds:
            return None
        hold, attempts = self.holds[0], self.attempts
        is_open = hold.attempt == max(attempts) and not self.is_decided(hold.attempt)
        return hold if is_open else None

    def is_decided(self, attempt: int) -> bool:
        """Say whether an attempt has no use for a hold any more: it was charged, has failed or has expired."""
        told = (self.charges, self.refunds, self.weak_charges, self.weak_refunds, self.expiries)
        return any(fact.attempt == attempt for facts in told for fact in facts)

    @property
    def grant(self) -> Grant | None:
        """The grant that counts: the smallest."""
        return self.grants[0] if self.grants else None

    @property
    def revoking(self) -> tuple[Revoke, ...]:
        """The revokes that count for that grant: of each series the latest, of one instant the one that takes most."""
        if not self.revokes or (grant := self.grant) is None:
            return ()
        of_series: dict[str, Revoke] = {}
        for revoke in self.revokes:
            first = of_series.get(revoke.series, revoke)
            of_series[revoke.series] = max(first, revoke, key=lambda each: (each.at, each.takes(grant)))
        return tuple(of_series.values())

    @property
    def counting(self) -> tuple[Fact | None, ...]:
        """What decides the cost. As long as it stays, the cost does."""
        decide = self.charge, *self.refunding, self.grant
        if not (self.revokes or self.concessions or self.adjustments or self.holds):
            return decide
        return (*decide, *self.revoking, *self.concessions, *self.adjustments, self.hold)

    @property
    def conceded(self) -> Decimal:
        """How many credits of the job's cost a person has conceded, and not taken back."""
        return _standing(self.concessions)

    @property
    def adjusted(self) -> Decimal:
        """What a person has moved on this log, and not taken back: signed from the user's side."""
        return _standing(self.adjustments)

    def latest(self) -> Charge | Refund | None:
        """Return of the highest attempt the latest fact with a time of its own, else the latest weak one.

        Of one instant a refund comes before a charge.
        """
        told = self.of_attempt(max(self.attempts, default=0))
        return _later(told.charges, told.refunds) or _later(told.weak_charges, told.weak_refunds)


NOTHING_KNOWN = Facts()


NUMBERED = ("charges", "weak_charges", "refunds", "weak_refunds", "holds", "expiries")
"""The facts that are about one attempt."""


def _in_attempt[T: (Charge, Refund, Hold)](fact: T, attempt: int, said: Content) -> T:
    return evolve(fact, attempt=attempt, content=tuple(sorted({**dict(fact.content), **dict(said)}.items())))


def _together(attempts: list[Facts]) -> Facts:
    """Return the facts of several attempts, the lowest first, as one: of each field the one that counts stands at its end."""
    highest_first = reversed(attempts)
    charges = [(told.charges, told.weak_charges, told.holds, told.expiries) for told in highest_first]
    return evolve(
        attempts[0],
        charges=tuple(charge for told, *_ in charges for charge in told),
        weak_charges=tuple(charge for _, told, *_ in charges for charge in told),
        refunds=tuple(refund for told in attempts for refund in told.refunds),
        weak_refunds=tuple(refund for told in attempts for refund in told.weak_refunds),
        holds=tuple(hold for *_, told, _ in charges for hold in told),
        expiries=tuple(expiry for *_, told in charges for expiry in told),
    )


def _standing(told: tuple[Adjustment, ...]) -> Decimal:
    if not told:
        return ZERO
    reversed_ids = {each.reverses for each in told}
    standing = (each.amount for each in told if not (each.reverses or each.job or each.id in reversed_ids))
    return functools.reduce(EXACT.add, standing, ZERO)


def _most_generous(refunds: tuple[Refund, ...], charge: Charge) -> Refund | None:
    in_time = [refund for refund in refunds if refund.is_in_time_for(charge)]
    if len(in_time) <= 1:
        return in_time[0] if in_time else None
    of_latest = [refund for refund in in_time if refund.at == in_time[-1].at]
    return max(of_latest, key=lambda refund: (refund.gives(charge), refund.percent or ZERO))


def _later(charges: tuple[Charge, ...], refunds: tuple[Refund, ...]) -> Charge | Refund | None:
    charge, refund = charges[0] if charges else None, refunds[-1] if refunds else None
    if charge is None or refund is None:
        return charge or refund
    return charge if charge.at > refund.at else refund


def all_claims(facts: Facts) -> tuple[Claim, ...]:
    """Return every charge, hold and grant that is known, weak ones too."""
    return (*facts.charges, *facts.weak_charges, *facts.grants, *facts.holds)


def most_twins(facts: Facts) -> int:
    """Return how many facts are known that say different things where one is expected, of the kind that has most of them."""
    tellings = (facts.charges, facts.weak_charges, facts.grants, facts.refunds, facts.revokes, facts.holds)
    together = max(map(len, tellings))
    if together <= TWINS_MAX:  # as nearly always
        return together
    of_instant = Counter(charge.once != "" for charge in facts.charges)
    weak = Counter(charge.once != "" for charge in facts.weak_charges)
    of_rule = Counter((refund.at, refund.rule) for refund in facts.refunds)
    of_series = Counter((revoke.series, revoke.at) for revoke in facts.revokes)
    return max(
        len(facts.grants),
        len(facts.holds),
        *(max(counts.values(), default=0) for counts in (of_instant, weak, of_rule, of_series)),
    )
