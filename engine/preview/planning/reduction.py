"""From an event to its reduction: all that two policies look at in it, and nothing else, as a key."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

from engine.domain.instants import read_instant
from engine.domain.texts import CHARACTERS_MAX
from engine.policy.expressions.paths import PLAIN, Path, PathProblem
from engine.policy.patterns.leaves import LeafTest
from engine.preview.planning.reads import Names, Reads
from engine.rating.assess import IDENTIFIER_CHARACTERS_MAX
from engine.rating.detectors import sign_text

type Document = dict[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS = 1_000_000
DAY = 86_400


class Missing(Enum):
    """What stands in a key for what is not there: null is something that is there."""

    MEMBER = "no such member"
    OBJECT = "no object that members are looked for in"


MISSING, GONE = Missing.MEMBER, Missing.OBJECT
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


type Tests = tuple[LeafTest, ...] | None
"""The lists of tests that patterns have for a member; None for one that is taken as it is."""


class Level(NamedTuple):
    """An object on the way: which object it stands in, its name there, and what is looked at in it.

    ``winding`` are keys with dots by which a pattern would find another way. ``signs`` are members by which jobs are counted.
    """

    above: int
    name: str
    winding: frozenset[str]
    members: tuple[tuple[str, Tests], ...]
    signs: tuple[tuple[str, int], ...]


class Reducer:
    """Reduces events. A plain class, like what it makes: both stand in the innermost loop."""

    def __init__(self, reads: Reads) -> None:
        fields = reads.fields
        self.job, self.user, self.time = _way(fields.job), _way(fields.user), _way(fields.time)
        self.reference = _way(fields.reference) if fields.reference is not None else _nothing
        self.levels = _levels(reads)
        self.unsigned = [""] * len(reads.signs)
        self.moments = reads.moments

    def reduce(self, document: Document) -> Reduced:
        """Return the reduction of an event as ``lines.quickly_decoded`` gives it. Raises Uncarried."""
        at = self._instant(document)
        job, user = _identifier(self.job(document)), _identifier(self.user(document))
        reference = _identifier(self.reference(document))
        key: list[Any] = [job is None, user is None, reference is None, -1 if at is None else bisect_right(self.moments, at)]
        texts = self._look(document, key)
        return Reduced(tuple(key), job, reference, user, 0 if at is None else microseconds(at), _id(document), texts)

    def _look(self, document: Document, key: list[Any]) -> tuple[str, ...]:
        """Add to a key all that is looked at, and return the texts that jobs are counted by."""
        nodes: list[Any] = []
        texts = self.unsigned[:]
        for above, name, winding, members, signs in self.levels:
            node = document if not nodes else GONE if nodes[above] is GONE else nodes[above].get(name, GONE)
            nodes.append(node)
            if node is GONE:
                key.append(GONE)
                continue
            if node.__class__ is not dict or (winding and not winding.isdisjoint(node)):
                raise Uncarried
            for member, tests in members:
                value = node.get(member, MISSING)
                if tests is not None:
                    key.append(_answers(value, tests))
                elif value.__class__ is str or value is MISSING:
                    key.append(value)
                else:
                    key.append(_with_class(value))
            for member, place in signs:
                texts[place] = _text(node.get(member))
        key += [text == "" for text in texts]
        return tuple(texts)

    def _instant(self, document: Document) -> datetime | None:
        value = self.time(document)
        if value is None:
            return None
        if (instant := read_instant(value)) is None:
            raise Uncarried
        return instant


def microseconds(instant: datetime) -> int:
    """Return an instant in UTC as microseconds since 1970."""
    since = instant - EPOCH
    return (since.days * DAY + since.seconds) * MICROSECONDS + since.microseconds


def _way(path: Path) -> Callable[[Document], Any]:
    """Return what finds the answer of an expression; the shortest way for the plain ones that most policies have."""
    first, *others = path.text.split(".") if PLAIN.fullmatch(path.text) else [""]
    if first and len(others) <= 1:
        return partial(_below, first, others[0]) if others else lambda document: document.get(first)
    return partial(_searched, path)


def _below(first: str, second: str, document: Document) -> Any:
    node = document.get(first)
    return node.get(second) if node.__class__ is dict else None


def _searched(path: Path, document: Document) -> Any:
    try:
        return path.search(document)
    except PathProblem as problem:
        raise Uncarried from problem


def _nothing(_document: Document) -> None:
    """A policy without grants asks for no reference."""


def _identifier(value: Any) -> str | None:
    """Return what an event names; None where it names nothing. What an error would have to quote is left to the engine."""
    if value is None:
        return None
    if value.__class__ is not str or not 1 <= len(value) <= IDENTIFIER_CHARACTERS_MAX:
        raise Uncarried
    if not (value.isascii() and value.isprintable()):
        raise Uncarried
    return value


def _with_class(value: Any) -> Any:
    if value.__class__ not in NUMBERS:
        raise Uncarried
    return value.__class__, value


def _id(document: Document) -> str | None:
    value = document.get("id")
    if value.__class__ is not str:
        return None
    if len(value) > CHARACTERS_MAX or not value.isascii():
        raise Uncarried
    return value


def _text(value: Any) -> str:
    return value if value.__class__ is str else sign_text(value)


def _answers(leaf: Any, tests: Sequence[LeafTest]) -> Any:
    """Return what each list of tests says of a leaf; of a single one its answer."""
    if leaf.__class__ is str:
        return tests[0].accepts_string(leaf) if len(tests) == 1 else tuple([test.accepts_string(leaf) for test in tests])
    if leaf is MISSING:
        return tests[0].absent if len(tests) == 1 else tuple([test.absent for test in tests])
    if leaf.__class__ not in NUMBERS:
        raise Uncarried
    return tests[0].accepts(leaf) if len(tests) == 1 else tuple([test.accepts(leaf) for test in tests])


def _levels(reads: Reads) -> list[Level]:
    """Return the objects to look at, each behind the one that it stands in."""
    looked_at = sorted({*reads.values, *reads.tested, *reads.signs})
    parents = sorted(
        {names[:depth] for names in looked_at for depth in range(len(names))}, key=lambda names: (len(names), names)
    )
    return [_level(parent, parents, reads) for parent in parents]


def _level(parent: Names, parents: Sequence[Names], reads: Reads) -> Level:
    told = {**reads.tested, **dict.fromkeys(reads.values)}
    members = tuple((names[-1], tests) for names, tests in sorted(told.items(), key=itemgetter(0)) if names[:-1] == parent)
    signs = tuple((names[-1], place) for place, names in enumerate(reads.signs) if names[:-1] == parent)
    above, name = (parents.index(parent[:-1]), parent[-1]) if parent else (0, "")
    return Level(above, name, _winding(parent, reads.patterned), members, signs)


def _winding(parent: Names, patterned: frozenset[Names]) -> frozenset[str]:
    """Return the keys with dots by which a pattern would find another way from an object."""
    below = [names[len(parent) :] for names in patterned if names[: len(parent)] == parent]
    return frozenset(".".join(names[:count]) for names in below for count in range(2, len(names) + 1))
