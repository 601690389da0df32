"""What goes wrong at each call of the store, drawn from a seed: how often each fault really occurred is counted.

The faults are those that DynamoDB, the network and Lambda have: a call is throttled, gets no answer in time, an error or the
end of its connection (it was carried out, or it was not), is answered slowly or carried out twice, conflicts with others at
work on one item or on many, some of which are refused for what stands there; a read that may be stale is; the function dies.
``FaultyStore`` plays them around a store, in the way the client of DynamoDB would: it sends again until the time is up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from random import Random
from typing import Any

from attrs import Factory, define, field, frozen

from engine.domain.entry_types import EntryType
from engine.domain.envelope import Source
from engine.domain.errors import LedgerUnavailable
from engine.ledger.store import Posting, Receipt, Verdict
from engine.reconcile.wiring import READ_SECONDS_MAX
from engine.runtime.clock import Clock, Deadline
from tests.simulation.watch import Moved, Refusal
from tests.simulation.world.crew import Crew
from tests.simulation.world.place import Place, Timeline

KILLS = KILLED_BEFORE, KILLED_WITHIN, KILLED_AFTER = (
    "killed before the call",
    "killed within the call",
    "killed after the call",
)
THROTTLED, CONFLICT = "throttled", "conflict"
TIMEOUTS = ("timeout, nothing done", "timeout, all done")
RESETS = ("connection reset, nothing done", "connection reset, all done")
ERRORS = ("server error, nothing done", "server error, all done")
SLOW, TWICE = "slow answer", "request carried out twice"
FAULTS = (*KILLS, THROTTLED, CONFLICT, *TIMEOUTS, *RESETS, *ERRORS, SLOW, TWICE)
"""What ``Dice.fault`` draws, each as likely."""

DONE = frozenset({KILLED_AFTER, TIMEOUTS[1], RESETS[1], ERRORS[1], SLOW, TWICE})
"""Whoever meets one of these has been served, whether or not it hears of it."""

TIMED_OUT = "timed out"
STALE_READS = ("stale rows", "stale index")
BUSY_ONE, BUSY_MANY = "conflict on one of many", "conflict on many of many"
MIXED = "conflict beside a failed condition"
LEFT_OVER = "keys left over"

LASTING = "outage until the time is up"
OUTAGES = 0.2
"""So many of the calls that are not answered stay so, however often they are sent again."""

SLOW_SHARE_MAX = 0.95
"""Of the time after which a client waits no longer."""

CALL_SECONDS_MAX = 0.02

IDEMPOTENT = frozenset({"post", "post_all", "correct", "withdraw", "give_back_to_run", "append", "append_with_row"})
"""Calls that carry a token: sent again, they are answered as they were, and done once."""


class Killed(BaseException):
    """The function is gone. Nothing in it may catch this."""


@define(eq=False)
class Dice:
    """The chance of one invocation: how likely a fault is at each call, and which."""

    chance: Random
    often: float
    may_kill: bool = True
    count: Counter[str] = Factory(Counter)

    def fault(self) -> str | None:
        """Return the fault of this call, if there is one."""
        if self.chance.random() >= self.often:
            return None
        fault = FAULTS[int(self.chance.random() * len(FAULTS))]
        if fault in KILLS and not self.may_kill:
            return None
        return fault

    def happens(self, fault: str, share: float = 1.0) -> bool:
        """Say whether another fault is played, and count it."""
        if self.chance.random() >= min(0.9, self.often * 4 * share):
            return False
        self.count[fault] += 1
        return True


@define(eq=False)
class Caller:
    """One invocation as the store sees it: its clock, its chance, and whether it is still alive."""

    dice: Dice
    crew: Crew
    timeline: Timeline
    skew: float = 0.0
    ends_at: float = float("inf")
    """When the platform ends it, in the world's steady seconds."""
    is_dead: bool = False
    begun_at: float = Factory(lambda self: self.timeline.steady, takes_self=True)
    posted_by_scan: int = 0
    """How many entries that are no flags it has posted for rows that a scan read."""

    @classmethod
    def at_rest(cls, timeline: Timeline) -> Caller:
        """Return a caller that nothing happens to."""
        chance = Random(0)
        return cls(Dice(chance, 0.0), Crew(chance), timeline)

    def clock(self) -> Clock:
        """Return the clock of the machine that it runs on."""
        time = self.timeline
        return Clock(lambda: time.now(self.skew), lambda: time.steady, self.wait, self.dice.chance.uniform)

    def wait(self, seconds: float) -> None:
        """Let time pass, and others work."""
        self.timeline.pass_by(seconds)
        self.give_way()

    def give_way(self) -> None:
        """Let others work; who has died meanwhile does not come back."""
        self.crew.switch()
        if self.is_dead:
            raise Killed
        if self.timeline.steady > self.ends_at:
            self.die(TIMED_OUT)

    def die(self, fault: str) -> None:
        """End here."""
        self.dice.count[fault] += 1
        self.is_dead = True
        raise Killed

    def call[T](self, name: str, act: Callable[[], T], deadline: Deadline) -> T:
        """Make one call, with whatever goes wrong with it. Raises LedgerUnavailable where no answer comes in time."""
        answers: list[T] = []
        lasting: str | None = None
        for _ in deadline.attempts():
            self.give_way()
            self.timeline.pass_by(self.dice.chance.random() * CALL_SECONDS_MAX)
            fault = lasting or self.dice.fault()
            if fault is None:
                return self._act(name, act, answers)
            if self._gets_through(fault, name, act, answers):
                return answers[0] if name in IDEMPOTENT else answers[-1]
            lasting = lasting or self._lasts(fault)
        raise LedgerUnavailable(f"no answer to {name} in time")

    def _lasts(self, fault: str) -> str | None:
        if self.dice.chance.random() >= OUTAGES:
            return None
        self.dice.count[LASTING] += 1
        return fault

    def _act[T](self, name: str, act: Callable[[], T], answers: list[T]) -> T:
        if answers and name in IDEMPOTENT:
            return answers[0]
        self.timeline.skew = self.skew
        answers.append(act())
        return answers[-1]

    def _gets_through[T](self, fault: str, name: str, act: Callable[[], T], answers: list[T]) -> bool:
        """Play a fault; say whether the call is answered all the same."""
        if fault in DONE or (fault == KILLED_WITHIN and self.dice.chance.random() < 0.5):
            self._act(name, act, answers)
        if fault == TWICE:
            self._act(name, act, answers)
        if fault in KILLS:
            self.die(fault)
        self.dice.count[fault] += 1
        self.wait_for(fault)
        return fault in {SLOW, TWICE}

    def wait_for(self, fault: str) -> None:
        """Let time pass, and others work, as long as an answer takes that is slow or does not come."""
        if fault in TIMEOUTS or fault == SLOW:
            share = 1.0 if fault in TIMEOUTS else self.dice.chance.random() * SLOW_SHARE_MAX
            self.wait(share * READ_SECONDS_MAX)


@frozen(eq=False)
class FaultyStore:
    """A store as one invocation reaches it. It is a ``ledger.store.Store``."""

    place: Place
    caller: Caller
    clock: Clock = field(init=False)

    @clock.default
    def _clock(self) -> Clock:
        return self.caller.clock()

    def post(self, entry: Any, guard: Any, mark: Any, deadline: Deadline) -> Receipt:
        """Post one entry."""
        receipt = self.caller.call("post", lambda: self._post(entry, guard, mark, deadline), deadline)
        self._count([receipt])
        return receipt

    def _post(self, entry: Any, guard: Any, mark: Any, deadline: Deadline) -> Receipt:
        known = self.known([(entry, guard, mark)])
        receipt = self.place.store.post(entry, guard, mark, deadline)
        self.note([(entry, guard, mark)], [receipt], known)
        return receipt

    def known(self, postings: Iterable[Posting]) -> set[str]:
        """Return the users who have a row before a posting."""
        return {entry.user for entry, _, _ in postings if entry.user in self.place.store.credits}

    def note(self, postings: Iterable[Posting], receipts: Iterable[Receipt], known: set[str]) -> None:
        """Take down what was committed, whether or not anybody is told."""
        transaction = len(self.place.moved) + 1
        for (entry, _, _), receipt in zip(postings, receipts, strict=True):
            if receipt.verdict is Verdict.POSTED:
                self.caller.posted_by_scan += entry.source is Source.SCAN and entry.type is not EntryType.FLAG
                self.place.committed[entry.reference, entry.sequence] = self.caller.timeline.steady
                if entry.amount:
                    self.place.moved.append(self._moved(entry, transaction, had_row=entry.user in known))
                elif entry.event_id in entry.facts.refused:
                    self._note_refusal(entry)

    def _note_refusal(self, entry: Any) -> None:
        since, until = self.caller.begun_at, self.caller.timeline.steady
        refusal = Refusal(entry.reference, entry.sequence, entry.user, since, until)
        self.place.balances.refusals.append(refusal)

    def _moved(self, entry: Any, transaction: int, *, had_row: bool) -> Moved:
        left = self.place.store.credits.get(entry.user, {}).get("remaining", Decimal(0))
        flags = frozenset(anomaly.name for anomaly in entry.anomalies)
        self.place.balances.moved(entry.user, self.caller.timeline.steady, left)
        of_entry = entry.reference, entry.sequence, entry.user, entry.amount
        return Moved(*of_entry, flags, had_row, left, entry.type.value, entry.policy, transaction)

    def post_all(self, postings: Iterable[Posting], deadline: Deadline) -> Iterator[Receipt]:
        """Post many entries, in the groups that a transaction holds."""
        for group in self.place.store.together(postings):
            receipts = self.caller.call("post_all", lambda group=group: self._group(group, deadline), deadline)
            self._count(receipts)
            yield from receipts

    def _count(self, receipts: Iterable[Receipt]) -> None:
        for receipt in receipts:
            self.caller.dice.count[f"verdict {receipt.verdict.value}"] += 1

    def _group(self, group: list[Posting], deadline: Deadline) -> list[Receipt]:
        dice = self.caller.dice
        if dice.happens(BUSY_ONE, 0.5):
            busy = {int(dice.chance.random() * len(group))}
        elif dice.happens(BUSY_MANY, 0.5):
            busy = {index for index in range(len(group)) if dice.chance.random() < 0.6}
        else:
            known = self.known(group)
            receipts = list(self.place.store.post_all(group, deadline))
            self.note(group, receipts, known)
            return self._mixed(receipts)
        verdicts = (Verdict.BUSY if index in busy else Verdict.HELD_UP for index in range(len(group)))
        return [Receipt(verdict, problem="TransactionConflict") for verdict in verdicts]

    def _mixed(self, receipts: list[Receipt]) -> list[Receipt]:
        """Of a group that was refused let some postings have met others at work, besides."""
        dice = self.caller.dice
        others = [at for at, receipt in enumerate(receipts) if receipt.verdict in {Verdict.HELD_UP, Verdict.ALONE}]
        if not others or len(others) == len(receipts) or not dice.happens(MIXED, 0.5):
            return receipts
        busy = Receipt(Verdict.BUSY, problem="TransactionConflict")
        return [busy if at in others and dice.chance.random() < 0.7 else receipt for at, receipt in enumerate(receipts)]

    def due_jobs(self, part: Any, wanted: Any, deadline: Deadline) -> Any:
        """Read a page of the scan, perhaps of rows as they were a moment ago."""
        is_old = self._stale_rows()
        return self.caller.call("due_jobs", lambda: self.place.page(is_old, part, wanted, deadline), deadline)

    def _stale_rows(self) -> Callable[[], bool] | None:
        dice = self.caller.dice
        return (lambda: dice.chance.random() < 0.5) if dice.happens(STALE_READS[0]) else None

    def audits(self) -> Any:
        """Return what audits see, reached by the same caller."""
        return self.place.audits(self.caller, lambda: self.caller.dice.happens(STALE_READS[1]))

    def corrections(self) -> Any:
        """Return what posts corrections, reached by the same caller."""
        from tests.simulation.world.faulty_corrections import FaultyCorrections  # noqa: PLC0415  it is made of this store

        return FaultyCorrections(self)

    def holds(self) -> Any:
        """Return what finds holds that are due, reached by the same caller."""
        from tests.simulation.world.faulty_corrections import FaultyHolds  # noqa: PLC0415  the same

        return FaultyHolds(self)

    def logs(self) -> Any:
        """Return what reads whole logs, reached by the same caller."""
        from tests.simulation.world.faulty_corrections import FaultyLogs  # noqa: PLC0415  the same

        return FaultyLogs(self)

    def jobs_bytes(self, deadline: Deadline) -> int:
        """Return how large the table of jobs is said to be: by this a run divides it."""
        return self.caller.call("jobs_bytes", lambda: self.place.jobs_bytes, deadline)

    def together(self, postings: Iterable[Posting]) -> Iterator[list[Posting]]:
        """Yield postings as they go together."""
        return self.place.store.together(postings)

    def close(self) -> None:
        """Close nothing."""

    def __getattr__(self, name: str) -> Any:
        return self.called(name, getattr(self.place.store, name))

    def called(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method of the place by which this caller reaches it."""

        def call(*values: Any, **named: Any) -> Any:
            deadline = next(value for value in (*values, *named.values()) if isinstance(value, Deadline))
            return self.caller.call(name, lambda: _whole(method(*values, **named)), deadline)

        return call


def _whole(answer: Any) -> Any:
    """Return an answer that was read to its end: what changes later is not in it."""
    return iter(list(answer)) if hasattr(answer, "__next__") else answer
