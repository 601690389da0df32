"""The conductor: one event, or many. It reads, lets ``decide`` decide, and posts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen

from engine.domain.assessment import Assessment
from engine.domain.decision import Decision, Outcome, Standing
from engine.domain.documents import UNREADABLE, read_event
from engine.domain.envelope import Document, Envelope, Source
from engine.domain.errors import EventError, LedgerError, shown
from engine.domain.fact_kinds import opens_its_log
from engine.domain.job_row import JobRow
from engine.domain.log import JobLog
from engine.ledger.dynamodb.store import Ledger, LedgerUnavailable, Receipt, Verdict
from engine.policy.model import Policy
from engine.rating.assess import assess
from engine.rating.baselines import Baselines
from engine.rating.decide import decide
from engine.rating.job_row import ASSUMED_ROW, NO_ROW, learned, with_row
from engine.reconcile.baseline_cache import Usual
from engine.reconcile.batch import EVENT_SECONDS_MAX, Coalescer
from engine.runtime.clock import Clock, Deadline
from engine.runtime.telemetry import Failure, Report, Telemetry
from engine.runtime.tracing import UNTRACED, Tracer

SQS = "aws:sqs"
"""What each record of a queue's batch says that it comes from."""

LESSONS_MAX = 7
"""What one posting can learn with nobody else at work: sequence, the job's row (three times), user, balance.

Only more is contention, and waits."""


@frozen
class Reconciler:
    """A policy at work on a ledger."""

    policy: Policy
    ledger: Ledger
    telemetry: Telemetry
    clock: Clock
    adjustments_max: int | None = None
    """How many entries one run of a scan may post. A mistake (a policy, lost marks) ends there, and a person is told."""
    scans_at_once: int | None = None
    """How many segments of the table of jobs a scheduled run reads at once; None leaves it to whoever runs it."""
    tracer: Tracer = UNTRACED
    usual: Usual = field(repr=False)

    @usual.default
    def _usual(self) -> Usual:
        return Usual(self.policy, self.ledger, self.clock)

    def prime(self, deadline: Deadline) -> None:
        """Open the connection to the database, and read and compile what events need. Never fails: an event would say why."""
        self.policy.prepare()
        self.usual.prime(deadline)

    def traced(self, tracer: Tracer) -> Reconciler:
        """Return this reconciler for one invocation, which ``tracer`` traces."""
        if tracer is self.tracer:
            return self
        ledger, telemetry = evolve(self.ledger, tracer=tracer), evolve(self.telemetry, trace=tracer.trace)
        return evolve(self, ledger=ledger, telemetry=telemetry, tracer=tracer)

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
        assessment = self._assess(envelope, self.usual.now(deadline))
        if assessment is None:
            return Report(envelope, Outcome.IGNORED)
        try:
            return self.post(assessment, self.first_look(assessment, deadline), deadline)
        except LedgerError as error:
            raise error.about(envelope.id, job=assessment.job, user=assessment.user, rule=assessment.rule) from error

    def post(self, assessment: Assessment, log: JobLog, deadline: Deadline, row: JobRow = ASSUMED_ROW) -> Report:
        """Decide and post until the database and the decision agree. Each turn has learned something from the last.

        ``log`` and ``row`` are what is known or assumed of the reference and of the row. Raises EventError or LedgerError;
        either way nothing moved.
        """
        standing = Standing.ASSUMED_COVERED
        for attempt in deadline.attempts(at_once=LESSONS_MAX):
            decision = self._decide(assessment, log, standing, row, attempt)
            if decision.entry is None:
                return self.known(decision, assessment, deadline)
            receipt = self.ledger.post(decision.entry, decision.guard, decision.mark, deadline)
            if receipt.verdict is Verdict.POSTED:
                return Report.of_posting(decision, assessment, attempt)
            row, standing = self.row_after(receipt, row, decision, assessment), receipt.standing or standing
            if receipt.verdict is Verdict.SEQUENCE_TAKEN:  # what was learned of the balance was of another amount
                log, standing = self.after_taken(assessment, receipt, deadline), Standing.ASSUMED_COVERED
        raise LedgerUnavailable(f"{assessment.reference}: others kept writing to it until the time was used up")

    def _assess(self, envelope: Envelope, baselines: Baselines) -> Assessment | None:
        with self.tracer.span("match") as span:
            assessment = assess(envelope, self.policy, baselines, self.clock.now())
            if assessment is None:
                span.annotate(outcome=Outcome.IGNORED)
            else:
                span.annotate([assessment], policy=self.policy.identity)
        return assessment

    def _decide(self, assessment: Assessment, log: JobLog, standing: Standing, row: JobRow, attempt: int) -> Decision:
        with self.tracer.span("decide") as span:
            decision = with_row(decide(assessment, log, standing, self.policy), assessment, row, self.policy)
            span.annotate([assessment], policy=self.policy.identity, outcome=decision.outcome, attempt=attempt)
        return decision

    def first_look(self, assessment: Assessment, deadline: Deadline) -> JobLog:
        """A charge is most often a job's first fact, so it is posted without a look: the condition tells if that was wrong."""
        is_likely_first = opens_its_log(assessment.fact) and not assessment.time_is_assumed
        return JobLog() if is_likely_first else self.ledger.read(assessment.reference, deadline)

    def after_taken(self, assessment: Assessment, receipt: Receipt, deadline: Deadline) -> JobLog:
        """Return the log to decide on next.

        What the first entry knows, all later ones know. So a fact that is in the first entry is a duplicate, and the rest
        need not be read. A scan marks the row on what it finds, so it has to see all of it.
        """
        if receipt.log is not None and assessment.source is not Source.SCAN:
            known = decide(assessment, receipt.log, Standing.ASSUMED_COVERED, self.policy)
            if known.outcome is Outcome.DUPLICATE:
                return receipt.log
        return self.ledger.read(assessment.reference, deadline)

    def row_after(self, receipt: Receipt, row: JobRow, decision: Decision, assessment: Assessment) -> JobRow:
        """Return what is known of the job's row after a posting that it may have refused."""
        if receipt.verdict is Verdict.NO_JOB_ROW:
            return NO_ROW
        if receipt.verdict is not Verdict.ROW_LEARNED or receipt.row is None or decision.mark is None:
            return row
        return learned(receipt.row, decision.mark, assessment, self.policy)

    def known(self, decision: Decision, assessment: Assessment, deadline: Deadline) -> Report:
        """Nothing to post. A scan found the row unmarked all the same: mark it, so that the next scan passes it by."""
        if assessment.source is not Source.SCAN or decision.mark is None or assessment.job is None:
            return Report(None, decision.outcome, assessment, is_unclear=decision.is_unclear)
        marked = self.ledger.mark(assessment.job, evolve(decision.mark, user=None), deadline)  # the row has named its user
        return Report(None, decision.outcome, assessment, marked=marked, is_unclear=decision.is_unclear)

    def _milliseconds(self, started: float) -> float:
        return round((self.clock.steady() - started) * 1000, 3)

    # --- a batch ---

    def batch(self, records: Sequence[Any], deadline: Deadline) -> list[str]:
        """Work through SQS records of EventBridge events, and return the message ids of those that must come back.

        A record without an id is named by an empty one: Lambda then sends all of the batch again, so that none is lost.
        """
        envelopes = [self._envelope(record) for record in records]
        results = iter(self.many([envelope for envelope in envelopes if envelope is not None], deadline))
        done = [envelope is not None and isinstance(next(results), Report) for envelope in envelopes]
        return [_message_of(record) for record, is_done in zip(records, done, strict=True) if not is_done]

    def many(self, envelopes: Sequence[Envelope], deadline: Deadline) -> list[Report | Exception]:
        """Bring the ledger in line with many envelopes, and return for each its report, or the error it must come back for."""
        return Coalescer(self, deadline).run(envelopes)

    def _envelope(self, record: Any) -> Envelope | None:
        """Return the event in a record; what is none is reported, and comes back."""
        message = _message_of(record)
        try:
            return Envelope(read_event(_body_of(record, message), f"message {message}"), Source.QUEUE, message=message)
        except EventError as error:
            self.refuse(error, Source.QUEUE, message)
            return None

    def refuse(self, error: EventError, source: Source, message: str | None = None) -> None:
        """Report what is no event at all, so that it must come back."""
        self.telemetry.failed(Failure(Envelope({"id": message}, source), error, 0.0))


def _message_of(record: Any) -> str:
    message = record.get("messageId") if isinstance(record, Mapping) else None
    return message if isinstance(message, str) else ""


def _body_of(record: Any, message: str) -> Any:
    """Return what is in a message. Raises EventError for what is no message of a queue."""
    if isinstance(record, Mapping) and record.get("eventSource", SQS) == SQS:
        return record.get("body")
    problem = f"is of {shown(record.get('eventSource'))}" if isinstance(record, Mapping) else f"is {shown(record)}"
    raise EventError(f"message {message}" if message else UNREADABLE, "(none)", "record", f"{problem}; one of {SQS} is needed")
