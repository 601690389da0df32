"""Shapes: what may stand where in a policy. Each reads a node, notes what is wrong with it, and returns its value or WRONG.

A shape never stops at the first mistake. What is wrong is left out, and the rest is read on. Shapes are never compared or
shown: attrs need not write the methods for that, which would take longer than reading a policy with them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Protocol

from attrs import frozen

from engine.domain.errors import PolicyError, shown
from engine.domain.instants import read_instant
from engine.domain.money import DIGITS_MAX, fits
from engine.policy.expressions.paths import compile_path
from engine.policy.hints import did_you_mean, kind_of, unknown_key
from engine.policy.patterns.numbers import json_spelling
from engine.policy.source import Items, Members, Node, Notes, Scalar, named

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
DURATION = re.compile(r"([1-9][0-9]{0,4})([smhd])")
DURATION_UNITS: Mapping[str, str] = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class _Wrong:
    """The value of what could not be read."""

    def __bool__(self) -> bool:
        return False


WRONG = _Wrong()


class Shape(Protocol):
    """What may stand at a place."""

    def read(self, node: Node, notes: Notes) -> Any:
        """Return the node's value, or WRONG with a note of what is wrong and what would be right."""


def _scalar(node: Node, notes: Notes, wanted: str) -> str | None:
    """Return the text of a scalar that says something."""
    if isinstance(node, Scalar) and not node.is_empty and node.text.strip():
        return node.text
    notes.mistake(node.place, f"is {kind_of(node)}; write {wanted}")
    return None


@frozen(eq=False, repr=False)
class Text:
    """Words for people."""

    wanted: str = "a text"

    def read(self, node: Node, notes: Notes) -> Any:
        text = _scalar(node, notes, self.wanted)
        return WRONG if text is None else text


@frozen(eq=False, repr=False)
class Name:
    """A name that entries, metrics and messages carry: lower case letters, digits and dashes."""

    reserved: tuple[str, ...] = ()

    def read(self, node: Node, notes: Notes) -> Any:
        text = _scalar(node, notes, "a name")
        if text is None:
            return WRONG
        if not NAME.fullmatch(text):
            notes.mistake(node.place, f"is {named(text)}; a name has lower case letters, digits and dashes")
            return WRONG
        if text in self.reserved:
            notes.mistake(node.place, f"{named(text)} is a name of the engine's own; choose another")
            return WRONG
        return text


@frozen(eq=False, repr=False)
class Word:
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, node: Node, notes: Notes) -> Any:
        text = _scalar(node, notes, f"one of {', '.join(self.words)}")
        if text is None:
            return WRONG
        if text not in self.words:
            notes.mistake(node.place, f"{named(text)} is not known{did_you_mean(text, self.words)}")
            return WRONG
        return text


@frozen(eq=False, repr=False)
class Number:
    """A plain decimal, as a number or as text, taken digit by digit as it is written."""

    low: Decimal
    high: Decimal
    whole: bool = False

    def read(self, node: Node, notes: Notes) -> Any:
        wanted = self.wanted
        text = _scalar(node, notes, wanted)
        if text is None:
            return WRONG
        if not NUMBER.fullmatch(text) or (self.whole and "." in text) or not self.low <= Decimal(text) <= self.high:
            spelled = json_spelling(text)
            notes.mistake(node.place, f"is {shown(text)}; write {wanted}{f', as {spelled}' if spelled else ''}")
            return WRONG
        number = Decimal(text)
        if not fits(number):
            notes.mistake(node.place, f"is {shown(text)}; at most {DIGITS_MAX} digits, written out, fit into the ledger")
            return WRONG
        return int(text) if self.whole else number or number.copy_abs()  # -0 is 0

    @property
    def wanted(self) -> str:
        """What would be right, in words."""
        return f"a {'whole number' if self.whole else 'plain decimal'} from {_bound(self.low)} to {_bound(self.high)}"


def _bound(number: Decimal) -> str:
    """Return a bound as a message shows it: nobody counts 28 zeros."""
    text = f"{number:f}"
    return re.sub(r"(?<![0-9])10{12,}(?![0-9])", lambda power: f"10^{len(power[0]) - 1}", text)


class Instant:
    """A point in time with its zone."""

    def read(self, node: Node, notes: Notes) -> Any:
        wanted = "an instant with its zone, like 2026-07-01T00:00:00Z"
        text = _scalar(node, notes, wanted)
        if text is None:
            return WRONG
        instant = read_instant(text)
        if instant is None:
            notes.mistake(node.place, f"is {shown(text)}; write {wanted}")
            return WRONG
        return instant


class Duration:
    """A length of time: a whole number and its unit."""

    def read(self, node: Node, notes: Notes) -> Any:
        wanted = "a length of time, like 30m, 36h or 7d"
        text = _scalar(node, notes, wanted)
        if text is None:
            return WRONG
        match = DURATION.fullmatch(text)
        if not match:
            notes.mistake(node.place, f"is {shown(text)}; write {wanted}")
            return WRONG
        count, unit = match.groups()
        return timedelta(**{DURATION_UNITS[unit]: int(count)})


@frozen(eq=False, repr=False)
class Expression:
    """JMESPath over the envelope (or, in a catch-up, over the row). ``wanted`` is what it has to find: a string, a number."""

    wanted: str | None = None

    def read(self, node: Node, notes: Notes) -> Any:
        text = _scalar(node, notes, "a JMESPath expression, like detail.jobId")
        if text is None:
            return WRONG
        try:
            path = compile_path(text)
        except PolicyError as error:
            notes.mistake(node.place, error.mistakes[0].message)
            return WRONG
        if self.wanted is not None and (problem := path.misfit(self.wanted)):
            notes.mistake(node.place, problem)
            return WRONG
        return path


FINDS_ANYTHING, FINDS_TEXT, FINDS_NUMBER = Expression(), Expression("string"), Expression("number")


def _read_as(subject: str, shape: Shape, node: Node, notes: Notes) -> Any:
    """Read a value; mistakes in it are told of ``subject``."""
    outer, notes.subject = notes.subject, subject
    value = shape.read(node, notes)
    notes.subject = outer
    return value


def _nothing_more(_values: Any, _node: Any, _notes: Notes) -> None:
    pass


def _each_by_itself(values: Sequence[Any], _notes: Notes) -> Sequence[Any]:
    return values


@frozen(eq=False, repr=False)
class ListOf:
    """A list of one shape, with at least ``least`` items. ``check`` notes what is wrong between items; some may be WRONG.

    ``link`` returns the items in the light of each other, and may note what is wrong with that; some may be WRONG.
    """

    item: Shape
    least: int = 1
    check: Callable[[Sequence[Any], Items, Notes], None] = _nothing_more
    link: Callable[[Sequence[Any], Notes], Sequence[Any]] = _each_by_itself

    def read(self, node: Node, notes: Notes) -> Any:
        if not isinstance(node, Items):
            notes.mistake(node.place, f"is {kind_of(node)}; write a list")
            return WRONG
        if len(node.nodes) < self.least:
            notes.mistake(node.place, f"has {len(node.nodes)} items; write at least {self.least}")
            return WRONG
        item = f"an item of {notes.subject}" if notes.subject else ""
        values = [_read_as(item, self.item, one, notes) for one in node.nodes]
        self.check(values, node, notes)
        linked = self.link(values, notes)
        return WRONG if any(value is WRONG for value in linked) else tuple(linked)


@frozen(eq=False, repr=False)
class MapOf:
    """A mapping from names of the author's own to one shape, with at least ``least`` of them."""

    value: Shape
    least: int = 1

    def read(self, node: Node, notes: Notes) -> Any:
        if not isinstance(node, Members) or len(node.pairs) < self.least:
            notes.mistake(node.place, f"is {'empty' if isinstance(node, Members) else kind_of(node)}; write a mapping")
            return WRONG
        values = {key.text: _read_as(named(key.text), self.value, value, notes) for key, value in node.pairs}
        return WRONG if any(value is WRONG for value in values.values()) else values


@frozen(eq=False, repr=False)
class ByKind:
    """One shape for a scalar, one for a list, one for a mapping; what has no shape may not stand there."""

    wanted: str
    scalar: Shape | None = None
    items: Shape | None = None
    members: Shape | None = None

    def read(self, node: Node, notes: Notes) -> Any:
        shape = {Scalar: self.scalar, Items: self.items, Members: self.members}[type(node)]
        if shape is None:
            notes.mistake(node.place, f"is {kind_of(node)}; write {self.wanted}")
            return WRONG
        return shape.read(node, notes)

    def shapes(self) -> tuple[Shape, ...]:
        """Return the shapes that may stand there."""
        return tuple(shape for shape in (self.scalar, self.items, self.members) if shape)


_REQUIRED: Any = object()


@frozen(eq=False, repr=False)
class Key:
    """What a key of a mapping holds. A key without a default must be there."""

    shape: Shape
    default: Any = _REQUIRED

    @property
    def is_required(self) -> bool:
        return self.default is _REQUIRED


Build = Callable[[Mapping[str, Any], Members, Notes], Any]
"""Makes a value of a mapping's values; may note a mistake and return WRONG. Called only when every value was read."""

Check = Callable[[Mapping[str, Any], Members, Notes], None]
"""Notes what is wrong between a mapping's values. A value may be WRONG, and one that must be there may be missing."""


def _as_it_is(values: Mapping[str, Any], _node: Members, _notes: Notes) -> Any:
    return values


@frozen(eq=False, repr=False)
class Keys:
    """A mapping with known keys."""

    keys: Mapping[str, Key]
    build: Build = _as_it_is
    check: Check = _nothing_more
    or_amount: tuple[str, ...] = ()
    """For the schema: these keys must be there, or ``amount`` and no other."""

    def read(self, node: Node, notes: Notes) -> Any:
        if not isinstance(node, Members):
            notes.mistake(node.place, f"is {kind_of(node)}; write a mapping with {', '.join(self.keys)}")
            return WRONG
        values = {**self._defaults(), **self._present(node, notes)}
        self.check(values, node, notes)
        is_whole = self._all_there(node, notes) and not any(value is WRONG for value in values.values())
        return self.build(values, node, notes) if is_whole else WRONG

    def _defaults(self) -> dict[str, Any]:
        return {name: key.default for name, key in self.keys.items() if not key.is_required}

    def _present(self, node: Members, notes: Notes) -> dict[str, Any]:
        values = {}
        for name, value in node.pairs:
            if name.text in self.keys:
                values[name.text] = _read_as(named(name.text), self.keys[name.text].shape, value, notes)
            else:
                notes.mistake(name.place, unknown_key(name.text, self.keys))
        return values

    def _all_there(self, node: Members, notes: Notes) -> bool:
        missing = [name for name, key in self.keys.items() if key.is_required and node.get(name) is None]
        glued = {key.text.partition(":")[0] for key, _ in node.pairs}
        unsaid = [name for name in missing if name not in glued]
        if unsaid:
            notes.mistake(node.place, f"`{'`, `'.join(unsaid)}` {'is' if len(unsaid) == 1 else 'are'} missing")
        return not missing


__all__ = [
    "WRONG",
    "ByKind",
    "Duration",
    "Expression",
    "Instant",
    "Key",
    "Keys",
    "ListOf",
    "MapOf",
    "Name",
    "Number",
    "Shape",
    "Text",
    "Word",
    "did_you_mean",
    "kind_of",
]
