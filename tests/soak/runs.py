"""Scheduled runs: in one invocation, or in steps as the state machine does them, each of which comes again where it died."""

from __future__ import annotations

import time
from collections import Counter
from random import Random
from typing import Any

from attrs import Factory, define, frozen

from tests.soak.post import Line, Said

TRIES_MAX = 8
WHOLE = 0.15
OVERTAKEN = 0.1
"""How likely a run is one invocation, and how likely another one begins while it is under way."""

PAUSE_SHARE = 3
"""A run is followed by a pause of so many times its own length: the writers are to be at work, too."""

CLOSING_SECONDS = 240.0
PARTS, AGAIN = "parts", "again"
ALARMS = ("drifts", "faults")

type Answer = dict[str, Any]


@define(eq=False)
class Run:
    """A run under way: events for its next steps, how many are at work, answers that are in."""

    name: str
    waiting: list[tuple[Answer, int]]
    began: float = Factory(time.monotonic)
    at_work: int = 0
    done: list[Answer] = Factory(list)
    phase: str = "begin"


@define(eq=False)
class Runs:
    """All runs, one after the other, now and then one beside the next."""

    chance: Random
    seconds: float
    pause: float
    runs: list[Run] = Factory(list)
    next_at: float = 0.0
    count: Counter[str] = Factory(Counter)
    alarms: list[str] = Factory(list)
    last: Answer = Factory(dict)
    """What the last run said at its end."""
    is_calm: bool = False

    @property
    def is_idle(self) -> bool:
        return not self.runs

    def next(self, *, may_close: bool) -> Step | None:
        """Return a step to take, or None; the last ones of a run read all of the ledger."""
        now = time.monotonic()
        if not self.is_calm and now >= self.next_at and len(self.runs) < 2:
            self.begin(self.chance.random() < WHOLE)
        for run in self.runs:
            if run.waiting and (may_close or not is_closing(run.waiting[0][0])):
                event, tries = run.waiting.pop(0)
                run.at_work += 1
                return Step(self, run, event, tries)
        return None

    def begin(self, is_whole: bool) -> None:  # noqa: FBT001  drawn
        """Begin a run."""
        name = f"run-{self.count['begun']}"
        self.count["begun"] += 1
        time_now = f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}"
        whole = {"source": "aws.scheduler", "detail-type": "Scheduled Event", "time": time_now}
        self.runs.append(Run(name, [(whole if is_whole else {"begin": name, "time": time_now}, 0)]))
        self.next_at = time.monotonic() + (self.pause if self.chance.random() < OVERTAKEN else 1e9)

    def end(self, run: Run, how: str) -> None:
        """Take a run off."""
        if run not in self.runs:
            return  # another of its steps has ended it
        self.runs.remove(run)
        self.count[how] += 1
        length = time.monotonic() - run.began
        self.next_at = time.monotonic() + max(self.pause, PAUSE_SHARE * length)

    def audited(self, answer: Answer) -> None:
        """An audit beside writers must raise no alarm."""
        said = answer.get("audit", {})
        self.count["audits done"] += "drifts" in said
        self.count["audits out of time"] += "problem" in said
        self.count["users too busy to audit"] += len(said.get("busy", ()))
        self.alarms += [f"audit: {name} {said[name]}" for name in ALARMS if said.get(name)]
        if came_or_went := said.get("seal", {}).get("cameOrWent"):
            self.alarms.append(f"audit: {came_or_went} entries came or went behind the seals")
        self.count["seals"] = max(self.count["seals"], said.get("seal", {}).get("number") or 0)
        self.count["flags of look backs"] += answer.get("lookBack", {}).get("flags", 0)


@frozen
class Step:
    """One step of a run."""

    runs: Runs
    run: Run
    event: Answer
    tries: int

    def line(self) -> Line:
        seconds = CLOSING_SECONDS if is_closing(self.event) else self.runs.seconds
        return {"task": "invoke", "event": self.event, "seconds": seconds}

    def done(self, said: Said | None) -> None:
        """Go on with what the answer leaves to be done; without one the step comes again."""
        run, answer = self.run, (said or {}).get("answer")
        run.at_work -= 1
        if answer is not None:
            self.answered(answer)
        elif (said or {}).get("error") == "LedgerRefused":
            self.runs.end(run, "runs overtaken")
        elif self.tries + 1 < TRIES_MAX:
            self.runs.count["steps that came again"] += 1
            run.waiting.append((self.event, self.tries + 1))
        else:
            self.runs.end(run, "runs given up")

    def answered(self, answer: Answer) -> None:
        """Go on: parts to work on, what is left of them, the end."""
        runs, run = self.runs, self.run
        runs.audited(answer)
        if "begin" in self.event:
            run.phase, run.waiting = PARTS, [(part, 0) for part in answer["parts"]]
        elif "slices" in self.event:
            left = answer["slices"] and not answer["capped"]
            (run.waiting if left else run.done).append((answer, 0) if left else answer)
            if not run.waiting and not run.at_work:
                run.waiting.append(({run.phase: run.done, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}, 0))
        elif PARTS in self.event and answer["leftOver"]:
            run.phase, run.done, run.waiting = AGAIN, [], [(part, 0) for part in answer["leftOver"]]
        else:
            runs.last = answer if AGAIN not in self.event else runs.last
            runs.end(run, "runs done")


def is_closing(event: Answer) -> bool:
    """Say whether a step looks back and audits."""
    return PARTS in event or event.get("detail-type") == "Scheduled Event"
