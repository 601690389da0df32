"""Words that differ by what a finger slips over: a letter too many or too few, another one, two in each other's place.

``sora2-por`` is close to ``sora2-pro``. ``veo-3.1`` is not close to ``veo-3.0``, nor ``t2v`` to ``i2v``, nor ``images`` to
``image``, nor ``completed`` to ``complete``: people give such names to things that differ. The measure is the edit distance
of Damerau, at most 1.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import permutations

CHARACTERS_MAX = 64
"""No longer word is compared."""

ALIKE_MAX = 8
"""So many words that differ in one sign are a series, and no slips."""

LETTERS_MIN = 4
"""So many letters in a row are a word in which one may be a slip. In fewer each letter has a meaning of its own."""

SWAPPED_MIN = 3
"""The same for two that are swapped, which nobody does on purpose."""

FORMS = "sd"
"""What makes another form of a word at its end: ``images``, ``completed``."""

NUMBER = re.compile("[0-9]+")
NO_LETTER_OR_DIGIT = re.compile(r"[\W_]+")


def close_words(words: Iterable[str], letters: int = LETTERS_MIN) -> dict[str, list[str]]:
    """Return those of some words that are close to others, each with these. The effort grows with the words, not the pairs."""
    places = {word: at for at, word in enumerate(dict.fromkeys(words)) if len(word) <= CHARACTERS_MAX}
    by_part: defaultdict[str, list[str]] = defaultdict(list)
    for word in places:
        for alike in map(by_part.__getitem__, _parts(word)):
            if len(alike) < ALIKE_MAX:
                alike.append(word)
    pairs = {pair for alike in by_part.values() if 1 < len(alike) < ALIKE_MAX for pair in permutations(alike, 2)}
    found: dict[str, list[str]] = {}
    for word, other in sorted(pairs, key=lambda pair: (places[pair[0]], places[pair[1]])):
        if is_close(word, other, letters):
            found.setdefault(word, []).append(other)
    return found


def _parts(word: str) -> Iterator[str]:
    """Yield what words that are close to each other have in common: small letters, no signs, or all but one of them."""
    low = word.casefold()
    yield from dict.fromkeys((low, _bare(word), *(low[:at] + low[at + 1 :] for at in range(len(low)))))


def _bare(word: str) -> str:
    return NO_LETTER_OR_DIGIT.sub("", word.casefold())


def is_close(word: str, other: str, letters: int = LETTERS_MIN) -> bool:
    """Say whether one of two different words is most likely a slip for the other, in so many letters in a row."""
    if NUMBER.findall(word) != NUMBER.findall(other):
        return _has_swapped_digits(word, other)
    short, long = sorted((word.casefold(), other.casefold()), key=len)
    return "" != _bare(word) == _bare(other) or _is_slip(short, long, letters)


def _has_swapped_digits(word: str, other: str) -> bool:
    at = _first_difference(word, other)
    return _are_swapped(word, other, at) and word[at : at + 2].isdigit() and len(_run(word, at, str.isdigit)) >= SWAPPED_MIN


def _is_slip(short: str, long: str, letters: int) -> bool:
    """Say whether one letter is too many in the longer word, or one is another, or two are swapped."""
    at = _first_difference(short, long)
    run = len(_run(long, at, str.isalpha))
    if len(short) < len(long):
        is_another_form = long[at] in FORMS and not long[at + 1 : at + 2].isalpha()
        return run > letters and short[at:] == long[at + 1 :] and not is_another_form
    if _are_swapped(short, long, at):
        return run >= SWAPPED_MIN
    return run >= letters and len(short) == len(long) and short[at + 1 :] == long[at + 1 :]


def _first_difference(one: str, other: str) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _are_swapped(one: str, other: str, at: int) -> bool:
    """Say whether two words differ only in that two neighbours change places."""
    return one[at : at + 2] == other[at : at + 2][::-1] and len(one) == len(other) and one[at + 2 :] == other[at + 2 :]


def _run(word: str, at: int, belongs: Callable[[str], bool]) -> str:
    """Return the signs around a position that belong together; none where the one there does not."""
    start, end = at, at
    while start > 0 and belongs(word[start - 1]):
        start -= 1
    while end < len(word) and belongs(word[end]):
        end += 1
    return word[start:end] if at < len(word) and belongs(word[at]) else ""
