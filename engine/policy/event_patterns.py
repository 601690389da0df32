"""The shape of an EventBridge event pattern in a policy, with the place of each of its mistakes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from attrs import frozen

from engine.domain.errors import PolicyError
from engine.domain.money import JSON_NUMBER
from engine.policy.grammar import WRONG
from engine.policy.hints import kind_of
from engine.policy.patterns import parse_pattern
from engine.policy.patterns.compile import LazyPredicate
from engine.policy.patterns.numbers import json_spelling
from engine.policy.source import CORE_WORDS, Items, Members, Node, Notes, Place, Scalar, named

COMBINATIONS_MAX = 5000
"""How many combinations of alternatives all patterns of a policy may have together; AWS takes 1,000 in each."""


@frozen(eq=False, repr=False)
class Matcher:
    """The predicate of a pattern (which knows the parsed one), and the pattern itself in plain values."""

    matches: LazyPredicate
    pattern: Mapping[str, Any]


class EventPattern:
    """An EventBridge event pattern."""

    def read(self, node: Node, notes: Notes) -> Any:
        pattern = plain(node)
        if not isinstance(pattern, dict):
            notes.mistake(node.place, f"is {kind_of(node)}; write an event pattern like {{source: [video.generation]}}")
            return WRONG
        _warn_of_words(node, notes)
        _warn_of_fields_tested_twice(node, notes)
        if notes.combinations > COMBINATIONS_MAX:
            return WRONG  # said already
        try:
            parsed = parse_pattern(pattern)
            notes.combinations += len(parsed.branches)
            if notes.combinations > COMBINATIONS_MAX:
                notes.mistake(node.place, f"with this pattern the policy has over {COMBINATIONS_MAX} combinations of `$or`")
            return Matcher(LazyPredicate(parsed), pattern)
        except PolicyError as error:
            for mistake in error.mistakes:
                notes.mistake(place_of(node, mistake.path), mistake.message)
            return WRONG


LOOSE_WORDS = re.compile(r"(?i:true|false|null|yes|no|on|off)")
"""What a reader may take for a boolean or null, and older YAML does."""


def _warn_of_words(node: Node, notes: Notes) -> None:
    """A pattern compares exactly: ``True`` is a text and matches no boolean, ``.5`` is one and matches no number."""
    match node:
        case Items():
            for item in node.nodes:
                _warn_of_words(item, notes)
        case Members():
            for _, value in node.pairs:
                _warn_of_words(value, notes)
        case Scalar() if not node.quoted and node.text not in CORE_WORDS and LOOSE_WORDS.fullmatch(node.text):
            notes.warning(node.place, f"{named(node.text)} is a text here; quote it, or write true, false or null")
        case Scalar() if not node.quoted and (spelled := json_spelling(node.text)) is not None:
            number = f"write {spelled}" if spelled else "write a finite number"
            notes.warning(node.place, f"{named(node.text)} is a text here and no number; quote it, or {number}")


def _warn_of_fields_tested_twice(node: Node, notes: Notes) -> None:
    """AWS takes the last test of a field that is written in two ways (``detail: {a: ...}`` and ``detail.a: ...``)."""
    seen: dict[str, Place] = {}
    for field, place in _fields(node, ""):
        if field in seen:
            notes.warning(place, f"{named(field)} is tested in line {seen[field].line} too; the last test alone counts")
        seen[field] = place


def _fields(node: Node, prefix: str) -> Iterator[tuple[str, Place]]:
    """Yield the dotted name of each field of a pattern and where it stands; alternatives of ``$or`` are by themselves."""
    for key, value in node.pairs if isinstance(node, Members) else ():
        if isinstance(value, Members):
            yield from _fields(value, f"{prefix}{key.text}.")
        elif key.text != "$or":
            yield f"{prefix}{key.text}", key.place


def _number(text: str) -> int | Decimal:
    try:
        return int(text) if text.lstrip("-").isdigit() and len(text) <= 40 else Decimal(text)  # noqa: PLR2004  beyond 38 digits
    except ArithmeticError:  # an exponent that no Decimal has; no pattern takes it either
        return Decimal("Infinity")


def plain(node: Node, number: Callable[[str], int | Decimal] = _number) -> Any:
    """Return a node as JSON-like values: quoted is text; a plain scalar is null, true, false, a number, or text.

    A number is exact, unless ``number`` reads it otherwise.
    """
    match node:
        case Items():
            return [plain(item, number) for item in node.nodes]
        case Members():
            return {key.text: plain(value, number) for key, value in node.pairs}
    if node.quoted:
        return node.text
    if node.text in CORE_WORDS:
        return CORE_WORDS[node.text]
    return number(node.text) if JSON_NUMBER.fullmatch(node.text) else node.text


def place_of(node: Node, path: Iterable[str | int]) -> Place:
    """Return where the value at ``path`` below ``node`` stands; of a path that ends early, where it ends."""
    place = node.place
    for step in path:
        following = _below(node, step)
        if following is None:
            return place
        place, node = following
    return place


def _below(node: Node, step: str | int) -> tuple[Place, Node] | None:
    if isinstance(node, Items) and isinstance(step, int) and step < len(node.nodes):
        return node.nodes[step].place, node.nodes[step]
    if isinstance(node, Members):
        return next(((key.place, value) for key, value in node.pairs if key.text == step), None)
    return None
