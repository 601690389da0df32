"""The values that cross every border in this house: immutable, and right by construction.

Amounts are ``Decimal`` credits, signed from the user's side (a debit is negative); instants are aware ``datetime`` in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from engine.decimals import EXACT, ZERO, Money
from engine.facts import NOTHING_KNOWN, Facts

CLOSE_CALL = "close-call"
CONFLICTING_CHARGE = "conflicting-charge"
CONFLICTING_GRANT = "conflicting-grant"
"""What earlier entries call a repeated grant of another amount."""
OVERDRAFT = "overdraft"
REPEATED_GRANT = "repeated-grant"
REPLACED_CHARGE = "replaced-charge"
UNKNOWN_JOB = "unknown-job"
UNKNOWN_USER = "unknown-user"
BUILT_IN_ANOMALIES = (
    CLOSE_CALL,
    CONFLICTING_CHARGE,
    CONFLICTING_GRANT,
    OVERDRAFT,
    REPEATED_GRANT,
    REPLACED_CHARGE,
    UNKNOWN_JOB,
    UNKNOWN_USER,
)
"""Anomalies that the engine itself finds while it decides; a policy cannot use these names for its own."""

Document = Mapping[str, Any]
"""A JSON object: an EventBridge envelope, or a row of Jobs."""


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
    message: str | None = None
    """The queue's id of the message that it came in."""

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
    document: Document = field(factory=dict, eq=False, repr=False)
    """The event itself: it may be asked what an older policy asked of a known fact."""


def due(cost: Decimal, posted: Decimal) -> Decimal:
    """Return the one line that everything here is: posting = desired - posted (what costs is desired as a negative)."""
    return EXACT.subtract(EXACT.minus(cost), posted)


@frozen
class JobLog:
    """A job's or a grant's entries, summed up. ``cost`` is what it should have cost after the last one (a grant: < 0)."""

    sequence: int = 0
    user: str | None = None
    facts: Facts = NOTHING_KNOWN
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
class RowTime:
    """What the time of a job's row must be for a mark: as it was read, or (``latest``) not later than an instant."""

    attribute: str
    read: str | None = None
    latest: datetime | None = None


@frozen
class Mark:
    """What a posting writes on the job's row: settled at this status, or (``settled`` false) still due.

    ``sequence`` is that of the entry it rests on: it is written over none and over a smaller one, and over an equal one only
    while the row still has the status that a scan has read (``read``). ``user`` (attribute, user) is whose job the row must
    say it is, where it says so; ``time`` what time it may say.
    """

    status: str | None
    settled: bool = True
    sequence: int = 0
    read: str | None = None
    user: tuple[str, str] | None = None
    time: RowTime | None = None


@frozen
class JobRow:
    """What is known of the job's own row. The first attempt assumes that it takes the mark; a cancelled one teaches."""

    exists: bool = True
    takes_mark: bool = True
    asks_user: bool = True
    asks_time: bool = True
    owner: str | None = None
    """Whose job it is by its row, where that is another user than the event's."""


@frozen
class Decision:
    """What to do about one assessment: an entry to post with its guard and mark, or nothing."""

    outcome: Outcome
    entry: Entry | None = None
    guard: Guard = Guard.NONE
    mark: Mark | None = None
    is_unclear: bool = False
    """A row of Jobs without a time of its own contradicts what is known: the user has the benefit of the doubt."""
