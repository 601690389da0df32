"""What a plan says of a ledger, in words: what it was made of, what it leaves out, and who would be overdrawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

OVERDRAWN = ("user", "lowest now", "then", "at")
"""The columns of who would be overdrawn."""

REFUSE = "refuse"
"""What ``overdraft`` says where a charge waits for a balance."""


def subject(answer: Mapping[str, Any], digits: Callable[[int], str] = str) -> str:
    """Return what was planned: so many events, or what the ledger keeps. ``digits`` writes a number."""
    count = digits(answer["events"])
    if answer["ledger"] is None:
        return f"{count} events"
    return f"{count} facts that the ledger keeps of {digits(answer['ledger']['jobs'])} jobs and grants"


def left_out(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield why jobs and grants cannot be priced anew, how many for each reason, and the first of them."""
    for reason in answer["ledger"]["reasons"] if answer["ledger"] is not None else ():
        first = f"{reason['first']}{', ...' if reason['jobs'] > 1 else ''}"
        yield f"left out: {reason['jobs']} ({first}): {reason['why']}"


def overdrafts(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield how many users would be overdrawn who are not; or that nobody knows, where a ledger was asked."""
    count, balances = answer["new_overdrafts"], answer["balances"]
    if count is None:
        if answer["ledger"] is not None:
            yield f"who would fall below zero is not known: {balances['why']}"
        return
    yield f"{count} users {what_happens(answer)}, and do not now"
    if balances["unknown"]:
        yield f"{balances['unknown']} users have no row that says what they had"


def what_happens(answer: Mapping[str, Any]) -> str:
    """Return what becomes of a user whose balance does not cover a charge."""
    return "would have a charge refused" if answer["balances"]["overdraft"] == REFUSE else "would fall below zero"


def overdrawn_rows(answer: Mapping[str, Any], top: int) -> list[list[str]]:
    """Return the rows of those who would be overdrawn, the furthest first."""
    return [[row[name] for name in ("user", "now", "then", "at")] for row in islice(answer["overdrafts"], top)]
