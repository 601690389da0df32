"""The entries of one job or one grant, summed up, and what is still due."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from attrs import field, frozen

from engine.domain.entry import Entry
from engine.domain.envelope import Source
from engine.domain.facts import NOTHING_KNOWN, Facts
from engine.domain.money import EXACT, ZERO


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
    held: Decimal = ZERO
    """How many credits are held for it."""
    rules: tuple[str, ...] = field(default=(), eq=False)
    """What its entries name as their rules, each once: with a charge it is not kept who told it."""

    @property
    def due(self) -> Decimal:
        """The amount that is still to be posted: not zero only after a refusal."""
        return due(self.cost, self.posted)

    def then(self, entry: Entry) -> JobLog:
        """Return the log with one entry more. It is of its first entry's user, until a correction gives it to another."""
        named = entry.user if entry.names_its_user else None
        user = entry.user if entry.source is Source.REPAIR else self.user or named
        posted, held = EXACT.add(self.posted, entry.amount), EXACT.add(self.held, entry.held)
        return JobLog(entry.sequence, user, entry.facts, entry.cost, posted, held, with_rule(self.rules, entry.rule))


def with_rule(rules: tuple[str, ...], rule: str) -> tuple[str, ...]:
    """Return the rules of a log with that of one entry more."""
    return rules if rule in rules else (*rules, rule)


NO_ENTRIES = JobLog()


def log_of(entries: Iterable[Entry]) -> JobLog:
    """Return the entries of one reference (in order of their sequence), summed up."""
    log = NO_ENTRIES
    for entry in entries:
        log = log.then(entry)
    return log
