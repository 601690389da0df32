"""One line of the ledger: immutable, and right by construction.

Amounts are ``Decimal`` credits, signed from the user's side (a debit is negative); instants are aware ``datetime`` in UTC.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from attrs import frozen

from engine.domain.anomaly import Anomaly, Excerpt, Sample, Sign
from engine.domain.entry_types import EntryType
from engine.domain.envelope import Source
from engine.domain.facts import Facts
from engine.domain.money import ZERO, Money
from engine.domain.price import Price

__all__ = ["Correction", "Entry", "EntryType", "PricedAnew", "Resolution"]


@frozen
class Resolution:
    """What a person found out about earlier entries of the same reference (by their sequences), which were flagged."""

    entries: tuple[int, ...]
    note: str


@frozen
class PricedAnew:
    """How the amount of a charge came about that a person has priced anew."""

    price: Price
    quantity: Decimal | None = None


@frozen
class Correction:
    """Who has told the facts of an entry, and why: a person, by a command.

    ``id`` is the adjustment's, ``plan`` the digest of the plan file by which many were corrected. ``by`` and ``approved_by``
    are the callers' identities (AWS: their ARNs). ``priced`` has of each charge that was priced anew how. ``about`` is the
    reference of a log that a person should look at beside it.
    """

    reason: str
    by: str
    id: str = ""
    approved_by: str = ""
    plan: str = ""
    priced: tuple[PricedAnew, ...] = ()
    about: str = ""


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
    correction: Correction | None = None
    held: Decimal = ZERO
    """How many credits more (or, below 0, less) are held since this entry. ``Credits.held`` moves by it."""

    @property
    def moves_credits(self) -> bool:
        """Whether the user's row moves by it: its balance, or what of it is held."""
        return self.amount != ZERO or self.held != ZERO

    @property
    def names_its_user(self) -> bool:
        """Whether the log is its user's by this entry. A hold that was refused says nothing of whose job it is."""
        return not (self.type is EntryType.FLAG and self.event_id in self.facts.refused)

    @property
    def excerpt(self) -> Excerpt:
        """What a look back sees of it. Only such a look posts a flag by the name of an anomaly."""
        flagged = self.rule if self.type is EntryType.FLAG else None
        return Excerpt(self.reference, self.job, self.user, self.occurred_at, self.signs, self.samples, flagged)
