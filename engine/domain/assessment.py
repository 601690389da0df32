"""What the policy makes of one envelope, before the ledger is asked."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from attrs import field, frozen

from engine.domain.anomaly import Anomaly, Sample, Sign
from engine.domain.envelope import Document, Source
from engine.domain.facts import Facts
from engine.domain.job_row import marked_status
from engine.domain.price import Price


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
    attempt: int | None = None
    """Which try of the job it is about; None where the policy does not number them."""
    may_overdraw: bool = False
    """Of a hold: whether it may reserve more than the balance covers."""
    time_is_assumed: bool = False
    document: Document = field(factory=dict, eq=False, repr=False)
    """The event itself: it may be asked what an older policy asked of a known fact."""
    row: Document | None = field(default=None, eq=False, repr=False)
    """The job's own row, where it was read."""

    @property
    def marks(self) -> str | None:
        """The status that the job's row is marked at, where it is: with its attempt, so that another completion is seen."""
        return self.status if self.status is None or self.attempt is None else marked_status(self.status, self.attempt)
