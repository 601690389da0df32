"""Warnings of words that are most likely misspelt: close to another word that the policy has at the same place of events.

A pattern that asks for ``video.faild`` beside one that asks for ``video.failed`` matches nothing, and a path ``detail.modle``
beside ``detail.model`` finds nothing. What only one place of the policy says cannot be judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from engine.policy.close_words import close_words
from engine.policy.expressions.paths import PLAIN, WITH_FALLBACK
from engine.policy.grammar import NUMBER
from engine.policy.patterns.parse import OR
from engine.policy.price_books import DEFAULT_RATE
from engine.policy.price_changes import WrittenRow
from engine.policy.source import CORE_WORDS, Items, Members, Node, Notes, Place, Scalar, named

EXPRESSIONS = frozenset({"by", "quantity", "priced_at", "percent", "amount", "value", "group", "same"})
"""The keys of prices, rules and anomalies that hold expressions over events (or a number, which is no path)."""

LETTERS_MIN = 5
"""Fields of events have names like ``mode`` beside ``model``."""

BOTH_RIGHT = frozenset({"canceled", "cancelled"})
"""Providers of both spellings are served by one policy."""


@frozen(eq=False, repr=False)
class Word:
    """A word at a place of the policy. ``is_declared``: it says what there is (a rate); others ask for what there is.

    ``beside`` is where the list begins that it stands in: whoever writes two words into one list means both.
    """

    text: str
    place: Place
    is_declared: bool = False
    beside: Place | None = None


@define(eq=False, repr=False)
class Rank:
    """How likely it is that a word is spelt as it was meant: whether it is declared, and how many places have it."""

    first: Word
    places: int = 0
    is_declared: bool = False
    lists: set[Place] = field(factory=set)


Words = Mapping[str, Sequence[Word]]
"""By the field of an event that has them."""


def warn_of_words(values: Mapping[str, Any], policy: Members, notes: Notes) -> None:
    """Note which words are most likely misspelt."""
    asked = _asked(policy)
    declared = _declared(values["prices"])
    for name in asked:
        _warn(notes, [*declared.get(name, ()), *asked[name]])
    _warn(notes, list(_paths(policy)))


def _warn(notes: Notes, words: Sequence[Word]) -> None:
    """Note each word that is close to one that is declared or that more places have; of two of one rank both."""
    known = _ranks(words)
    close = close_words(known, LETTERS_MIN)
    told: set[str] = set()
    for word in words:
        meant = next((other for other in close.get(word.text, ()) if _is_meant(known[other], known[word.text])), None)
        if meant is not None and word.text not in told:
            told.add(word.text)
            line = known[meant].first.place.line
            notes.warning(word.place, f"{named(word.text)} is close to {named(meant)} in line {line}; is it the same?")


def _is_meant(other: Rank, word: Rank) -> bool:
    """Say whether a word is most likely a slip for another one."""
    is_likelier = (other.is_declared, other.places) >= (word.is_declared, word.places)
    return is_likelier and not word.is_declared and not other.lists & word.lists and _differ(other.first.text, word.first.text)


def _differ(word: str, other: str) -> bool:
    """Say whether two words differ by more than what providers differ by: capitals, or a spelling of their own."""
    return word.casefold() != other.casefold() and not {word.casefold(), other.casefold()} <= BOTH_RIGHT


def _ranks(words: Iterable[Word]) -> dict[str, Rank]:
    """Return how often and where each word stands."""
    ranks: dict[str, Rank] = {}
    for word in words:
        rank = ranks.setdefault(word.text, Rank(word))
        rank.places += 1
        rank.is_declared |= word.is_declared
        rank.lists |= {word.beside} if word.beside is not None else set()
    return ranks


# --- words of events --------------------------------------------------------------------------------------------------


def _declared(prices: Mapping[str, Sequence[WrittenRow]]) -> Words:
    """Return the names of all rates, by the field of the event that selects them."""
    words: defaultdict[str, list[Word]] = defaultdict(list)
    for written in (written for rows in prices.values() for written in rows):
        selected_by = [_field(by.text) for by in written.row.by]
        for keys, node in written.written.items():
            for name, key in zip(selected_by, keys, strict=False):
                if key != DEFAULT_RATE:
                    words[name].append(Word(key, node.place, is_declared=True))
    return words


def _asked(policy: Members) -> Words:
    """Return the exact words that patterns ask for, and those of the events that rows of Jobs stand for."""
    words: defaultdict[str, list[Word]] = defaultdict(list)
    for part in ("rules", "anomalies"):
        for item in _members(policy.get(part)):
            for name, word in _words_in(item.get("match"), ""):
                words[name].append(word)
    for item in _members(policy.get("catch_up")):
        for name in ("source", "detail-type"):
            event = item.get("event")
            node = event.get(name) if isinstance(event, Members) else None
            words[name] += [Word(node.text, node.place)] if isinstance(node, Scalar) else []
    return words


def _words_in(node: Node | None, above: str) -> Iterator[tuple[str, Word]]:
    """Yield the fields of a pattern with the texts that they may be, or may not be."""
    for key, value in node.pairs if isinstance(node, Members) else ():
        if key.text == OR and isinstance(value, Items):
            for item in value.nodes:
                yield from _words_in(item, above)
        elif isinstance(value, Members):
            yield from _words_in(value, f"{above}{key.text}.")
        elif isinstance(value, Items):
            yield from ((f"{above}{key.text}", word) for item in value.nodes for word in _texts(item, value.place))


def _texts(test: Node, beside: Place) -> Iterator[Word]:
    """Yield the texts of a test: itself, or what it may be anything but."""
    if isinstance(test, Scalar) and (test.quoted or not _is_no_text(test.text)):
        yield Word(test.text, test.place, beside=beside)
    elif isinstance(test, Items):
        yield from (word for item in test.nodes for word in _texts(item, beside))
    elif isinstance(test, Members) and (but := test.get("anything-but")) is not None and not isinstance(but, Members):
        yield from _texts(but, beside)


def _is_no_text(word: str) -> bool:
    return word in CORE_WORDS or NUMBER.fullmatch(word) is not None


def _members(node: Node | None) -> list[Members]:
    return [item for item in node.nodes if isinstance(item, Members)] if isinstance(node, Items) else []


# --- paths ------------------------------------------------------------------------------------------------------------


def _paths(policy: Members) -> Iterator[Word]:
    """Yield the plain paths into events: of expressions, and of the fields of patterns."""
    for _, asked in (*paths_asked(policy), *fields_asked(policy)):
        yield asked


def paths_asked(policy: Members) -> Iterator[tuple[str, Word]]:
    """Yield the plain paths that events are asked, with the part of the policy: those that say where the facts are first."""
    event = policy.get("event")
    facts = [node for _, node in event.pairs if isinstance(node, Scalar)] if isinstance(event, Members) else []
    parts = ((part, policy.get(part)) for part in ("prices", "rules", "anomalies"))
    asked = ((part, found) for part, node in parts if node is not None for found in expressions_in(node, is_one=False))
    for part, node in (*(("event", fact) for fact in facts), *asked):
        if (word := _path(node)) is not None:
            yield part, word


def fields_asked(policy: Members) -> Iterator[tuple[str, Word]]:
    """Yield the fields of patterns over events, as paths, with the part of the policy."""
    for part in ("rules", "anomalies"):
        for item in _members(policy.get(part)):
            yield from ((part, field) for field in _fields_in(item.get("match"), ""))


def expressions_in(node: Node, *, is_one: bool) -> Iterator[Scalar]:
    """Yield the scalars below the keys that hold expressions."""
    match node:
        case Scalar():
            yield from (node,) if is_one else ()
        case Items():
            yield from (found for item in node.nodes for found in expressions_in(item, is_one=is_one))
        case Members():
            for key, value in node.pairs:
                if key.text != "match":
                    yield from expressions_in(value, is_one=key.text in EXPRESSIONS)


def _path(node: Scalar) -> Word | None:
    path = _field(node.text)
    return Word(path, node.place) if PLAIN.fullmatch(path) else None


def _field(expression: str) -> str:
    """Return the field that an expression looks at, where it is a plain one with or without a fallback."""
    with_fallback = WITH_FALLBACK.fullmatch(expression)
    return with_fallback["path"] if with_fallback else expression


def _fields_in(node: Node | None, above: str) -> Iterator[Word]:
    for key, value in node.pairs if isinstance(node, Members) else ():
        if key.text == OR and isinstance(value, Items):
            for item in value.nodes:
                yield from _fields_in(item, above)
        elif isinstance(value, Members):
            yield from _fields_in(value, f"{above}{key.text}.")
        else:
            yield Word(f"{above}{key.text}", key.place)
