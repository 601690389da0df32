"""Trouble of eight kinds, put into real events: what it is stands here, and nothing here knows how it is detected."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from attrs import Factory, define, field, frozen

from engine.domain.instants import instant_text

Event = dict[str, Any]

KINDS = (
    "cost",
    "length",
    "missing result",
    "burst of one user",
    "repeated failures",
    "negative drift",
    "new model at a wrong price",
    "duplicate render",
)

MISTYPED_RATES = ("0.01", "0.09", "0.1001", "0.12", "1.00")
"""What somebody has made of a rate of 0.10, in the row that is in force."""


@frozen
class Case:
    """One trouble: its kind, how strong it is, and the jobs that it was done to.

    ``around`` are real jobs among which it lies: what tells of it may stand on one of them just as well.
    """

    kind: str
    strength: str
    jobs: frozenset[str]
    around: frozenset[str] = frozenset()


@define
class Troubles:
    """Real events and what is put into them. ``usual`` are events of before, by which a job's usual length is known."""

    events: list[Event]
    usual: list[Event]
    chance: random.Random
    cases: list[Case] = Factory(list)
    mistyped: dict[str, str] = Factory(dict)
    """The wrong rate by the job that it was charged at."""
    _taken: set[str] = field(factory=set)

    def sow(self) -> None:
        """Put in trouble of every kind."""
        for kind, (count, sow) in SOWN.items():
            for number in range(count):
                strength, jobs, around = sow(self, number)
                self.cases.append(Case(kind, strength, frozenset(jobs), frozenset(around)))
        self.events.sort(key=lambda event: (event["time"], event["detail"]["jobId"]))

    # --- what the kinds are made of ---

    def take(self, event: Event) -> None:
        """Put a job in trouble."""
        self._taken.add(job_of(event))

    def is_free(self, event: Event, since: Event) -> bool:
        """Say whether a job was rendered within 20 hours of another and is in no trouble but that one's."""
        is_soon = timedelta(0) <= time_of(event) - time_of(since) <= timedelta(hours=20)
        return is_soon and event["detail-type"] == "video.rendered" and (event is since or job_of(event) not in self._taken)

    def rendered(self) -> Event:
        """Return a real job that is not in trouble yet."""
        while True:
            event = self.chance.choice(self.events)
            if event["detail-type"] == "video.rendered" and job_of(event) not in self._taken:
                self._taken.add(job_of(event))
                return event

    def usual_seconds(self, model: str) -> float:
        """Return what a model's jobs usually take; of a model that is new, what all do."""
        known = by_model(self.usual)
        return median(known.get(model) or [seconds for one in known.values() for seconds in one])

    def between(self, low: float, high: float) -> float:
        """Return a strength: as many weak ones in each octave as strong ones."""
        return float(low * (high / low) ** self.chance.random())

    def add(self, like: Event, job: str, at: datetime, **detail: Any) -> str:
        """Add a job of its own that is like a real one, and return it."""
        event = copy.deepcopy(like)
        event |= {"id": f"seeded-{job}", "time": instant_text(at.replace(microsecond=0))}
        event["detail"] |= {"jobId": job, "result_url": f"s3://renders/{job}.mp4", **detail}
        if event["detail-type"] == "video.failed":
            del event["detail"]["result_url"]
        self.events.append(event)
        self._taken.add(job)
        return job


def job_of(event: Event) -> str:
    """Return an event's job."""
    return str(event["detail"]["jobId"])


def time_of(event: Event) -> datetime:
    """Return an event's instant."""
    return datetime.fromisoformat(event["time"])


def by_model(events: list[Event]) -> Mapping[str, list[float]]:
    """Return the lengths of the jobs that were rendered, by model."""
    lengths: dict[str, list[float]] = defaultdict(list)
    for event in events:
        if event["detail-type"] == "video.rendered":
            lengths[event["detail"]["model"]].append(event["detail"]["seconds"])
    return lengths


Sown = tuple[str, list[str], list[str]]


def too_dear(troubles: Troubles, _number: int) -> Sown:
    """Four to forty times what its model usually costs."""
    event, factor = troubles.rendered(), troubles.between(4, 40)
    event["detail"]["seconds"] = round(troubles.usual_seconds(event["detail"]["model"]) * factor)
    return f"{factor:.1f} times the usual", [job_of(event)], []


def too_long(troubles: Troubles, _number: int) -> Sown:
    """From a second over five minutes up to an hour."""
    event = troubles.rendered()
    event["detail"]["seconds"] = round(troubles.between(301, 3600))
    return f"{event['detail']['seconds']} seconds", [job_of(event)], []


def without_result(troubles: Troubles, number: int) -> Sown:
    """Not there, null, or an empty text."""
    event = troubles.rendered()
    how = ("absent", "null", "empty")[number % 3]
    event["detail"]["result_url"] = {"null": None, "empty": ""}.get(how)
    if how == "absent":
        del event["detail"]["result_url"]
    return how, [job_of(event)], []


def burst(troubles: Troubles, number: int) -> Sown:
    """24 to 120 jobs of one user within one to nine minutes."""
    like = troubles.rendered()
    jobs, span = round(troubles.between(24, 120)), timedelta(seconds=troubles.between(60, 540))
    began, user = time_of(like), like["detail"]["userId"]
    added = [troubles.add(like, f"burst-{number}-{n}", began + span * troubles.chance.random()) for n in range(jobs)]
    around = [
        job_of(event)
        for event in troubles.events
        if event["detail"]["userId"] == user and began - timedelta(minutes=10) <= time_of(event) <= began + span * 2
    ]
    return f"{jobs} in {span.seconds} seconds", added, around


def failing(troubles: Troubles, number: int) -> Sown:
    """Of one user 6 to 25 failures within 5 to 50 minutes; of one model 12 to 50, of as many users."""
    like = troubles.rendered()
    is_model = number % 2 == 1
    count = round(troubles.between(12, 50) if is_model else troubles.between(6, 25))
    span, model = timedelta(minutes=troubles.between(5, 50)), like["detail"]["model"]
    failed = {**like, "detail-type": "video.failed"}
    users = sorted({event["detail"]["userId"] for event in troubles.events})
    added = [
        troubles.add(
            failed,
            f"failing-{number}-{n}",
            time_of(like) + span * troubles.chance.random(),
            seconds=3,
            **({"userId": troubles.chance.choice(users)} if is_model else {}),
        )
        for n in range(count)
    ]
    around = [
        job_of(event)
        for event in troubles.events
        if event["detail-type"] == "video.failed"
        and (event["detail"]["model"] == model if is_model else event["detail"]["userId"] == like["detail"]["userId"])
        and abs(time_of(event) - time_of(like)) <= timedelta(hours=1)
    ]
    return f"{count} of one {'model' if is_model else 'user'} in {span.seconds // 60} minutes", added, around


DRIFTING = 40
"""So many jobs of a model in a row are charged too little, before somebody sees it."""

WAYS: Mapping[str, Callable[[float, int], float]] = {
    "minutes for seconds": lambda seconds, _n: round(seconds / 60, 2),
    "half": lambda seconds, _n: round(seconds / 2),
    "a third less": lambda seconds, _n: round(seconds / 3 * 2),
    "three percent less with each job": lambda seconds, n: round(seconds * max(0.2, 1 - 0.03 * n), 1),
}


def falling(troubles: Troubles, number: int) -> Sown:
    """40 jobs of a model in a row, within a day: in minutes, halved, a third less, or a bit less with each."""
    run: list[Event] = []
    while len(run) < DRIFTING:
        first = troubles.rendered()
        of_model = [event for event in troubles.events if event["detail"]["model"] == first["detail"]["model"]]
        run = [event for event in of_model if troubles.is_free(event, since=first)][:DRIFTING]
    way = list(WAYS)[number % len(WAYS)]
    for n, event in enumerate(run):
        event["detail"]["seconds"] = WAYS[way](event["detail"]["seconds"], n)
        troubles.take(event)
    end = of_model.index(run[-1]) + DRIFTING
    around = [job_of(event) for event in of_model[of_model.index(first) : end]]
    return way, [job_of(event) for event in run], around


def wrongly_priced(troubles: Troubles, number: int) -> Sown:
    """A model that the price book does not know, or a rate that somebody has mistyped in the row in force."""
    event = troubles.rendered()
    if number % 2:
        rate = MISTYPED_RATES[number // 2 % len(MISTYPED_RATES)]
        troubles.mistyped[job_of(event)] = rate
        return f"charged at {rate} a second", [job_of(event)], []
    model = event["detail"]["model"]
    name = (f"{model}-v2", model.lower(), f"{model} ", "never-heard-of")[number // 2 % 4]
    event["detail"]["model"] = name
    return f"model {json.dumps(name)}", [job_of(event)], []


def rendered_again(troubles: Troubles, number: int) -> Sown:
    """The same result under another job, five seconds to a day later; of four one for another user."""
    event = troubles.rendered()
    later = timedelta(seconds=troubles.between(5, 86_400))
    user = troubles.rendered()["detail"]["userId"] if number % 4 == 0 else event["detail"]["userId"]
    result = event["detail"]["result_url"]
    job = troubles.add(event, f"again-{number}", time_of(event) + later, userId=user, result_url=result)
    return f"{later.total_seconds():.0f} seconds later", [job_of(event), job], []


SOWN: Mapping[str, tuple[int, Callable[[Troubles, int], Sown]]] = {
    "negative drift": (28, falling),  # first: it needs many jobs in a row that are not in trouble
    "cost": (60, too_dear),
    "length": (60, too_long),
    "missing result": (60, without_result),
    "burst of one user": (40, burst),
    "repeated failures": (40, failing),
    "new model at a wrong price": (60, wrongly_priced),
    "duplicate render": (60, rendered_again),
}
"""How many cases of each kind, and what makes one."""


def strengths(cases: list[Case]) -> Iterator[str]:
    """Yield how often each kind was put in."""
    for kind, count in Counter(case.kind for case in cases).items():
        yield f"{kind}: {count}"
