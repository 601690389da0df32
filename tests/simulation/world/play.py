"""Plays a plan on the engine itself: a step is a method of ``World``, an invocation goes through the function's own door."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from attrs import Factory, define, evolve, field

import handler
from engine.domain.envelope import Source
from engine.domain.errors import EventError, LedgerError
from engine.policy import Policy
from engine.reconcile.give_up import FailedEvents
from engine.reconcile.reconciler import Reconciler
from engine.reconcile.scheduled import SEGMENT_BYTES
from engine.runtime.clock import Clock
from tests.simulation.faults import (
    BUSY_MANY,
    BUSY_ONE,
    FAULTS,
    LASTING,
    LEFT_OVER,
    MIXED,
    STALE_READS,
    TIMED_OUT,
    Caller,
    Dice,
    FaultyStore,
    Killed,
)
from tests.simulation.repricings import Repricing
from tests.simulation.world.actors import ACTS
from tests.simulation.world.archiving import Archive
from tests.simulation.world.crew import UNASKED, Crew
from tests.simulation.world.explaining import ExplainDesk
from tests.simulation.world.place import MemoryPlace, Place, Timeline
from tests.simulation.world.plan import Document, Plan, Round, Step
from tests.simulation.world.plan_files import PlanOnFile
from tests.simulation.world.queue import Message, Queue
from tests.simulation.world.telling import Counting, end_shown, event_shown, row_shown
from tests.simulation.world.terms import policy_of

TRIES_MAX = 3
"""So often Lambda tries an event that is delivered directly."""

SLICE_TRIES_MAX = 6
FUNCTION_SECONDS = (2.6, 8.0, 30.0, 30.0)
CALM_SECONDS = 30.0
SKEW_SECONDS_MAX = 2.0

Answer = dict[str, Any]


@define(eq=False)
class Context:
    """What Lambda tells an invocation."""

    caller: Caller
    aws_request_id: str = "r-1"

    def get_remaining_time_in_millis(self) -> float:
        return (self.caller.ends_at - self.caller.timeline.steady) * 1000


@define(eq=False)
class Run:
    """A scheduled run that the state machine is at: parts to work on, parts that are done, and what it has posted."""

    name: str
    waiting: list[tuple[Answer, int]] = Factory(list)
    done: list[Answer] = Factory(list)
    posted: int = 0


@define(eq=False)
class World:
    """One history under way."""

    plan: Plan
    count: Counter[str] = Factory(Counter)
    timeline: Timeline = Factory(Timeline)
    place: Place = field()
    queue: Queue = Factory(Queue)
    desk: ExplainDesk = Factory(ExplainDesk)
    retries: list[tuple[Document, int, int]] = Factory(list)
    """Events that Lambda tries again, how often it has, and the seed of their chance."""
    edit: int = 0
    crew: Crew = field()
    runs: list[Run] = Factory(list)
    written: list[tuple[str, str, Document, str]] = Factory(list)
    """What applications wrote into Jobs, in order: job, kind, row, and the event whose fact it tells."""
    granted: dict[str, Decimal] = Factory(dict)
    lines: list[str] = Factory(list)
    """What happened, for the story."""
    wrong: list[str] = Factory(list)
    repricings: list[Repricing] = Factory(list)
    pricings: dict[str, PlanOnFile] = Factory(dict)
    """What a pricing team has planned, by its name."""
    calls: int = 0
    is_calm: bool = False
    reach: Callable[[Any, Caller], Any] = FaultyStore
    """Makes the store by which an invocation reaches the place."""
    cap: int | None = None
    archive: Archive = field()

    @archive.default
    def _archive(self) -> Archive:
        return Archive(self.plan.seed)

    @place.default
    def _place(self) -> Place:
        return MemoryPlace(self.timeline, jobs_bytes=self.plan.segments * SEGMENT_BYTES)

    @crew.default
    def _crew(self) -> Crew:
        return Crew(UNASKED)

    def __attrs_post_init__(self) -> None:
        self.cap, self.edit = self.plan.cap, self.plan.edit
        if isinstance(self.place, MemoryPlace):
            self.place.words = self.desk.shelf.words
        for row in self.plan.rows:
            self.put(Step("put", 0, (row, "")))

    def play(self) -> None:
        """Play all rounds."""
        for each in self.plan.rounds:
            self.round(each)

    def round(self, each: Round) -> None:
        """Play the steps of a round at once, and what Lambda tries again."""
        self.timeline.pass_by(each.pause)
        self.place.remember()
        retries, self.retries = self.retries, []
        tasks = [self._task(step) for step in each.steps]
        tasks += [self._again(document, tries, seed) for document, tries, seed in retries]
        self.crew = Crew(Random(each.seed) if len(tasks) > 1 else UNASKED)
        if tasks:
            self.crew.run(tasks)
        self.count["turns taken from one invocation by another"] += self.crew.turns

    def _task(self, step: Step) -> Callable[[], None]:
        act = ACTS.get(step.kind)
        return (lambda: act(self, step)) if act else lambda: getattr(self, step.kind)(step)

    def _again(self, document: Document, tries: int, seed: int) -> Callable[[], None]:
        return lambda: self.direct(Step("direct", seed + tries, document, self.is_calm), tries)

    def tell(self, line: str) -> None:
        """Take down what happened."""
        self.lines.append(f"{self.timeline.now().isoformat()[11:19]}  {line}")

    # --- what applications do ---

    def put(self, step: Step) -> None:
        """Write a whole row of Jobs."""
        row, event = step.subject
        self.crew.switch()
        self.place.put_job(row)
        self._wrote("put", row, event)

    def update(self, step: Step) -> None:
        """Write some attributes of a row of Jobs."""
        row, event = step.subject
        self.crew.switch()
        self.place.update_job(row)
        self._wrote("update", row, event)

    def _wrote(self, kind: str, row: Document, event: str) -> None:
        self.written.append((row["jobId"], kind, row, event))
        self.tell(f"the application writes ({kind}) row {row['jobId']}: {row_shown(row)}")

    def credits(self, step: Step) -> None:
        """Give credits to a user, who may be new."""
        user, amount = step.subject
        self.crew.switch()
        self.place.add_credits(user, Decimal(amount))
        self.granted[user] = self.granted.get(user, Decimal(0)) + Decimal(amount)
        self.tell(f"the application gives {amount} credits to {user}")

    # --- the bus and the queue ---

    def direct(self, step: Step, tries: int = 0) -> None:
        """Deliver an event directly; Lambda tries twice again, and then keeps it as a dead letter."""
        document = step.subject
        answer = self.invoke(step, document, f"event {event_shown(document)}")
        if answer is not None:
            return
        if tries + 1 < TRIES_MAX:
            self.retries.append((document, tries + 1, step.seed))
        else:
            self.queue.letters.append(document)
            self.count["dead letter of Lambda"] += 1

    def send(self, step: Step) -> None:
        """Send an event to the queue."""
        self.crew.switch()
        self.queue.send(json.dumps(step.subject))
        self.tell(f"the queue takes event {event_shown(step.subject)}")

    def poll(self, step: Step) -> None:
        """Hand a batch of the queue to the function; what fails comes back."""
        chance = Random(step.seed)
        batch = self.queue.receive(step.subject, chance, may_repeat=not self.is_calm)
        if not batch:
            return
        event = {"Records": [message.record(self.timeline) for message in batch]}
        names = ", ".join(message.name for message in batch)
        answer = self.invoke(step, event, f"batch of {names}")
        failed = None if answer is None else {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        for message in batch:
            self._returned(message, is_back=failed is None or message.name in failed or "" in failed)
        self.count["batch with a partial failure"] += bool(failed) and len(failed) < len(batch)

    def _returned(self, message: Message, *, is_back: bool) -> None:
        if is_back:
            self.count["dead letter of the queue"] += self.queue.come_back(message)

    # --- scheduled runs ---

    def schedule(self, step: Step) -> None:
        """The scheduled event: all of a run in one invocation."""
        event = {"source": "aws.scheduler", "detail-type": "Scheduled Event", "time": f"{self.timeline.now():%FT%TZ}"}
        run = Run(f"all-{step.seed}")
        self.runs.append(run)
        self._audited(self.invoke(step, event, "the whole scheduled run", run))

    def begin(self, step: Step) -> None:
        """Begin a run in steps."""
        run = Run(f"run-{step.seed}")
        answer = self.invoke(step, {"begin": run.name, "time": f"{self.timeline.now():%FT%TZ}"}, f"begin of {run.name}")
        if answer is not None:
            run.waiting = [(part, 0) for part in answer["parts"]]
            self.runs.append(run)

    def slice(self, step: Step) -> None:
        """Work on one part of the latest run that has some; now and then of one before, whose steps go on."""
        with_parts = [run for run in self.runs if run.waiting]
        if not with_parts:
            return
        run = with_parts[-1] if step.seed % 5 else with_parts[0]
        part, tries = run.waiting.pop(0)
        answer = self.invoke(step, part, f"slice of {run.name}", run)
        if answer is None and tries + 1 < SLICE_TRIES_MAX:
            run.waiting.append((part, tries + 1))
        elif answer is None or not answer["slices"] or answer["capped"]:
            run.done.append(part if answer is None else answer)
        else:
            run.waiting.append((answer, 0))

    def finish(self, step: Step) -> None:
        """Finish the latest run: it looks back, audits and seals."""
        if self.runs:
            run = self.runs[-1]
            parts = [*run.done, *(part for part, _ in run.waiting)]
            self._audited(self.invoke(step, {"parts": parts, "time": f"{self.timeline.now():%FT%TZ}"}, f"end of {run.name}"))

    def expire(self, step: Step) -> None:
        """Let the function look for holds that are due, as it does between the runs as well."""
        answer = self.invoke(step, {"expire": "holds"}, "a look for holds that are due")
        said = (answer or {}).get("holds", {})
        self.count["hold that has expired"] += said.get("expired", 0)
        self.count["hold that was due, and its job's row said what became of it"] += said.get("byRow", 0)
        if self.is_calm and not said.get("finished"):
            self.wrong.append(f"a look for holds that are due ended with {said}")

    def _audited(self, answer: Answer | None) -> None:
        """An audit at work beside writers must raise no false alarm; where there is an archive it goes by that alone."""
        if answer is not None and self.archive.takes_part:
            self.archive.hear(self, answer["archive"])
        said = (answer or {}).get("audit", {})
        self.count["audit that came to its end"] += "drifts" in said
        self.count["audit that did not"] += "problem" in said
        for name in ("drifts", "faults", "cameOrWent"):
            if said.get(name):
                self.wrong.append(f"a false alarm of the audit: {name} {said[name]}")

    # --- the people who run it ---

    def deploy(self, step: Step) -> None:
        """Deploy an edit of the policy: what is under way goes on with the one before."""
        self.edit = step.subject
        self.count["policy deployed"] += 1
        self.tell(f"edit {self.edit} of the policy is deployed")

    def jump(self, step: Step) -> None:
        """Let all clocks jump."""
        self.timeline.offset += step.subject
        self.count["clock jumped"] += 1
        self.tell(f"all clocks jump by {step.subject:g} seconds")

    # --- one invocation ---

    def invoke(self, step: Step, event: Any, what: str, run: Run | None = None) -> Answer | None:
        """Call the function; None where it raised or died."""
        caller = self.caller(step)
        before = [self.count[name] for name in NOTABLE]
        answer, end = self._answered(event, caller)
        is_alone = len(self.crew.live) < 2
        faults = [name for name, times in zip(NOTABLE, before, strict=True) if is_alone and self.count[name] > times]
        self.tell(f"{what}: {end}" + (f"  [{', '.join(faults)}]" if faults else ""))
        if run is not None:
            run.posted += caller.posted_by_scan
        return answer

    def caller(self, step: Step) -> Caller:
        """Return a new invocation, with the chance of its step."""
        chance = Random(step.seed)
        is_calm = self.is_calm or step.calm
        dice = Dice(chance, 0.0 if is_calm else self.plan.often, count=self.count)
        skew = 0.0 if is_calm else chance.uniform(-SKEW_SECONDS_MAX, SKEW_SECONDS_MAX)
        seconds = CALM_SECONDS if is_calm else chance.choice(FUNCTION_SECONDS)
        return Caller(dice, self.crew, self.timeline, skew, ends_at=self.timeline.steady + seconds)

    def _answered(self, event: Any, caller: Caller) -> tuple[Answer | None, str]:
        reconciler = self.reconciler(caller)
        answers = next((answer for is_this_kind, answer in handler.KINDS if is_this_kind(event)), refused)
        try:
            said = answers(event, reconciler, Context(caller))
        except Killed:
            return None, "killed"
        except (EventError, LedgerError) as error:
            self.count[f"raised {type(error).__name__}"] += 1
            return None, f"{type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001  nothing else may ever come out of the function
            self.wrong.append(f"the function raised {type(error).__name__}: {error}")
            return None, f"{type(error).__name__}: {error}"
        return said, end_shown(said)

    @property
    def policy(self) -> Policy:
        """The edit that is deployed."""
        return policy_of(self.edit, self.plan.overdraft, self.plan.unknown_user)

    def reconciler(self, caller: Caller) -> Reconciler:
        """Return what one invocation reconciles by."""
        store: Any = self.reach(self.place, caller)
        clock: Clock = store.clock
        letters = FailedEvents(self.queue.failed_events(caller.dice), "failed-events")
        return Reconciler(
            self.policy,
            store,
            Counting(self.count, clock),
            clock,
            adjustments_max=self.cap,
            scans_at_once=2,
            failed_events=lambda: letters,
            archive=(lambda: self.archive.opened(caller)) if self.archive.takes_part else None,
        )

    def calm(self) -> None:
        """From now on nothing goes wrong."""
        self.is_calm = True
        self.cap = None
        self.plan = evolve(self.plan, often=0.0)


def refused(_event: Any, reconciler: Reconciler, _context: Context) -> Answer:
    """Refuse what is no event, as the function's door does."""
    problem = EventError("of request r-1", "(none)", "event", "is no event")
    reconciler.refuse(problem, Source.EVENT)
    raise problem


NOTABLE = (*FAULTS, LASTING, TIMED_OUT, *STALE_READS, BUSY_ONE, BUSY_MANY, MIXED, LEFT_OVER)
