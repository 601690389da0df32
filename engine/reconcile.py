"""The conductor: one event, one batch, one slice of a scan. It reads, lets ``decide`` decide, and posts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import asdict, evolve, field, frozen

from engine.assess import assess
from engine.clock import Clock, Deadline
from engine.coalesce import EVENT_SECONDS_MAX, Coalescer
from engine.decide import decide
from engine.documents import read_document
from engine.errors import EventError
from engine.instants import instant_text
from engine.ledger import Ledger, LedgerRefused, LedgerUnavailable, Receipt, ScanSlice, Verdict
from engine.paths import PathProblem
from engine.policy.model import CatchUp, Policy
from engine.telemetry import Failure, Report, Telemetry
from engine.usual import Usual
from engine.values import (
    Assessment,
    Decision,
    Document,
    Envelope,
    JobLog,
    Outcome,
    Source,
    Standing,
)

LESSONS_MAX = 5
"""What one posting can learn with nobody else at work: sequence, row, user, balance. Only more is contention, and waits."""

BASELINES_SHARE = 4
"""A scheduled run spends at most a quarter of its time on baselines."""

AUDIT_RESERVE_SECONDS = 2.0
"""What an audit leaves of the time, so that its run can answer."""

DRIFTS_TOLD_MAX = 20
"""More users than this are counted, and found by ``reconciler audit``."""

ROWS_TOGETHER = 25
"""How many rows a scan posts together."""

ROW_RESERVE_SECONDS = 2.0
"""A scan begins no further rows with less time than this left, so that those it is at are always finished."""


@frozen
class ScanReport:
    """What one run of a scan did, and the slices that are left over (none: the whole table was seen)."""

    rows: int = 0
    outcomes: Mapping[str, int] = {}
    marked: int = 0
    errors: int = 0
    left_over: tuple[ScanSlice, ...] = ()
    baselines: Mapping[str, Any] | None = None
    """What became of the baselines, where the run renewed them."""
    is_capped: bool = False
    """More was due than a run may post."""

    def answer(self) -> dict[str, Any]:
        """Return the report as JSON-like values. ``slices`` is what is left over, and itself an event to go on with."""
        return {
            "rows": self.rows,
            "outcomes": {str(outcome): count for outcome, count in self.outcomes.items()},
            "marked": self.marked,
            "errors": self.errors,
            "adjustments": self.adjustments,
            "capped": self.is_capped,
            "slices": [asdict(part) for part in self.left_over],
            **({"baselines": dict(self.baselines)} if self.baselines is not None else {}),
        }

    @property
    def adjustments(self) -> int:
        """How many entries the scan posted: work that no event had told of."""
        return sum(self.outcomes.get(outcome, 0) for outcome in POSTED)

    def __add__(self, other: ScanReport) -> ScanReport:
        """Return both reports together."""
        outcomes = dict(self.outcomes)
        for outcome, count in other.outcomes.items():
            outcomes[outcome] = outcomes.get(outcome, 0) + count
        return ScanReport(
            rows=self.rows + other.rows,
            outcomes=outcomes,
            marked=self.marked + other.marked,
            errors=self.errors + other.errors,
            left_over=self.left_over + other.left_over,
            baselines=other.baselines if self.baselines is None else self.baselines,
            is_capped=self.is_capped or other.is_capped,
        )


POSTED = (Outcome.DEBITED, Outcome.REFUNDED, Outcome.GRANTED, Outcome.VOIDED, Outcome.FLAGGED)


@frozen
class Reconciler:
    """A policy at work on a ledger."""

    policy: Policy
    ledger: Ledger
    telemetry: Telemetry
    clock: Clock
    adjustments_max: int | None = None
    """How many entries one run of a scan may post. A mistake (a policy, lost marks) ends there, and a person is told."""
    usual: Usual = field(init=False, repr=False)

    @usual.default
    def _usual(self) -> Usual:
        return Usual(self.policy, self.ledger, self.clock)

    def prime(self, deadline: Deadline) -> None:
        """Open the connection to the database, and read and compile what events need. Never fails: an event would say why."""
        self.policy.prepare()
        self.usual.prime(deadline)

    def rest(self) -> None:
        """Close the connections to the database: what comes after a rest may find the other end gone."""
        self.ledger.close()

    # --- one event ---

    def event(self, document: Document, source: Source, deadline: Deadline) -> Report:
        """Bring the ledger in line with one event.

        Raises EventError (the event makes no sense) or LedgerError (it must be sent again); either way nothing moved.
        """
        return self.reconcile(Envelope(document, source), deadline)

    def reconcile(self, envelope: Envelope, deadline: Deadline) -> Report:
        """Bring the ledger in line with one envelope, and report on it."""
        started = self.clock.steady()
        try:
            report = self._settle(envelope, deadline.sooner(EVENT_SECONDS_MAX))
        except Exception as error:
            self.telemetry.failed(Failure(envelope, error, self._milliseconds(started)))
            raise
        report = report.told(envelope, self._milliseconds(started))
        self.telemetry.settled(report)
        return report

    def _settle(self, envelope: Envelope, deadline: Deadline) -> Report:
        assessment = assess(envelope, self.policy, self.usual.now(deadline))
        if assessment is None:
            return Report(envelope, Outcome.IGNORED)
        return self.post(assessment, self.first_look(assessment, deadline), deadline)

    def post(self, assessment: Assessment, log: JobLog, deadline: Deadline, *, with_mark: bool = True) -> Report:
        """Decide and post until the database and the decision agree. Each turn has learned something from the last.

        ``log`` is what is known or assumed of the reference. Raises EventError or LedgerError; either way nothing moved.
        """
        standing = Standing.ASSUMED_COVERED
        for attempt in deadline.attempts(at_once=LESSONS_MAX):
            decision = decide(assessment, log, standing, self.policy)
            if decision.entry is None:
                return self.known(decision, assessment, deadline)
            mark = decision.mark if with_mark else None
            receipt = self.ledger.post(decision.entry, decision.guard, mark, deadline)
            if receipt.verdict is Verdict.POSTED:
                return Report(None, decision.outcome, assessment, decision.entry, attempts=attempt)
            with_mark = with_mark and receipt.verdict is not Verdict.NO_JOB_ROW
            standing = receipt.standing or standing
            if receipt.verdict is Verdict.SEQUENCE_TAKEN:
                log = self.after_taken(assessment, receipt, deadline)
        raise LedgerUnavailable(f"{assessment.reference}: others kept writing to it until the time was used up")

    def first_look(self, assessment: Assessment, deadline: Deadline) -> JobLog:
        """A charge is most often a job's first fact, so it is posted without a look: the condition tells if that was wrong."""
        is_likely_first = (assessment.fact.charge or assessment.fact.grant) is not None and not assessment.time_is_assumed
        return JobLog() if is_likely_first else self.ledger.read(assessment.reference, deadline)

    def after_taken(self, assessment: Assessment, receipt: Receipt, deadline: Deadline) -> JobLog:
        """Return the log to decide on next.

        What the first entry knows, all later ones know. So a fact that is in the first entry is a duplicate, and the rest
        need not be read.
        """
        if receipt.log is not None:
            known = decide(assessment, receipt.log, Standing.ASSUMED_COVERED, self.policy)
            if known.outcome is Outcome.DUPLICATE:
                return receipt.log
        return self.ledger.read(assessment.reference, deadline)

    def known(self, decision: Decision, assessment: Assessment, deadline: Deadline) -> Report:
        """Nothing to post. A scan found the row unmarked all the same: mark it, so that the next scan passes it by."""
        if assessment.source is not Source.SCAN or decision.mark is None or assessment.job is None:
            return Report(None, decision.outcome, assessment)
        marked = self.ledger.mark(assessment.job, decision.mark, deadline)
        return Report(None, decision.outcome, assessment, marked=marked)

    def _milliseconds(self, started: float) -> float:
        return round((self.clock.steady() - started) * 1000, 3)

    # --- a batch ---

    def batch(self, records: Sequence[Mapping[str, Any]], deadline: Deadline) -> list[str]:
        """Work through SQS records of EventBridge events, and return the message ids of those that must come back."""
        readable = [(record["messageId"], document) for record in records if (document := self._document(record))]
        results = self.many([Envelope(document, Source.QUEUE) for _, document in readable], deadline)
        done = {message for (message, _), result in zip(readable, results, strict=True) if isinstance(result, Report)}
        return [record["messageId"] for record in records if record["messageId"] not in done]

    def many(self, envelopes: Sequence[Envelope], deadline: Deadline) -> list[Report | Exception]:
        """Bring the ledger in line with many envelopes, and return for each its report, or the error it must come back for."""
        return Coalescer(self, deadline).run(envelopes)

    def _document(self, record: Mapping[str, Any]) -> Document | None:
        try:
            return read_document(record.get("body", ""))
        except EventError as error:
            self.telemetry.failed(Failure(Envelope({"id": record["messageId"]}, Source.QUEUE), error, 0.0))
            return None

    # --- a scan ---

    def scheduled(self, slices: Iterable[ScanSlice], deadline: Deadline) -> ScanReport:
        """Do what is due at regular times: renew the baselines (in a share of the time), then scan."""
        baselines = self.usual.renew(deadline.sooner(deadline.left() / BASELINES_SHARE))
        return self.scan(slices, deadline, ScanReport(baselines=baselines))

    def check_books(self, deadline: Deadline) -> dict[str, Any]:
        """Audit every user's entries, as far as the time allows, and return what was seen. Never fails: the scan is done."""
        from engine.audit import audit  # noqa: PLC0415  what serves events needs none

        try:
            seen = audit(self.ledger, deadline.sooner(deadline.left() - AUDIT_RESERVE_SECONDS))
        except Exception as error:  # noqa: BLE001  whatever it is, what the run has done stays told
            fields: dict[str, Any] = {"problem": f"{type(error).__name__}: {error}"}
            self.telemetry.audit_unfinished(fields, is_out_of_time=isinstance(error, LedgerUnavailable))
            return fields
        drifts = [drift.user for drift in seen.drifts[:DRIFTS_TOLD_MAX]]
        fields = {"users": seen.users, "entries": seen.entries, "drifts": drifts}
        self.telemetry.audited(fields, len(seen.drifts))
        return fields

    def scan(self, slices: Iterable[ScanSlice], deadline: Deadline, report: ScanReport = ScanReport()) -> ScanReport:
        """Turn every row that is due into its event and reconcile it, until done, out of time, or at the most a run may post.

        What is left over then comes back as slices, each to be continued just where it stopped. The counts are added to
        ``report``.
        """
        started = instant_text(self.clock.now())
        for part in slices:
            report += self._scan_slice(evolve(part, started=part.started or started), deadline, self._allowance(report))
        self.telemetry.scanned(report.answer(), is_capped=report.is_capped)
        return report

    def _allowance(self, report: ScanReport) -> int:
        """Return how many entries a run may still post."""
        return sys.maxsize if self.adjustments_max is None else self.adjustments_max - report.adjustments

    def _scan_slice(self, part: ScanSlice, deadline: Deadline, allowance: int) -> ScanReport:
        report = ScanReport()
        while has_time(deadline):
            page = self.ledger.due_jobs(part, self._statuses(), self.policy.row_attributes, deadline)
            due = page.rows
            while due:
                together = min(ROWS_TOGETHER, allowance - report.adjustments)
                if together <= 0 or not has_time(deadline):
                    return evolve(report, left_over=(part,), is_capped=together <= 0)
                rows, due = due[:together], due[together:]
                try:
                    report += self._scan_rows(rows, part, deadline)
                except LedgerUnavailable:
                    if has_time(deadline):
                        raise
                    return evolve(report, left_over=(part,))  # the rows of this turn again: what is posted is known
                part = evolve(part, after=rows[-1]["jobId"])
            if page.next_after is None:
                return report
            part = evolve(part, after=page.next_after)
        return evolve(report, left_over=(part,))

    def _scan_rows(self, rows: Sequence[Document], part: ScanSlice, deadline: Deadline) -> ScanReport:
        """Reconcile some rows. A row that makes no sense is reported, stays due, and holds up no other."""
        report = ScanReport(rows=len(rows))
        envelopes = []
        for row in rows:
            try:
                envelopes += [envelope] if (envelope := row_event(self.policy, row, part.started)) else []
            except EventError as error:
                self.telemetry.failed(Failure(Envelope({"id": error.event}, Source.SCAN), error, 0.0))
                report += ScanReport(errors=1)
        for result in self.many(envelopes, deadline):
            if isinstance(result, Report):
                report += ScanReport(outcomes={result.outcome: 1}, marked=int(result.marked))
            elif isinstance(result, EventError | LedgerRefused):
                report += ScanReport(errors=1)
            else:
                raise result
        return report

    def _statuses(self) -> list[str] | None:
        """Return the statuses that a row must have to be worth a look, or None where the policy does not tell."""
        lists = [catch_up.statuses for catch_up in self.policy.catch_up]
        return None if None in lists else [status for statuses in lists for status in statuses or ()]


def row_event(policy: Policy, row: Document, started: str | None) -> Envelope | None:
    """Return the event that a row of Jobs stands for by the policy's ``catch_up``, or None for a row it does not map.

    ``started`` is the start of the scan: it counts for a row that has no time of its own.
    """
    catch_up = next((catch_up for catch_up in policy.catch_up if catch_up.matches(row)), None)
    return _row_event(catch_up, row, started) if catch_up else None


def _row_event(catch_up: CatchUp, row: Document, started: str | None) -> Envelope:
    """Raises EventError where the policy's time cannot be worked out from the row."""
    try:
        time = catch_up.time.search(row)
    except PathProblem as problem:
        raise EventError(f"row {row.get('jobId')}", "catch_up", catch_up.time.text, str(problem)) from problem
    document = {
        "source": catch_up.source,
        "detail-type": catch_up.detail_type,
        "time": started if time is None else time,
        "detail": row,
    }
    status = row.get("status")
    return Envelope(
        document,
        Source.SCAN,
        status=status if isinstance(status, str) else None,
        time_is_assumed=time is None,
    )


def has_time(deadline: Deadline) -> bool:
    """Say whether another row can be finished before the deadline."""
    return deadline.left() > ROW_RESERVE_SECONDS


def whole_table(segments: int, first: int = 0) -> Iterator[ScanSlice]:
    """Yield the slices of a scan of the whole table, beginning at segment ``first``."""
    for index in range(segments):
        yield ScanSlice((first + index) % segments, segments)
