"""What a person should look at, and what is measured and counted to find it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from attrs import frozen


@frozen
class Anomaly:
    """Something a person should look at. ``figures`` are what the detector saw (strings, ready to be stored)."""

    name: str
    reason: str | None = None
    figures: tuple[tuple[str, str], ...] = ()


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
class Excerpt:
    """What a look back over the ledger sees of an entry. ``flagged`` is the anomaly that a look before has flagged with it."""

    reference: str
    job: str | None
    user: str
    at: datetime
    signs: tuple[Sign, ...] = ()
    samples: tuple[Sample, ...] = ()
    flagged: str | None = None
