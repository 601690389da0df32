"""Where the parser stopped in a text that is no YAML, and how a diagnosis asks about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from attrs import frozen

from engine.policy.not_yaml.survey import Survey
from engine.policy.places import Place, named

KEY = re.compile(r"(?P<dashes>(?:- +)*)(?P<key>\"[^\"]*\"|'[^']*'|[^\s#\"'\[\]{},:-][^\s:]*|-[^\s:]+):(?=\s|$)")
"""A key as it begins a line, with the dashes of lists before it."""
VALUE_MAX = 30
LOOK_MAX = 300
"""How much of a line is looked at for the value that is shown."""


class Finding(NamedTuple):
    """Where a person has to change something, and what."""

    place: Place
    message: str


@frozen(eq=False, repr=False)
class Trouble:
    """What the parser says: where it stopped (``at``) in the middle of what (``since``), and in which words."""

    lines: Sequence[str]
    words: str
    at: Place
    since: Place
    survey: Survey

    @classmethod
    def of(cls, lines: Sequence[str], words: str, at: Place, since: Place | None) -> Trouble:
        """Return what the parser says. It puts the end of a file behind its last line."""
        last = Place(len(lines), len(lines[-1]) + 1)
        stopped = min(at, last)
        return cls(lines, words, stopped, min(since or stopped, last), Survey.of(lines))

    def says(self, *words: str) -> bool:
        """Whether the parser says one of these words."""
        return any(word in self.words for word in words)

    def line(self, place: Place) -> str:
        """Return the line of a place."""
        return self.lines[place.line - 1]

    def rest(self, place: Place) -> str:
        """Return what stands from a place to the end of its line."""
        return self.line(place)[place.column - 1 :]

    def before(self, place: Place) -> str:
        """Return what stands in a line before a place."""
        return self.line(place)[: place.column - 1]

    def offset(self, place: Place) -> int:
        """Return a place as the survey counts."""
        return sum(len(line) + 1 for line in self.lines[: place.line - 1]) + place.column - 1

    def place(self, offset: int) -> Place:
        """Return an offset of the survey as a place."""
        above = self.survey.text[:offset]
        return Place(above.count("\n") + 1, offset - above.rfind("\n"))

    def above(self, place: Place) -> Place | None:
        """Return the last line above that says something, where it begins."""
        for number in range(place.line - 1, 0, -1):
            text = self.lines[number - 1].lstrip()
            if text and not text.startswith("#"):
                return Place(number, len(self.lines[number - 1]) - len(text) + 1)
        return None

    def value(self, place: Place, ends: str = ",]}") -> str:
        """Return the value that begins at a place: in brackets to the next comma or bracket, else to the end of the line."""
        text = self.rest(place)[:LOOK_MAX].split(" #")[0]
        if self.survey.open_at(self.offset(place)):
            text = text[:1] + re.split(f"[{re.escape(ends)}]", text[1:])[0]
        return text.strip()

    @property
    def begins_line(self) -> bool:
        """Whether nothing stands before the place where the parser stopped."""
        return not self.before(self.at).strip()


def short(text: str) -> str:
    """Return the beginning of a value as a message names it."""
    text = text[:LOOK_MAX].strip()
    return named(text if len(text) <= VALUE_MAX else f"{text[:VALUE_MAX]}...")


def in_quotes(value: str) -> str:
    """Return a value as it is written in quotes; of a long one the beginning."""
    value = value.strip()
    value = value if len(value) <= VALUE_MAX else f"{value[:VALUE_MAX]}..."
    return f'"{value}"' if not {'"', "\\"} & set(value) else "'" + value.replace("'", "''") + "'"
