"""Whether the events that a policy waits for are delivered, and whether a rule takes what is delivered.

A rule of EventBridge lets through what has one of its sources *and* one of its detail-types (parameters ``EventSources`` and
``EventDetailTypes``). A policy may ask for more than these two fields; here only they count, by the matcher of the hot path.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from attrs import frozen

from engine.domain.errors import Mistake, PolicyError
from engine.policy.model import AnomalyRule, Policy, Rule
from engine.policy.patterns import Branch, Exact, Exists, Pattern, Predicate, compile_parsed
from engine.policy.source import LINE_BREAK, Notes, Place, named

PARAMETERS: Mapping[str, str] = {"source": "EventSources", "detail-type": "EventDetailTypes"}
"""Which parameter of the stack holds the values of a field, in the order of a pair."""

PATTERN_CHARACTERS_MAX = 2048
"""EventBridge's quota for an event pattern; a rule with a longer one cannot be made."""

Pair = tuple[str, str]
"""A source and a detail-type."""


@frozen
class Delivery:
    """The pairs that reach the function."""

    pairs: frozenset[Pair]

    @classmethod
    def of(cls, sources: Iterable[str], detail_types: Iterable[str]) -> Delivery:
        """Return what a rule with these lists delivers: each source with each detail-type."""
        return cls(frozenset(product(sources, detail_types)))

    @classmethod
    def read(cls, text: str) -> Delivery:
        """Return what ``SOURCE/DETAIL-TYPE,...`` says; the last ``/`` of a part separates. Raises PolicyError."""
        parts = [part.strip() for part in text.split(",")]
        pairs = [tuple(side.strip() for side in part.rpartition("/")[::2]) for part in parts]
        for part, pair in zip(parts, pairs, strict=True):
            if not all(pair):
                raise PolicyError.of(f"`{part}` is no SOURCE/DETAIL-TYPE; write for example video.generation/video.rendered")
        return cls(frozenset((source, detail_type) for source, detail_type in pairs))

    def values(self, field: str) -> list[str]:
        """Return the values of a field, each once, in the order of their names."""
        return sorted({pair[tuple(PARAMETERS).index(field)] for pair in self.pairs})

    @property
    def is_whole(self) -> bool:
        """Say whether each source comes with each detail-type, as a rule's two lists deliver them."""
        return len(self.pairs) == len(self.values("source")) * len(self.values("detail-type"))

    def pattern_characters(self) -> int:
        """Return the length of the event pattern that lists these values."""
        return len(json.dumps({field: self.values(field) for field in PARAMETERS}, separators=(",", ":"), ensure_ascii=False))


def delivery_warnings(policy: Policy, text: str | bytes, file: str, delivery: Delivery) -> tuple[Mistake, ...]:
    """Return what a policy waits for in vain under a delivery, with its line in ``text``, and what is delivered to no rule."""
    notes = Notes(file, LINE_BREAK.split(text.decode("utf-8-sig") if isinstance(text, bytes) else text))
    parts: tuple[Rule | AnomalyRule, ...] = (*policy.rules, *policy.anomalies)
    waiting = [_Waiting.of(part, delivery) for part in parts if part.pattern]
    wanted = {field: _wanted(field, waiting, delivery) for field in PARAMETERS}
    told_by_scan = {(part.source, part.detail_type) for part in policy.catch_up} - delivery.pairs
    for one in waiting:
        if not one.taken or any(one.missing.values()):
            notes.warning(one.place(notes.lines), one.message(wanted, told_by_scan))
    return (*notes.warnings, *_untaken(policy, delivery, file), *_too_long(delivery, file))


# --- rules that wait in vain ------------------------------------------------------------------------------------------


@frozen
class _Waiting:
    """A rule or an anomaly, the delivered pairs that it takes, and the values it names that are not delivered, by field."""

    part: Rule | AnomalyRule
    asked: tuple[_Asked, ...]
    taken: frozenset[Pair]
    missing: Mapping[str, list[str]]

    @classmethod
    def of(cls, part: Rule | AnomalyRule, delivery: Delivery) -> _Waiting:
        asked = _asked(part)
        taken = frozenset(pair for pair in delivery.pairs if any(one.takes(pair) for one in asked))
        return cls(part, asked, taken, {field: _missing(field, asked, delivery) for field in PARAMETERS})

    def place(self, lines: list[str]) -> Place:
        if isinstance(self.part, Rule):
            return Place(self.part.line, self.part.column)
        line = lines[self.part.line - 1]
        return Place(self.part.line, len(line) - len(line.lstrip(" -")) + 1)

    def message(self, wanted: Mapping[str, list[str]], told_by_scan: Iterable[Pair]) -> str:
        what = "does not get every event that it names" if self.taken else "waits for events that are not delivered"
        settings = [f"{PARAMETERS[field]}={','.join(wanted[field])}" for field, values in self.missing.items() if values]
        mend = f"set {' and '.join(settings)}" if settings else "no source comes with a detail-type that its `match` takes"
        scanned = any(one.takes(pair) for one in self.asked for pair in told_by_scan)
        return f"{named(self.part.name)} {what}: {mend}" + ("; until then the scan alone tells of them" if scanned else "")


def _missing(field: str, asked: Iterable[_Asked], delivery: Delivery) -> list[str]:
    """Return the exact values of a field that are asked for and not delivered, in the order of the pattern."""
    delivered = delivery.values(field)
    return list(dict.fromkeys(value for one in asked for value in one.exact[field] if value not in delivered))


def _wanted(field: str, waiting: Iterable[_Waiting], delivery: Delivery) -> list[str]:
    """Return what a parameter should list: the delivered values that something names or takes, then what is missing."""
    named_here = {value for one in waiting for asked in one.asked for value in asked.exact[field]}
    taken = {pair for one in waiting if any(asked.pins for asked in one.asked) for pair in one.taken}
    at = tuple(PARAMETERS).index(field)
    kept = [value for value in delivery.values(field) if value in named_here or any(pair[at] == value for pair in taken)]
    return list(dict.fromkeys([*kept, *(value for one in waiting for value in one.missing[field])]))


@frozen
class _Asked:
    """What one branch of a pattern asks of source and detail-type: a predicate, and the plain texts among its tests."""

    matches: Predicate
    exact: Mapping[str, tuple[str, ...]]
    pins: bool

    @classmethod
    def of(cls, branch: Branch) -> _Asked:
        fields = tuple(field for field in branch.fields if field.name in PARAMETERS)
        tests = {field.name: field.tests for field in fields}
        texts = {name: tuple(_texts(tests.get(name, ()))) for name in PARAMETERS}
        pins = any(test != Exists(present=True) for found in tests.values() for test in found)
        return cls(compile_parsed(Pattern((Branch(fields),))), texts, pins)

    def takes(self, pair: Pair) -> bool:
        return self.matches(dict(zip(PARAMETERS, pair, strict=True)))


def _asked(part: Rule | AnomalyRule) -> tuple[_Asked, ...]:
    return tuple(map(_Asked.of, part.matches.parsed.branches))


def _texts(tests: Iterable[Any]) -> Iterator[str]:
    yield from (test.value for test in tests if isinstance(test, Exact) and isinstance(test.value, str))


# --- events that nobody takes -----------------------------------------------------------------------------------------


def _untaken(policy: Policy, delivery: Delivery, file: str) -> Iterator[Mistake]:
    """A flag rule that names neither source nor detail-type marks events that others decide; it takes none of its own."""
    asked = [one for rule in policy.rules for one in _asked(rule) if rule.decides or one.pins]
    taken = {pair for pair in delivery.pairs if any(one.takes(pair) for one in asked)}
    for pair in sorted(delivery.pairs - taken):
        if not (delivery.is_whole and _comes_along(pair, taken)):
            what = f"{pair[0]}/{pair[1]} is delivered, and no rule takes it: such events are counted as ignored"
            yield Mistake(what, file=file)


def _comes_along(pair: Pair, taken: Iterable[Pair]) -> bool:
    """Say whether a pair is there only because two lists multiply: others need its source, and others its detail-type."""
    return all(any(other[at] == pair[at] for other in taken) for at in (0, 1))


def _too_long(delivery: Delivery, file: str) -> Iterator[Mistake]:
    length = delivery.pattern_characters()
    if length > PATTERN_CHARACTERS_MAX:
        limit = f"EventBridge takes {PATTERN_CHARACTERS_MAX} characters; name fewer values, or ask AWS for a larger quota"
        yield Mistake(f"the event pattern of what is delivered has {length} characters: {limit}", file=file)
