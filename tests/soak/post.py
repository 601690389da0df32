"""What is under way: messages of the queue, direct events, replays, entries to explain. What a dead process had comes back.

A queue delivers at least once and counts its receives; Lambda tries a direct event three times; the batch of a stream comes
until it is done.
"""

from __future__ import annotations

import heapq
import itertools
import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Protocol

from attrs import Factory, define, evolve, frozen

from tests.soak.stories import Document, Telling

Line = dict[str, Any]
Said = dict[str, Any]

RECEIVES_MAX = 5
TRIES_MAX = 3
BACK_SECONDS = (0.3, 2.0)
BATCH_MAX = 10
TOGETHER = 20
REPEATED = 0.03
EXPLAINED_TOGETHER = 5
EXPLAIN_WAITING_MAX = 300
"""What is flagged beyond that is not explained here."""

REPLAYED_KEPT = 400


class Task(Protocol):
    """What a worker can be at."""

    def line(self) -> Line:
        """Return what the process is told."""
        ...

    def done(self, said: Said | None) -> None:
        """Take the answer; None where the process died of it."""
        ...


@frozen
class Message:
    """A message of the queue, and how often it was received."""

    name: str
    document: Document
    receives: int = 0

    def record(self) -> Line:
        """Return the message as Lambda hands it over."""
        said = {"ApproximateReceiveCount": str(self.receives), "SentTimestamp": str(int(time.time() * 1000) - 1000)}
        return {"messageId": self.name, "body": json.dumps(self.document), "eventSource": "aws:sqs", "attributes": said}


@define(eq=False)
class Post:
    """All that is under way, and what could not be delivered (``letters``, by the event's id)."""

    chance: Random
    seconds: float
    """How long a function may take."""
    later: list[tuple[float, int, Callable[[], None]]] = Factory(list)
    messages: deque[Message] = Factory(deque)
    direct: deque[tuple[Document, int]] = Factory(deque)
    kept: deque[Document] = Factory(lambda: deque(maxlen=REPLAYED_KEPT))
    replays: deque[list[Document]] = Factory(deque)
    flagged: deque[tuple[str, int]] = Factory(deque)
    explained: set[tuple[str, int]] = Factory(set)
    letters: list[Document] = Factory(list)
    count: Counter[str] = Factory(Counter)
    under_way: int = 0
    is_calm: bool = False
    numbers: Iterator[int] = Factory(itertools.count)

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something so many seconds from now."""
        heapq.heappush(self.later, (time.monotonic() + (0 if self.is_calm else seconds), next(self.numbers), act))

    def due(self) -> None:
        """Do what is due; all of it once it is calm."""
        now = time.monotonic()
        while self.later and (self.is_calm or self.later[0][0] <= now):
            heapq.heappop(self.later)[2]()

    def tell(self, telling: Telling) -> None:
        """Let an event come in its time."""
        self.at(telling.after, lambda: self.deliver(telling.document, is_direct=telling.is_direct))

    def deliver(self, document: Document, *, is_direct: bool) -> None:
        """Let an event come now."""
        self.count["told"] += 1
        self.kept.append(document)
        if is_direct:
            self.direct.append((document, 0))
        else:
            self.messages.append(Message(f"m-{next(self.numbers)}", document))

    @property
    def backlog(self) -> int:
        """How many events wait for a process."""
        return len(self.messages) + len(self.direct)

    @property
    def is_idle(self) -> bool:
        waits = self.later or self.messages or self.direct or self.replays or self.flagged
        return not waits and not self.under_way

    def next(self) -> Task | None:
        """Return something to do, or None where there is nothing."""
        if not self.is_calm and self.kept and self.chance.random() < 0.01:
            self.replays.append(self.chance.sample(list(self.kept), min(TOGETHER, len(self.kept))))
        makers = [make for waiting, make in self._makers() if waiting]
        task = self.chance.choice(makers)() if makers else None
        self.under_way += task is not None
        return task

    def _makers(self) -> Iterator[tuple[Any, Callable[[], Task]]]:
        yield self.messages, lambda: Batch(self, list(self._received()))
        yield self.direct, lambda: Direct(self, *self.direct.popleft())
        yield self.replays, lambda: Replay(self, self.replays.popleft())
        enough = len(self.flagged) >= EXPLAINED_TOGETHER or (self.is_calm and self.flagged)
        yield (
            enough,
            lambda: Explain(self, [self.flagged.popleft() for _ in range(min(EXPLAINED_TOGETHER, len(self.flagged)))]),
        )

    def _received(self) -> Iterator[Message]:
        """Yield some messages, not quite in their order; now and then one stays although it was received."""
        for _ in range(min(len(self.messages), self.chance.choice((1, 3, BATCH_MAX)))):
            if self.chance.random() < 0.2:
                self.messages.rotate(-1)
            message = self.messages.popleft()
            message = evolve(message, receives=message.receives + 1)
            if not self.is_calm and self.chance.random() < REPEATED:
                self.messages.append(message)
            yield message

    def come_back(self, message: Message) -> None:
        """Let a message be seen again, or give it up."""
        self.count["came back"] += 1
        if message.receives < RECEIVES_MAX:
            self.at(self.chance.uniform(*BACK_SECONDS), lambda: self.messages.append(message))
        else:
            self.count["letters of the queue"] += 1
            self.letters.append(message.document)

    def try_again(self, document: Document, tries: int) -> None:
        """Let Lambda try a direct event again, or keep it as a dead letter."""
        if tries < TRIES_MAX:
            self.at(self.chance.uniform(*BACK_SECONDS), lambda: self.direct.append((document, tries)))
        else:
            self.count["letters of Lambda"] += 1
            self.letters.append(document)

    def flag(self, flagged: list[tuple[str, int]]) -> None:
        """Take entries to be explained."""
        room = max(0, EXPLAIN_WAITING_MAX - len(self.flagged))
        self.flagged.extend((reference, sequence) for reference, sequence in flagged[:room])

    def invocation(self, event: Any) -> Line:
        """Return what the process is told for an event of the function."""
        return {"task": "invoke", "event": event, "seconds": self.seconds}


@frozen
class Batch:
    """A batch of the queue."""

    post: Post
    messages: list[Message]

    def line(self) -> Line:
        return self.post.invocation({"Records": [message.record() for message in self.messages]})

    def done(self, said: Said | None) -> None:
        """What failed comes back; all of it where there is no answer."""
        self.post.under_way -= 1
        answer = (said or {}).get("answer")
        failed = None if answer is None else {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        for message in self.messages:
            if failed is None or message.name in failed:
                self.post.come_back(message)


@frozen
class Direct:
    """An event that is delivered directly."""

    post: Post
    document: Document
    tries: int

    def line(self) -> Line:
        return self.post.invocation(self.document)

    def done(self, said: Said | None) -> None:
        """Lambda tries it again where there is no answer."""
        self.post.under_way -= 1
        if said is None or "answer" not in said:
            self.post.try_again(self.document, self.tries + 1)


@frozen
class Replay:
    """Events from a file."""

    post: Post
    documents: list[Document]

    def line(self) -> Line:
        return {"task": "replay", "events": self.documents, "seconds": self.post.seconds}

    def done(self, said: Said | None) -> None:
        """Nothing depends on it: what was not replayed comes by itself."""
        self.post.under_way -= 1
        self.post.count["replayed"] += len(self.documents) * (said is not None)


@frozen
class Explain:
    """Entries for the function that explains."""

    post: Post
    entries: list[tuple[str, int]]

    def line(self) -> Line:
        return {"task": "explain", "entries": self.entries, "seconds": self.post.seconds + 10}

    def done(self, said: Said | None) -> None:
        """The stream's batch comes again until it is done."""
        self.post.under_way -= 1
        answer = (said or {}).get("answer")
        if answer is not None and not answer["failed"]:
            self.post.explained |= set(map(tuple, self.entries))  # type: ignore[arg-type]
            self.post.count["explained"] += len(self.entries)
        else:
            self.post.at(1.0, lambda: self.post.flagged.extend(self.entries))
