"""The entries of a ledger, brought together by their logs, and written as lines of facts that a plan can read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import Factory, define, field, frozen

from engine.domain.entry import Entry
from engine.domain.facts import Facts, all_claims
from engine.domain.log import JobLog, log_of
from engine.domain.money import EXACT, ZERO
from engine.domain.references import GRANT, JOB
from engine.policy.model import Policy
from engine.preview.planning.kept.facts import KeptFact, kept_facts
from engine.preview.planning.kept.sides import KeptSide, Likeness, sides_of
from engine.preview.planning.spill import InOrder, Record, Sorting, merged
from engine.rating.which_rule import Unpriced
from engine.reconcile.plan_file import text_of
from engine.reconcile.repricing.plan import NOT_NEEDED, entries_of
from engine.reconcile.repricing.spill import Spill as Logs
from engine.reconcile.repricing.sums import Reasons

type StoredEntry = Mapping[str, Any]

KNOWN_MAX = 10_000
"""Of so many kinds of facts it is remembered whether both policies can tell them."""


@frozen
class Span:
    """Which jobs and grants a person means: those of whose charges one happened ``since`` and before ``until``."""

    since: datetime | None = None
    until: datetime | None = None

    def takes(self, facts: Facts) -> bool:
        """Say whether a charge or a grant lies in it."""
        return any(self._has(claim.at) for claim in all_claims(facts))

    def _has(self, at: datetime) -> bool:
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


@frozen
class Spooled:
    """A ledger as a plan reads it: a file of facts, and what of it is left out. It lasts as long as its folder.

    ``posted`` is what the logs of these facts have moved, beside what is only held: signed from the users' side.
    """

    path: Path
    logs: int
    posted: Decimal
    left_out: InOrder
    """The reference of each log that cannot be priced anew, its user, and why."""
    reasons: tuple[Mapping[str, Any], ...]


@define(eq=False)
class Spooling:
    """The making of one file."""

    sides: tuple[KeptSide, KeptSide]
    likeness: Likeness | None
    span: Span
    path: Path
    logs: int = 0
    posted: Decimal = ZERO
    reasons: Reasons = Factory(Reasons)
    known: dict[Any, tuple[int, str]] = Factory(dict)
    """Facts that are alike: their number, and why one of the policies cannot tell them."""
    numbers: int = 0
    left_out: Sorting = field(init=False)

    @left_out.default
    def _left_out(self) -> Sorting:
        return Sorting(self.path.with_name("left-out"), by_reference)

    @classmethod
    def of(cls, now: Policy, then: Policy, span: Span, path: Path) -> Spooling:
        """Return the making of the file at ``path`` for two policies."""
        return cls(sides_of(now, then), Likeness.between(now, then), span, path)

    def spool(self, logs: Iterable[list[StoredEntry]]) -> Spooled:
        """Write the facts of logs."""
        with self.path.open("wb") as file:
            for log in logs:
                if str(log[0]["reference"]).startswith((JOB, GRANT)):
                    file.writelines(self._lines(log))
        left = merged(self.left_out.done(), by_reference, self.path.with_name("left-out-merged"))
        return Spooled(self.path, self.logs, self.posted, left, tuple(self.reasons.answer()))

    def _lines(self, stored: list[StoredEntry]) -> list[bytes]:
        reference, user = str(stored[0]["reference"]), str(stored[0].get("userId", ""))
        try:
            return self._told(reference, stored)
        except Unpriced as problem:
            self.reasons.add(str(problem), reference)
            self.left_out.add((reference, user, str(problem)))
            return []

    def _told(self, reference: str, stored: list[StoredEntry]) -> list[bytes]:
        """Return the lines of a log. Raises Unpriced where a fact of it cannot be told anew under both policies."""
        entries = whole_log(stored)
        log = log_of(entries)
        if not self.span.takes(log.facts):
            return []
        lines = [self._line(kept) for kept in kept_facts(reference, log.user or "", entries, log.facts)]
        self._count(log)
        return lines

    def _line(self, kept: KeptFact) -> bytes:
        number, problem = self._known(kept)
        if problem:
            raise Unpriced(problem)
        return f"{text_of(kept.document(number))}\n".encode()

    def _known(self, kept: KeptFact) -> tuple[int | None, str]:
        """Return the number of the facts that are like this one, and why they cannot be told: one of them is asked."""
        key = self.likeness.key(kept) if self.likeness is not None else None
        if key is None:
            return None, self._asked(kept)
        if (known := self.known.get(key)) is None:
            if len(self.known) >= KNOWN_MAX:
                self.known.clear()
            self.numbers += 1
            known = self.known[key] = self.numbers, self._asked(kept)
        return known

    def _asked(self, kept: KeptFact) -> str:
        for side in self.sides:
            try:
                side.anew.told(kept)
            except Unpriced as problem:
                return str(problem)
        return ""

    def _count(self, log: JobLog) -> None:
        self.logs += 1
        self.posted = EXACT.add(self.posted, EXACT.add(log.posted, log.held))


def whole_log(stored: Sequence[StoredEntry]) -> list[Entry]:
    """Return the entries of a log. Raises Unpriced where one is missing, or is none of this system."""
    for number, each in enumerate(stored, 1):
        if each["sequence"] != number:
            raise Unpriced(f"entry {number} is missing")
    return entries_of([*stored])


def by_reference(record: Record) -> str:
    """Return the order of logs that are left out."""
    return record[0]  # type: ignore[no-any-return]


def logs_of(entries: Iterable[StoredEntry], spill: Logs) -> Iterator[list[StoredEntry]]:
    """Yield entries, in whatever order they come, by their logs, each place of a log once: an archive may have it twice."""
    spill.keep_entries({name: value for name, value in entry.items() if name not in NOT_NEEDED} for entry in entries)
    for log in spill.logs():
        of_place: dict[Any, StoredEntry] = {}
        for entry in log:
            of_place.setdefault(entry["sequence"], entry)
        yield [*of_place.values()]
