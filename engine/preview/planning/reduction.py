"""From an event to its reduction: all that two policies look at in it, and nothing else, as a key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, NoReturn

from engine.domain.instants import read_instant
from engine.domain.texts import CHARACTERS_MAX
from engine.policy.expressions.paths import Path, PathProblem
from engine.policy.patterns.leaves import LeafTest
from engine.rating.assess import IDENTIFIER_CHARACTERS_MAX
from engine.rating.detectors import sign_text

type Document = dict[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS = 1_000_000
DAY = 86_400


class Missing(Enum):
    """What stands in a key for what is not there: null is something that is there."""

    MEMBER = "no such member"
    OBJECT = "no object that members are looked for in"

    __hash__ = object.__hash__  # it is in most keys, and Enum's own is written in Python


MISSING, GONE = Missing.MEMBER, Missing.OBJECT
CARRIED = frozenset({str, int, Decimal, bool, type(None), Missing})
"""Of these a value may be. Its class is in the key too: true, 1 and 1.0 are equal to Python, not to a policy."""


class Uncarried(Exception):
    """A reduction cannot carry this event: the engine has to be asked."""


type Reduced = tuple[tuple[Any, ...], str | None, str | None, str | None, int, str | None, tuple[str, ...]]
"""An event without what makes no difference. A plain tuple, as it is made of each event:

the key, all that its effect follows from; the job, the reference and the user that it names; its time in microseconds since
1970; its id; the texts that jobs are counted by, in the order of ``Reads.signs``.
"""


# --- what a reducer asks for, where a member is not what it mostly is ---


def uncarried() -> NoReturn:
    """Raise Uncarried."""
    raise Uncarried


def searched(path: Path, document: Any) -> Any:
    """Return the answer of an expression. Raises Uncarried where it cannot be worked out."""
    try:
        return path.search(document)
    except PathProblem as problem:
        raise Uncarried from problem


def identifier(value: Any) -> str | None:
    """Return what an event names; None where it names nothing. What an error would have to quote is left to the engine."""
    if value is None or value.__class__ is Missing:
        return None
    if value.__class__ is not str or not 1 <= len(value) <= IDENTIFIER_CHARACTERS_MAX:
        raise Uncarried
    if not (value.isascii() and value.isprintable()):
        raise Uncarried
    return value


def id_of(value: Any) -> str | None:
    """Return an event's id as a record has it: None for what is no text."""
    if value.__class__ is not str:
        return None
    if len(value) > CHARACTERS_MAX or not value.isascii():
        raise Uncarried
    return value


def answers(leaf: Any, tests: Sequence[LeafTest]) -> Any:
    """Return what each list of tests says of a leaf; of a single one its answer."""
    said = tuple([_answer(leaf, test) for test in tests])
    return said if len(said) > 1 else said[0]


def _answer(leaf: Any, test: LeafTest) -> bool:
    if leaf is MISSING:
        return test.absent
    if leaf.__class__ not in CARRIED:
        raise Uncarried
    return test.accepts(leaf)


def text_of(value: Any) -> str:
    """Return the text that jobs are counted by; an empty one for what says nothing."""
    return sign_text(None if value.__class__ is Missing else value)


# --- instants ---


def microseconds(instant: datetime) -> int:
    """Return an instant in UTC as microseconds since 1970."""
    since = instant - EPOCH
    return (since.days * DAY + since.seconds) * MICROSECONDS + since.microseconds


SECOND_OF = {f"{second:02}Z": second * MICROSECONDS for second in range(60)}
"""How the text of an instant mostly ends, behind its minute."""

MINUTE_CHARACTERS = len("2026-01-05T10:00:")
MINUTES_MAX = 100_000


class Instants:
    """Reads instants. Those of a minute that was met before are looked up, in a seventh of the time."""

    def __init__(self) -> None:
        self.minutes: dict[str, int] = {}

    def read(self, value: Any) -> int | None:
        """Return an instant in microseconds since 1970, or None where there is none. Raises Uncarried for what is none."""
        if value.__class__ is str:
            minute, second = self.minutes.get(value[:MINUTE_CHARACTERS]), SECOND_OF.get(value[MINUTE_CHARACTERS:])
            if minute is not None and second is not None:
                return minute + second
        return self._read(value)

    def _read(self, value: Any) -> int | None:
        if value is None or value.__class__ is Missing:
            return None
        if (instant := read_instant(value)) is None:
            raise Uncarried
        at = microseconds(instant)
        self._remember(value, at)
        return at

    def _remember(self, text: str, at: int) -> None:
        """Remember the minute, where a colon stands behind it: so in the extended format alone, with seconds."""
        minute, second = text[:MINUTE_CHARACTERS], SECOND_OF.get(text[MINUTE_CHARACTERS:])
        if second is None or minute[-1] != ":":
            return
        if len(self.minutes) >= MINUTES_MAX:
            self.minutes.clear()
        self.minutes[minute] = at - second
