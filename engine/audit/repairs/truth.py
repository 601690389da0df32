"""What a log would be if nobody had touched it: what was posted, joined with what each honest entry has added since. Pure.

An entry is honest where it follows from some state that the log was in when it came: untouched, or with a damage that
stood there by then. What it knows beside that state is what its event told; the damage itself is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import combinations, islice, product

from attrs import Factory, define, evolve, field, frozen

from engine.audit.recount import problems_on
from engine.audit.repairs.first_told import joined, news
from engine.audit.repairs.history import Arrival, LogHistory
from engine.domain.entry import Entry, EntryType
from engine.domain.envelope import Source
from engine.domain.fact_kinds import KEPT
from engine.domain.facts import Facts
from engine.domain.log import NO_ENTRIES, JobLog
from engine.domain.money import EXACT, ZERO
from engine.domain.references import REPAIR
from engine.ledger.audits import AuditedEntry
from engine.ledger.moved import NOTHING, Moved
from engine.ledger.store import StoredEntry
from engine.ledger.stored import NO_ENTRY, Place, log_of_stored
from engine.rating.cost import cost_of, held_of

STATES_MAX = 3000
"""So many states of a damaged log are tried for an entry, those first in which the least was damaged."""


STAYS_DUE = "stays-due"
"""The anomaly of an entry behind a correction: the balance did not cover a debit, and the log goes on waiting for it."""


@frozen
class Stray:
    """An entry that came into the log and follows from no state that it can have been in, and why."""

    arrival: Arrival
    problem: str
    is_behind_damage: bool
    """Whether it may rest on a damage that nobody has any more: what was changed twice, say."""


@frozen
class Truth:
    """What a log should be. ``log.posted`` is what should have been posted: less than due only where a balance refused."""

    log: JobLog
    since: int
    """The number of the last arrival that was a correction: it counts for all before it. -1 where there is none."""
    moved: Mapping[str, Moved]
    """What the honest entries have moved, by user, since that correction and with what it says."""
    strays: tuple[Stray, ...]
    base: Moved = NOTHING
    """What the owner's entries come to at that correction."""
    rests_on_damage: bool = False
    """Whether an entry behind that correction follows only from what was damaged, so that a new one has to settle it."""


def truth_of(history: LogHistory, forged: frozenset[int] = frozenset(), trusted: frozenset[int] = frozenset()) -> Truth:
    """Return what a log should be, if the arrivals of these numbers were ``forged``.

    Those that are ``trusted`` count, although they follow from no state of the log that is left.
    """
    walk = _Walk(history, forged, trusted)
    for arrival in history.arrivals:
        if arrival.number not in forged:
            walk.take(arrival)
    return Truth(walk.log, walk.since, dict(walk.moved), tuple(walk.strays), walk.base, walk.rests_on_damage)


@define
class _Walk:
    history: LogHistory
    forged: frozenset[int]
    trusted: frozenset[int]
    log: JobLog = NO_ENTRIES
    since: int = -1
    moved: dict[str, Moved] = Factory(dict)
    strays: list[Stray] = Factory(list)
    base: Moved = NOTHING
    rests_on_damage: bool = False
    _damaged: frozenset[Place] = field(init=False)
    _settled: int = field(init=False)
    """The number of the last correction: what came before it counts as that says."""

    @_settled.default
    def _last_correction(self) -> int:
        unforged = (each for each in reversed(self.history.arrivals) if each.number not in self.forged)
        return next((each.number for each in unforged if each.seen.line.is_correction), -1)

    @_damaged.default
    def _all_damaged(self) -> frozenset[Place]:
        return frozenset((*self.history.damaged, *self.history.freed, *self.history.changed))

    def take(self, arrival: Arrival) -> None:
        """Take one entry that came."""
        entry = arrival.entry
        if entry is None and arrival.number < self._settled:
            pass
        elif entry is None:
            self._stray(arrival, "is no entry of this system")
        elif entry.source is Source.REPAIR:
            self._correct(arrival, entry)
        elif arrival.is_taken_in or _follows(entry, self.log):
            self._then(entry, evolve(self.log.then(entry), sequence=max(self.log.sequence, entry.sequence)))
        elif arrival.number < self._settled:
            pass
        elif self.log.user not in {None, entry.user}:
            self.strays.append(
                Stray(arrival, f"is of {entry.user}, and the log is of {self.log.user}", is_behind_damage=False)
            )
        elif (state := self._state_before(arrival, entry)) is not None:
            self._then(entry, self._with(entry, joined(self.log.facts, news(entry.facts, state.facts))))
            self.rests_on_damage = True
        elif arrival.number in self.trusted:
            told = news(entry.facts, all_known(self.history, arrival))
            self._then(entry, self._with(entry, joined(self.log.facts, told, is_sure=False)))
            self.rests_on_damage = True
        else:
            self._stray(arrival, "; ".join(problems_on(entry, self.log)) or "its facts do not follow from those before it")

    def _correct(self, arrival: Arrival, entry: Entry) -> None:
        """What a correction says counts for all that came before it; a flag behind it may leave a debit open.

        It lets the log hold what it knows of holds; that of a row, which knows none, what is said there together.
        """
        is_of_row = entry.reference.startswith(REPAIR)
        held = EXACT.add(self.log.held, entry.held) if is_of_row else held_of(entry.facts, self.log, entry.money)
        counts = Moved(EXACT.minus(entry.cost), held)
        sequence = max(self.log.sequence, entry.sequence)
        if any(anomaly.name == STAYS_DUE for anomaly in entry.anomalies):
            self.log = evolve(self.log, sequence=sequence, facts=entry.facts, cost=entry.cost)
        else:
            self.log = JobLog(sequence, entry.user, entry.facts, entry.cost, counts.amount, counts.held)
            self.moved, self.base = {entry.user: counts}, counts
            self.rests_on_damage = False
        self.since = arrival.number

    def _then(self, entry: Entry, log: JobLog) -> None:
        self.log = log
        self.moved[entry.user] = self.moved.get(entry.user, NOTHING) + Moved(entry.amount, entry.held)

    def _with(self, entry: Entry, facts: Facts) -> JobLog:
        """Return the log with the ``facts`` that are known with an entry which was posted on another state of it."""
        known = self.log
        cost, held = cost_of(facts, known, entry.money), held_of(facts, known, entry.money)
        return JobLog(
            max(known.sequence, entry.sequence),
            known.user or (entry.user if entry.names_its_user else None),
            facts,
            cost,
            self._posted_with(entry, EXACT.minus(cost), EXACT.subtract(held, known.held)),
            held,
        )

    def _posted_with(self, entry: Entry, desired: Decimal, held: Decimal) -> Decimal:
        """Return what should be posted with an entry that holds so much more: a refusal leaves due what it left due."""
        if entry.type in {EntryType.HOLD, EntryType.RELEASE}:
            return max(desired, EXACT.subtract(self.log.posted, held))
        may_leave_due = entry.type is EntryType.FLAG or (entry.type is EntryType.SETTLE and entry.amount == ZERO)
        return self.log.posted if may_leave_due and desired < self.log.posted else desired

    def _state_before(self, arrival: Arrival, entry: Entry) -> JobLog | None:
        states = islice(states_before(self.history, arrival), STATES_MAX)
        return next((state for state in states if _follows(entry, state)), None)

    def _stray(self, arrival: Arrival, problem: str) -> None:
        before = {each.place for each in self.history.arrivals[: arrival.number]}
        is_behind = bool(before & self._damaged) or any(number < arrival.number for number in self.forged)
        self.strays.append(Stray(arrival, problem, is_behind or bool(self.history.strangers)))


def _follows(entry: Entry, log: JobLog) -> bool:
    """Say whether an entry may have been posted on a log: nothing of it is forgotten, and its amount is what was due."""
    if log.sequence + 1 != entry.sequence or log.facts.join(entry.facts) != entry.facts:
        return False
    return not problems_on(entry, log)


type Choice = AuditedEntry | None
"""What stood in a place; None for nothing."""


def states_before(history: LogHistory, arrival: Arrival) -> Iterator[JobLog]:
    """Yield what the log can have been when an entry came, the least damaged first."""
    if arrival.place == 1:
        yield NO_ENTRIES  # a first debit is posted without a look: its place was free, whatever stood behind it
    stored: dict[int, StoredEntry | None] = {}
    for standing in _choices(_options(history, arrival)):
        there = sorted((each for each in standing if each is not None), key=lambda each: each.line.sequence)
        if there and there[-1].line.sequence == arrival.place - 1 and (log := _log(there, stored)) is not None:
            yield log


def all_known(history: LogHistory, arrival: Arrival) -> Facts:
    """Return every fact that can have been known in any state of a log when an entry came, side by side."""
    there = [seen for standing in _options(history, arrival) for seen in standing if seen is not None]
    known = [facts for seen in there if (facts := seen.facts) is not None]
    return Facts(**{kept.field: tuple(fact for facts in known for fact in getattr(facts, kept.field)) for kept in KEPT})


def _options(history: LogHistory, arrival: Arrival) -> list[list[Choice]]:
    """Return for each place what can have stood there when an entry came: what was posted there comes first."""
    options: dict[Place, list[Choice]] = {}
    for before in history.arrivals[: arrival.number]:
        options.setdefault(before.place, []).append(before.seen)
    for place, standing in options.items():
        now = history.found.get(place)
        if now is not None and all(now.digest != each.digest for each in standing if each is not None):
            standing.append(now)
        if place in history.freed:
            standing.append(None)
    return [*options.values(), *([None, stranger] for stranger in history.strangers)]


def _choices(options: Sequence[Sequence[Choice]]) -> Iterator[list[Choice]]:
    """Yield one choice for each place: first what was posted everywhere, then one place that deviates, then two."""
    several = [index for index, standing in enumerate(options) if len(standing) > 1]
    for count in range(len(several) + 1):
        for deviating in combinations(several, count):
            for chosen in product(*(range(1, len(options[index])) for index in deviating)):
                by_index = dict(zip(deviating, chosen, strict=True))
                yield [standing[by_index.get(index, 0)] for index, standing in enumerate(options)]


def _log(entries: Sequence[AuditedEntry], stored: dict[int, StoredEntry | None]) -> JobLog | None:
    """Return the log as what serves events reads it; None where it cannot. What was read once is ``stored``."""
    for entry in entries:
        if id(entry) not in stored:
            stored[id(entry)] = _readable(entry)
    read = [each for entry in entries if (each := stored[id(entry)]) is not None]
    if len(read) < len(entries) or not read:
        return None
    *before, last = read
    return log_of_stored([*({name: each[name] for name in each if name != "facts"} for each in before), last])


def _readable(entry: AuditedEntry) -> StoredEntry | None:
    """Return an entry that can stand in a log which what serves events reads; None for what it cannot read."""
    try:
        found = dict(entry.stored)
        log_of_stored([found])
    except NO_ENTRY:
        return None
    return found


def as_it_will_be(history: LogHistory) -> JobLog | None:
    """Return the log once everything stands again as it was posted; None where it cannot be read."""
    standing = standing_then(history)
    return _log([standing[place] for place in sorted(standing)], {}) if standing else NO_ENTRIES


def standing_then(history: LogHistory) -> dict[Place, AuditedEntry]:
    """Return what will stand in a log once everything is put back."""
    return {**history.found, **{place: history.posted[place].seen for place in history.damaged}}
