"""A statement as one page for the customer: their words, and nothing of how it is worked out.

What it leaves out on purpose: rules, policies, sequences, anomalies, ids of events, entries that move nothing, and the reason
of a correction, which a colleague wrote for colleagues. What is held is called reserved: it is not used yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from attrs import frozen

from engine.audit.statement import Order, Statement, StatementLine, moment
from engine.cli.layout import plain
from engine.cli.pages import render
from engine.domain.instants import instant_text
from engine.domain.money import EXACT, ZERO
from engine.domain.references import GRANT, JOB

PLACES_MIN = 2
MINUS = "\N{MINUS SIGN}"

MORE, NONE, LESS = 1, 0, -1

WORDS: Mapping[tuple[str, str, int], str] = {
    (JOB, "debit", LESS): "Job {name}",
    (JOB, "refund", MORE): "Refund for job {name}",
    (JOB, "adjust", MORE): "Credit from our support team for job {name}",
    (JOB, "adjust", LESS): "Credit for job {name} taken back",
    (JOB, "reprice", MORE): "Price correction for job {name}",
    (JOB, "reprice", LESS): "Price correction for job {name}",
    (JOB, "hold", LESS): "Reserved for job {name}",
    (JOB, "hold", MORE): "Less reserved for job {name}",
    (JOB, "settle", LESS): "Job {name}, beyond what was reserved",
    (JOB, "settle", NONE): "Job {name}, paid by what was reserved",
    (JOB, "settle", MORE): "Job {name}, less than was reserved",
    (JOB, "release", MORE): "Reservation for job {name} ended",
    (GRANT, "grant", MORE): "Credits added ({name})",
    (GRANT, "grant", LESS): "Correction of credits added ({name})",
    (GRANT, "revoke", LESS): "Credits taken back ({name})",
    (GRANT, "revoke", MORE): "Credits given back ({name})",
    ("", "adjust", MORE): "Credit from our support team",
    ("", "adjust", LESS): "Correction by our support team",
}
"""What a line is called: by what its log begins with, its type, and whether it gives or takes credits, or neither."""

DAY, MINUTE = "%B %Y", "%b %Y, %H:%M"
"""What stands behind the day of the month."""


@frozen
class PageLine:
    """A line as the customer reads it."""

    instant: str
    when: str
    text: str
    model: str
    how_much: str
    credits: str
    balance: str
    is_plus: bool


def statement_page(statement: Statement, written: datetime) -> str:
    """Return the page of a statement, which was written at an instant."""
    lines = [line for line in statement.lines if line.moves_credits]
    totals = _totals(statement, lines)
    places = max(PLACES_MIN, *map(_places, [*totals.values(), *(line.amount for line in lines)]))
    shown = [_line(line, statement.order, places) for line in lines]
    return render(
        "statement",
        user=plain(statement.user),
        period=_period(statement),
        totals=[(name, _credits(amount, places)) for name, amount in totals.items()],
        day="Booked" if statement.order is Order.POSTING else "Date",
        caption=_caption(statement, len(lines)),
        opening=_credits(statement.opening_balance, places),
        closing=_credits(statement.closing_balance, places),
        lines=shown,
        has_models=any(line.model for line in shown),
        has_quantities=any(line.how_much for line in shown),
        written=_text(written, MINUTE),
    )


def description(line: StatementLine) -> str:
    """Return what a line is called."""
    log = next((log for log in (JOB, GRANT) if line.reference.startswith(log)), "")
    name = plain(line.reference.removeprefix(log))
    if line.is_repair:
        return f"Correction for job {name}" if log == JOB else "Correction"
    words = WORDS.get((log, line.type, _sign(line.amount)), "Correction")
    return words.format(name=name)


def _sign(amount: Decimal) -> int:
    return (amount > ZERO) - (amount < ZERO)


def _line(line: StatementLine, order: Order, places: int) -> PageLine:
    at = moment(line.entry, order)
    return PageLine(
        instant=instant_text(at),
        when=_text(at, MINUTE),
        text=description(line),
        model=plain(line.model),
        how_much=line.how_much if line.reference.startswith(JOB) else "",
        credits=_credits(line.amount, places, plus="+"),
        balance=_credits(line.balance, places),
        is_plus=line.amount > ZERO,
    )


def _totals(statement: Statement, lines: Iterable[StatementLine]) -> dict[str, Decimal]:
    """Return the sums of the period: what stands before it, what came, what was used, and what is left."""
    sums = {"Credits added": ZERO, "Used by jobs": ZERO, "Reserved for jobs": ZERO, "Corrections": ZERO}
    for line in lines:
        is_corrected = line.type in {"adjust", "reprice"} or line.is_repair
        name = "Used by jobs" if line.reference.startswith(JOB) else "Credits added"
        name = "Corrections" if is_corrected or not line.reference.startswith((JOB, GRANT)) else name
        sums[name] = EXACT.add(sums[name], EXACT.add(line.amount, line.held))
        sums["Reserved for jobs"] = EXACT.subtract(sums["Reserved for jobs"], line.held)
    for name in ("Reserved for jobs", "Corrections"):
        if sums[name] == ZERO:
            del sums[name]
    return {"Opening balance": statement.opening_balance, **sums, "Closing balance": statement.closing_balance}


def _caption(statement: Statement, count: int) -> str:
    if not count:
        return "Nothing was booked in this period."
    entries = "One entry" if count == 1 else f"{count} entries"
    return f"{entries}, {'in the order of booking' if statement.order is Order.POSTING else 'by the time of the work'}"


def _period(statement: Statement) -> str:
    """Return the period in words. One that ends at midnight ends with the day before."""
    since = _edge(statement.since) if statement.since else ""
    until = _edge(statement.until, last=True) if statement.until else ""
    if since and until:
        return since if since == until else f"{since} to {until}"
    return f"From {since}" if since else f"Until {until}" if until else "All entries"


def _edge(instant: datetime, *, last: bool = False) -> str:
    is_midnight = not any((instant.hour, instant.minute, instant.second, instant.microsecond))
    return _text(instant - timedelta(days=1) if last else instant, DAY) if is_midnight else _text(instant, MINUTE)


def _text(instant: datetime, form: str) -> str:
    return f"{instant.day} {instant.strftime(form)}"


def _places(amount: Decimal) -> int:
    """Return how many decimal places a number needs."""
    exponent = amount.normalize(EXACT).as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0


def _credits(amount: Decimal, places: int, plus: str = "") -> str:
    """Return credits with so many places, which are enough: nothing is rounded."""
    exact = amount.quantize(Decimal(1).scaleb(-places), context=EXACT)
    return f"{MINUS if exact < ZERO else plus}{exact.copy_abs():,f}"
