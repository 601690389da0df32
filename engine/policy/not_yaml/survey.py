"""What stands where in a text that is no YAML: its quotes and its brackets, as far as they can be told.

The parser says where it could not go on. What a person has to change is often above: a quote or a bracket that is not closed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import Factory, define

CLOSERS = {"[": "]", "{": "}"}

BLANKS = re.compile(r"\s+")
INDENT = re.compile(" *")
COMMENT = re.compile(r"#[^\n]*")
QUOTED = re.compile(r'"(?:\\.|[^"\\])*+(?P<double>"?)|\'(?:\'\'|[^\'])*+(?P<single>\'?)', re.DOTALL)
INDICATOR = re.compile(r"[-?:](?=\s|$)|,")
MARK = re.compile(r"[&*!][^\s,\[\]{}]*")
"""An anchor, an alias or a tag."""
PLAIN = re.compile(r"(?:[^\n:#]|:(?=\S)|(?<=\S)#)+")
PLAIN_IN_BRACKETS = re.compile(r"(?:[^\n:#,\[\]{}]|:(?=[^\s,\[\]{}])|(?<=\S)#)+")
BLOCK_TEXT = re.compile(r"[|>][-+0-9]*[ \t]*(?:#[^\n]*)?(?=\n|$)")


@define
class Quoted:
    """A text in quotes, from its first quote to behind its last one (of one that is not closed, to the end)."""

    start: int
    end: int
    is_closed: bool


@define
class Bracket:
    """An opening bracket, and where it is closed."""

    start: int
    sign: str
    closed_at: int | None = None


@define
class Survey:
    """The quotes and brackets of a text, from its beginning to its end. Places are offsets; lines end with a line feed."""

    text: str
    quoted: list[Quoted] = Factory(list)
    brackets: list[Bracket] = Factory(list)
    still_open: list[Bracket] = Factory(list)
    block_texts: list[tuple[int, int]] = Factory(list)
    """Where texts of several lines begin and end."""

    at: int = 0

    @classmethod
    def of(cls, lines: Sequence[str]) -> Survey:
        """Return what stands in these lines."""
        survey = cls("\n".join(lines))
        while survey.at < len(survey.text):
            survey.at = max(survey.at + 1, survey._after_next())
        return survey

    def open_at(self, offset: int) -> list[Bracket]:
        """Return the brackets that are open at a place, the outermost first."""
        return [one for one in self.brackets if one.start < offset and (one.closed_at is None or one.closed_at >= offset)]

    def quoted_before(self, offset: int) -> Quoted | None:
        """Return the last text in quotes that begins before a place."""
        return next((one for one in reversed(self.quoted) if one.start < offset), None)

    def is_text(self, offset: int) -> bool:
        """Whether a place lies in a text of several lines."""
        return any(start <= offset < end for start, end in self.block_texts)

    def _after_next(self) -> int:
        """Take in what begins here, and return where it ends."""
        sign = self.text[self.at]
        if sign in "\"'":
            return self._after_quoted()
        if sign in "[]{}":
            return self._after_bracket(sign)
        if not self.still_open and BLOCK_TEXT.match(self.text, self.at):
            self.block_texts.append((self.at, self._after_block_text()))
            return self.block_texts[-1][1]
        for part in (BLANKS, COMMENT, INDICATOR, MARK, PLAIN_IN_BRACKETS if self.still_open else PLAIN):
            if found := part.match(self.text, self.at):
                return found.end()
        return self.at + 1

    def _after_quoted(self) -> int:
        found = QUOTED.match(self.text, self.at)
        if found is None:  # cannot be: the quote itself is enough
            return self.at + 1
        is_closed = bool(found["double"] or found["single"])
        self.quoted.append(Quoted(self.at, found.end(), is_closed))
        return found.end()

    def _after_bracket(self, sign: str) -> int:
        if sign in CLOSERS:
            self.brackets.append(Bracket(self.at, sign))
            self.still_open.append(self.brackets[-1])
        elif self.still_open and CLOSERS[self.still_open[-1].sign] == sign:
            self.still_open.pop().closed_at = self.at
        return self.at + 1

    def _after_block_text(self) -> int:
        """Return where a text of several lines ends: at a line that is indented no more than the one that begins it."""
        indent = self._indent(self.text.rfind("\n", 0, self.at) + 1)
        end = self.text.find("\n", self.at)
        while end != -1:
            following = self.text.find("\n", end + 1)
            is_blank = not self.text[end + 1 : following if following != -1 else None].strip()
            if not is_blank and self._indent(end + 1) <= indent:
                return end + 1
            end = following
        return len(self.text)

    def _indent(self, start: int) -> int:
        found = INDENT.match(self.text, start)
        return found.end() - start if found else 0
