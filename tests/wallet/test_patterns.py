"""What a pattern may take for one event, however its arrays and texts are made: steps and memory, counted."""

from __future__ import annotations

import json
import re
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine.domain.envelope import Envelope, Source
from engine.domain.errors import EventError, Intricate
from engine.policy import load_policy
from engine.policy.patterns import arrays, compile_pattern
from engine.policy.patterns.leaves import _either_case
from engine.rating.assess import assess
from engine.reconcile.job_rows import row_event
from tests.support.events import rendered
from tests.support.policies import example
from tests.wallet.effort import seconds_of
from tools.environments import ROOT

MEGABYTE = 1024 * 1024
"""What an event of EventBridge, and a message of SQS, holds at most."""

SHIPPED = load_policy(ROOT / "policies" / "video.yaml")


def nested(depth: int, inner: Any) -> Any:
    """Return ``inner`` in so many arrays."""
    for _ in range(depth):
        inner = [inner]
    return inner


def assessed(job: Any) -> Any:
    """Return what the shipped policy makes of a render of ``job``, or the error."""
    try:
        return assess(Envelope(rendered(jobId=job), Source.EVENT), SHIPPED)
    except EventError as error:
        return error


@pytest.mark.parametrize("elements", [4_000, 100_000])
def test_an_event_of_arrays_in_arrays_takes_less_memory_than_a_function_has(elements: int) -> None:
    """Eighteen kilobytes made 180 MB of places, and sixty killed the function with all of its batch, a thousand times over."""
    job = nested(900, [[1]] * elements)
    tracemalloc.start()
    try:
        error = assessed(job)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert isinstance(error, Intricate)
    assert peak < 150 * MEGABYTE
    assert "its arrays are too many, or nested too deeply" in str(error)


def test_an_event_that_is_too_intricate_is_named_like_any_that_makes_no_sense() -> None:
    """By its id, so that a person finds it among the dead letters."""
    document = rendered(jobId=nested(900, [[1]] * 4_000))

    with pytest.raises(EventError, match=f"event {document['id']}, rule"):
        assess(Envelope(document, Source.QUEUE), SHIPPED)


def test_a_row_that_is_too_intricate_is_named_and_holds_up_no_other() -> None:
    """A pattern of ``catch_up`` may look at lists as well."""
    policy = example(("when: {status: [completed]}", 'when: {status: [completed], parts: {name: [{exists: true}], n: ["x"]}}'))
    row = {"jobId": "j-9", "status": "completed", "parts": nested(900, [[{"name": "a"}]] * 4_000)}

    with pytest.raises(EventError, match="event row j-9, rule catch_up"):
        row_event(policy, row, "2026-01-05T10:00:00Z")


WHOLE: dict[str, Callable[[int], Any]] = {
    "numbers": lambda size: [1] * (size // 2 - 20) + [[2]],
    "arrays of a number": lambda size: [[1] for _ in range(size // 4 - 20)],
    "objects": lambda size: [{"a": 1} for _ in range(size // 8 - 20)],
    "objects in objects": lambda size: [{"a": [{"b": 1}]} for _ in range(size // 16 - 20)],
}


@pytest.mark.parametrize("size", [MEGABYTE // 8, pytest.param(MEGABYTE, marks=pytest.mark.proof)])
@pytest.mark.parametrize("kind", WHOLE)
def test_an_event_of_a_megabyte_without_such_depth_is_looked_through(kind: str, size: int) -> None:
    """The bound is for what nobody sends: an event that is full of elements is judged as ever."""
    event = {"detail": {"x": WHOLE[kind](size)}}
    assert 0.99 * size < len(json.dumps(event, separators=(",", ":"))) < size

    assert compile_pattern({"detail": {"x": [2], "y": [{"exists": False}]}})(event) is (kind == "numbers")
    assert compile_pattern({"detail": {"x": {"a": {"b": [1]}}}})(event) is (kind == "objects in objects")


def test_fields_of_an_array_within_an_array_are_joined_in_the_time_of_its_length() -> None:
    """All outputs of a job stand in its one group; looking for each at each would take the square of them."""

    def steps(outputs: int) -> int:
        groups = [{"outputs": [{"name": "a", "size": at} for at in range(outputs)]}]
        event = {"detail": {"groups": groups}}
        matches = compile_pattern({"detail": {"groups": {"outputs": {"name": ["a"], "size": [outputs - 1]}}}})
        spent = spent_by(lambda: matches(event))
        assert matches(event)
        return spent

    assert steps(2_000) < 11 * steps(200)


def spent_by(work: Callable[[], object]) -> int:
    """Return how many steps a pattern takes for its event."""
    efforts: list[arrays.Effort] = []

    class Counted(arrays.Effort):
        def __init__(self) -> None:
            super().__init__()
            efforts.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "Effort", Counted)
        work()
    return sum(arrays.STEPS_MAX - effort.left for effort in efforts)


def test_two_fields_by_keys_with_dots_are_joined_in_the_time_of_their_elements() -> None:
    """Each element of one array with each of another: forty kilobytes took three seconds, 256 would have taken minutes."""

    def steps(size: int) -> int:
        event = {"detail": {"u": [{"a": "v", "b": "w"}] * size, "u.b": [["v"]] * size}}
        matches = compile_pattern({"detail": {"u": {"a": ["v"], "b": ["v"]}}})
        assert matches(event)
        return spent_by(lambda: matches(event))

    assert steps(2_000) < 11 * steps(200)


def test_three_fields_by_keys_with_dots_end_at_the_bound() -> None:
    """The first in one array, the second in another: whether the third agrees, only each pair can tell."""
    names = {"a": "v", "b": "v", "c": "v"}
    event = {"detail": {"u": [{"x": names}] * 3_000, "u.x": [names] * 3_000}}
    matches = compile_pattern({"detail": {"u": {"x": {"a": ["v"], "b": ["v"], "c": ["w"]}}}})

    with pytest.raises(Intricate):
        matches(event)


# --- texts ---

LONG = "a" * 3_000


@pytest.mark.parametrize(
    "test",
    [
        {"suffix": {"equals-ignore-case": f"{LONG}b"}},
        {"prefix": {"equals-ignore-case": f"{LONG}b"}},
        {"equals-ignore-case": f"{LONG}b"},
        {"wildcard": "*" + "ab" * 5 + "c*"},
        {"wildcard": "*ab*cd"},
        {"anything-but": {"suffix": f"{LONG}b"}},
        {"cidr": "10.0.0.0/8"},
    ],
    ids=lambda test: next(iter(test)),
)
def test_a_test_of_a_text_takes_a_time_that_grows_with_the_text_and_not_with_its_square(test: dict[str, Any]) -> None:
    """Sixteen times the text takes not much more than sixteen times as long, of the processor."""
    matches = compile_pattern({"detail": {"x": [test]}})
    small, large = "a" * 40_000, "a" * 640_000

    ratio = seconds_of(lambda: matches({"detail": {"x": large}})) / seconds_of(lambda: matches({"detail": {"x": small}}))

    assert ratio < 48


def of_two_cases() -> Iterator[str]:
    """Yield every character whose cases are two texts."""
    for number in range(sys.maxunicode + 1):
        if len({chr(number).lower(), chr(number).upper()}) > 1:
            yield chr(number)


def test_no_case_of_a_character_begins_or_ends_with_the_other() -> None:
    """So an expression made of them can be at one place only, and never goes back to try another."""
    cases = [(character.lower(), character.upper()) for character in of_two_cases()]

    assert 2_000 < len(cases)
    assert [] == [pair for pair in cases for one, other in (pair, pair[::-1]) if one.startswith(other) or one.endswith(other)]


def test_an_end_in_any_case_is_what_it_is_when_looked_for_from_the_front() -> None:
    """Also where a character has an upper case of several characters."""
    ends = ["MP4", ".mp4", "ß", "straße", "ŉ", "aŉb", "i̇", "K"]
    texts = ["x.mp4", "x.MP4", "xmp4x", "STRASSE", "strasse", "Straße", "a\u02bcNb", "\u02bcn", "İ", "k", "\u212a", ""]
    for end in ends:
        matches = compile_pattern({"x": [{"suffix": {"equals-ignore-case": end}}]})
        from_the_front = re.compile("".join(map(_either_case, end)) + r"\Z")
        assert [from_the_front.search(text) is not None for text in texts] == [matches({"x": text}) for text in texts]
