"""What two policies look at in an event, so that two events which are alike there cost the same under both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from attrs import frozen

from engine.domain.fact_kinds import PRICED
from engine.policy.detectors import Frequency
from engine.policy.expressions.own_row import is_asked_of_itself, looks
from engine.policy.expressions.paths import PLAIN, WITH_FALLBACK, Path
from engine.policy.model import NOTHING_READ, Fields, Policy
from engine.policy.patterns import Field
from engine.policy.patterns.leaves import LeafTest, compile_tests

type Names = tuple[str, ...]
"""A way through objects: ``detail.seconds`` is ``("detail", "seconds")``."""

ALWAYS: tuple[Names, ...] = (("source",), ("detail-type",))
"""What the engine itself reads of every event, beside its id."""

TESTS_MAX = 8
"""A value that more tests ask for is taken as it is: so many policies ask of a kind of event, and of few of a name."""

OVERLAID = frozenset(kind.key for kind in PRICED)
"""What anomalies see in place of the event's own members of these names."""


@frozen(eq=False, repr=False)
class Reads:
    """What both policies look at: ``values`` as they are, of ``tested`` only what the tests of patterns say.

    ``signs`` are texts by which jobs are only counted (a user, a result). ``moments`` are the instants at which a row of a
    price book begins or ends.
    """

    fields: Fields
    values: tuple[Names, ...]
    tested: Mapping[Names, tuple[LeafTest, ...]]
    signs: tuple[Names, ...]
    patterned: frozenset[Names]
    moments: tuple[datetime, ...]

    def carries(self, frequency: Frequency) -> bool:
        """Say whether what jobs are counted by is carried as it is, and not by the effect."""
        return all(_names(path) in self.signs for path in frequency.same)


def reads_of(now: Policy, then: Policy) -> Reads | None:
    """Return what the policies look at, or None where only the engine can tell: for each event anew."""
    if now.fields != then.fields or now.own_row != NOTHING_READ or then.own_row != NOTHING_READ:
        return None
    values, signs = set[Names](ALWAYS), set[Names]()
    for path in (*_asked(now), *_asked(then)):
        if (looked := _looked_at(path)) is None:
            return None
        values |= looked
    for frequency in (*_frequencies(now), *_frequencies(then)):
        told = _signs_of(frequency)
        if told is None and (told := _values_of(frequency)) is None:
            return None
        (signs if _signs_of(frequency) is not None else values).update(told)
    tests = _tests(now, then)
    values |= {names for names, asked in tests.items() if len(asked) > TESTS_MAX}
    return Reads(
        fields=now.fields,
        values=tuple(sorted(values)),
        tested={names: tuple(map(compile_tests, asked)) for names, asked in sorted(tests.items()) if names not in values},
        signs=tuple(sorted(signs)),
        patterned=frozenset(tests),
        moments=tuple(sorted({*moments_of(now), *moments_of(then)})),
    )


def _asked(policy: Policy) -> Iterator[Path]:
    """Yield the expressions that an event's fact follows from. Samples play no part: nothing usual is at hand."""
    if policy.fields.attempt is not None:
        yield policy.fields.attempt
    for rule in policy.rules:
        yield from rule.terms.paths()


def _frequencies(policy: Policy) -> Iterator[Frequency]:
    yield from (rule.detector for rule in policy.anomalies if isinstance(rule.detector, Frequency))


def _signs_of(frequency: Frequency) -> set[Names] | None:
    """Return the plain ways to what jobs are counted by, where all of it stands in the event itself."""
    ways = [_names(path) for path in frequency.same]
    return None if any(names is None or names[0] in OVERLAID for names in ways) else {names for names in ways if names}


def _values_of(frequency: Frequency) -> set[Names] | None:
    looked = [_looked_at(path) for path in frequency.same]
    return None if None in looked else set[Names]().union(*(names for names in looked if names))


def _names(path: Path) -> Names | None:
    return tuple(path.text.split(".")) if PLAIN.fullmatch(path.text) else None


def _looked_at(path: Path) -> set[Names] | None:
    """Return the ways by which an expression looks into an event, or None where it may look at all of it."""
    if (names := _names(path)) is not None:
        return {names}
    if (match := WITH_FALLBACK.fullmatch(path.text)) is not None:
        return {tuple(match["path"].split("."))}
    if is_asked_of_itself(path):
        return None
    ways = [_named_part(names) for names in looks(path)]
    return None if () in ways else set(ways)


def _named_part(names: Names) -> Names:
    """Return a way up to where it goes on by something else than a name: a list stands there, which no reduction carries."""
    return names[: names.index("")] if "" in names else names


def _tests(now: Policy, then: Policy) -> dict[Names, dict[tuple[Any, ...], None]]:
    """Return the tests of each field that a pattern names; each list of tests once."""
    tests: dict[Names, dict[tuple[Any, ...], None]] = {}
    for field in (*_fields(now), *_fields(then)):
        tests.setdefault(tuple(field.name.split(".")), {})[field.tests] = None
    return tests


def _fields(policy: Policy) -> Iterator[Field]:
    for matches in (*(rule.matches for rule in policy.rules), *(rule.matches for rule in policy.anomalies)):
        for branch in matches.parsed.branches:
            yield from branch.fields


def moments_of(policy: Policy) -> Iterator[datetime]:
    """Yield the instants at which rows of price books begin or end."""
    for book in policy.prices.values():
        for row in book.rows:
            yield row.effective
            if row.until is not None:
                yield row.until
