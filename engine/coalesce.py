"""Many events at once: as many postings in one transaction as it holds, and still each event by itself.

Events of one job (or grant) keep their order: of each the first is posted together with the first of all others, then the
second, and so on. A posting that is refused costs its neighbours one retry and nothing else; it goes on alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from attrs import Factory, define, field

from engine.assess import assess
from engine.clock import Deadline
from engine.decide import decide
from engine.decimals import EXACT
from engine.job_row import ASSUMED_ROW, with_row
from engine.ledger import BATCHED_GUARDS, LedgerUnavailable, Receipt, Verdict
from engine.telemetry import Failure, Report
from engine.tracing import Span
from engine.values import Assessment, Decision, Entry, Envelope, Guard, JobLog, JobRow, Mark, Outcome, Standing

if TYPE_CHECKING:
    from engine.reconcile import Reconciler

ROUNDS_MAX = 3
"""How often a posting goes together with others before it goes alone: once, once more after another was refused, and once
by what a job's row has taught."""

EVENT_SECONDS_MAX = 15.0
"""How long one event may go on trying. Lambda's own retries and the dead-letter queue take over from there."""

ROW_VERDICTS = frozenset({Verdict.NO_JOB_ROW, Verdict.ROW_LEARNED})

type Result = Report | Exception


@define(eq=False)
class Item:
    """One event under way: what is known of its reference, and how often it was tried."""

    position: int
    envelope: Envelope
    assessment: Assessment
    log: JobLog = field(factory=JobLog)
    row: JobRow = ASSUMED_ROW
    decision: Decision | None = None
    attempts: int = 0


@define
class Coalescer:
    """Brings the ledger in line with many envelopes. One instance serves one call."""

    reconciler: Reconciler
    deadline: Deadline
    results: dict[int, Result] = Factory(dict)
    logs: dict[str, JobLog] = Factory(dict)

    def run(self, envelopes: Sequence[Envelope]) -> list[Result]:
        """Return for each envelope its report, or the error for which it must come back."""
        started = self.reconciler.clock.steady()
        waiting = self._assessed(envelopes)
        while waiting:
            wave = [items.pop(0) for items in waiting.values()]
            waiting = {reference: items for reference, items in waiting.items() if items}
            self._settle(wave)
        milliseconds = (self.reconciler.clock.steady() - started) * 1000 / max(1, len(envelopes))
        return [self._told(envelope, self.results[n], milliseconds) for n, envelope in enumerate(envelopes)]

    def _assessed(self, envelopes: Sequence[Envelope]) -> dict[str, list[Item]]:
        """Return the events that a rule matches, by reference; what is ignored or makes no sense is settled at once."""
        waiting: dict[str, list[Item]] = {}
        baselines, now = self.reconciler.usual.now(self.deadline), self.reconciler.clock.now()
        with self.reconciler.tracer.span("match") as span:
            for position, envelope in enumerate(envelopes):
                try:
                    assessment = assess(envelope, self.reconciler.policy, baselines, now)
                except Exception as error:  # noqa: BLE001  this event alone comes back
                    self._fail(position, error, span)
                    continue
                if assessment is None:
                    self.results[position] = Report(envelope, Outcome.IGNORED)
                else:
                    waiting.setdefault(assessment.reference, []).append(Item(position, envelope, assessment))
            matched = (item.assessment for items in waiting.values() for item in items)
            span.annotate(matched, policy=self.reconciler.policy.identity, events=len(envelopes))
        return waiting

    def _fail(self, position: int, error: Exception, span: Span) -> None:
        self.results[position] = error
        span.failed(error)

    # --- one wave: events of different references ---

    def _settle(self, wave: list[Item]) -> None:
        with self.reconciler.tracer.span("decide") as span:
            together = [item for item in wave if self._begin(item, span)]
            outcomes = (item.decision.outcome for item in wave if item.decision)
            span.annotate((item.assessment for item in wave), policy=self.reconciler.policy.identity, outcome=outcomes)
        for _ in range(ROUNDS_MAX):
            together = self._post(together)
        for item in together:
            self._alone(item)

    def _begin(self, item: Item, span: Span) -> bool:
        """Look at what is known and decide; say whether there is something to post."""
        if self.deadline.left() <= 0:
            self._fail(item.position, LedgerUnavailable("the time was used up before this event's turn"), span)
            return False
        try:
            known = self.logs.get(item.assessment.reference)
            item.log = known if known is not None else self.reconciler.first_look(item.assessment, self._soon())
            return self._decided(item)
        except Exception as error:  # noqa: BLE001  this event alone comes back
            self._fail(item.position, error, span)
            return False

    def _decided(self, item: Item) -> bool:
        reconciler = self.reconciler
        decision = decide(item.assessment, item.log, Standing.ASSUMED_COVERED, reconciler.policy)
        item.decision = with_row(decision, item.assessment, item.row, reconciler.policy)
        if item.decision.entry is not None:
            return True
        self._keep(item, reconciler.known(item.decision, item.assessment, self._soon()))
        return False

    def _post(self, together: list[Item]) -> list[Item]:
        """Post what can go together, and return what must be tried again together; the rest has gone on alone."""
        batched: list[Item] = []
        single: list[Item] = []
        for item in together:
            (batched if item.decision and item.decision.guard in BATCHED_GUARDS else single).append(item)
        again = [item for item, receipt in self._receipts(batched) if self._goes_again(item, receipt)]
        for item in single:
            self._alone(item)
        return again

    def _receipts(self, batched: list[Item]) -> Iterator[tuple[Item, Receipt]]:
        """Yield what became of each posting.

        Of a request that is refused, or that cannot even be made, each goes on alone: one of them may be to blame.
        """
        waiting = iter(batched)
        try:
            for receipt in self.reconciler.ledger.post_all(map(_posting, batched), self._soon()):
                yield next(waiting), receipt
        except LedgerUnavailable as error:
            self.results.update((item.position, error) for item in waiting)
        except Exception:  # noqa: BLE001  what it is shows where each is alone
            yield from ((item, Receipt(Verdict.ALONE)) for item in waiting)

    def _goes_again(self, item: Item, receipt: Receipt) -> bool:
        item.attempts += 1
        if receipt.verdict is Verdict.POSTED and item.decision is not None:
            posted = Report(None, item.decision.outcome, item.assessment, item.decision.entry, attempts=item.attempts)
            self._keep(item, posted)
        elif receipt.verdict in ROW_VERDICTS:
            return self._goes_by_its_row(item, receipt)
        elif receipt.verdict is not Verdict.HELD_UP:
            self._alone(item, receipt)
        return receipt.verdict is Verdict.HELD_UP

    def _goes_by_its_row(self, item: Item, receipt: Receipt) -> bool:
        """Decide again by what the job's row says; say whether there is still something to post."""
        try:
            if item.decision is not None:
                item.row = self.reconciler.row_after(receipt, item.row, item.decision, item.assessment)
            return self._decided(item)
        except Exception as error:  # noqa: BLE001  this event alone comes back
            self.results[item.position] = error
            return False

    def _alone(self, item: Item, receipt: Receipt | None = None) -> None:
        reconciler, deadline = self.reconciler, self._soon()
        try:
            if receipt is not None and receipt.verdict is Verdict.SEQUENCE_TAKEN:
                item.log = reconciler.after_taken(item.assessment, receipt, deadline)
            self._keep(item, reconciler.post(item.assessment, item.log, deadline, item.row))
        except Exception as error:  # noqa: BLE001  this event alone comes back
            self.results[item.position] = error

    def _keep(self, item: Item, report: Report) -> None:
        """Keep the result, and what is known of the reference from now on."""
        self.results[item.position] = report
        entry = report.entry
        if entry is None or report.outcome is Outcome.REFUSED:
            self.logs.pop(item.assessment.reference, None)
        else:
            posted = EXACT.minus(entry.cost)  # every entry but a refusal brings the postings to the cost
            self.logs[entry.reference] = JobLog(entry.sequence, entry.user, entry.facts, entry.cost, posted)

    def _soon(self) -> Deadline:
        return self.deadline.sooner(EVENT_SECONDS_MAX)

    def _told(self, envelope: Envelope, result: Result, milliseconds: float) -> Result:
        """Report one event as if it had come by itself."""
        telemetry = self.reconciler.telemetry
        if isinstance(result, Exception):
            telemetry.failed(Failure(envelope, result, round(milliseconds, 3)))
            return result
        report = result.told(envelope, round(milliseconds, 3))
        telemetry.settled(report)
        return report


def _posting(item: Item) -> tuple[Entry, Guard, Mark | None]:
    decision = item.decision
    assert decision is not None  # noqa: S101  only what has an entry to post comes here
    assert decision.entry is not None  # noqa: S101  the same
    return decision.entry, decision.guard, decision.mark
