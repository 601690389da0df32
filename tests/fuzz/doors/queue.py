"""Bodies of messages in a batch: JSON that is none, numbers of 400 digits, names twice, half characters, depth, nothing."""

from __future__ import annotations

import json
from typing import Any

from attrs import frozen
from hypothesis import strategies as st

import handler
from tests.fuzz.desk import KNOWN_USERS, NOW, ROW, Desk
from tests.fuzz.door import Door, seen
from tests.fuzz.odd import any_of, either, events, mapping, texts, values
from tests.fuzz.sense import Books, told_by
from tests.support.invocations import Context

DEPTHS = (40, 400, 100_000)
SIGNS = (
    "\ufeff",
    "\x00",
    ",",
    "}",
    '"',
    "\\",
    "NaN",
    "-Infinity",
    "1e400",
    "9" * 400,
    "9" * 5000,
    "\\ud800",
    " ",
    "[",
    "null",
    "0x1",
)


def deep(depth: int) -> str:
    """Return an event whose detail is as deep as this."""
    return f'{{"source": "video.generation", "detail-type": "video.rendered", "detail": {"[" * depth}{"]" * depth}}}'


def with_sign(body: str, at: int, sign: str) -> str:
    """Return a body with something put into it."""
    place = at % (len(body) + 1)
    return body[:place] + sign + body[place:]


def with_number(body: str, number: str) -> str:
    """Return a body with another number of seconds, written as it is."""
    return body.replace('"seconds": 8', f'"seconds": {number}')


written = events.map(json.dumps)
right = st.builds(
    lambda job, minute: {
        "id": f"e-{minute}",
        "source": "video.generation",
        "detail-type": "video.rendered",
        "time": f"2026-01-05T10:{minute:02}:00Z",
        "detail": {"jobId": job, "userId": "u-1", "seconds": 8, "model": "veo-3"},
    },
    st.sampled_from(["j-1", "j-2", "j-3"]),
    st.integers(0, 59),
).map(json.dumps)
odd_numbers = st.sampled_from(
    [
        "NaN",
        "Infinity",
        "1e400",
        "1E+2",
        "8.0",
        "8." + "3" * 40,
        "9" * 400,
        "9" * 5000,
        "-0",
        "-0.0",
        "08",
        "1e-400",
        "1e-39",
        "0e999",
    ]
)
bodies = any_of(
    *[written] * 3,
    *[right] * 2,
    st.builds(with_sign, st.one_of(right, written), st.integers(0, 300), st.sampled_from(SIGNS)),
    st.builds(lambda body, cut: body[: cut % (len(body) + 1)], right, st.integers(0, 400)),
    *[st.builds(with_number, right, odd_numbers)] * 2,
    st.builds(lambda body, again: f'{body[:-1]}, "detail": {again}}}', right, values.map(json.dumps)),
    st.sampled_from(DEPTHS).map(deep),
    values.map(json.dumps),
    texts,
    values,
)
messages = mapping(
    messageId=st.one_of(st.sampled_from(["m-1", "m-2", "m-3"]), values),
    body=bodies,
    attributes=either({"ApproximateReceiveCount": "1", "SentTimestamp": "1767607200000"}, {}),
).map(lambda message: {**message, "eventSource": "aws:sqs"})


@frozen
class Batch:
    """Messages as Lambda's poller hands them over, and at which tables."""

    messages: list[dict[str, Any]]
    is_strict: bool


batches = st.builds(Batch, st.lists(messages, min_size=1, max_size=6), st.integers(0, 9).map(lambda chance: chance == 0))


def read(body: Any) -> Any:
    """Return what is in a body; None for what is no JSON."""
    if not isinstance(body, str):
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def check(batch: Batch) -> None:
    """Exactly the messages that make no sense come back, the others are settled as the rules say, and twice is once."""
    desk = Desk(is_strict=batch.is_strict)
    books = Books({ROW["jobId"]: ROW["userId"]}, KNOWN_USERS)
    back, later = come_back(batch.messages, books), come_back(batch.messages, books)
    seen(f"{len(back)} of {len(batch.messages)} come back")
    with desk.at_work():
        first = handler.lambda_handler({"Records": batch.messages}, Context(60.0))
        middle = desk.state()
        again = handler.lambda_handler({"Records": batch.messages}, Context(60.0))
    assert {"batchItemFailures": [{"itemIdentifier": name} for name in back]} == first
    assert {"batchItemFailures": [{"itemIdentifier": name} for name in later]} == again
    assert books.moved() == desk.moved()
    assert back != later or middle == desk.state(), "told twice is not told once"
    desk.check_lines()


def come_back(messages: list[dict[str, Any]], books: Books) -> list[str]:
    """Return the messages that make no sense; of an unknown user a charge makes none until a refund is known."""
    sound = [books.take(told_by(read(message.get("body")), NOW)) for message in messages]
    return [identifier(message) for message, is_sound in zip(messages, sound, strict=True) if not is_sound]


def identifier(message: dict[str, Any]) -> str:
    """Return the name of a message; an empty one, by which all of the batch comes back, for one without."""
    name = message.get("messageId")
    return name if isinstance(name, str) else ""


DOOR = Door(
    "queue", batches, check, ("engine/domain/documents.py", "engine/reconcile/reconciler.py", "engine/reconcile/batch.py")
)
