"""Instants: ISO 8601 to the letter, at every door. What Python's own parser takes beside it is no instant."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.errors import PolicyError
from engine.domain.instants import instant_text, read_instant
from tests.support.books import Books
from tests.support.events import rendered
from tests.support.examples import tries
from tests.support.malformed import TIME
from tests.support.policies import example


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("2026-01-05T10Z", "2026-01-05T10:00:00Z"),
        ("20260105T1030Z", "2026-01-05T10:30:00Z"),
        ("2026-01-05T10:00:00,25Z", "2026-01-05T10:00:00.250000Z"),
        ("20260105T100000.5Z", "2026-01-05T10:00:00.500000Z"),
        ("2026-01-05T10:00:00.123456789Z", "2026-01-05T10:00:00.123456Z"),
        ("2026-01-05T10:00:00+05:30", "2026-01-05T04:30:00Z"),
        ("2026-01-05T10:00:00+0530", "2026-01-05T04:30:00Z"),
        ("2026-01-05T10:00:00-03", "2026-01-05T13:00:00Z"),
        ("2026-01-05T10:00:00+23:59", "2026-01-04T10:01:00Z"),
        ("2024-02-29T23:59:59-00:00", "2024-02-29T23:59:59Z"),
    ],
)
def test_what_iso_8601_says_is_read_as_it_says(written: str, text: str) -> None:
    """Extended or basic, to the hour, the minute, the second or a fraction of it, with an offset of hours and minutes."""
    instant = read_instant(written)

    assert instant is not None
    assert text == instant_text(instant)


NO_INSTANTS = [
    "2026-01-05T10.5Z", "2026-01-05T10,5Z", "20260105T1030.5Z", "2026-01-05T10:30.5Z", "2026-01-05T10:00:00.Z",
    "2026-01-05T10:00:00:123Z", "20260105T12345678Z", "2026-01-05T10:00:00 Z", "2026-01-05T10:00:00+05.30",
    "2026-01-05T10:00:00+05.5", "2026-01-05T10:00:00-03.30", "2026-01-05T10:00:00+05:99", "2026-01-05T10:00:00+05300000",
    "2026-01-05T10:00:00+05:30:15", "2026-01-05T10:00:00+24:00", "2026-01-05T10:00:00+5", "2026-01-05T10:00:00+530",
    "2026-01-05T10:00:00Z+01:00", "2026-01-05T10:00:00UTC", "2026-01-05T10:00:00\u221203:00", "2026-01-05t10:00:00Z",
    "2026-01-05T10:00:00z", "2026-01-05T24:00:00Z", "2026-01-05T24:00Z", "2026-12-31T23:59:60Z", "2026-01-05T10:60Z",
    "2026-005T10:00:00Z", "2026-W02-1T10:00:00Z", "2026W021T10:00:00Z", "2026-W02T10:00Z", "2026-01T10:00Z",
    "2026-0105T10:00:00Z", "202601-05T10:00:00Z", "2026-01-05T100000Z", "20260105T10:00:00Z", "2026-01-05T10:0000Z",
    "2026-01-05T1:00:00Z", "26-01-05T10:00:00Z", "+2026-01-05T10:00:00Z", "12026-01-05T10:00:00Z", "2026-01-05_10:00:00Z",
    "2026-01-05T10:00:00Z ", " 2026-01-05T10:00:00Z", "2026-01-05T10:00:00Z\n", "2026-01-05T10:00:00\u00b2Z",
    "\u0662\u0660\u0662\u0666-01-05T10:00:00Z", "0000-01-01T00:00:00Z", "2026-02-30T10:00:00Z", "2025-02-29T10:00:00Z",
]  # fmt: skip


@pytest.mark.parametrize("written", NO_INSTANTS)
def test_what_iso_8601_does_not_say_is_no_instant(written: str) -> None:
    """Better no instant than another one: a price would begin half an hour off."""
    assert read_instant(written) is None


@pytest.mark.parametrize("written", ["2026-01-05T10.5Z", "2026-01-05T10:30.5Z", "2026-01-05T10:00:00+05.30"])
def test_every_door_asks_the_same(written: str) -> None:
    """An event is refused by its field, and a policy by its line."""
    books = Books(example(TIME), {})
    with pytest.raises(ValueError, match="an ISO 8601 instant with a zone is needed"):
        books.deliver(rendered(finishedAt=written))
    with pytest.raises(PolicyError, match="write an instant with its zone, like 2026-07-01T00:00:00Z"):
        example(("effective: 2026-07-01T00:00:00Z", f'effective: "{written}"'))

    assert {} == books.entries


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, datetime]:
    """Return a spelling of an instant, and the instant, put together from its numbers without any parser."""
    numbers = st.tuples(*(st.integers(0, top) for top in (23, 59, 59, 999_999)))
    day = draw(st.dates(date(1, 1, 3), date(9999, 12, 29)))
    hour, minute, second, micro = draw(numbers)
    elements, fraction = draw(st.integers(1, 3)), draw(st.sampled_from(["", ".", ","]))
    is_extended = draw(st.booleans())
    dash, colon = ("-", ":") if is_extended else ("", "")
    clock = [f"{hour:02}", f"{minute:02}", f"{second:02}"][:elements]
    part = f"{fraction}{micro:06}" if fraction and elements == 3 else ""
    sign, ahead, behind = draw(st.sampled_from([1, -1])), draw(st.integers(0, 23)), draw(st.integers(0, 59))
    plus = "+" if sign == 1 else "-"
    zones = {"Z": 0, f"{plus}{ahead:02}": ahead * 60, f"{plus}{ahead:02}{behind:02}": ahead * 60 + behind,
             f"{plus}{ahead:02}:{behind:02}": ahead * 60 + behind}  # fmt: skip
    zone = draw(st.sampled_from(sorted(zones)))
    said = timedelta(hours=hour, minutes=minute * (elements > 1), seconds=second * (elements > 2))
    said += timedelta(microseconds=micro if part else 0) - sign * timedelta(minutes=zones[zone])
    text = f"{day.year:04}{dash}{day.month:02}{dash}{day.day:02}T{colon.join(clock)}{part}{zone}"
    return text, datetime(day.year, day.month, day.day, tzinfo=UTC) + said


@tries(500)
@given(spellings())
def test_any_spelling_is_the_instant_that_its_numbers_say(spelling: tuple[str, datetime]) -> None:
    """Against an instant that was added up from the same numbers."""
    text, instant = spelling

    assert instant == read_instant(text)


@tries(500)
@given(spellings(), st.data())
def test_a_spelling_with_one_character_too_many_is_another_instant_never(
    spelling: tuple[str, datetime], data: st.DataObject
) -> None:
    """A sign slipped in leaves no instant, or one that says the same digits: never a fraction of another element."""
    text, _ = spelling
    at = data.draw(st.integers(0, len(text)))
    slipped = text[:at] + data.draw(st.sampled_from([".", ",", ":", " ", "_", "\u0663"])) + text[at:]
    instant = read_instant(slipped)

    assert instant is None or not set(slipped) & {" ", "_", "\u0663"}
    if instant is not None and slipped[at] in ".,":
        pytest.fail(f"{slipped!r} has a point where no fraction of a second can begin")
