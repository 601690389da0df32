"""Many events at once: as many postings in one transaction as it holds, and still each event by itself.

Events of one job (or grant) keep their order: of each the first is posted together with the first of all others, then the
second, and so on. A posting that is refused costs its neighbours one retry and nothing else; it goes on alone. One whose items
others are at work on is set aside, with what comes after it, until all the rest is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from attrs import Factory, define, evolve

from engine.domain.assessment import Assessment
from engine.domain.decision import Guard, Outcome
from engine.domain.entry import Entry
from engine.domain.envelope import Envelope
from engine.domain.errors import LedgerError, LedgerUnavailable, RowNeeded, TimeIsUp
from engine.domain.job_row import Mark
from engine.domain.log import NO_ENTRIES, JobLog
from engine.ledger.store import BATCHED_GUARDS, Receipt, Verdict
from engine.rating.assess import assess
from engine.rating.baselines import Baselines
from engine.reconcile.conductor import EVENT_SECONDS_MAX, Conductor
from engine.reconcile.settle import EventProposal, likely_log
from engine.runtime.clock import Deadline
from engine.runtime.telemetry import Failure, Report
from engine.runtime.tracing import Span

BRIEF_SECONDS = 0.25
"""How long one event that goes alone may keep the others waiting; then it is set aside."""

ROW_VERDICTS = frozenset({Verdict.NO_JOB_ROW, Verdict.ROW_LEARNED})
ROWS_SECONDS_MAX = 5.0
"""How long a batch waits for the rows of jobs that some of its events ask for: all others wait as long."""

OUT_OF_TIME = "the time was used up before this event's turn"

type Result = Report | Exception
type Assessed = Assessment | Exception | None
"""What the policy makes of an event: an assessment, nothing where no rule matches, or why it comes back."""


@define(eq=False)
class Item:
    """One event under way: its proposal, and how often it was tried together with others."""

    position: int
    envelope: Envelope
    assessment: Assessment
    proposal: EventProposal
    attempts: int = 0
    error: LedgerUnavailable | None = None
    """Why it was set aside the last time."""


@define(eq=False, repr=False)
class EventBatch:
    """Brings the ledger in line with many envelopes. One instance serves one call."""

    conductor: Conductor
    deadline: Deadline
    results: dict[int, Result] = Factory(dict)
    logs: dict[str, JobLog] = Factory(dict)
    aside: dict[str, list[Item]] = Factory(dict)
    """What waits for others at work on the same items, by reference."""
    busy_users: set[str] = Factory(set)

    def run(self, envelopes: Sequence[Envelope]) -> list[Result]:
        """Return for each envelope its report, or the error for which it must come back."""
        started = self.conductor.clock.steady()
        self._work_through(self._assessed(envelopes))
        if self.aside:
            self._wait_for_the_busy()
        milliseconds = (self.conductor.clock.steady() - started) * 1000 / max(1, len(envelopes))
        return [self._told(envelope, self.results[n], milliseconds) for n, envelope in enumerate(envelopes)]

    def _assessed(self, envelopes: Sequence[Envelope]) -> dict[str, list[Item]]:
        """Return the events that a rule matches, by reference; what is ignored or makes no sense is settled at once."""
        waiting: dict[str, list[Item]] = {}
        policy, store = self.conductor.policy, self.conductor.ledger
        baselines, now = self.conductor.baselines.current(self.deadline), self.conductor.clock.now()
        with self.conductor.tracer.span("match") as span:
            ends = self._assess(envelopes, baselines, now)
            for position, (envelope, assessed) in enumerate(zip(envelopes, ends, strict=True)):
                if isinstance(assessed, Exception):
                    self.results[position] = assessed
                    span.failed(assessed)
                elif assessed is None:
                    self.results[position] = Report(envelope, Outcome.IGNORED)
                else:
                    item = Item(position, envelope, assessed, EventProposal(assessed, policy, store))
                    waiting.setdefault(assessed.reference, []).append(item)
            matched = (item.assessment for items in waiting.values() for item in items)
            span.annotate(matched, policy=policy.identity, events=len(envelopes))
        return waiting

    def _assess(self, envelopes: Sequence[Envelope], baselines: Baselines, now: datetime) -> list[Assessed]:
        """Return what the policy makes of each event; the rows that some ask for are read together."""
        assessed: list[Assessed] = []
        for envelope in envelopes:
            try:
                assessed.append(assess(envelope, self.conductor.policy, baselines, now))
            except Exception as error:  # noqa: BLE001  this event alone comes back
                assessed.append(error)
        asking = {position: each for position, each in enumerate(assessed) if isinstance(each, RowNeeded)}
        if asking:
            reader = self.conductor.row_reader(baselines, now, self.deadline.sooner(ROWS_SECONDS_MAX))
            told = reader.all([(envelopes[position], needed) for position, needed in asking.items()])
            for position, each in zip(asking, told, strict=True):
                assessed[position] = each
        return assessed

    def _work_through(self, waiting: dict[str, list[Item]]) -> None:
        while waiting:
            wave = [items.pop(0) for items in waiting.values()]
            self._settle(wave)
            for reference in self.aside.keys() & waiting.keys():
                self.aside[reference] += waiting.pop(reference)
            waiting = {reference: items for reference, items in waiting.items() if items}

    def _wait_for_the_busy(self) -> None:
        """Try what was set aside again and again, all of it in turn, so that none uses up the time of another."""
        attempts = self._soon().attempts()
        next(attempts)  # it was made: a wait comes first
        for _ in attempts:
            waiting, self.aside = self.aside, {}
            self.busy_users.clear()
            self._work_through(waiting)
            if not self.aside:
                return
        for item in (item for items in self.aside.values() for item in items):
            self._comes_back(item, item.error or TimeIsUp(OUT_OF_TIME))

    def _set_aside(self, item: Item, error: LedgerUnavailable) -> None:
        item.error = error
        self.aside.setdefault(item.assessment.reference, []).append(item)
        self.busy_users.add(item.assessment.user)

    def _comes_back(self, item: Item, error: Exception) -> None:
        if isinstance(error, LedgerError):
            known = item.assessment
            error = error.about(item.envelope.id, job=known.job, user=known.user, rule=known.rule)
        self.results[item.position] = error

    # --- one wave: events of different references ---

    def _settle(self, wave: list[Item]) -> None:
        with self.conductor.tracer.span("decide") as span:
            together = [item for item in wave if self._begin(item, span)]
            outcomes = (item.proposal.decision.outcome for item in wave if item.proposal.decision)
            span.annotate((item.assessment for item in wave), policy=self.conductor.policy.identity, outcome=outcomes)
        single: list[tuple[Item, Receipt | None]] = []
        while together:
            together = self._post(together, single)
        for item, receipt in single:
            self._alone(item, receipt)

    def _begin(self, item: Item, span: Span) -> bool:
        """Look at what is known and decide; say whether there is something to post."""
        if self.deadline.left() <= 0:
            error = item.error or TimeIsUp(OUT_OF_TIME)
            self._comes_back(item, error)
            span.failed(error)
            return False
        try:
            return self._decided(item)
        except LedgerUnavailable as error:
            self._set_aside(item, error)
        except Exception as error:  # noqa: BLE001  this event alone comes back
            self._comes_back(item, error)
            span.failed(error)
        return False

    def _decided(self, item: Item) -> bool:
        conductor, proposal, deadline = self.conductor, item.proposal, self._briefly(item)
        if proposal.log is None:
            kept = self.logs.get(proposal.reference)
            proposal.log = (
                kept if kept is not None else likely_log(item.assessment, conductor.policy, conductor.ledger, deadline)
            )
        decision = proposal.decided()
        if decision.entry is not None:
            return True
        self._keep(item, conductor.nothing_to_post(decision, proposal, deadline))
        return False

    def _post(self, together: list[Item], single: list[tuple[Item, Receipt | None]]) -> list[Item]:
        """Post what can go together, and return what must be tried again together; add to ``single`` what goes on alone.

        Each round takes out what was refused, or learned of a job's row. Where it did neither, no other round would.
        """
        batched: list[Item] = []
        for item in together:
            if item.proposal.decision and item.proposal.decision.guard in BATCHED_GUARDS:
                batched.append(item)
            else:
                single.append((item, None))
        rows = [item.proposal.row for item in batched]
        again = [item for item, receipt in self._receipts(batched) if self._goes_again(item, receipt, single)]
        if rows == [item.proposal.row for item in again]:
            single += ((item, None) for item in again)
            return []
        return again

    def _receipts(self, batched: list[Item]) -> Iterator[tuple[Item, Receipt]]:
        """Yield what became of each posting.

        Of a request that is refused, or that cannot even be made, each goes on alone: one of them may be to blame.
        """
        waiting = iter(batched)
        try:
            for receipt in self.conductor.ledger.post_all(map(_posting, batched), self._soon()):
                yield next(waiting), receipt
        except LedgerUnavailable as error:
            for item in waiting:
                self._comes_back(item, error)
        except Exception:  # noqa: BLE001  what it is shows where each is alone
            yield from ((item, Receipt(Verdict.ALONE)) for item in waiting)

    def _goes_again(self, item: Item, receipt: Receipt, single: list[tuple[Item, Receipt | None]]) -> bool:
        item.attempts += 1
        decision = item.proposal.decision
        if receipt.verdict is Verdict.POSTED and decision is not None:
            self._keep(item, Report.of_posting(decision, item.assessment, item.attempts, item.proposal.log))
        elif receipt.verdict in ROW_VERDICTS:
            return self._goes_by_its_row(item, receipt)
        elif receipt.verdict is Verdict.BUSY:
            self._set_aside(item, LedgerUnavailable(f"DynamoDB took no posting in time; the last time: {receipt.problem}"))
        elif receipt.verdict is not Verdict.HELD_UP:
            single.append((item, receipt))
        return receipt.verdict is Verdict.HELD_UP

    def _goes_by_its_row(self, item: Item, receipt: Receipt) -> bool:
        """Decide again by what the job's row says; say whether there is still something to post."""
        try:
            item.proposal.learn(receipt, self._briefly(item))
            return self._decided(item)
        except LedgerUnavailable as error:
            self._set_aside(item, error)
        except Exception as error:  # noqa: BLE001  this event alone comes back
            self._comes_back(item, error)
        return False

    def _alone(self, item: Item, receipt: Receipt | None = None) -> None:
        deadline = self._briefly(item)
        try:
            if receipt is not None:
                item.proposal.learn(receipt, deadline)
            self._keep(item, self.conductor.settle(item.proposal, deadline))
        except LedgerUnavailable as error:
            self._set_aside(item, error)
        except Exception as error:  # noqa: BLE001  this event alone comes back
            self._comes_back(item, error)

    def _keep(self, item: Item, report: Report) -> None:
        """Keep the result, and what is known of the reference from now on."""
        self.results[item.position] = report if item.error is None else evolve(report, was_unanswered=True)
        entry = report.entry
        if entry is None or report.outcome is Outcome.REFUSED:
            self.logs.pop(item.assessment.reference, None)
        else:
            self.logs[entry.reference] = (report.before or NO_ENTRIES).then(entry)

    def _soon(self) -> Deadline:
        return self.deadline.sooner(EVENT_SECONDS_MAX)

    def _briefly(self, item: Item) -> Deadline:
        """One try for what belongs to a user who is known to be busy, a few for all others."""
        return self.deadline.sooner(0.0 if item.assessment.user in self.busy_users else BRIEF_SECONDS)

    def _told(self, envelope: Envelope, result: Result, milliseconds: float) -> Result:
        """Report one event as if it had come by itself."""
        if isinstance(result, Exception):
            self.conductor.telemetry.failed(Failure(envelope, result, round(milliseconds, 3)))
            return result
        report = result.told(envelope, round(milliseconds, 3))
        self.conductor.tell(report, self.deadline)
        return report


def _posting(item: Item) -> tuple[Entry, Guard, Mark | None]:
    decision = item.proposal.decision
    assert decision is not None  # noqa: S101  only what has an entry to post comes here
    assert decision.entry is not None  # noqa: S101  the same
    return decision.entry, decision.guard, decision.mark
