"""One of the two policies at work: what it makes of an event, and of the events of one log. It is the engine itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from attrs import evolve, field, frozen

from engine.domain.assessment import Assessment
from engine.domain.entry import Entry
from engine.domain.envelope import Document, Envelope, Source
from engine.domain.errors import EventError, NoRow
from engine.domain.facts import Facts
from engine.domain.log import NO_ENTRIES, log_of
from engine.domain.money import EXACT
from engine.domain.references import job_of
from engine.policy.detectors import Falling, Outlier
from engine.policy.model import Policy
from engine.preview.dry_run import NOT_MARKED, DryRun, store_of
from engine.reconcile.settle import EventProposal, likely_log

type Rows = Mapping[str, Document]
"""Rows of Jobs by their jobs."""

REFUSED = "error"
"""How an event ends that makes no sense."""


def _without_baselines(policy: Policy) -> Policy:
    """Return a policy without what only a baseline can judge: a plan has none, and its samples are a quarter of the work."""
    kept = tuple(rule for rule in policy.anomalies if not isinstance(rule.detector, Outlier | Falling))
    return evolve(policy, anomalies=kept)


@frozen
class Told:
    """What one event tells: an assessment by itself, or a shared one with what the event names in place of the first one's."""

    assessment: Assessment
    reference: str
    user: str
    at: datetime
    event_id: str | None

    def assessed(self) -> Assessment:
        """Return the assessment of this very event."""
        first = self.assessment
        return evolve(
            first,
            reference=self.reference,
            job=job_of(self.reference) or first.job,
            user=self.user,
            at=self.at,
            event_id=self.event_id,
            fact=moved(first.fact, self.at),
        )


def moved(fact: Facts, at: datetime) -> Facts:
    """Return what an event tells, told at another instant: all that it tells is of its own time."""
    return evolve(
        fact,
        charges=tuple(evolve(each, at=at) for each in fact.charges),
        refunds=tuple(evolve(each, at=at) for each in fact.refunds),
        grants=tuple(evolve(each, at=at) for each in fact.grants),
        revokes=tuple(evolve(each, at=at) for each in fact.revokes),
        holds=tuple(each.moved(at) for each in fact.holds),
        expiries=tuple(evolve(each, at=at) for each in fact.expiries),
        flags=tuple((name, at) for name, _ in fact.flags),
    )


@frozen
class Ending:
    """How the events of a log end under one policy. ``ends`` has of each event its outcome, what is wrong, and its entry.

    ``posted`` is what all entries move in the end, but for what is only ``held``: that is no revenue, and may go back.
    """

    ends: tuple[tuple[str, str, Entry | None], ...]
    posted: Decimal
    held: Decimal

    @classmethod
    def of(cls, ends: Iterable[tuple[str, str, Entry | None]], entries: Iterable[Entry]) -> Ending:
        """Return how events end whose log has these entries then."""
        log = log_of(entries)
        return cls(tuple(ends), EXACT.add(log.posted, log.held), log.held)


@frozen(eq=False)
class Side:
    """A policy at work on a store in memory."""

    policy: Policy
    rows: Rows | None = None
    run: DryRun = field(init=False)

    @run.default
    def _run(self) -> DryRun:
        store = store_of()
        store.jobs.update({job: dict(row) for job, row in (self.rows or {}).items()})
        return DryRun(_without_baselines(self.policy), store)

    def assessment(self, document: Document) -> Assessment | EventError | None:
        """Return what the policy makes of an event: None where no rule matches, an error where it makes no sense.

        Raises NoRow where the row of its job is needed and no rows were handed over.
        """
        reconciler = self.run.reconciler
        baselines = reconciler.baselines.current(self.run.deadline)
        envelope = Envelope(document, Source.REPLAY)
        try:
            return reconciler.assessed(envelope, baselines, self.run.deadline)
        except NoRow as error:
            if self.rows is None:
                raise
            return error
        except EventError as error:
            error.__traceback__ = error.__cause__ = error.__context__ = None  # it is kept, and would keep all that it saw
            return error

    def first(self, assessment: Assessment) -> Ending:
        """Return how an event ends that is alone in its log: nobody has been there before, so that it is decided at once."""
        proposal = EventProposal(assessment, self.policy, self.run.reconciler.ledger, NO_ENTRIES, row=NOT_MARKED)
        decision = proposal.decided()
        entries = [] if decision.entry is None else [decision.entry]
        return Ending.of([(decision.outcome.value, "", decision.entry)], entries)

    def ending(self, told: Sequence[Told]) -> Ending:
        """Return how the events of one log end, in their order, on a ledger that knows nothing of the log."""
        store = self.run.store
        store.kept.clear()
        store.credits.clear()
        ends = [self._end(each.assessed()) for each in told]
        return Ending.of(ends, (entry for log in store.all_logs() for entry in log))

    def _end(self, assessment: Assessment) -> tuple[str, str, Entry | None]:
        run = self.run
        try:
            log = likely_log(assessment, self.policy, run.reconciler.ledger, run.deadline)
            proposal = EventProposal(assessment, self.policy, run.reconciler.ledger, log, row=NOT_MARKED)
            report = run.reconciler.settle(proposal, run.deadline)
        except EventError as error:
            return REFUSED, str(error), None
        return report.outcome.value, "", report.entry
