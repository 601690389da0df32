"""From an event to its reduction: all that two policies look at in it, and nothing else, as a key."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

from engine.domain.instants import read_instant
from engine.domain.texts import CHARACTERS_MAX
from engine.policy.expressions.paths import Path, PathProblem
from engine.policy.patterns.leaves import LeafTest
from engine.preview.planning.reads import Names, Reads
from engine.rating.assess import IDENTIFIER_CHARACTERS_MAX
from engine.rating.detectors import sign_text

type Document = dict[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS = 1_000_000
DAY = 86_400


class Missing(Enum):
    """What stands for a member that is not there: null is one that is there."""

    MISSING = "no such member"


MISSING = Missing.MISSING
NUMBERS = frozenset({int, Decimal, bool, type(None)})
"""Of these the class belongs to the value: true, 1 and 1.0 are equal to Python, and none is the other to a policy."""


class Uncarried(Exception):
    """A reduction cannot carry this event: the engine has to be asked."""


class Reduced(NamedTuple):
    """An event without what makes no difference: ``key`` is all that its effect follows from.

    ``job``, ``reference`` and ``user`` are what it names, ``at`` is its time in microseconds since 1970, ``texts`` are what
    jobs are counted by, in the order of ``Reads.signs``.
    """

    key: tuple[Any, ...]
    job: str | None
    reference: str | None
    user: str | None
    at: int
    id: str | None
    texts: tuple[str, ...]


type Level = tuple[int, str, tuple[str, ...], frozenset[str]]
"""An object on the way: the object that it stands in, its name there, the members that are looked at, keys that wind it."""


class Reducer:
    """Reduces events. A plain class, like what it makes: both stand in the innermost loop."""

    def __init__(self, reads: Reads) -> None:
        self.fields = reads.fields
        self.levels, places = _levels(reads)
        self.values = [places[names] for names in reads.values]
        self.tested = [(places[names], _single(tests), tests) for names, tests in reads.tested.items()]
        self.signs = [places[names] for names in reads.signs]
        self.moments = reads.moments

    def reduce(self, document: Document) -> Reduced:
        """Return the reduction of an event as ``lines.decoded`` gives it. Raises Uncarried."""
        found = self._read(document)
        at = self._instant(document)
        job, user = _identifier(self.fields.job, document), _identifier(self.fields.user, document)
        reference = None if self.fields.reference is None else _identifier(self.fields.reference, document)
        key: list[Any] = [job is None, user is None, reference is None, -1 if at is None else bisect_right(self.moments, at)]
        for place in self.values:
            value = found[place]
            if value.__class__ is str or value is MISSING:
                key.append(value)
            elif value.__class__ in NUMBERS:
                key.append((value.__class__, value))
            else:
                raise Uncarried
        for place, accepts_string, tests in self.tested:
            leaf = found[place]
            key.append(accepts_string(leaf) if leaf.__class__ is str and accepts_string is not None else _answers(leaf, tests))
        texts = tuple([_text(found[place]) for place in self.signs])
        key += [text == "" for text in texts]
        return Reduced(tuple(key), job, reference, user, 0 if at is None else microseconds(at), _id(document), texts)

    def _read(self, document: Document) -> list[Any]:
        """Return what stands at each place that is looked at."""
        nodes: list[Document] = []
        found: list[Any] = []
        for above, name, members, winding in self.levels:
            node = nodes[above].get(name, MISSING) if nodes else document
            if node.__class__ is not dict:
                if node is not MISSING:
                    raise Uncarried
                node = NOTHING
            if winding and not winding.isdisjoint(node):
                raise Uncarried
            nodes.append(node)
            find = node.get
            found += [find(member, MISSING) for member in members]
        return found

    def _instant(self, document: Document) -> datetime | None:
        value = _searched(self.fields.time, document)
        if value is None:
            return None
        if (instant := read_instant(value)) is None:
            raise Uncarried
        return instant


NOTHING: Document = {}


def microseconds(instant: datetime) -> int:
    """Return an instant in UTC as microseconds since 1970."""
    since = instant - EPOCH
    return (since.days * DAY + since.seconds) * MICROSECONDS + since.microseconds


def _searched(path: Path, document: Document) -> Any:
    try:
        return path.search(document)
    except PathProblem as problem:
        raise Uncarried from problem


def _identifier(path: Path, document: Document) -> str | None:
    """Return what an event names; None where it names nothing. What an error would have to quote is left to the engine."""
    value = _searched(path, document)
    if value is None:
        return None
    if value.__class__ is not str or not 1 <= len(value) <= IDENTIFIER_CHARACTERS_MAX:
        raise Uncarried
    if not (value.isascii() and value.isprintable()):
        raise Uncarried
    return value


def _id(document: Document) -> str | None:
    value = document.get("id")
    if value.__class__ is not str:
        return None
    if len(value) > CHARACTERS_MAX or not value.isascii():
        raise Uncarried
    return value


def _text(value: Any) -> str:
    if value.__class__ is str:
        return value
    return "" if value is MISSING else sign_text(value)


def _single(tests: Sequence[LeafTest]) -> Callable[[str], bool] | None:
    """Return what a single list of tests says of a text: no answer of it is equal to one about anything else."""
    return tests[0].accepts_string if len(tests) == 1 else None


def _answers(leaf: Any, tests: Sequence[LeafTest]) -> tuple[bool, ...]:
    """Return what each list of tests says of a leaf."""
    if leaf.__class__ is str:
        return tuple([test.accepts_string(leaf) for test in tests])
    if leaf is MISSING:
        return tuple([test.absent for test in tests])
    if leaf.__class__ not in NUMBERS:
        raise Uncarried
    return tuple([test.accepts(leaf) for test in tests])


def _levels(reads: Reads) -> tuple[list[Level], dict[Names, int]]:
    """Return the objects to look at, each behind the one that it stands in, and the places of what is found there."""
    looked_at = sorted({*reads.values, *reads.tested, *reads.signs})
    parents = sorted(
        {names[:depth] for names in looked_at for depth in range(len(names))}, key=lambda names: (len(names), names)
    )
    levels: list[Level] = []
    places: dict[Names, int] = {}
    for parent in parents:
        members = tuple(names[-1] for names in looked_at if names[:-1] == parent)
        places |= {(*parent, member): len(places) + at for at, member in enumerate(members)}
        above = parents.index(parent[:-1]) if parent else 0
        levels.append((above, parent[-1] if parent else "", members, _winding(parent, reads.patterned)))
    return levels, places


def _winding(parent: Names, patterned: frozenset[Names]) -> frozenset[str]:
    """Return the keys with dots by which a pattern would find another way from an object."""
    below = [names[len(parent) :] for names in patterned if names[: len(parent)] == parent]
    return frozenset(".".join(names[:count]) for names in below for count in range(2, len(names) + 1))
