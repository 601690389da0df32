"""The lines of a policy that were edited, each edit with what it moves alone: it is planned as the only one.

Lines that stand together are one edit. Where as many lines stand there as stood before, each is one by itself, as long as the
policy is one with it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from difflib import SequenceMatcher
from pathlib import Path

import yaml
from attrs import evolve, frozen

from engine.domain.errors import PolicyError
from engine.policy import Policy, load_policy, parse_policy
from engine.preview.changes import changes

TRIED_MAX = 12
"""So many edits are planned alone: each takes as long as the whole plan."""

SHOWN_MAX = 40
"""So many edits are shown: who compares two policies that have little in common reads them beside each other."""

SINGLE_MAX = 20
"""More lines that stand together are one edit, however many stood there before."""

CONTEXT = 2
"""So many lines that are not edited stand before and after an edit."""


@frozen
class Written:
    """A policy with its text."""

    policy: Policy
    text: str
    file: str

    @classmethod
    def load(cls, path: Path) -> Written:
        """Read a file. Raises PolicyError."""
        return cls(load_policy(path), path.read_bytes().decode(), str(path))

    @classmethod
    def parse(cls, data: bytes, file: str) -> Written:
        """Read a text. Raises PolicyError."""
        return cls(parse_policy(data, file), data.decode(), file)


@frozen
class PolicyLine:
    """A line of either policy: ``-`` stood there, ``+`` stands there now, a blank is the same in both."""

    sign: str
    number: int
    text: str


@frozen
class Edit:
    """Lines that were edited together. ``alone`` is the policy as it was with this edit only; None: it would be none."""

    lines: tuple[PolicyLine, ...]
    alone: Policy | None
    words: tuple[str, ...] = ()
    """What it changes."""
    moves: Decimal | None = None
    """By how much more users pay by this edit alone; None where that is not known."""

    @property
    def changes_nothing(self) -> bool:
        """Whether the policy says the same with it: a comment, say, or the order of keys."""
        return self.alone is not None and not self.words


type Tried = Callable[[Policy], Decimal]
"""Returns by how much more users would pay under a policy than they pay now."""


@frozen
class Edits:
    """What was edited, in the order of the file; ``more`` places were edited behind these."""

    shown: tuple[Edit, ...]
    more: int = 0

    @property
    def counting(self) -> tuple[Edit, ...]:
        """Those that change something."""
        return tuple(edit for edit in self.shown if not edit.changes_nothing)

    def tried(self, by: Tried) -> Edits:
        """Return them with what each moves alone. A single one moves all that moves, and needs no plan of its own."""
        if len(self.counting) + self.more <= 1:
            return self
        alone = [(place, edit.alone) for place, edit in enumerate(self.shown) if edit.words and edit.alone is not None]
        return self._moving({place: by(policy) for place, policy in alone[:TRIED_MAX]})

    def of_all(self, whole: Decimal) -> Edits:
        """Return them, a single one with what all moves."""
        if len(self.counting) + self.more != 1:
            return self
        return self._moving({place: whole for place, edit in enumerate(self.shown) if not edit.changes_nothing})

    def _moving(self, moves: Mapping[int, Decimal]) -> Edits:
        shown = (evolve(edit, moves=moves.get(place)) for place, edit in enumerate(self.shown))
        return evolve(self, shown=tuple(shown))


def edits(now: Written, then: Written) -> Edits:
    """Return what was edited."""
    old, new = now.text.splitlines(), then.text.splitlines()
    matched = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    places = [place for kind, *place in matched if kind != "equal"]
    found = [edit for place in places[:SHOWN_MAX] for edit in _edits(now, old, new, place)]
    return Edits(tuple(found), len(places[SHOWN_MAX:]))


def _edits(now: Written, old: Sequence[str], new: Sequence[str], place: Sequence[int]) -> list[Edit]:
    start, end, begin, stop = place
    whole = _edit(now, old, new, place)
    if end - start != stop - begin or not 1 < end - start <= SINGLE_MAX:
        return [whole]
    single = [_edit(now, old, new, (start + n, start + n + 1, begin + n, begin + n + 1)) for n in range(end - start)]
    return single if all(edit.alone is not None for edit in single) else [whole]


def _edit(now: Written, old: Sequence[str], new: Sequence[str], place: Sequence[int]) -> Edit:
    start, end, begin, stop = place
    alone = _policy(now, "\n".join([*old[:start], *new[begin:stop], *old[end:], ""]))
    words = () if alone is None else tuple(_words(now, alone))
    lines = (
        *_lines(" ", old, max(start - CONTEXT, 0), start),
        *_lines("-", old, start, end),
        *_lines("+", new, begin, stop),
        *_lines(" ", old, end, end + CONTEXT),
    )
    return Edit(lines, None if alone is None else alone.policy, words)


def _words(now: Written, alone: Written) -> Iterator[str]:
    """Yield what an edit changes; what has no words of its own is told as well."""
    told = [*changes(now.policy, alone.policy)]
    yield from told
    if not told and repr(yaml.safe_load(now.text)) != repr(yaml.safe_load(alone.text)):
        yield "a setting differs"


def _lines(sign: str, text: Sequence[str], start: int, end: int) -> Iterator[PolicyLine]:
    yield from (PolicyLine(sign, number, line) for number, line in enumerate(text[start:end], start + 1))


def _policy(now: Written, text: str) -> Written | None:
    try:
        return Written.parse(text.encode(), now.file)
    except PolicyError:
        return None
