"""A plan of repairs, applied: just what its file says, each log once, whoever else is at work and however often it is begun.

A log is put right in one transaction: what is put back, what is added, and what the balance moves by. Its conditions name what
was found. So whoever dies on the way has done some logs and not the others, and a log that somebody has written to since is
left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum

from attrs import Factory, define, evolve, field

from engine.audit.repairs.row import RowStep, row_step_in
from engine.audit.repairs.steps import Step, step_in
from engine.domain.entry import Correction
from engine.ledger.audits import AuditStore, PutBack
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
        return Done({step.reference: self._state(step) for step in self.steps()})

    def apply(self, told: Callable[[int], None] = lambda _: None) -> Done:
        """Do what is due, and return what was done. Raises LedgerError; the next run goes on."""
        for number, step in enumerate(self.steps(), start=1):
            state = self._state(step)
            if state is State.DUE:
                state = State.DONE if self._write(step) else self._after_refusal(step)
            self.done.states[step.reference] = state
            told(number)
        return self.done

    def _state(self, step: Step | RowStep) -> State:
        log = self.store.log(step.reference, self.deadline)
        if step.is_after(log):
            return State.DONE_BEFORE
        if isinstance(step, RowStep):
            return State.DUE if step.is_before(log, self.store.credit(step.user, self.deadline)) else State.CHANGED
        return State.DUE if step.is_before(log) else State.CHANGED

    def _after_refusal(self, step: Step | RowStep) -> State:
        """Somebody was faster: another run of this plan, or an event."""
        state = self._state(step)
        return State.CHANGED if state is State.DUE else state

    def _write(self, step: Step | RowStep) -> bool:
        if isinstance(step, RowStep):
            entry = evolve(step.correction.entry, correction=self.said)
            seen = self.store.credit(step.user, self.deadline)
            return self.store.append_with_posted(entry, seen, step.says, step.correction.moves, self.deadline)
        there = {entry.line.sequence: entry for entry in self.store.log(step.reference, self.deadline)}
        backs = [
            PutBack(self.store.entry(each.text), there.get(each.place))
            for each in step.put_back
            if each.place not in there or there[each.place].digest != each.posted
        ]
        entries = [(evolve(each.entry, correction=self.said), each.moves) for each in step.corrections]
        return self.store.put_back(backs, entries, self.deadline)
