"""The values that cross every border in this house: immutable, and right by construction.

Amounts are ``Decimal`` credits, signed from the user's side (a debit is negative); instants are aware ``datetime`` in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from attrs import frozen

from engine.decimals import EXACT, ZERO, Money

CONFLICTING_CHARGE = "conflicting-charge"
CONFLICTING_GRANT = "conflicting-grant"
OVERDRAFT = "overdraft"
UNKNOWN_USER = "unknown-user"
BUILT_IN_ANOMALIES = (CONFLICTING_CHARGE, CONFLICTING_GRANT, OVERDRAFT, UNKNOWN_USER)
"""Anomalies that the engine itself finds while it decides; a policy cannot use these names for its own."""

Document = Mapping[str, Any]
"""A JSON object: an EventBridge envelope, or a row of Jobs."""

Content = tuple[tuple[str, str], ...]
"""What an event said: each expression that was asked, and the text of what it found."""


class Source(StrEnum):
    """How a fact reached us."""

    EVENT = "event"
    QUEUE = "queue"
    SCAN = "scan"
    REPLAY = "replay"
    REPAIR = "repair"
    """A correction by a person, after damage that an audit has found."""
    COMMAND = "command"
    """A person's own word, by ``reconciler anomalies resolve``: no fact of the job."""


class EntryType(StrEnum):
    """What an entry of the ledger does to the balance."""

    DEBIT = "debit"
    REFUND = "refund"
    GRANT = "grant"
    FLAG = "flag"
    VOID = "void"


class Outcome(StrEnum):
    """How one event ended. Anything else is an exception, and the event must come back."""

    DEBITED = "debited"
    REFUNDED = "refunded"
    GRANTED = "granted"
    VOIDED = "voided"
    """A new fact that moves nothing: remembered, so that no order of arrival can charge for it."""
    FLAGGED = "flagged"
    REFUSED = "refused"
    """The balance does not cover the charge: it stays due, and every scan tries it again."""
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    """No rule matches."""


@frozen
class Envelope:
    """One event in EventBridge's shape, whatever it came from.

    ``status`` is the status of the row of Jobs that a scan made it from. ``time_is_assumed`` says that the row had no time of
    its own, so that the start of the scan stands in.
    """

    document: Document
    source: Source
    status: str | None = None
    time_is_assumed: bool = False

    @property
    def id(self) -> str | None:
        value = self.document.get("id")
        return value if isinstance(value, str) else None


class TierModel(StrEnum):
    """How tiers apply to a quantity."""

    GRADUATED = "graduated"
    """Each part of the quantity at the rate of the tier that it lies in."""
    VOLUME = "volume"
    """The whole quantity at the rate of the tier that it reaches."""


@frozen
class Tier:
    """A rate for quantities up to and including ``up_to``; None for all above the tier before."""

    rate: Decimal
    up_to: Decimal | None = None


@frozen
class Price:
    """All that an amount follows from, beside the quantity: an entry keeps it, so that it can be worked out for ever.

    A flat ``amount``; or ``rate`` credits a unit (with ``tiers``: the rate of the tier that was reached); or neither, where
    the quantity itself is the amount. ``book`` and ``effective`` name the row of the price book, ``unit`` the keys of its
    ``rates`` that led to the rate.
    """

    amount: Decimal | None = None
    book: str | None = None
    effective: datetime | None = None
    rate: Decimal | None = None
    unit: str | None = None
    tiers: tuple[Tier, ...] = ()
    tier_model: TierModel = TierModel.GRADUATED
    minimum: Decimal | None = None
    maximum: Decimal | None = None


@frozen
class Charge:
    """The fact "this job's work was done at ``at`` and costs ``amount``" (credits, >= 0).

    ``amount`` is fixed when the charge is first seen, by ``policy`` (its identity). ``content`` is what the event said.
    """

    amount: Decimal
    at: datetime
    content: Content = ()
    policy: str = ""

    def join(self, other: Charge) -> Charge:
        """Return the one that counts: the later; at one instant the known one if they are the same, else the smaller."""
        if self.at != other.at:
            return max(self, other, key=lambda charge: charge.at)
        return self if is_same(self, other) or self.amount <= other.amount else other

    def conflicts_with(self, other: Charge) -> bool:
        """Say whether the two cannot both be true: one instant, different amounts."""
        return self.at == other.at and not is_same(self, other)


@frozen
class Grant:
    """The fact "``amount`` credits were bought or given at ``at``" (>= 0), fixed when it is first seen, by ``policy``.

    A grant is made once, so its instant plays no part in what counts.
    """

    amount: Decimal
    at: datetime
    content: Content = ()
    policy: str = ""

    def join(self, other: Grant) -> Grant:
        """Return the one that counts: the known one if they are the same, else the smaller."""
        return self if is_same(self, other) or self.amount <= other.amount else other


def is_same(known: Charge | Grant, new: Charge | Grant) -> bool:
    """Say whether two facts of one reference (and one instant) may come from one and the same event.

    One policy prices one event but once, so different amounts are different events. Another policy may price it otherwise:
    then they are the same as long as no expression that both asked found different things.
    """
    return known.amount == new.amount or (known.policy != new.policy and agree(known.content, new.content))


def agree(known: Content, new: Content) -> bool:
    """Say whether all expressions that were asked both times found the same."""
    said = dict(known)
    return all(said.get(expression, value) == value for expression, value in new)


@frozen
class Refund:
    """The fact "this job failed at ``at``; ``percent`` (0 to 100) of its charge goes back".

    Nothing goes back where the charge is older than ``within`` (None: however old it is).
    """

    percent: Decimal
    at: datetime
    within: timedelta | None = None
    policy: str = ""

    def join(self, other: Refund) -> Refund:
        """Return which of two refunds of one instant counts: the more generous, as long as one policy says so.

        Under another policy it is the known refund again, and what it gives is fixed.
        """
        if self.policy != other.policy:
            return self
        return max(self, other, key=lambda refund: (refund.percent, refund.within or timedelta.max))

    def counts_for(self, charge: Charge) -> bool:
        """Say whether something of a charge goes back: the charge is not later, and not older than the window."""
        age = self.at - charge.at
        return age >= timedelta(0) and (self.within is None or age <= self.within)


@frozen
class Conflict:
    """Two facts that cannot both be true; ``name`` is the anomaly's."""

    name: str
    known: Charge | Grant
    new: Charge | Grant

    @property
    def at(self) -> datetime:
        """The instant that does not depend on which of the two came first."""
        return max(self.known.at, self.new.at)


@frozen
class Facts:
    """All that is known of one job or one grant. A join-semilattice: any order and repetition of facts ends in one value."""

    charge: Charge | None = None
    refunds: tuple[Refund, ...] = ()
    """The latest refund that counts for every charge, and those after it that count within a window; the oldest first."""
    grant: Grant | None = None
    flags: tuple[tuple[str, datetime], ...] = ()
    """Flags raised so far, each with the latest instant it was raised at; sorted by name."""

    def join(self, new: Facts) -> Facts:
        """Return these facts and the ``new`` ones together."""
        if self == NOTHING_KNOWN:
            return new
        flags = dict(self.flags)
        for name, at in (*new.flags, *((conflict.name, conflict.at) for conflict in self.conflicts(new))):
            flags[name] = max(at, flags.get(name, at))
        return Facts(
            charge=self.charge.join(new.charge) if self.charge and new.charge else self.charge or new.charge,
            refunds=_joined(self.refunds, new.refunds),
            grant=self.grant.join(new.grant) if self.grant and new.grant else self.grant or new.grant,
            flags=tuple(sorted(flags.items())),
        )

    def conflicts(self, new: Facts) -> Iterator[Conflict]:
        """Yield what of these facts and the ``new`` ones cannot both be true."""
        if self.charge and new.charge and self.charge.conflicts_with(new.charge):
            yield Conflict(CONFLICTING_CHARGE, self.charge, new.charge)
        if self.grant and new.grant and not is_same(self.grant, new.grant):
            yield Conflict(CONFLICTING_GRANT, self.grant, new.grant)

    def same_work(self, other: Facts) -> bool:
        """Say whether both know the same charge, refund and grant; they may differ in flags."""
        return (self.charge, self.refunds, self.grant) == (other.charge, other.refunds, other.grant)

    def latest(self) -> Charge | Refund | None:
        """Return the latest fact, a refund before a charge of the same instant."""
        refund = self.refunds[-1] if self.refunds else None
        if self.charge is None or refund is None:
            return self.charge or refund
        return self.charge if self.charge.at > refund.at else refund

    def refund(self) -> Refund | None:
        """Return the refund that counts: of those not before the charge and within their window the latest."""
        charge = self.charge
        counting = [refund for refund in self.refunds if charge is not None and refund.counts_for(charge)]
        return counting[-1] if counting else None


NOTHING_KNOWN = Facts()


def _joined(known: tuple[Refund, ...], new: tuple[Refund, ...]) -> tuple[Refund, ...]:
    """Return all refunds that may still count, by their instants. Before one without a window none ever does."""
    by_instant = {refund.at: refund for refund in known}
    for refund in new:
        by_instant[refund.at] = by_instant[refund.at].join(refund) if refund.at in by_instant else refund
    latest_for_all = max((refund.at for refund in by_instant.values() if refund.within is None), default=None)
    return tuple(by_instant[at] for at in sorted(by_instant) if latest_for_all is None or at >= latest_for_all)


@frozen
class Anomaly:
    """Something a person should look at. ``figures`` are what the detector saw (strings, ready to be stored)."""

    name: str
    reason: str | None = None
    figures: tuple[tuple[str, str], ...] = ()


JOB, GRANT, REPAIR = "job#", "grant#", "repair#"
"""What a reference of the ledger begins with; ``repair#`` and a user for corrections of a row of Credits."""


@frozen
class Sample:
    """A number that an outlier anomaly looked at: ``of`` says which, ``group`` what it is compared with."""

    of: str
    group: str
    value: Decimal


@frozen
class Sign:
    """What the anomaly ``name`` counts an event by: ``key`` is the same where all values are that must be the same."""

    name: str
    key: str


@frozen
class Seen:
    """What a look back over the ledger sees of an entry. ``flagged`` is the anomaly that a look before has flagged with it."""

    reference: str
    job: str | None
    user: str
    at: datetime
    signs: tuple[Sign, ...] = ()
    samples: tuple[Sample, ...] = ()
    flagged: str | None = None


@frozen
class Assessment:
    """What the policy makes of one envelope, before the ledger is asked: whose, when, by which rule, and the fact in it.

    ``reference`` is the log it belongs to, a job's or a grant's; ``job`` is set where the event names one.
    """

    reference: str
    job: str | None
    user: str
    at: datetime
    rule: str
    fact: Facts
    source: Source
    event_id: str | None = None
    price: Price | None = None
    quantity: Decimal | None = None
    anomalies: tuple[Anomaly, ...] = ()
    samples: tuple[Sample, ...] = ()
    signs: tuple[Sign, ...] = ()
    unjudged: str | None = None
    """Why the samples could not be measured by a baseline, where they could not."""
    status: str | None = None
    """The status of the job that this event stands for, where the policy's ``catch_up`` maps one."""
    time_is_assumed: bool = False


def due(cost: Decimal, posted: Decimal) -> Decimal:
    """Return the one line that everything here is: posting = desired - posted (what costs is desired as a negative)."""
    return EXACT.subtract(EXACT.minus(cost), posted)


@frozen
class JobLog:
    """A job's or a grant's entries, summed up. ``cost`` is what it should have cost after the last one (a grant: < 0)."""

    sequence: int = 0
    user: str | None = None
    facts: Facts = Facts()
    cost: Decimal = ZERO
    posted: Decimal = ZERO

    @property
    def due(self) -> Decimal:
        """The amount that is still to be posted: not zero only after a refusal."""
        return due(self.cost, self.posted)


class Standing(StrEnum):
    """What is known of the user's row in Credits. The first attempt assumes; a cancelled transaction teaches."""

    ASSUMED_COVERED = "assumed-covered"
    NOT_COVERED = "not-covered"
    UNKNOWN_USER = "unknown-user"


class Guard(StrEnum):
    """What must hold of the user's row for the posting to go through."""

    NONE = "none"
    """No credit moves, so the row plays no part."""
    EXISTS = "exists"
    COVERED = "covered"
    """The row exists, and the balance covers the debit."""
    NOT_COVERED = "not-covered"
    """The row exists, and the balance does not cover the debit: the entry says overdraft, and must be right."""
    MISSING = "missing"
    """The row does not exist and is created by this posting."""


@frozen
class Resolution:
    """What a person found out about earlier entries of the same reference (by their sequences), which were flagged."""

    entries: tuple[int, ...]
    note: str


@frozen
class Entry:
    """One line of the ledger. Never changed, never deleted."""

    reference: str
    job: str | None
    sequence: int
    user: str
    type: EntryType
    amount: Decimal
    occurred_at: datetime
    rule: str
    policy: str
    facts: Facts
    cost: Decimal
    money: Money
    source: Source
    price: Price | None = None
    quantity: Decimal | None = None
    anomalies: tuple[Anomaly, ...] = ()
    samples: tuple[Sample, ...] = ()
    signs: tuple[Sign, ...] = ()
    event_id: str | None = None
    time_is_assumed: bool = False
    resolution: Resolution | None = None

    @property
    def seen(self) -> Seen:
        """What a look back sees of it. Only such a look posts a flag by the name of an anomaly."""
        flagged = self.rule if self.type is EntryType.FLAG else None
        return Seen(self.reference, self.job, self.user, self.occurred_at, self.signs, self.samples, flagged)


@frozen
class Mark:
    """What a posting writes on the job's row: settled at this status, or (``settled`` false) still due."""

    status: str | None
    settled: bool = True


@frozen
class Decision:
    """What to do about one assessment: an entry to post with its guard and mark, or nothing."""

    outcome: Outcome
    entry: Entry | None = None
    guard: Guard = Guard.NONE
    mark: Mark | None = None
