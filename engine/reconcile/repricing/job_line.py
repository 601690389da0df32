"""One job of a plan: what is known of it, and its charges as they are and as they will be told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import evolve, frozen

from engine.domain.fact import Charge
from engine.domain.fact_forms import CHARGES
from engine.domain.log import JobLog
from engine.domain.money import ZERO, canonical
from engine.domain.references import JOB
from engine.ledger.stored import price_of, stored_price
from engine.rating.reprice import Repriced, kept_charges


@frozen
class JobLine:
    """A job whose charges a plan tells anew.

    ``sequence``, ``posted`` and ``held`` are those of its log when the plan was made. ``before`` and ``after`` are what it
    costs (credits, >= 0), ``difference`` what is to be posted then: signed from the user's side.
    """

    job: str
    user: str
    sequence: int
    posted: Decimal
    before: Decimal
    after: Decimal
    difference: Decimal
    changes: tuple[Repriced, ...]
    held: Decimal = ZERO

    @property
    def reference(self) -> str:
        """The log."""
        return f"{JOB}{self.job}"

    @property
    def counting(self) -> Repriced:
        """The charge by which the job is counted: the latest."""
        return max(self.changes, key=lambda each: (not each.weak, each.was.at))

    @property
    def day(self) -> str:
        """The day of the charge."""
        return f"{self.counting.was.at:%Y-%m-%d}"

    def answer(self) -> dict[str, Any]:
        """Return the line as JSON-like values."""
        figures = {"before": self.before, "after": self.after, "difference": self.difference}
        log = {"job": self.job, "user": self.user, "sequence": self.sequence, "posted": self.posted}
        log |= {"held": self.held} if self.held else {}
        return {**log, **figures, "charges": [_change(each) for each in self.changes]}


def job_line(line: Mapping[str, Any], policy: str) -> JobLine:
    """Return the job of a plan's line; ``policy`` is the identity of the one that prices it."""
    return JobLine(
        job=line["job"],
        user=line["user"],
        sequence=int(line["sequence"]),
        posted=Decimal(line["posted"]),
        before=Decimal(line["before"]),
        after=Decimal(line["after"]),
        difference=Decimal(line["difference"]),
        changes=tuple(_change_of(each, policy) for each in line["charges"]),
        held=Decimal(line.get("held", ZERO)),
    )


def _change(each: Repriced) -> dict[str, Any]:
    return {
        "charge": CHARGES.write((each.was,))["charge"],
        "amount": each.now.amount,
        "revision": each.now.revision,
        "price": stored_price(each.price),
        "quantity": each.quantity,
        "weak": True if each.weak else None,
        "model": each.model,
    }


def _change_of(stored: Mapping[str, Any], policy: str) -> Repriced:
    was: Charge = CHARGES.read(stored)[0]
    now = evolve(was, amount=Decimal(stored["amount"]), revision=int(stored["revision"]), policy=policy)
    quantity = Decimal(stored["quantity"]) if "quantity" in stored else None
    return Repriced(was, now, price_of(stored["price"]), quantity, "weak" in stored, stored["model"])


def changed_since(line: JobLine, log: JobLog) -> str | None:
    """Return which kept charge of a job is no longer as the plan saw it; None where all are."""
    planned = {(each.was, each.weak) for each in line.changes}
    kept = set(kept_charges(log.facts))
    if planned == kept:
        return None
    charge, _ = min(kept - planned, key=_order, default=min(planned - kept, key=_order, default=(line.counting.was, False)))
    is_new = not any(charge.content == each.was.content for each in line.changes)
    what = "is new" if is_new else "is priced anew already" if charge.revision else "is no longer what it was"
    return f"its charge of {canonical(charge.amount)} at {_at(charge)} {what}"


def _order(kept: tuple[Charge, bool]) -> tuple[datetime, Decimal, str]:
    return kept[0].at, kept[0].amount, repr(kept[0].content)


def _at(charge: Charge) -> str:
    return charge.at.isoformat().replace("+00:00", "Z")
