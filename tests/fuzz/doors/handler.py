"""The Lambda function, invoked with events, batches, schedules, steps of a scan, requests of an API, anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from attrs import frozen
from hypothesis import strategies as st

import handler
from engine.domain.errors import EventError, LedgerRefused
from tests.fuzz.desk import ANOTHER_SEGMENT, KNOWN_USERS, NOW, ROW, Desk, check_refusal
from tests.fuzz.door import Door, seen
from tests.fuzz.odd import any_of, either, events, mapping, mostly, scalars, texts, values
from tests.fuzz.sense import Books, told_by
from tests.support.invocations import Context

counts = mapping(
    rows=either(0, 5), outcomes=either({}, {"debited": 1}), marked=either(0), errors=either(0, 5), unmapped=either({})
)
slices = st.lists(
    mostly(
        mapping(
            segment=either(0, 1),
            segments=either(1, 2),
            after=either(None, "j-0"),
            started=either(None, "2026-01-05T11:00:00Z"),
        )
    ),
    max_size=2,
)
steps = st.tuples(counts, slices, mostly(st.just({}), mapping(run=scalars, capped=scalars))).map(
    lambda it: {**(it[0] if isinstance(it[0], dict) else {}), "slices": it[1], **(it[2] if isinstance(it[2], dict) else {})}
)
some_steps = st.lists(mostly(steps), max_size=3)
records = st.lists(
    mostly(
        mapping(
            messageId=either("m-1", "m-2", ""),
            body=st.one_of(events.map(json.dumps), texts, values),
            eventSource=either("aws:sqs"),
            attributes=either({"ApproximateReceiveCount": "3", "SentTimestamp": "1767607200000"}, {}),
        )
    ),
    max_size=3,
)
invocations = any_of(
    *[events] * 9,
    mapping(source=either("aws.events", "aws.scheduler"), detail_type=either("Scheduled Event"), time=scalars),
    steps,
    mapping(begin=st.one_of(texts, st.just("run-1")), time=scalars),
    mapping(parts=some_steps, time=scalars),
    mapping(again=some_steps),
    mapping(Records=mostly(records)),
    mapping(httpMethod=either("POST"), headers=values, body=events.map(json.dumps), requestContext=values),
    mapping(Type=either("Notification"), TopicArn=texts, Message=events.map(json.dumps)),
    values,
)


@frozen
class Invocation:
    """What the function is invoked with, how often in the same words, and at which tables."""

    event: Any
    is_strict: bool


invoked = st.builds(Invocation, invocations, st.integers(0, 9).map(lambda chance: chance == 0))


def check(invocation: Invocation) -> None:
    """It is answered as JSON, or refused by an error that names what is wrong; told twice is told once."""
    desk = Desk(is_strict=invocation.is_strict)
    before = desk.state()
    with desk.at_work():
        first = invoke(desk, invocation.event)
        moved, middle = desk.moved(), desk.state()
        again = invoke(desk, invocation.event)
    assert desk.state() == middle, "told twice is not told once"
    if isinstance(first, EventError):
        assert before == middle, "something was posted for what is refused"
        assert isinstance(again, EventError), "what is refused once is taken the second time"
    if is_plain_event(invocation.event):
        check_event(invocation.event, first, moved)
    desk.check_lines()


def invoke(desk: Desk, event: Any) -> Any:
    """Return the function's answer, as JSON, or why it refuses."""
    try:
        answer = handler.lambda_handler(event, Context(60.0))
    except EventError as error:
        check_refusal(error)
        seen("refused")
        return error
    except LedgerRefused as error:
        assert isinstance(event, Mapping), error
        assert "run" in event or ANOTHER_SEGMENT in str(error), error
        return error
    json.dumps(answer)
    return answer


def is_plain_event(event: Any) -> bool:
    """Say whether this can be nothing but an event of the bus."""
    if not isinstance(event, Mapping) or not all(isinstance(event.get(name), str) for name in ("source", "detail-type")):
        return False
    is_other = any(isinstance(event.get(name), list) for name in ("Records", "slices", "parts", "again"))
    return not is_other and not isinstance(event.get("begin"), str) and event["detail-type"] != "Scheduled Event"


def check_event(event: Any, answer: Any, moved: Mapping[str, Fraction]) -> None:
    """It moves what the rules say, and is refused just where they say that it makes no sense."""
    books = Books({ROW["jobId"]: ROW["userId"]}, KNOWN_USERS)
    makes_sense = books.take(told_by(event, NOW))
    seen("makes sense" if makes_sense else "makes no sense")
    assert makes_sense is not isinstance(answer, EventError), f"makes sense: {makes_sense}; {answer!r}"
    assert books.moved() == moved, answer


DOOR = Door(
    "handler",
    invoked,
    check,
    ("handler.py", "engine/reconcile/*", "engine/rating/*", "engine/domain/*", "engine/ledger/memory.py"),
)
