"""The values that cross every border in this house: immutable, and right by construction.

Amounts are ``Decimal`` credits, signed from the user's side (a debit is negative); instants are aware ``datetime`` in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Context, Decimal
from enum import StrEnum
from typing import Any

from attrs import frozen

ZERO = Decimal(0)

EXACT = Context(prec=200)
"""Sums and products of the ledger's 38-digit numbers without loss; Python's own context would round them to 28 digits."""

CONFLICTING_CHARGE = "conflicting-charge"
OVERDRAFT = "overdraft"
UNKNOWN_USER = "unknown-user"
BUILT_IN_ANOMALIES = (CONFLICTING_CHARGE, OVERDRAFT, UNKNOWN_USER)
"""Anomalies that the engine itself finds while it decides; a policy cannot use these names for its own."""

Document = Mapping[str, Any]
"""A JSON object: an EventBridge envelope, or a row of Jobs."""


class Source(StrEnum):
    """How a fact reached us."""

    EVENT = "event"
    QUEUE = "queue"
    SCAN = "scan"
    REPLAY = "replay"


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


@frozen
class Price:
    """The row of a price book that counted, and its rate."""

    book: str
    effective: datetime
    rate: Decimal
    unit: str
    """The key of ``rates`` that gave the rate: the selected value, or ``default``."""


@frozen
class Charge:
    """The fact "this job's work was done at ``at`` and costs ``amount``" (credits, >= 0).

    ``amount`` is fixed when the charge is first seen. ``content`` is what the event itself said (quantity and the value that
    selected the rate): two charges at one instant are one and the same if their content is.
    """

    amount: Decimal
    at: datetime
    content: tuple[str, ...] = ()

    def join(self, other: Charge) -> Charge:
        """Return the one that counts: the later; at one instant the known one if they are the same, else the smaller."""
        if self.at != other.at:
            return max(self, other, key=lambda charge: charge.at)
        if self.content == other.content or self.amount <= other.amount:
            return self
        return other

    def conflicts_with(self, other: Charge) -> bool:
        """Say whether the two cannot both be true: one instant, different work, different amounts."""
        return self.at == other.at and self.content != other.content and self.amount != other.amount


@frozen
class Refund:
    """The fact "this job failed at ``at``; ``percent`` (0 to 100) of its charge goes back"."""

    percent: Decimal
    at: datetime

    def join(self, other: Refund) -> Refund:
        """Return the one that counts: the later; at one instant the larger."""
        return max(self, other, key=lambda refund: (refund.at, refund.percent))


@frozen
class Facts:
    """All that is known of one job. A join-semilattice: any order and any repetition of facts ends in the same value."""

    charge: Charge | None = None
    refund: Refund | None = None
    flags: tuple[tuple[str, datetime], ...] = ()
    """Flags raised so far, each with the latest instant it was raised at; sorted by name."""

    def join(self, new: Facts) -> Facts:
        """Return these facts and the ``new`` ones together."""
        flags = dict(self.flags)
        for name, at in new.flags:
            flags[name] = max(at, flags.get(name, at))
        if self.charge and new.charge and self.charge.conflicts_with(new.charge):
            flags[CONFLICTING_CHARGE] = max(new.charge.at, flags.get(CONFLICTING_CHARGE, new.charge.at))
        return Facts(
            charge=self.charge.join(new.charge) if self.charge and new.charge else self.charge or new.charge,
            refund=self.refund.join(new.refund) if self.refund and new.refund else self.refund or new.refund,
            flags=tuple(sorted(flags.items())),
        )

    def latest(self) -> Charge | Refund | None:
        """Return the fact that decides what the job costs: the latest one, a refund before a charge of the same instant."""
        if self.charge is None or self.refund is None:
            return self.charge or self.refund
        return self.charge if self.charge.at > self.refund.at else self.refund


@frozen
class Anomaly:
    """Something a person should look at. ``figures`` are what the detector saw (strings, ready to be stored)."""

    name: str
    reason: str | None = None
    figures: tuple[tuple[str, str], ...] = ()


@frozen
class Assessment:
    """What the policy makes of one envelope, before the ledger is asked: whose, when, by which rule, and the fact in it."""

    job: str
    user: str
    at: datetime
    rule: str
    fact: Facts
    source: Source
    event_id: str | None = None
    price: Price | None = None
    quantity: Decimal | None = None
    anomalies: tuple[Anomaly, ...] = ()
    status: str | None = None
    """The status of the job that this event stands for, where the policy's ``catch_up`` maps one."""
    time_is_assumed: bool = False


def due(cost: Decimal, posted: Decimal) -> Decimal:
    """Return the one line that everything here is: posting = desired - posted (a charge is desired as a negative)."""
    return EXACT.subtract(EXACT.minus(cost), posted)


@frozen
class JobLog:
    """A job's entries, summed up. ``cost`` is what the job should have cost after the last entry (credits, >= 0)."""

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
class Entry:
    """One line of the ledger. Never changed, never deleted."""

    job: str
    sequence: int
    user: str
    type: EntryType
    amount: Decimal
    occurred_at: datetime
    rule: str
    policy: str
    facts: Facts
    cost: Decimal
    source: Source
    price: Price | None = None
    quantity: Decimal | None = None
    anomalies: tuple[Anomaly, ...] = ()
    event_id: str | None = None
    time_is_assumed: bool = False

    @property
    def reference(self) -> str:
        return f"job#{self.job}"


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
