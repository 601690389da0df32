"""Which attributes of a job's row a policy can look at: what a scan must fetch, or a read of the job's own row; no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.policy.expressions.own_row import own_row_attributes
from engine.policy.expressions.paths import PLAIN, ROW, Path
from engine.policy.model import Policy


def row_attributes(policy: Policy) -> frozenset[str] | None:
    """Return the attributes of a row of Jobs that a policy can look at, or None where that cannot be told.

    Where repeats are ignored it is all of them: a row repeats a charge only if it says what another policy has asked.
    """
    if any(rule.ignores_repeats for rule in policy.rules):
        return None
    looks = [*_at_paths(policy), *_at_patterns(policy)]
    return None if None in looks else frozenset({"jobId", "status"}).union(*(look or () for look in looks))


def own_row(policy: Policy) -> frozenset[str] | None:
    """Return the attributes that a policy reads of the job's own row by ``row``, or None for all of them."""
    reads = [own_row_attributes(path) for path in _asked_of_events(policy)]
    return None if None in reads else frozenset().union(*(read or () for read in reads))


def _asked_of_events(policy: Policy) -> Iterator[Path]:
    """Yield the expressions that can read ``row``."""
    fields = policy.fields
    of_events = fields.job, fields.user, fields.time, fields.reference, fields.attempt
    yield from (path for path in of_events if path is not None)
    yield from (path for rule in policy.rules for path in rule.terms.paths())


def _at_paths(policy: Policy) -> Iterator[frozenset[str] | None]:
    for path in _asked_of_events(policy):
        yield expression_attributes(path)
        yield own_row_attributes(path)
    yield from (expression_attributes(path) for detector in policy.detectors for path in detector.paths())


def _at_patterns(policy: Policy) -> Iterator[frozenset[str] | None]:
    yield from (pattern_attributes(rule.pattern) for rule in policy.rules)
    yield from (pattern_attributes(anomaly.pattern) for anomaly in policy.anomalies)
    for catch_up in policy.catch_up:
        yield pattern_attributes({ROW: catch_up.pattern})
        yield time_attributes(catch_up.time)


def expression_attributes(path: Path) -> frozenset[str] | None:
    """Return the row's attributes that a JMESPath over the envelope can look at, or None where that cannot be told."""
    return path.row_attributes()


def time_attributes(path: Path) -> frozenset[str] | None:
    """Return the row's attributes that a JMESPath over the row itself can look at, or None where that cannot be told."""
    return frozenset({path.text.split(".")[0]}) if PLAIN.fullmatch(path.text) else None


def pattern_attributes(pattern: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the row's attributes that an event pattern can look at, or None where it looks at the row as a whole."""
    names: set[str] = set()
    for key, value in pattern.items():
        if key == "$or" and isinstance(value, list):
            alternatives = [pattern_attributes(alternative) for alternative in value if isinstance(alternative, Mapping)]
            if None in alternatives:
                return None
            names.update(*(alternative or () for alternative in alternatives))
        elif key == ROW:
            if not isinstance(value, Mapping):
                return None
            names.update(_members(value))
        elif key.startswith(f"{ROW}."):
            names.update(_spellings(key.removeprefix(f"{ROW}.")))
    return frozenset(names)


def _members(pattern: Mapping[str, Any]) -> Iterator[str]:
    """Yield the first steps of all fields of a pattern below the row."""
    for key, value in pattern.items():
        if key == "$or" and isinstance(value, list):
            for alternative in value:
                if isinstance(alternative, Mapping):
                    yield from _members(alternative)
        else:
            yield from _spellings(key)


def _spellings(key: str) -> tuple[str, str]:
    """A dotted key may be a path, or the name of one attribute with a dot in it."""
    return key, key.split(".", maxsplit=1)[0]
