"""A queue as SQS keeps one: at least once, in no order, with a count of receives and dead letters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any

from attrs import Factory, define

from tests.simulation.world.place import Timeline

RECEIVES_MAX = 5
"""Then the queue itself gives a message up."""

REPEATED = 0.08
"""How likely a message is delivered although it was deleted."""


@define(eq=False)
class Message:
    """A message, and how often it was received."""

    name: str
    body: str
    receives: int = 0

    def record(self, timeline: Timeline) -> dict[str, Any]:
        """Return the message as Lambda hands it over."""
        sent = int(timeline.now().timestamp() * 1000) - 60_000
        said = {"ApproximateReceiveCount": str(self.receives), "SentTimestamp": str(sent)}
        return {"messageId": self.name, "body": self.body, "eventSource": "aws:sqs", "attributes": said}


@define(eq=False)
class Queue:
    """The queue and its dead letters."""

    waiting: list[Message] = Factory(list)
    letters: list[dict[str, Any]] = Factory(list)
    given_up: list[tuple[str, str]] = Factory(list)
    """The ids of the events that the function itself has given up, and why."""
    sent: int = 0

    def send(self, body: str) -> None:
        """Take a message."""
        self.sent += 1
        self.waiting.append(Message(f"m-{self.sent}", body))

    def receive(self, most: int, chance: Random, *, may_repeat: bool) -> list[Message]:
        """Return some messages, which others do not see until they come back; but for one that is delivered twice."""
        chance.shuffle(self.waiting)
        batch, self.waiting = self.waiting[:most], self.waiting[most:]
        for message in batch:
            message.receives += 1
            if may_repeat and chance.random() < REPEATED:
                self.waiting.append(Message(message.name, message.body, message.receives))
        return batch

    def come_back(self, message: Message) -> bool:
        """Let a message be seen again; say whether it was given up instead."""
        if message.receives < RECEIVES_MAX:
            self.waiting.append(message)
            return False
        self.letters.append(json.loads(message.body))
        return True

    def failed_events(self, dice: Any) -> FailedEventsClient:
        """Return the client through which the function itself gives an event up."""
        return FailedEventsClient(self, dice)


@define(eq=False)
class FailedEventsClient:
    """SQS as the function reaches it: a letter may be kept and the answer lost."""

    queue: Queue
    dice: Any

    def send_message(self, **request: Any) -> Mapping[str, Any]:
        """Keep a letter."""
        if self.dice.happens("letter not kept"):
            raise ConnectionError("no answer")
        document = json.loads(request["MessageBody"])
        self.queue.letters.append(document)
        reason = request["MessageAttributes"]["ErrorMessage"]["StringValue"]
        self.queue.given_up.append((document["id"], reason))
        self.dice.count["dead letter of the function"] += 1
        if self.dice.happens("letter kept, answer lost"):
            raise ConnectionError("no answer")
        return {"MessageId": f"l-{len(self.queue.letters)}"}
