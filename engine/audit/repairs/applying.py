"""A plan of repairs, applied: just what its file says, each log once, whoever else is at work and however often it is begun.

A log is put right in one transaction: what is put back, what is added, and what the balance moves by. Its conditions name what
was found, at the look that a step was held to. So whoever dies on the way has done some logs and not the others, and a log
that somebody has written to since is left alone. Where nothing is added, no condition tells of an event that comes between
the two: then the log is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum

from attrs import Factory, define, evolve, field, frozen

from engine.audit.repairs.row import RowStep, row_step_in
from engine.audit.repairs.steps import Step, step_in
from engine.domain.entry import Correction
from engine.ledger.audits import AuditedEntry, AuditStore, Credit, PutBack
from engine.reconcile.plan_file import PlanFile
from engine.runtime.clock import Deadline


class State(StrEnum):
    """How a log stands to the plan."""

    DUE = "due"
    DONE = "done"
    DONE_BEFORE = "done-before"
    CHANGED = "changed"
    """Something is no longer as it was found: plan again."""


@define
class Done:
    """What a run did, by log, in the order of the plan."""

    states: dict[str, State] = Factory(dict)

    def count(self, state: State) -> int:
        """Return how many logs stand so."""
        return sum(each is state for each in self.states.values())

    @property
    def is_whole(self) -> bool:
        """Whether everything of the plan is done."""
        return all(each in {State.DONE, State.DONE_BEFORE} for each in self.states.values())


@frozen
class Seen:
    """One look at the log of a step, and at the row of its user where the step is about that."""

    log: Sequence[AuditedEntry]
    row: Credit | None

    def state(self, step: Step | RowStep) -> State:
        """Return how the log stands to a step."""
        if step.is_after(self.log):
            return State.DONE_BEFORE
        if isinstance(step, RowStep):
            return State.DUE if self.row is not None and step.is_before(self.log, self.row) else State.CHANGED
        return State.DUE if step.is_before(self.log) else State.CHANGED


@define(eq=False)
class RepairRun:
    """One run of a plan of repairs. ``by`` is who applies it."""

    plan: PlanFile
    store: AuditStore
    by: str
    deadline: Deadline
    done: Done = Factory(Done)
    said: Correction = field(init=False)

    @said.default
    def _said(self) -> Correction:
        return Correction(str(self.plan.header["reason"]), self.by, plan=self.plan.digest)

    def steps(self) -> Iterator[Step | RowStep]:
        """Yield what the plan has for each log. Raises PlanFileError."""
        for line in self.plan.lines():
            if "log" in line:
                yield step_in(line, str(self.plan.path))
            elif "row" in line:
                yield row_step_in(line, str(self.plan.path))

    def check(self) -> Done:
        """Return how every log stands. Nothing is written."""
        return Done({step.reference: self._look(step).state(step) for step in self.steps()})

    def apply(self, told: Callable[[int], None] = lambda _: None) -> Done:
        """Do what is due, and return what was done. Raises LedgerError; the next run goes on."""
        for number, step in enumerate(self.steps(), start=1):
            seen = self._look(step)
            state = seen.state(step)
            if state is State.DUE:
                state = self._after(step, is_written=self._write(step, seen))
            self.done.states[step.reference] = state
            told(number)
        return self.done

    def _look(self, step: Step | RowStep) -> Seen:
        row = self.store.credit(step.user, self.deadline) if isinstance(step, RowStep) else None
        return Seen(self.store.log(step.reference, self.deadline), row)

    def _after(self, step: Step | RowStep, *, is_written: bool) -> State:
        """Return how a log stands after its transaction. One that was refused met another run, or an event."""
        if is_written and (isinstance(step, RowStep) or step.corrections):
            return State.DONE
        seen = self._look(step)
        if is_written:
            return State.DONE if isinstance(step, RowStep) or step.is_before(seen.log) else State.CHANGED
        state = seen.state(step)
        return State.CHANGED if state is State.DUE else state

    def _write(self, step: Step | RowStep, seen: Seen) -> bool:
        if isinstance(step, RowStep):
            entry = evolve(step.correction.entry, correction=self.said)
            row = seen.row or Credit(step.user)
            return self.store.append_with_row(entry, row, step.says, step.correction.moves.amount, self.deadline)
        there = {entry.line.sequence: entry for entry in seen.log}
        backs = [
            PutBack(self.store.entry(each.text), there.get(each.place))
            for each in step.put_back
            if each.place not in there or there[each.place].digest != each.posted
        ]
        entries = [(evolve(each.entry, correction=self.said), each.moves) for each in step.corrections]
        return self.store.put_back(backs, entries, self.deadline)
