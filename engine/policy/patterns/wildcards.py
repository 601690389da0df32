"""Wildcard texts: reading them, matching in linear time, and how complex AWS would find them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMPLEXITY_REFUSED = 10
"""AWS publishes no figure. Its own example of a refused text, ``*:*:*:*:*:event-bus/*``, has this complexity."""

STAR = None


def read_wildcard(text: str) -> tuple[str, ...]:
    """Return the literals between the wildcards of ``text``: n wildcards make n + 1 literals.

    A backslash escapes ``*`` and itself. Raises ``ValueError`` with what is wrong.
    """
    literals = [""]
    for token in _tokens(text):
        if token is STAR:
            literals.append("")
        else:
            literals[-1] += token
    if "" in literals[1:-1]:
        raise ValueError("two `*` in a row are not allowed: one already stands for any text")
    return tuple(literals)


def _tokens(text: str) -> Iterator[str | None]:
    characters = iter(text)
    for character in characters:
        if character == "\\":
            yield _escaped(next(characters, ""))
        else:
            yield STAR if character == "*" else character


def _escaped(character: str) -> str:
    if character not in {"*", "\\"}:
        raise ValueError(r"a backslash may only stand before `*` or another backslash: write `\*` or `\\`")
    return character


def wildcard_test(literals: tuple[str, ...]) -> Callable[[str], bool]:
    """Return a predicate that runs in linear time: the leftmost place of each literal is as good as any."""
    if len(literals) == 1:
        return literals[0].__eq__
    first, *middle, last = literals
    length_min = sum(map(len, literals))

    def matches(text: str) -> bool:
        if len(text) < length_min or not text.startswith(first) or not text.endswith(last):
            return False
        return _holds_in_order(text, middle, len(first), len(text) - len(last))

    return matches


def _holds_in_order(text: str, literals: list[str], start: int, end: int) -> bool:
    for literal in literals:
        found = text.find(literal, start, end)
        if found < 0:
            return False
        start = found + len(literal)
    return True


def too_complex(literals: tuple[str, ...]) -> bool:
    """Return whether AWS would refuse the wildcard as too complex, as far as its documentation tells.

    The measure is that of Event Ruler's ``MachineComplexityEvaluator``: how many places of the wildcard an input can
    be at, at the same time. The inputs tried are those that drive it up: the literals themselves, in full and repeated.
    """
    inputs = ["".join(literals) * 2, *(literal * len(literals) for literal in literals)]
    return any(_reaches(literals, text, COMPLEXITY_REFUSED) for text in inputs)


def _reaches(literals: tuple[str, ...], text: str, limit: int) -> bool:
    tokens = _flat(literals)
    places = _closed(tokens, {0})
    for character in text:
        moved = {place for place in places if tokens[place] in (character, STAR)}
        entered = {place + 1 for place in moved if tokens[place] is not STAR and tokens[place + 1] is STAR}
        if len(moved | entered) >= limit:
            return True
        places = _closed(tokens, {place + (tokens[place] is not STAR) for place in moved})
    return False


def _flat(literals: tuple[str, ...]) -> list[str | None]:
    tokens: list[str | None] = []
    for literal in literals:
        tokens += [*literal, STAR]
    return [*tokens[:-1], ""]  # the end, which no character passes


def _closed(tokens: list[str | None], places: set[int]) -> set[int]:
    # A star may stand for nothing, so whoever is at a star is also behind it.
    return places | {place + 1 for place in places if tokens[place] is STAR}
