"""What is known of one job or one grant: charges, refunds, grants, revokes, flags, corrections, and how they join.

Facts are a join-semilattice: any order and any repetition of the same facts ends in one value. Of charges those of the latest
instant are kept, of refunds all that may still count, of grants all, of each series of revokes its latest steps, of
corrections all; each as it was first told.

A person may price a charge anew: then it has a higher *revision*, and of charges with one content the highest counts.

A rule may ignore repeats (``Charge.once``): of what it tells with one content the earliest telling counts. Such charges are
kept beside the others, of each content the earliest, however early that is: its next repeat must find it, and an earlier
telling may still come, so that another content is the latest. Both parts join by themselves (the others upwards to the latest
instant, these downwards to the earliest of each content), and what counts is read from both together: the latest of all.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from attrs import evolve, frozen

from engine.domain.fact import Adjustment, Charge, Claim, Content, Fact, Grant, Refund, Revoke
from engine.domain.money import EXACT, ZERO

TWINS_MAX = 8
"""So many facts that say different things are kept of one instant (charges, refunds of one rule, revokes of one series).

So many grants are kept of one reference, and of one job so many charges whose repeats are ignored.

One more makes no sense."""

EARLIER_STEPS_MAX = 8
"""So many steps of a series are known beside the latest: under an edit that renames it they would take their credits again."""


@frozen
class Facts:
    """All that is known of one job or one grant.

    *Weak* facts were told by rows of Jobs without a time of their own, at the start of a scan. A weak charge counts only while
    no charge or refund with a time of its own is known, and is forgotten then; a weak refund, whatever its window, only where
    none with its own time is in time for the charge.
    """

    charges: tuple[Charge, ...] = ()
    """Those of the latest instant, the one that counts (the smallest) first; then earlier ones whose repeats are ignored."""
    refunds: tuple[Refund, ...] = ()
    """The latest that is in time for every charge, and those after it that have a window; the oldest first."""
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

    def join(self, new: Facts) -> Facts:
        """Return these facts and the ``new`` ones together."""
        if self == NOTHING_KNOWN:
            return new
        flags = dict(self.flags)
        for name, at in new.flags:
            flags[name] = max(at, flags.get(name, at))
        charges, refunds = _latest({*self.charges, *new.charges}), _may_count({*self.refunds, *new.refunds})
        has_own_time = bool(charges or refunds)
        revokes = (*self.revokes, *new.revokes)
        return Facts(
            charges=charges,
            refunds=refunds,
            grants=_smallest_first({*self.grants, *new.grants}),
            flags=tuple(sorted(flags.items())),
            weak_charges=() if has_own_time else _latest({*self.weak_charges, *new.weak_charges}),
            weak_refunds=_latest_by_rule((*self.weak_refunds, *new.weak_refunds)),
            revokes=_steps_of_series(revokes) if revokes else (),
            concessions=_by_id(self.concessions, new.concessions),
            adjustments=_by_id(self.adjustments, new.adjustments),
        )

    def same_work(self, other: Facts) -> bool:
        """Say whether both know the same charges, refunds, grants, revokes and corrections; they may differ in flags."""
        return self.work == other.work

    @property
    def work(self) -> tuple[tuple[Fact, ...], ...]:
        """All but the flags."""
        told = self.charges, self.refunds, self.grants, self.weak_charges, self.weak_refunds, self.revokes
        return (*told, self.concessions, self.adjustments)

    @property
    def kept(self) -> int:
        """How many facts an entry tells that knows these; flags are as many as the policy has, and not counted."""
        return sum(map(len, self.work))

    @property
    def charge(self) -> Charge | None:
        """The charge that counts: the smallest of the latest instant."""
        if self.charges:
            return self.charges[0]
        return self.weak_charges[0] if self.weak_charges else None

    @property
    def refund(self) -> Refund | None:
        """The refund that counts for that charge: of those in time the latest instant's, there the most generous."""
        if (charge := self.charge) is None:
            return None
        return _most_generous(self.refunds, charge) or _most_generous(self.weak_refunds, charge)

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
        decide = self.charge, self.refund, self.grant
        if not (self.revokes or self.concessions or self.adjustments):
            return decide
        return (*decide, *self.revoking, *self.concessions, *self.adjustments)

    @property
    def conceded(self) -> Decimal:
        """How many credits of the job's cost a person has conceded, and not taken back."""
        return _standing(self.concessions)

    @property
    def adjusted(self) -> Decimal:
        """What a person has moved on this log, and not taken back: signed from the user's side."""
        return _standing(self.adjustments)

    def latest(self) -> Charge | Refund | None:
        """Return the latest fact with a time of its own, else the latest weak one; a refund before a charge of its instant."""
        return _later(self.charges, self.refunds) or _later(self.weak_charges, self.weak_refunds)


NOTHING_KNOWN = Facts()


def _standing(told: tuple[Adjustment, ...]) -> Decimal:
    if not told:
        return ZERO
    reversed_ids = {each.reverses for each in told}
    standing = (each.amount for each in told if not (each.reverses or each.job or each.id in reversed_ids))
    return functools.reduce(EXACT.add, standing, ZERO)


def _by_id(known: tuple[Adjustment, ...], new: tuple[Adjustment, ...]) -> tuple[Adjustment, ...]:
    """An id is told once: told again it says what it said."""
    if not (known and new):
        return known or new
    of_id = {each.id: each for each in (*new, *known)}
    return tuple(of_id[name] for name in sorted(of_id))


def _latest(charges: set[Charge]) -> tuple[Charge, ...]:
    if len(charges) <= 1:
        return tuple(charges)
    if ignores_repeats(charges):
        return _latest_first(charges)
    at = max(charge.at for charge in charges)
    return _smallest_first(_as_revised([charge for charge in charges if charge.at == at]))


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


def _smallest_first[T: (Charge, Grant)](claims: Iterable[T]) -> tuple[T, ...]:
    return tuple(sorted(claims, key=lambda claim: (claim.amount, claim.at, claim.content, claim.policy)))


def _may_count(refunds: set[Refund]) -> tuple[Refund, ...]:
    """Return the refunds that may still count, by their instants. Before one without a window none ever does."""
    unbounded_at = max((refund.at for refund in refunds if refund.within is None), default=None)
    kept = (refund for refund in refunds if unbounded_at is None or refund.at >= unbounded_at)
    return tuple(sorted(kept, key=_by_instant))


def _by_instant(refund: Refund) -> tuple[datetime, str, bool, Decimal, timedelta, Decimal, Content, str]:
    figures = refund.amount is None, refund.percent or ZERO, refund.within or timedelta.max, refund.amount or ZERO
    return refund.at, refund.rule, *figures, refund.content, refund.policy


def _latest_by_rule(refunds: Iterable[Refund]) -> tuple[Refund, ...]:
    """Return the latest that each rule has told, the oldest first. They have no window: a scan's start is nobody's time."""
    latest: dict[str, Refund] = {}
    for refund in refunds:
        latest[refund.rule] = max(refund, latest.get(refund.rule, refund), key=_by_instant)
    return tuple(sorted(latest.values(), key=lambda refund: (refund.at, refund.rule)))


def _steps_of_series(revokes: tuple[Revoke, ...]) -> tuple[Revoke, ...]:
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
    """Return every charge and grant that is known, weak ones too."""
    return (*facts.charges, *facts.weak_charges, *facts.grants)


def most_twins(facts: Facts) -> int:
    """Return how many facts are known that say different things where one is expected, of the kind that has most of them."""
    tellings = (facts.charges, facts.weak_charges, facts.grants, facts.refunds, facts.revokes)
    together = max(map(len, tellings))
    if together <= TWINS_MAX:  # as nearly always
        return together
    of_instant = Counter(charge.once != "" for charge in facts.charges)
    weak = Counter(charge.once != "" for charge in facts.weak_charges)
    of_rule = Counter((refund.at, refund.rule) for refund in facts.refunds)
    of_series = Counter((revoke.series, revoke.at) for revoke in facts.revokes)
    return max(len(facts.grants), *(max(counts.values(), default=0) for counts in (of_instant, weak, of_rule, of_series)))
