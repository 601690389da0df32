"""What is known of one job or one grant: charges, refunds, grants, revokes and flags, and how they join.

Facts are a join-semilattice: any order and any repetition of the same facts ends in one value. Of charges those of the latest
instant are kept, of refunds all that may still count, of grants all, of each series of revokes its latest steps;
each as it was first told.

A rule may ignore repeats (``Charge.once``): of what it tells with one content the earliest telling counts. Such charges are
kept beside the others, of each content the earliest, however early that is: its next repeat must find it, and an earlier
telling may still come, so that another content is the latest. Both parts join by themselves (the others upwards to the latest
instant, these downwards to the earliest of each content), and what counts is read from both together: the latest of all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from attrs import frozen

from engine.domain.money import EXACT, ZERO

Content = tuple[tuple[str, str], ...]
"""What an event said: each expression that was asked, and the text of what it found."""

TOLD_BY = "#event"
"""Where a content has no expression but the id of the event that has told it: its time was read from the job's own row."""

TWINS_MAX = 8
"""So many facts that say different things are kept of one instant (charges, refunds of one rule, revokes of one series).

So many grants are kept of one reference, and of one job so many charges whose repeats are ignored.

One more makes no sense."""

EARLIER_STEPS_MAX = 8
"""So many steps of a series are known beside the latest: under an edit that renames it they would take their credits again."""


@frozen
class Charge:
    """The fact "this job's work was done at ``at`` and costs ``amount``" (credits, >= 0).

    ``amount`` is fixed when the charge is first told, by ``policy`` (its identity). ``content`` is what the event said.
    """

    amount: Decimal
    at: datetime
    content: Content = ()
    policy: str = ""
    once: str = ""
    """The rule that told it, if that ignores repeats: of one content the earliest counts. Else each instant is news."""

    def is_one_with(self, other: Charge) -> bool:
        """Say whether both are one charge, told at two instants perhaps, of which repeats are ignored."""
        return bool(self.once or other.once) and (self.amount, self.content, self.policy) == (
            other.amount,
            other.content,
            other.policy,
        )


@frozen
class Grant:
    """The fact "``amount`` credits were bought or given at ``at``" (>= 0), fixed when it is first told, by ``policy``.

    A grant is made once, so its instant plays no part in what counts.
    """

    amount: Decimal
    at: datetime
    content: Content = ()
    policy: str = ""


@frozen
class Refund:
    """The fact "this job failed at ``at``, and so much of its charge goes back", first told by ``rule``.

    That is ``percent`` of it (0 to 100), or an ``amount`` of credits (>= 0), as the policy of the first telling says; one of
    the two is None. ``content`` is what the event said, where it says the number itself. Nothing goes back where the charge is
    older than ``within`` (None: however old it is).
    """

    percent: Decimal | None
    at: datetime
    within: timedelta | None = None
    policy: str = ""
    rule: str = ""
    """Empty in entries of the first form, which kept one refund an instant."""
    amount: Decimal | None = None
    content: Content = ()

    def is_in_time_for(self, charge: Charge) -> bool:
        """Say whether something of a charge goes back: the charge is not later, and not older than the window."""
        age = self.at - charge.at
        return age >= timedelta(0) and (self.within is None or age <= self.within)

    def is_told_by(self, other: Refund) -> bool:
        """Say whether ``other`` is of this instant and rule: it tells this refund again, if it says what this one says."""
        return self.at == other.at and self.rule in {"", other.rule}

    def gives(self, charge: Charge) -> Decimal:
        """Return how many credits of a charge go back, unrounded: never more than it cost."""
        return part_of(charge.amount, self.percent, self.amount)


@frozen
class Revoke:
    """The fact "by ``at`` so much of this grant was taken back, in all, for the reason ``series``", first told by ``policy``.

    That is ``percent`` of it (0 to 100) or an ``amount`` of credits (>= 0); one of the two is None. It is told anew with each
    step: of a series the latest counts, and 0 gives back what the series has taken. What several series take adds up.
    """

    percent: Decimal | None
    amount: Decimal | None
    at: datetime
    series: str
    content: Content = ()
    policy: str = ""

    def takes(self, grant: Grant) -> Decimal:
        """Return how many credits of a grant it takes back, unrounded: never more than it gave."""
        return part_of(grant.amount, self.percent, self.amount)


def part_of(whole: Decimal, percent: Decimal | None, amount: Decimal | None) -> Decimal:
    """Return ``percent`` of ``whole``, or else ``amount`` of it, unrounded: never more than all of it."""
    if amount is not None:
        return min(amount, whole)
    return EXACT.scaleb(EXACT.multiply(whole, percent or ZERO), -2)


type Claim = Charge | Grant
"""What has an amount that was fixed by its first telling."""

type Fact = Claim | Refund | Revoke


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
        )

    def same_work(self, other: Facts) -> bool:
        """Say whether both know the same charges, refunds, grants and revokes; they may differ in flags."""
        return self.work == other.work

    @property
    def work(self) -> tuple[tuple[Fact, ...], ...]:
        """All but the flags."""
        return self.charges, self.refunds, self.grants, self.weak_charges, self.weak_refunds, self.revokes

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
        return (*decide, *self.revoking) if self.revokes else decide

    def latest(self) -> Charge | Refund | None:
        """Return the latest fact with a time of its own, else the latest weak one; a refund before a charge of its instant."""
        return _later(self.charges, self.refunds) or _later(self.weak_charges, self.weak_refunds)


NOTHING_KNOWN = Facts()


def _latest(charges: set[Charge]) -> tuple[Charge, ...]:
    if len(charges) <= 1:
        return tuple(charges)
    if ignores_repeats(charges):
        return _latest_first(charges)
    at = max(charge.at for charge in charges)
    return _smallest_first(charge for charge in charges if charge.at == at)


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
    for charge in sorted(charges, key=_by_age):
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
