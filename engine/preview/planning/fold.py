"""How logs end under both policies: each by the engine's own decisions, logs that are alike once."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any, NamedTuple

from attrs import evolve

from engine.domain.assessment import Assessment
from engine.domain.entry import Entry
from engine.domain.money import EXACT
from engine.policy.model import Policy
from engine.policy.shares import RefundTerms
from engine.preview.planning.effects import Effect, Effects, Sign
from engine.preview.planning.reduction import EPOCH
from engine.preview.planning.side import REFUSED, Ending, Side, Told
from engine.preview.planning.spill import AT, EFFECT, EVENT_ID, MORE, REFERENCE, USER, Record
from engine.rating.doubts import GRANT_IS_REPEATED_AFTER

ALIKE_MAX = 4
"""Logs of more events are folded one by one: no two of them are alike."""

FOLDED_MAX = 5_000
"""So many ways of ending are kept in memory."""

MICROSECOND = timedelta(microseconds=1)


RULE, MODEL = "rule", "model"
"""Groups that follow from how a log ends."""


class Line(NamedTuple):
    """An entry: of which record of its log, and what a tally asks of it.

    ``amount`` is what it moves beside what is ``held`` more or less by it: of a hold nothing, of a settled one the charge.
    """

    record: int
    type: str
    amount: Decimal
    rule: str
    model: str
    anomalies: tuple[str, ...]
    signs: tuple[Sign, ...]
    held: Decimal


class Folded:
    """How a log ends under both policies: what is the same for all logs that are alike. Compared by what it is."""

    __slots__ = ("differs", "held", "keys", "lines", "pairs", "posted", "problems", "records", "said", "signs")

    def __init__(
        self, pairs: Any, lines: tuple[tuple[Line, ...], tuple[Line, ...]], endings: tuple[Ending, Ending], problems: Any
    ) -> None:
        self.pairs: tuple[tuple[str, str], ...] = pairs
        """How each event ends now and then."""
        self.lines = lines
        posted = self.posted = (endings[0].posted, endings[1].posted)
        self.held = (endings[0].held, endings[1].held)
        self.problems: tuple[tuple[int, str], ...] = problems
        """Why events make no sense then that make sense now, by their places in the log."""
        self.differs = posted[0] != posted[1]
        self.said = tuple(format(amount, "f") for amount in posted)
        self.records = tuple(sorted({line.record for side in lines for line in side}))
        """The places of the events that have posted something."""
        self.keys = tuple(sorted({key for side in lines for line in side for key in ((RULE, line.rule), (MODEL, line.model))}))
        """The keys of rules and models under which it is counted."""
        signs = tuple(tuple(_signs(side)) for side in lines)
        self.signs = signs if signs[0] != signs[1] else (signs[0], signs[0])
        """What entries now and then are counted by: one and the same object where it is the same."""


type EntrySign = tuple[int, int, int, Sign]
"""The place of an entry's event in its log, that of the log's first entry, the entry's own in the log; a sign of it."""


def _signs(lines: Sequence[Line]) -> Iterator[EntrySign]:
    for place, line in enumerate(lines):
        yield from ((line.record, lines[0].record, place, sign) for sign in line.signs)


class Folding:
    """Folds logs."""

    def __init__(self, sides: tuple[Side, Side], effects: Effects) -> None:
        self.sides, self.effects = sides, effects
        self.known: dict[Any, Folded] = {}
        self.bounds = sorted({bound for side in sides for bound in _bounds(side.policy)})

    def alone(self, records: Iterable[Record]) -> dict[Folded, list[Record]]:
        """Return logs of one event each by how they end. This is a loop over nearly all events."""
        ends: defaultdict[Folded, list[Record]] = defaultdict(list)
        known = self.effects.by_number
        for record in records:
            effect = known.get(record[EFFECT])
            folded = effect.alone if effect is not None and record[MORE] is None else None
            ends[folded if folded is not None else self._alone(record)].append(record)
        return ends

    def together(self, logs: Iterable[list[Record]]) -> dict[Folded, list[list[Record]]]:
        """Return logs of several events, in their order, by how they end."""
        ends: defaultdict[Folded, list[list[Record]]] = defaultdict(list)
        for log in logs:
            ends[self._together(log)].append(log)
        return ends

    def _together(self, records: Sequence[Record]) -> Folded:
        effects = [self.effects.numbered(record[EFFECT]) for record in records]
        key = self._key(records, effects)
        if key is None:
            return self._folded(records, effects)
        if (folded := self.known.get(key)) is None:
            folded = self._folded(records, effects)
            if not folded.problems:  # which name their very events
                self._remember(key, folded)
        return folded

    def _remember(self, key: Any, folded: Folded) -> None:
        if len(self.known) >= FOLDED_MAX:
            self.known.clear()
        self.known[key] = folded

    def _alone(self, record: Record) -> Folded:
        effect = self.effects.numbered(record[EFFECT])
        if record[MORE] is not None and (record[MORE][0] is not None or record[MORE][1] is not None):
            return self._folded([record], [effect])
        if effect.alone is None:
            effect.alone = self._folded([record], [effect])
        return effect.alone  # type: ignore[no-any-return]

    def _key(self, records: Sequence[Record], effects: Sequence[Effect]) -> Any:
        """Return what decides how a log ends; None where it is alike to no other.

        Of instants only their order counts, and whether two lie within one of the lengths of time that a policy asks about.
        """
        if len(records) > ALIKE_MAX:
            return None
        for record, effect in zip(records, effects, strict=True):
            if not effect.shared or (record[MORE] is not None and record[MORE][:2] != (None, None)):
                return None
        if len(records) == 2:  # noqa: PLR2004  two of one job: so most of them are
            (first, second), (one, other) = records, effects
            return one.alike, other.alike, first[USER] == second[USER], self._window(second[AT] - first[AT])
        users = [record[USER] for record in records]
        windows = [self._window(later[AT] - earlier[AT]) for earlier, later in combinations(records, 2)]
        return (*(effect.alike for effect in effects), *map(users.index, users), *windows)

    def _window(self, gap: int) -> int:
        """Return between which lengths of time a gap lies, below 0 where the later event comes first."""
        place = bisect_left(self.bounds, abs(gap))
        return place if gap >= 0 else -1 - place

    def _folded(self, records: Sequence[Record], effects: Sequence[Effect]) -> Folded:
        now, then = (self._ends(which, records, effects) for which in (0, 1))
        pairs = tuple(zip((end for end, _, _ in now.ends), (end for end, _, _ in then.ends), strict=True))
        problems = tuple(
            (place, record[MORE][1] if record[MORE] is not None and record[MORE][1] is not None else problem)
            for place, (record, (_, problem, _), pair) in enumerate(zip(records, then.ends, pairs, strict=True))
            if pair[1] == REFUSED != pair[0]
        )
        lines = tuple(_lines(now.ends, effects, 0)), tuple(_lines(then.ends, effects, 1))
        return Folded(pairs, lines, (now, then), problems)

    def _ends(self, which: int, records: Sequence[Record], effects: Sequence[Effect]) -> Ending:
        """Return how the events of a log end under one policy, also those that it does not let into the log."""
        ends = [_outside(record, effect, which) for record, effect in zip(records, effects, strict=True)]
        inside = [place for place, end in enumerate(ends) if end is None]
        ending = self._ending(which, inside, records, effects)
        for place, end in zip(inside, ending.ends, strict=True):
            ends[place] = end
        return evolve(ending, ends=tuple(end for end in ends if end is not None))

    def _ending(self, which: int, inside: Sequence[int], records: Sequence[Record], effects: Sequence[Effect]) -> Ending:
        if not inside:
            return Ending.of((), ())
        if len(inside) == 1:  # what it names plays no part where nothing is known
            return self.sides[which].first(effects[inside[0]].assessments[which])
        return self.sides[which].ending([_told(records[place], effects[place], which) for place in inside])


def _outside(record: Record, effect: Effect, which: int) -> tuple[str, str, Entry | None] | None:
    """Return how an event ends that is not of this log under a policy; nothing where another record tells it."""
    half = record[MORE][0] if record[MORE] is not None else None
    if half is not None and half != which:
        return "", "", None
    return None if effect.prefixes[which] is not None else (effect.fixed[which], "", None)


def _told(record: Record, effect: Effect, which: int) -> Told:
    assessment: Assessment = effect.assessments[which]
    if not effect.shared:
        return Told(assessment, assessment.reference, assessment.user, assessment.at, assessment.event_id)
    at = EPOCH + timedelta(microseconds=record[AT])
    return Told(assessment, record[REFERENCE], record[USER], at, record[EVENT_ID])


def _lines(ends: Sequence[tuple[str, str, Entry | None]], effects: Sequence[Effect], which: int) -> Iterator[Line]:
    """Yield the entries; a refund is of the model of its job's charge."""
    models = [effect.models[which] or effect.models[1 - which] for effect in effects]
    of_the_log = next((model for model in models if model is not None), "(none)")
    for place, (_, _, entry) in enumerate(ends):
        if entry is not None:
            names = tuple(anomaly.name for anomaly in entry.anomalies)
            model = models[place] or of_the_log
            signs = effects[place].signs[which]
            amount = EXACT.add(entry.amount, entry.held)
            yield Line(place, entry.type.value, amount, entry.rule, model, names, signs, entry.held)


def _bounds(policy: Policy) -> Iterator[int]:
    """Yield the lengths of time, in microseconds, by which a policy and the engine tell one case from another."""
    for length in (timedelta(0), policy.clock.skew, GRANT_IS_REPEATED_AFTER):
        yield length // MICROSECOND
    for rule in policy.rules:
        if isinstance(rule.terms, RefundTerms) and rule.terms.within is not None:
            yield rule.terms.within // MICROSECOND
