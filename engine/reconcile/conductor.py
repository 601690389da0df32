"""A policy at work on a ledger, and how one event is brought into it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Self

from attrs import evolve, field, frozen

from engine.domain.assessment import Assessment
from engine.domain.decision import Decision, Outcome
from engine.domain.envelope import Document, Envelope, Source
from engine.domain.errors import LedgerError, RowNeeded
from engine.domain.job_row import JobRow
from engine.ledger.store import Store
from engine.policy.model import Policy
from engine.rating.assess import assess
from engine.rating.baselines import Baselines
from engine.rating.job_row import ASSUMED_ROW
from engine.reconcile.baseline_cache import BaselineCache
from engine.reconcile.settle import EventProposal, likely_log, settle
from engine.runtime.clock import Clock, Deadline
from engine.runtime.telemetry import Failure, Report, Telemetry
from engine.runtime.tracing import UNTRACED, Tracer

if TYPE_CHECKING:
    from engine.reconcile.own_rows import RowReader
    from engine.reconcile.shadow import Shadow

EVENT_SECONDS_MAX = 15.0
"""How long one event may go on trying. Lambda's own retries and the dead-letter queue take over from there."""


@frozen(eq=False, repr=False)
class Conductor:
    """A policy at work on a ledger."""

    policy: Policy
    ledger: Store
    telemetry: Telemetry
    clock: Clock
    adjustments_max: int | None = None
    """How many entries one run of a scan may post. A mistake (a policy, lost marks) ends there, and a person is told."""
    scans_at_once: int | None = None
    """How many segments of the table of jobs a scheduled run reads at once; None leaves it to whoever runs it."""
    tracer: Tracer = UNTRACED
    shadow: Shadow | None = field(default=None, repr=False)
    """A second policy: what it would have posted is told beside what is posted. None: there is none."""
    baselines: BaselineCache = field(repr=False)

    @baselines.default
    def _baselines(self) -> BaselineCache:
        return BaselineCache(self.policy, self.ledger, self.clock)

    def prime(self, deadline: Deadline) -> None:
        """Open the connection to the database, and read and compile what events need. Never fails: an event would say why."""
        self.policy.prepare()
        if self.shadow is not None:
            self.shadow.prepare()
        self.baselines.prime(deadline)

    def traced(self, tracer: Tracer) -> Self:
        """Return this conductor for one invocation, which ``tracer`` traces."""
        if tracer is self.tracer:
            return self
        from engine.ledger.traced import traced  # noqa: PLC0415  most invocations are not sampled

        ledger, telemetry = traced(self.ledger, tracer), evolve(self.telemetry, trace=tracer.trace)
        return evolve(self, ledger=ledger, telemetry=telemetry, tracer=tracer)

    def close(self) -> None:
        """Close the connections to the database: after a rest the other end may be gone."""
        self.ledger.close()

    def event(self, document: Document, source: Source, deadline: Deadline) -> Report:
        """Bring the ledger in line with one event.

        Raises EventError (the event makes no sense) or LedgerError (it must be sent again); either way nothing moved.
        """
        report = self.reconcile(Envelope(document, source), deadline)
        if report.assessment is None or not report.assessment.fact.holds:
            return report
        from engine.reconcile.afford import afforded  # noqa: PLC0415  few policies hold

        return evolve(report, afforded=afforded(report, self.ledger, deadline))

    def reconcile(self, envelope: Envelope, deadline: Deadline) -> Report:
        """Bring the ledger in line with one envelope, and report on it."""
        started = self.clock.steady()
        try:
            report = self.settled(envelope, deadline.sooner(EVENT_SECONDS_MAX))
        except Exception as error:
            self.telemetry.failed(Failure(envelope, error, self._milliseconds(started)))
            raise
        report = report.told(envelope, self._milliseconds(started))
        self.tell(report, deadline)
        return report

    def tell(self, report: Report, deadline: Deadline) -> None:
        """Report an event that has its place in the ledger."""
        shadow = self.shadow
        self.telemetry.settled(report, None if shadow is None else shadow.beside(report, deadline))

    def settled(self, envelope: Envelope, deadline: Deadline, row: JobRow = ASSUMED_ROW) -> Report:
        """Bring the ledger in line with one envelope, and tell nobody; ``row`` is what is known of its job's row.

        Raises EventError or LedgerError; either way nothing moved.
        """
        assessment = self._assess(envelope, self.baselines.current(deadline), deadline)
        if assessment is None:
            return Report(envelope, Outcome.IGNORED)
        try:
            log = likely_log(assessment, self.policy, self.ledger, deadline)
            return self.settle(EventProposal(assessment, self.policy, self.ledger, log, self.tracer, row), deadline)
        except LedgerError as error:
            raise error.about(envelope.id, job=assessment.job, user=assessment.user, rule=assessment.rule) from error

    def _assess(self, envelope: Envelope, baselines: Baselines, deadline: Deadline) -> Assessment | None:
        with self.tracer.span("match") as span:
            assessment = self.assessed(envelope, baselines, deadline)
            if assessment is None:
                span.annotate(outcome=Outcome.IGNORED)
            else:
                span.annotate([assessment], policy=self.policy.identity)
        return assessment

    def assessed(self, envelope: Envelope, baselines: Baselines, deadline: Deadline) -> Assessment | None:
        """Return what the policy makes of an event. Where the row of its job is needed, it is read."""
        now = self.clock.now()
        try:
            return assess(envelope, self.policy, baselines, now)
        except RowNeeded as needed:
            asking = needed
        return self.row_reader(baselines, now, deadline).one(envelope, asking)

    def row_reader(self, baselines: Baselines, now: datetime, deadline: Deadline) -> RowReader:
        """Return what reads the rows of jobs that events ask for."""
        from engine.reconcile.own_rows import RowReader  # noqa: PLC0415  few policies read them

        return RowReader(self.policy, self.ledger, deadline, baselines, now)

    def settle(self, proposal: EventProposal, deadline: Deadline) -> Report:
        """Settle an event's proposal, and return its report. Raises EventError or LedgerError; either way nothing moved."""
        decision, attempts = settle(proposal, self.ledger, deadline)
        if decision.entry is None:
            return self.nothing_to_post(decision, proposal, deadline)
        return Report.of_posting(decision, proposal.assessment, attempts, proposal.log)

    def nothing_to_post(self, decision: Decision, proposal: EventProposal, deadline: Deadline) -> Report:
        """Return the report on what the ledger holds already.

        A scan found the row unmarked all the same: mark it, so that the next scan passes it by.
        """
        assessment, before = proposal.assessment, proposal.log
        if assessment.source is not Source.SCAN or decision.mark is None or assessment.job is None:
            return Report(None, decision.outcome, assessment, is_unclear=decision.is_unclear, before=before)
        marked = self.ledger.mark(assessment.job, evolve(decision.mark, user=None), deadline)  # the row has named its user
        return Report(None, decision.outcome, assessment, marked=marked, is_unclear=decision.is_unclear, before=before)

    def _milliseconds(self, started: float) -> float:
        return round((self.clock.steady() - started) * 1000, 3)
