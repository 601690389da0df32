"""The book of balances: what users had when their balances began to be checked against the ledger, and what was found since.

Where only events grant, ``remaining = opening + posted`` holds for every user. The openings stand in the table of seals, which
nothing that serves events can write, on pages that audits append. A page is never changed; what the pages come to is the book.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import StrEnum

from attrs import Factory, define, frozen

from engine.ledger.seals import PART_BYTES_MAX, canonical

type BalanceLine = tuple[str, Decimal | None]
"""A user and credits; None where they were no number, or not known."""


class PageKind(StrEnum):
    """What a page says."""

    OPENING = "opening"
    """What users had beside all postings, 0 left out, on as many pages as it takes. It counts once the last is there."""
    NOTED = "noted"
    """Openings that were not known then."""
    FOUND = "found"
    """By how much balances are off that were right before; 0 of those that are right again."""
    CLOSED = "closed"
    """Balances are checked no longer."""


@frozen
class BalancePage:
    """One page, written by the audit of the instant ``at``; it may be one of several ``parts``."""

    number: int
    kind: PageKind
    at: str
    lines: tuple[BalanceLine, ...] = ()
    part: int = 1
    parts: int = 1


@define
class BalanceBook:
    """What the pages come to. ``since`` is the audit that took the openings; empty where balances are not checked."""

    number: int = 0
    since: str = ""
    openings: dict[str, Decimal | None] = Factory(dict)
    """What users had, None where it is not known yet. Who is not here had nothing, or came later."""
    off: dict[str, str] = Factory(dict)
    """Users whose balances are off, each with the audit that saw it first."""
    _gathered: dict[str, Decimal | None] = Factory(dict)

    @classmethod
    def of(cls, pages: Iterable[BalancePage]) -> BalanceBook:
        """Return the book of all pages, in their order."""
        book = cls()
        for page in pages:
            book.take(page)
        return book

    def take(self, page: BalancePage) -> None:
        """Take the next page."""
        self.number = page.number
        match page.kind:
            case PageKind.OPENING:
                self._gather(page)
            case PageKind.NOTED:
                self.openings.update(page.lines)
            case PageKind.FOUND:
                self._find(page)
            case PageKind.CLOSED:
                self.since, self.openings, self.off = "", {}, {}

    def _gather(self, page: BalancePage) -> None:
        """The pages of one opening follow each other: whoever finds a number taken writes no more of them."""
        self._gathered = {**(self._gathered if page.part > 1 else {}), **dict(page.lines)}
        if page.part == page.parts:
            self.since, self.openings, self.off = page.at, self._gathered, {}

    def _find(self, page: BalancePage) -> None:
        for user, amount in page.lines:
            if amount == 0:
                self.off.pop(user, None)
            else:
                self.off.setdefault(user, page.at)


def line_text(line: BalanceLine) -> str:
    """Return a line as a page keeps it, in ASCII; the end of a line stands in none."""
    user, amount = line
    return canonical([user, None if amount is None else format(amount, "f")])


def read_line(text: str) -> BalanceLine:
    """Return the line that a text stands for. Raises ValueError or ArithmeticError for what is none."""
    user, amount = json.loads(text)
    return user, None if amount is None else Decimal(amount)


def paged(number: int, kind: PageKind, at: str, lines: Iterable[BalanceLine]) -> list[BalancePage]:
    """Return lines on as few pages as hold them, at least one; the first has this ``number``."""
    groups = list(_groups(lines)) or [()]
    return [BalancePage(number + index, kind, at, group, index + 1, len(groups)) for index, group in enumerate(groups)]


def _groups(lines: Iterable[BalanceLine]) -> Iterator[tuple[BalanceLine, ...]]:
    """Yield lines in groups that fit on a page."""
    held: list[BalanceLine] = []
    size = 0
    for line in lines:
        more = len(line_text(line)) + 1
        if held and size + more > PART_BYTES_MAX:
            yield tuple(held)
            held, size = [], 0
        held.append(line)
        size += more
    if held:
        yield tuple(held)
