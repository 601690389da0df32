"""A user's entries as a statement: a period of them, in an order, with the balance before, after each and at the end. Pure.

What the application itself granted (``remaining - posted``) stands in no entry and has no time. So it counts from the
beginning: it is in the opening balance, whatever the period.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from attrs import frozen

from engine.domain.envelope import Source
from engine.domain.fact_kinds import read_facts
from engine.domain.instants import instant_text, read_instant
from engine.domain.models import model_named
from engine.domain.money import EXACT, ZERO, canonical
from engine.domain.references import GRANT, JOB
from engine.ledger.conditions import is_number
from engine.ledger.store import StoredEntry
from engine.ledger.stored import NO_ENTRY, correction_in

BEGINNING = datetime.min.replace(tzinfo=UTC)
"""When something happened that does not say when."""

DEFAULT_RATE = "default"
"""Of what an entry keeps of a rate: no model has this name."""


type Period = tuple[datetime | None, datetime | None]
"""From when on, and until before when; None: no bound."""

ALWAYS: Period = (None, None)


class Order(StrEnum):
    """What an entry's place in a statement follows from, and its day."""

    POSTING = "posting"
    OCCURRENCE = "occurrence"


@frozen
class StatementLine:
    """An entry, and the balance after it. ``model`` and ``how_much`` are empty where the entry does not tell them.

    ``held`` is how many credits more (or, below 0, less) are held since it.
    """

    entry: StoredEntry
    amount: Decimal
    balance: Decimal
    model: str
    how_much: str
    held: Decimal = ZERO

    @property
    def moves_credits(self) -> bool:
        """Whether the balance moves by it, or what is held."""
        return self.amount != ZERO or self.held != ZERO

    @property
    def reference(self) -> str:
        return str(self.entry.get("reference", ""))

    @property
    def type(self) -> str:
        return str(self.entry.get("type", ""))

    @property
    def is_repair(self) -> bool:
        """Whether a person has put the books right by it."""
        return self.entry.get("source") == Source.REPAIR

    def answer(self) -> dict[str, Any]:
        """Return it as JSON-like values; credits are exact."""
        entry, correction = self.entry, correction_in(self.entry)
        return {
            "occurredAt": entry.get("occurredAt", ""),
            "postedAt": entry.get("postedAt", ""),
            "reference": self.reference,
            "sequence": entry.get("sequence", ""),
            "job": entry.get("jobId", ""),
            "type": self.type,
            "model": self.model,
            "quantity": self.how_much,
            "amount": self.amount,
            "balance": self.balance,
            "rule": entry.get("rule", ""),
            "anomalies": anomalies_of(entry),
            "reason": correction.get("reason", ""),
            "held": self.held,
        }


@frozen
class Statement:
    """The entries of a user from ``since`` until before ``until`` (None: from the first, to the last), and what they come to.

    ``remaining``, ``posted`` and ``held`` are what the user's row says; ``granted``, ``charged`` and ``adjusted`` are of all
    entries, whatever the period: together, less what they hold (``reserved``), they come to ``balance``. Where the books agree
    that is ``remaining``, and ``reserved`` is ``held``. What is held is no charge: it is still the user's.
    """

    user: str
    order: Order
    since: datetime | None
    until: datetime | None
    opening_balance: Decimal
    closing_balance: Decimal
    lines: tuple[StatementLine, ...]
    granted_by_application: Decimal
    granted_by_events: Decimal
    charged: Decimal
    adjusted: Decimal
    posted: Decimal
    remaining: Decimal
    held: Decimal
    reserved: Decimal

    @property
    def owned(self) -> Decimal:
        """What can be spent, and what is held."""
        return EXACT.add(self.remaining, self.held)

    @property
    def has_holds(self) -> bool:
        """Whether something is held, or was in the period."""
        return self.held != ZERO or any(line.held for line in self.lines)

    @property
    def granted(self) -> Decimal:
        """What the application gave, and what came as events, less what was taken back of it."""
        return EXACT.add(self.granted_by_application, self.granted_by_events)

    @property
    def balance(self) -> Decimal:
        """What all entries lead to."""
        return EXACT.subtract(EXACT.add(self.granted, EXACT.add(self.charged, self.adjusted)), self.reserved)

    @property
    def agrees(self) -> bool:
        """Whether all entries lead to what the user's row says. The index that they are read by trails by a moment."""
        return (self.balance, self.reserved) == (self.remaining, self.held)

    def totals(self) -> dict[str, Any]:
        """Return the sums under their names, without the lines."""
        return {
            "granted": self.granted,
            "grantedByApplication": self.granted_by_application,
            "grantedByEvents": self.granted_by_events,
            "charged": self.charged,
            "adjusted": self.adjusted,
            "posted": self.posted,
            "remaining": self.remaining,
            "held": self.held,
            "owned": self.owned,
        }

    def answer(self) -> dict[str, Any]:
        """Return it as JSON-like values; credits are exact."""
        return {
            "user": self.user,
            **self.totals(),
            "order": self.order.value,
            "since": instant_text(self.since) if self.since else None,
            "until": instant_text(self.until) if self.until else None,
            "openingBalance": self.opening_balance,
            "closingBalance": self.closing_balance,
            "entries": [line.answer() for line in self.lines],
        }


def statement_of(
    user: str,
    row: StoredEntry | None,
    entries: Iterable[StoredEntry],
    order: Order = Order.POSTING,
    period: Period = ALWAYS,
) -> Statement:
    """Return the statement of ``entries`` (in order of posting) and of the user's ``row`` in Credits."""
    remaining, posted, held = (number(row, name) for name in ("remaining", "posted", "held"))
    entries, since, until = list(entries), *period
    granted = EXACT.subtract(remaining, posted)
    lines = list(_lines(entries, order, granted))
    before = [line for line in lines if since is not None and moment(line.entry, order) < since]
    shown = [line for line in lines[len(before) :] if until is None or moment(line.entry, order) < until]
    opening = before[-1].balance if before else granted
    return Statement(
        user=user,
        order=order,
        since=since,
        until=until,
        opening_balance=opening,
        closing_balance=shown[-1].balance if shown else opening,
        lines=tuple(shown),
        granted_by_application=granted,
        granted_by_events=_sum(entries, GRANT),
        charged=_sum(entries, JOB),
        adjusted=_sum(entries),
        posted=posted,
        remaining=remaining,
        held=held,
        reserved=total(number(entry, "held") for entry in entries),
    )


def moment(entry: StoredEntry, order: Order) -> datetime:
    """Return when an entry was posted, or when what it tells occurred."""
    return read_instant(entry.get("postedAt" if order is Order.POSTING else "occurredAt")) or BEGINNING


def number(stored: StoredEntry | None, name: str) -> Decimal:
    """Return a stored number. What is none counts for nothing, as audits have it."""
    value = (stored or {}).get(name)
    return Decimal(value) if is_number(value) else ZERO


def _lines(entries: Sequence[StoredEntry], order: Order, balance: Decimal) -> Iterator[StatementLine]:
    """Yield all entries in their order. A refund has the model of the charge that it gives back."""
    models: dict[str, str] = {}
    for entry in entries:
        models[entry["reference"]] = model_of(entry) or models.get(entry["reference"], "")
    for entry in sorted(entries, key=lambda entry: moment(entry, order)):  # equal ones stay in order of posting
        amount, held = number(entry, "amount"), number(entry, "held")
        balance = EXACT.add(balance, amount)
        yield StatementLine(entry, amount, balance, models[entry["reference"]], quantity_of(entry), held)


def model_of(entry: StoredEntry) -> str:
    """Return the model that the event named, or else what its rates were chosen by; empty where neither is told."""
    units = [str(price["unit"]) for price in _prices(entry) if price.get("unit", DEFAULT_RATE) != DEFAULT_RATE]
    return _named(entry) or ", ".join(dict.fromkeys(units))


def anomalies_of(entry: StoredEntry) -> str:
    """Return the names of an entry's anomalies; what somebody has put in the place of one has none."""
    return ", ".join(str(anomaly.get("name", "")) for anomaly in _maps(entry.get("anomalies")))


def _maps(stored: object) -> Iterator[StoredEntry]:
    """Yield the maps of what should be a list of them."""
    if isinstance(stored, list | tuple):
        yield from (each for each in stored if isinstance(each, Mapping))


def _named(entry: StoredEntry) -> str:
    try:
        return model_named(read_facts(entry["facts"]))
    except NO_ENTRY:  # somebody has changed it
        return ""


def quantity_of(entry: StoredEntry) -> str:
    """Return how much was charged for, in plain digits: of several components each; empty where the price has no quantity."""
    parts = (entry, *_maps(_price(entry).get("components")))
    return " + ".join(canonical(number(part, "quantity")) for part in parts if is_number(part.get("quantity")))


def _prices(entry: StoredEntry) -> Sequence[StoredEntry]:
    price = _price(entry)
    return list(_maps(price.get("components"))) or [price]


def _price(entry: StoredEntry) -> StoredEntry:
    price = entry.get("price")
    return price if isinstance(price, Mapping) else {}


def _sum(entries: Iterable[StoredEntry], log: str = "") -> Decimal:
    """Return the sum of the entries of one kind of log; without one, of those that are neither a job's nor a grant's.

    What they hold is not counted: it is still the user's.
    """
    return total(EXACT.add(number(entry, "amount"), number(entry, "held")) for entry in entries if _is_of(entry, log))


def _is_of(entry: StoredEntry, log: str) -> bool:
    reference = str(entry.get("reference", ""))
    return reference.startswith(log) if log else not reference.startswith((JOB, GRANT))


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Return the exact sum of amounts."""
    return functools.reduce(EXACT.add, amounts, ZERO)
