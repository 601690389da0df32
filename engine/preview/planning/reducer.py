"""The reducer of two policies: one function, whose source is written for them.

What to look at, and how, is asked once and not of each event anew: a loop over tables of the same took three times as long
(docs/decisions/0030).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from engine.domain.texts import CHARACTERS_MAX
from engine.policy.expressions.paths import PLAIN, Path
from engine.policy.patterns.leaves import LeafTest
from engine.preview.planning import reduction
from engine.preview.planning.reads import Names, Reads
from engine.preview.planning.reduction import Document, Instants, Reduced, microseconds
from engine.rating.assess import IDENTIFIER_CHARACTERS_MAX

type Reducer = Callable[[Document], Reduced]
"""Reduces an event as ``lines.quickly_decoded`` gives it. Raises Uncarried."""


def reducer_of(reads: Reads) -> Reducer:
    """Return the reducer of what two policies look at."""
    writer = _Writer(reads)
    exec(compile(writer.source(), "<reducer>", "exec"), writer.given)  # noqa: S102  what a policy names is quoted in it by ``repr``
    reducer: Reducer = writer.given["reduce"]
    return reducer


GIVEN = ("uncarried", "searched", "identifier", "id_of", "answers", "text_of", "CARRIED", "MISSING", "GONE")
"""What a reducer asks ``reduction`` for."""

IDENTIFIERS = ("job", "reference", "user")
ID = ("id",)


class _Writer:
    """Writes a reducer. Each member that anything asks for is looked up once, as a variable of its own."""

    def __init__(self, reads: Reads) -> None:
        self.reads, fields = reads, reads.fields
        asked = {"job": fields.job, "reference": fields.reference, "user": fields.user, "time": fields.time}
        self.asked: dict[str, Path] = {name: path for name, path in asked.items() if path is not None}
        self.ways = {name: _names(path) for name, path in self.asked.items()}
        plain = (names for names in self.ways.values() if names is not None)
        self.looked_at: list[Names] = sorted({*reads.values, *reads.tested, *reads.signs, *plain, ID})
        self.objects = sorted({names[:depth] for names in self.looked_at for depth in range(len(names))}, key=_outer_first)
        self.given: dict[str, Any] = {name: getattr(reduction, name) for name in GIVEN}
        self.given |= {"row_of": bisect_right, "MOMENTS": [*map(microseconds, reads.moments)], "instant": Instants().read}

    def source(self) -> str:
        """Return the source of a function ``reduce``."""
        lines = [line for place, names in enumerate(self.objects) for line in self._object(place, names)]
        lines += [*self._identifiers(), *self._time()]
        signs = [f"text{place}" for place in range(len(self.reads.signs))]
        lines += [f"{sign} = {_text(self._variable(names))}" for sign, names in zip(signs, self.reads.signs, strict=True)]
        parts = [f"part{place}" for place in range(len(self.objects))]
        key = [*(f"{name} is None" for name in IDENTIFIERS), "row", *parts, *(f"not {sign}" for sign in signs)]
        lines.append(f"return {_tuple(key)}, job, reference, user, at, {_id(self._variable(ID))}, {_tuple(signs)}")
        return "\n    ".join(["def reduce(document):", *lines])

    def _variable(self, names: Names) -> str:
        return f"value{self.looked_at.index(names)}"

    def _object(self, place: int, names: Names) -> Iterator[str]:
        """Write how an object is found, what is looked up in it, and its part of the key."""
        node, members = f"node{place}", [each for each in self.looked_at if each[:-1] == names]
        yield f"{node} = {self._found(names)}"
        yield f"if {node}.__class__ is dict:"
        yield f"    {self._not_winding(node, names)}"
        yield from (f"    {self._variable(each)} = {node}.get({each[-1]!r}, MISSING)" for each in members)
        yield f"    part{place} = {_tuple([part for each in members for part in self._parts(each)])}"
        yield f"elif {node} is GONE: {' = '.join([*map(self._variable, members), f'part{place}'])} = GONE"
        yield "else: uncarried()"

    def _parts(self, names: Names) -> Iterator[str]:
        """Write what of a member is in the key."""
        value = self._variable(names)
        if names in self.reads.values:
            yield f"{value}.__class__ if {value}.__class__ in CARRIED else uncarried()"
            yield value
        elif names in self.reads.tested:
            yield self._tested(value, self.reads.tested[names])

    def _tested(self, value: str, tests: Sequence[LeafTest]) -> str:
        self.given[f"TESTS_{value}"] = tests
        if len(tests) > 1:
            return f"answers({value}, TESTS_{value})"
        self.given[f"ACCEPTS_{value}"] = tests[0].accepts_string
        return f"ACCEPTS_{value}({value}) if {value}.__class__ is str else answers({value}, TESTS_{value})"

    def _found(self, names: Names) -> str:
        if not names:
            return "document"
        above = f"node{self.objects.index(names[:-1])}"
        return f"GONE if {above} is GONE else {above}.get({names[-1]!r}, GONE)"

    def _not_winding(self, node: str, names: Names) -> str:
        """Write that no key with dots may stand in an object, by which a pattern would find another way."""
        below = [each[len(names) :] for each in self.reads.patterned if each[: len(names)] == names]
        winding = frozenset(".".join(each[:count]) for each in below for count in range(2, len(each) + 1))
        self.given[f"WINDING_{node}"] = winding
        return f"WINDING_{node}.isdisjoint({node}) or uncarried()" if winding else "pass"

    def _identifiers(self) -> Iterator[str]:
        for name in IDENTIFIERS:
            yield f"{name} = {self._field(name)}"
            usual = f"{name}.__class__ is str and 0 < len({name}) <= {IDENTIFIER_CHARACTERS_MAX}"
            yield f"if {name} is MISSING: {name} = None"
            yield f"elif not ({usual} and {name}.isascii() and {name}.isprintable()): {name} = identifier({name})"

    def _time(self) -> Iterator[str]:
        yield f"at = instant({self._field('time')})"
        yield "row = -1 if at is None else row_of(MOMENTS, at)"
        yield "at = at or 0"

    def _field(self, name: str) -> str:
        """Write where a field of the policies stands: a variable, or a search where its expression is no plain way."""
        if name not in self.asked:
            return "None"
        if (names := self.ways[name]) is not None:
            return self._variable(names)
        self.given[f"PATH_{name}"] = self.asked[name]
        return f"searched(PATH_{name}, document)"


def _text(value: str) -> str:
    return f"{value} if {value}.__class__ is str else text_of({value})"


def _id(value: str) -> str:
    usual = f"{value}.__class__ is str and len({value}) <= {CHARACTERS_MAX} and {value}.isascii()"
    return f"{value} if {usual} else id_of({value})"


def _tuple(parts: Sequence[str]) -> str:
    return f"({''.join(f'{part}, ' for part in parts)})"


def _names(path: Path) -> Names | None:
    return tuple(path.text.split(".")) if PLAIN.fullmatch(path.text) else None


def _outer_first(names: Names) -> tuple[int, Names]:
    return len(names), names
