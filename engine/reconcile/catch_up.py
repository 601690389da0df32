"""The scan: it charges and refunds the jobs whose event was lost, slice by slice, each continued just where it stopped."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from attrs import asdict, define, evolve, field, frozen

from engine.domain.decision import Outcome
from engine.domain.entry_types import POSTED
from engine.domain.envelope import Document, Envelope, Source
from engine.domain.errors import EventError, LedgerRefused, LedgerUnavailable
from engine.domain.instants import instant_text
from engine.domain.job_row import most_frequent, status_name
from engine.ledger.store import Page, ScanSlice, Store
from engine.reconcile.job_rows import due_rows, is_mapped, row_event
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Deadline
from engine.runtime.telemetry import Failure, Report

ROWS_TOGETHER = 25
"""How many rows a scan posts together."""

ROW_RESERVE_SECONDS = 2.0
"""A scan begins no further rows with less time than this left, so that those it is at are always finished."""

SHARE = 16
"""One slice takes at most this part of what a run may still post, so that slices at work at once do not starve each other."""


@frozen
class ScanReport:
    """What a scan did, and the slices that are left over (none: all of it was seen)."""

    rows: int = 0
    outcomes: Mapping[str, int] = {}
    marked: int = 0
    errors: int = 0
    unclear: int = 0
    """Rows without a time of their own that contradict what is known: the user has the benefit of the doubt."""
    left_over: tuple[ScanSlice, ...] = ()
    unmapped: Mapping[str, int] = {}
    """Rows of each status that no ``catch_up`` maps and ``catch_up_ignore`` does not name."""
    is_capped: bool = False
    """More was due than a run may post."""

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> ScanReport:
        """Return the counts of an answer, without what was left over. Raises TypeError or ValueError for what is none."""
        return cls(
            rows=int(answer.get("rows", 0)),
            outcomes={str(outcome): int(count) for outcome, count in dict(answer.get("outcomes", {})).items()},
            marked=int(answer.get("marked", 0)),
            errors=int(answer.get("errors", 0)),
            unclear=int(answer.get("unclear", 0)),
            unmapped={str(status): int(count) for status, count in dict(answer.get("unmapped", {})).items()},
            is_capped=bool(answer.get("capped", False)),
        )

    def answer(self) -> dict[str, Any]:
        """Return the report as JSON-like values. ``slices`` is what is left over, and itself an event to go on with."""
        return {
            "rows": self.rows,
            "outcomes": {str(outcome): count for outcome, count in self.outcomes.items()},
            "marked": self.marked,
            "errors": self.errors,
            "unclear": self.unclear,
            "adjustments": self.adjustments,
            "unmapped": dict(self.unmapped),
            "capped": self.is_capped,
            "slices": [asdict(part) for part in self.left_over],
        }

    @property
    def adjustments(self) -> int:
        """How many entries the scan posted: for work whose event was lost or late."""
        return sum(self.outcomes.get(outcome, 0) for outcome in POSTED)

    def __add__(self, other: ScanReport) -> ScanReport:
        """Return both reports together."""
        return ScanReport(
            rows=self.rows + other.rows,
            outcomes=_sum(self.outcomes, other.outcomes),
            marked=self.marked + other.marked,
            errors=self.errors + other.errors,
            unclear=self.unclear + other.unclear,
            left_over=self.left_over + other.left_over,
            unmapped=most_frequent(_sum(self.unmapped, other.unmapped)),
            is_capped=self.is_capped or other.is_capped,
        )


def _sum(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {name: counts.get(name, 0) + more.get(name, 0) for name in (*counts, *more)}


class Allowance(Protocol):
    """How many entries a run may still post. What is taken and not used is given back."""

    def take(self, wanted: int) -> int:
        """Return how many of ``wanted`` may be posted now: 0 once the run has posted what it may."""

    def give_back(self, spare: int) -> None:
        """Leave to others what was not needed."""


@define
class OwnAllowance:
    """The allowance of a run that is one invocation."""

    left: int = sys.maxsize

    def take(self, wanted: int) -> int:
        """Return how many of ``wanted`` may be posted."""
        taken = min(wanted, self.left)
        self.left -= taken
        return taken

    def give_back(self, spare: int) -> None:
        """Keep what was not needed."""
        self.left += spare


@define
class SharedAllowance:
    """The allowance of a run whose slices are at work in many places: one counter in State.

    A slice that dies takes what it held along, so that a run posts fewer entries than it may and never more. Raises
    LedgerRefused once another run has begun: this one is over.
    """

    ledger: Store
    run: str
    deadline: Deadline
    left: int = field(init=False)

    @left.default
    def _left(self) -> int:
        return self.ledger.run_left(self.run, self.deadline)

    def take(self, wanted: int) -> int:
        """Return how many of ``wanted`` may be posted now; few where few are left."""
        if self.left <= 0:
            return 0
        asked = min(wanted, max(1, self.left // SHARE))
        self.left = self.ledger.take_from_run(self.run, asked, self.deadline)
        missing = min(asked, max(0, -self.left))
        self.give_back(missing)  # others were faster
        return asked - missing

    def give_back(self, spare: int) -> None:
        """Return to the counter what was not needed."""
        if spare:
            self.ledger.give_back_to_run(self.run, spare, self.deadline)


def scan(
    reconciler: Reconciler,
    slices: Iterable[ScanSlice],
    deadline: Deadline,
    allowance: Allowance | None = None,
    pause: Deadline | None = None,
) -> ScanReport:
    """Turn every row that is due into its event and reconcile it, until done, out of time, or at the most a run may post.

    What is left over then comes back as slices, each to be continued just where it stopped. ``pause`` is when no further rows
    are begun although there is time.
    """
    started = instant_text(reconciler.clock.now())
    scanner = Scanner(reconciler, deadline, pause or deadline, allowance or OwnAllowance())
    report = ScanReport()
    for part in slices:
        report += scanner.run(evolve(part, started=part.started or started))
    scanner.close()
    reconciler.telemetry.scanned(report.answer(), is_capped=report.is_capped)
    return report


@define
class Scanner:
    """Works through slices. ``in_hand`` is what it took of the allowance and has not used.

    It pauses only once it ``has_moved``: where one page takes longer than all the time before the pause, each invocation would
    read the same one for ever.
    """

    reconciler: Reconciler
    deadline: Deadline
    pause: Deadline
    allowance: Allowance
    in_hand: int = 0
    has_moved: bool = False

    def run(self, part: ScanSlice) -> ScanReport:
        """Work through one slice, as far as time and allowance go."""
        report = ScanReport()
        while self._goes_on():
            page = self._page(part)
            due = page.rows
            while due:
                together = self._may_post()
                if not together or not self._goes_on():
                    return evolve(report, left_over=(part,), is_capped=not together)
                rows, due = due[:together], due[together:]
                turn = self._rows(rows, part)
                self.in_hand -= turn.may_be_posted
                report += turn.report
                if turn.unavailable is not None:
                    if has_time(self.deadline):
                        raise turn.unavailable
                    return evolve(report, left_over=(part,))  # the rows of this turn again: what is posted is known
                part = evolve(part, after=rows[-1]["jobId"])
                self.has_moved = True
            report += ScanReport(unmapped=page.unmapped)  # once it is done with: what is left over is counted when it is read
            if page.next_after is None:
                return report
            part = evolve(part, after=page.next_after)
            self.has_moved = True
        return evolve(report, left_over=(part,))

    def _page(self, part: ScanSlice) -> Page:
        return due_rows(self.reconciler.policy, self.reconciler.ledger, part, self.deadline)

    def close(self) -> None:
        """Leave to others what was not needed."""
        self.allowance.give_back(self.in_hand)
        self.in_hand = 0

    def _goes_on(self) -> bool:
        return has_time(self.deadline) and (self.pause.left() > 0 or not self.has_moved)

    def _may_post(self) -> int:
        if self.in_hand < ROWS_TOGETHER:
            self.in_hand += self.allowance.take(ROWS_TOGETHER - self.in_hand)
        return self.in_hand

    def _rows(self, rows: Sequence[Document], part: ScanSlice) -> Turn:
        """Reconcile some rows. A row that makes no sense is reported, stays due, and holds up no other."""
        reconciler, report = self.reconciler, ScanReport(rows=len(rows))
        envelopes = []
        for row in rows:
            try:
                envelope = row_event(reconciler.policy, row, part.started)
            except EventError as error:
                reconciler.telemetry.failed(Failure(Envelope({"id": error.event}, Source.SCAN), error, 0.0))
                report += ScanReport(errors=1)
                continue
            if envelope is not None:
                envelopes.append(envelope)
            elif not is_mapped(reconciler.policy, row):
                report += ScanReport(unmapped={status_name(row.get("status")): 1})
        return _turn(report, reconciler.many(envelopes, self.deadline))


@frozen
class Turn:
    """What became of the rows that a scan posts together. Where the database did not answer for some, all come again.

    ``may_be_posted`` counts with the entries those whose answer was lost, also where the next try has found them known: a run
    posts rather fewer than it may. A charge that is refused beyond its hold has charged what was held.
    """

    report: ScanReport
    may_be_posted: int
    unavailable: LedgerUnavailable | None = None


def _turn(report: ScanReport, results: Sequence[Report | Exception]) -> Turn:
    unavailable = [result for result in results if isinstance(result, LedgerUnavailable)]
    for result in results:
        if isinstance(result, Report):
            counted = {str(result.outcome): 1}
            report += ScanReport(outcomes=counted, marked=int(result.marked), unclear=int(result.is_unclear))
        elif isinstance(result, EventError | LedgerRefused):
            report += ScanReport(errors=1)
        elif not isinstance(result, LedgerUnavailable):
            raise result
    if unavailable:  # rows, errors and statuses are counted when they come again
        report = ScanReport(outcomes=report.outcomes, marked=report.marked)
    reports = [result for result in results if isinstance(result, Report)]
    lost = sum(each.was_unanswered and each.outcome is Outcome.DUPLICATE for each in reports)
    charged = sum(_charges_its_hold(each) for each in reports)
    return Turn(report, report.adjustments + charged + lost + len(unavailable), unavailable[0] if unavailable else None)


def _charges_its_hold(report: Report) -> bool:
    return report.outcome is Outcome.REFUSED and report.entry is not None and report.entry.moves_credits


def has_time(deadline: Deadline) -> bool:
    """Say whether another row can be finished before the deadline."""
    return deadline.left() > ROW_RESERVE_SECONDS


def whole_table(segments: int, first: int = 0) -> Iterator[ScanSlice]:
    """Yield the slices of a scan of the whole table, beginning at segment ``first``."""
    for index in range(segments):
        yield ScanSlice((first + index) % segments, segments)
