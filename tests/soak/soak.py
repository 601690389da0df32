"""All of it at once, until the time is up; then until it is quiet; then the verdict."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import batched
from pathlib import Path
from random import Random
from typing import Any

from attrs import Factory, define, field
from botocore.config import Config

from engine.ledger.store import Tables
from engine.policy.compiled import compile_policy
from tests.simulation.world.terms import EDITS
from tests.soak.application import Application
from tests.soak.books import Books, Verdict, judged
from tests.soak.bugs import VARIABLE
from tests.soak.crew import Crew, Weight, megabytes_of
from tests.soak.engines import LOCAL, Engine, running
from tests.soak.figures import HEAD, Figures, growth, shown
from tests.soak.options import NEEDED, Fallen, Options, Result
from tests.soak.post import TOGETHER, Post
from tests.soak.runs import Runs
from tests.soak.stories import POOR_USERS, late_user, policy_text, story_of, users
from tools.environments import ROOT
from tools.local_aws import create_tables, tables_environment, tables_named

TICK_SECONDS = 0.01
BACKLOG_MAX = 150
WEIGH_SECONDS = 1.0
STUCK_SECONDS = 300.0
ENOUGH = "1000000"
TOP_UP = "3"
LATE_USER_SECONDS = 10.0
LOOKS_BACK_MAX = 10
QUIET_SECONDS = 2.0
"""Longer than a row's earlier version may still be read: what a scan overlooks so, the next one sees."""

Tell = Callable[[str], None]


@define(eq=False)
class Soak:
    """One soak under way."""

    options: Options
    engine: Engine
    folder: Path
    tell: Tell
    tables: Tables = Factory(lambda: tables_named("soak"))
    client: Any = field()
    chance: Random = field()
    figures: Figures = Factory(Figures)
    post: Post = field()
    runs: Runs = field()
    books: Books = field()
    queue_url: str = ""
    stories: int = 0
    events: int = 0
    edit: int = 0
    wrong: list[str] = Factory(list)
    watching: ThreadPoolExecutor = Factory(lambda: ThreadPoolExecutor(1))
    looking: Future[list[str]] | None = None
    timers: dict[str, float] = Factory(dict)
    kills_due: list[bool] = Factory(list)
    """Whether each is to be in the middle of a transaction."""
    before_judging: Callable[[Soak], None] = lambda _: None
    """What a test does to the tables once all is quiet."""

    @client.default
    def _client(self) -> Any:
        config = Config(retries={"total_max_attempts": 4}, read_timeout=30, max_pool_connections=4)
        return self.engine.aws.client("dynamodb", config)

    @chance.default
    def _chance(self) -> Random:
        return Random(self.options.seed)

    @post.default
    def _post(self) -> Post:
        return Post(Random(self.options.seed + 1), self.options.function_seconds)

    @runs.default
    def _runs(self) -> Runs:
        return Runs(Random(self.options.seed + 2), self.options.function_seconds, self.options.runs_pause)

    @books.default
    def _books(self) -> Books:
        return Books(self.client, self.tables)

    # --- before ---

    def prepare(self) -> None:
        """Make the tables, the queue of failed events and the policies, compiled as the build does it."""
        create_tables(self.client, self.tables)
        if self.engine.name == LOCAL:
            self.queue_url = self.sqs().create_queue(QueueName="failed-events")["QueueUrl"]
        for edit in range(EDITS):
            self.policy_file(edit).write_text(policy_text(edit))
            compile_policy(self.policy_file(edit))

    def policy_file(self, edit: int) -> Path:
        """Return where an edit of the policy is."""
        return self.folder / f"policy-{edit}.yaml"

    def sqs(self) -> Any:
        """Return a client of the queue of failed events."""
        return self.engine.aws.client("sqs")

    def environment(self) -> Mapping[str, str]:
        """Return what a process that begins now is told: Lambda's variables, and the policy that is deployed now."""
        own = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
        function = {"AWS_LAMBDA_FUNCTION_NAME": "soak", "POLICY_FILE": str(self.policy_file(self.edit))}
        letters = {"FAILED_EVENTS_QUEUE_URL": self.queue_url} if self.queue_url else {}
        bug = {VARIABLE: self.options.bug} if self.options.bug else {}
        return {**self.engine.aws.environment(), **tables_environment(self.tables), **own, **function, **letters, **bug}

    # --- the time itself ---

    def play(self, crew: Crew, application: Application) -> None:
        """Let everything happen until the time is up."""
        for user, given in users():
            application.user(user, given)
        application.finish()
        self.tell(HEAD)
        while self.figures.seconds < self.options.seconds or not self.is_enough(crew):
            self.happen(application)
            self.tick(crew, application)
            self.kill(crew)
            if self.has_passed("deploy", self.options.deploy_seconds):
                self.edit = (self.edit + 1) % EDITS
            if self.has_passed("look", max(10.0, self.options.seconds / 5)):
                self.look()

    def is_enough(self, crew: Crew) -> bool:
        """Say whether enough has happened for a verdict, however slow the machine is."""
        return self.stories >= self.options.stories_min and crew.count["in a transaction"] >= self.options.kills_min

    def happen(self, application: Application) -> None:
        """Begin as many stories as the rate asks for, and none while too much is waiting: a busy machine takes less."""
        wanted = self.options.rate * self.figures.seconds
        if self.post.backlog + application.waiting > BACKLOG_MAX:
            self.events = max(self.events, int(wanted))
        while self.events < wanted:
            story = story_of(self.options.seed, self.stories)
            if story.user == late_user(self.stories):
                self.post.at(LATE_USER_SECONDS, lambda user=story.user: application.user(user, ENOUGH))  # type: ignore[misc]
            for telling in story.tellings:
                self.post.tell(telling)
            for writing in story.writings:
                self.post.at(writing.after, lambda writing=writing: application.write(writing))  # type: ignore[misc]
            self.stories, self.events = self.stories + 1, self.events + max(1, len(story.tellings))
            if self.chance.random() < 0.02:
                application.top_up(story.user, TOP_UP) if story.user in dict(users()) else None

    def tick(self, crew: Crew, application: Application) -> None:
        """Take answers, let come what is due, give tasks, tell."""
        for worker, task, said in crew.replies(TICK_SECONDS):
            if said is None:
                self.wrong.append(f"{worker.name} died of itself; {self.folder / f'worker-{worker.place}.log'} says why")
            if task is not None:
                self.take(task, said)
        self.post.due()
        while application.ready:
            self.post.tell(application.ready.popleft())
        self.give(crew)
        if self.has_passed("weigh", WEIGH_SECONDS):
            self.weigh(crew)
        if self.has_passed("tell", self.options.tell_seconds):
            self.report(crew, application)

    def take(self, task: Any, said: dict[str, Any] | None) -> None:
        """Count what an answer tells, and let its task go on."""
        if said is not None:
            self.figures.count.update(said["count"])
            self.post.flag(said["flagged"])
            if "error" in said:
                self.figures.count[f"raised {said['error']}"] += 1
            if "strange" in said:
                self.wrong.append(f"the function raised {said['strange']}")
        task.done(said)

    def give(self, crew: Crew) -> None:
        """Give each idle process something to do; one that is never killed takes no step that reads the whole ledger."""
        idle = crew.idle()
        self.chance.shuffle(idle)
        for worker in idle:
            task = self.runs.next(may_close=worker.place != 0) or self.post.next()
            if task is not None:
                crew.give(worker, task, task.line())

    def kill(self, crew: Crew) -> None:
        """Kill one of those that may be killed, when it is time: half of them in the middle of a transaction."""
        if self.has_passed("kill", self.options.kill * self.chance.uniform(0.5, 1.5)):
            self.kills_due.append(not crew.count["kills"] or self.chance.random() < 0.5)
        if not self.kills_due:
            return
        worker = crew.victim(in_transaction=self.kills_due[0])
        if worker is not None:
            self.kills_due.pop(0)
            if (task := crew.kill(worker)) is not None:
                task.done(None)

    def look(self) -> None:
        """Look in a thread of its own whether what was seen is still there; take what the look before has found."""
        self.wrong += self.looked()
        self.looking = self.watching.submit(self.books.look)

    def looked(self) -> list[str]:
        """Return what the last look has found wrong, once."""
        looking, self.looking = self.looking, None
        return [] if looking is None else looking.result()

    def has_passed(self, name: str, seconds: float) -> bool:
        """Say whether a timer has run out; it is set anew then. It is set for the first time when it is first asked for."""
        now = time.monotonic()
        if name not in self.timers:
            self.timers[name] = now + seconds
        if now < self.timers[name]:
            return False
        self.timers[name] = now + seconds
        return True

    def weigh(self, crew: Crew) -> None:
        """Take down how large every process is. Raises Fallen where the database has none any more."""
        at = self.figures.seconds
        crew.weigh(at)
        megabytes = megabytes_of(self.engine.process)
        if not megabytes:
            raise Fallen(f"the database's process is gone; its log is {self.engine.aws.log}")
        self.figures.server.append(Weight(at, megabytes, 1))

    def report(self, crew: Crew, application: Application) -> None:
        """Tell a line."""
        self.figures.count.update({name: crew.count[name] - self.figures.count[name] for name in crew.count})
        self.tell(self.figures.line(crew.workers, self.books.sizes()[1]))
        if application.problem:
            raise Fallen(application.problem)

    # --- until it is quiet ---

    def quiet(self, crew: Crew, application: Application) -> list[str]:
        """Let everything come to its end, with no kills; send letters again; scan. Return the ids of the letters that stay."""
        self.post.replays.extend(map(list, batched(self.post.kept, TOGETHER)))
        self.post.is_calm = self.runs.is_calm = True
        self.drain(crew, application)
        for number in range(POOR_USERS):
            application.top_up(f"u-poor-{number}", ENOUGH)
        for _ in range(2):
            letters, self.post.letters = [*self.post.letters, *self.failed_events()], []
            for document in letters:
                self.post.direct.append((document, 0))
            self.drain(crew, application)
        time.sleep(QUIET_SECONDS)
        self.scan(crew, application)
        return [document["id"] for document in [*self.post.letters, *self.failed_events()]]

    def scan(self, crew: Crew, application: Application) -> None:
        """Scan all jobs in a run by steps, and again while its look back still flags something."""
        for _ in range(LOOKS_BACK_MAX):
            self.runs.last = {}
            self.runs.begin(is_whole=False)
            self.drain(crew, application)
            if not self.runs.last.get("lookBack", {}).get("flags"):
                break
        if "drifts" not in self.runs.last.get("audit", {}):
            self.wrong.append(f"a run did not come to its end although nobody disturbed it: {self.runs.last}")

    def drain(self, crew: Crew, application: Application) -> None:
        """Wait until nothing is under way. Raises Fallen where nothing moves any more."""
        ends, seen = time.monotonic() + STUCK_SECONDS, 0
        while not (self.post.is_idle and self.runs.is_idle and not application.waiting and not application.ready):
            self.tick(crew, application)
            if (moved := self.figures.count.total()) > seen:
                ends, seen = time.monotonic() + STUCK_SECONDS, moved
            if time.monotonic() > ends:
                raise Fallen(f"after {STUCK_SECONDS:.0f} seconds of quiet something is still under way")

    def failed_events(self) -> list[dict[str, Any]]:
        """Take all letters of the function out of its queue."""
        found: list[dict[str, Any]] = []
        sqs = self.sqs() if self.queue_url else None
        while sqs is not None:
            some = sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages", [])
            if not some:
                break
            for message in some:
                found.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return found

    # --- the verdict ---

    def conclude(self, crew: Crew, application: Application) -> Verdict:
        """Become quiet, scan again, and compare everything with everything."""
        letters = self.quiet(crew, application)
        before = self.books.digests()
        self.scan(crew, application)
        after = self.books.digests()
        self.report(crew, application)
        self.look()
        self.watching.shutdown()
        self.before_judging(self)
        self.wrong += self.looked() + self.runs.alarms + self.books.look() + self.books.unexplained(self.post.explained)
        written = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
        self.wrong += [f"a second scan has written {key}" for key in sorted(written)]
        verdict = judged(self.books, self.options.seed, self.stories, application.granted, letters)
        self.wrong += [
            *verdict.wrong,
            *self.books.audited(),
            *growth(crew.workers, verdict.entries, self.figures.seconds / 60),
            *self.unbelievable(),
        ]
        self.figures.count.update({f"application {name}": many for name, many in application.count.items()})
        return verdict

    def unbelievable(self) -> Iterator[str]:
        """Yield what must have happened for the soak to say anything, and has not."""
        count = self.figures.count + self.post.count + self.runs.count
        yield from (f"nothing was proven: there were no {name}" for name in NEEDED if not count[name])


def soak(options: Options, folder: Path, tell: Tell, before_judging: Callable[[Soak], None] = lambda _: None) -> Result:
    """Soak, and return what is wrong. Raises Fallen where the database itself fell over."""
    folder.mkdir(parents=True, exist_ok=True)
    with running(options.engine, folder) as engine:
        it = Soak(options, engine, folder, tell, before_judging=before_judging)
        it.prepare()
        chance = Random(options.seed + 3)
        crew_of = Crew(options.workers, options.spared, it.environment, folder, options.rest_seconds, chance)
        with crew_of as crew, Application(engine.aws.client("dynamodb"), it.tables) as application:
            it.play(crew, application)
            verdict = it.conclude(crew, application)
        it.wrong += [f"a request that DynamoDB refuses: {problem}" for problem in engine.refused()]
        for name, many in (it.post.count + it.runs.count).items():
            it.figures.count[f"way {name}"] = many
        for line in it.figures.summary(crew.workers):
            tell(line)
    told = f"{verdict.facts:,} facts of {it.stories:,} stories, {verdict.entries:,} entries, net {shown(verdict.net)} credits"
    tell(f"\njudged: {told}")
    return Result(it.wrong, it.figures, verdict)
