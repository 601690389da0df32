"""Which entries of a log somebody has put there: those with evidence against them, and those that the books acquit. Pure.

What the archive saw come is what somebody put there, not that this system posted it. A posting moves the balance in the same
transaction; whoever puts an entry there by hand mostly does not. So ``posted`` of the user's row tells the two apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from attrs import evolve, field, frozen

from engine.audit.repairs.history import Arrival, LogHistory
from engine.audit.repairs.truth import truth_of
from engine.ledger.audits import AuditedEntry
from engine.ledger.moved import NOTHING, Moved, sum_of
from engine.ledger.stored import EntryKey, Place

type Believes = Callable[[AuditedEntry], bool]
"""Whether a correction stands in a plan that was applied."""

NAMED = "a person has named it as forged"
UNKNOWN = "calls itself a correction, and no plan that was applied has it"
NO_ENTRY = "is no entry of this system"
SECOND = "came into a place that was taken before"

DOUBTED_MAX = 12
"""So many doubtful entries of one user are weighed against the books; more are left to a person."""


@frozen
class Suspect:
    """An entry with something against it. What is not ``certain`` the books decide, or a person."""

    seen: AuditedEntry
    why: str
    is_certain: bool
    number: int | None = None
    """Its number among the arrivals; None where the archive never saw it come."""
    is_first: bool = True
    """Whether nothing was posted in its place before it."""
    is_acquitted: bool = False
    """Whether a person has said that it was posted: the books have to agree with that, unless the row is said to be wrong."""
    is_settled: bool = False
    """Whether a correction that is believed came behind it: what it moved was weighed then."""

    @property
    def user(self) -> str:
        """Whose it says that it is."""
        return self.seen.line.user or ""

    @property
    def moves(self) -> Moved:
        """What it says that it moved."""
        return self.seen.line.moves


@frozen
class Lineup:
    """Who is suspected in a log, and the strangers of whom nothing can be said."""

    history: LogHistory
    suspects: tuple[Suspect, ...]
    unknown: tuple[AuditedEntry, ...]


def lineup(
    history: LogHistory, believes: Believes, named: Mapping[Place, str], acquitted: frozenset[Place] = frozenset()
) -> Lineup:
    """Return the suspects of a log. ``named`` are the places of forged ones, and why; a person has ``acquitted`` others."""
    found = {suspect.number: suspect for suspect in _certain(history, believes, named)}
    while (stray := _first_stray(history, _numbers(found))) is not None:
        found[stray.number] = stray
    doubtful = list(_doubtful(history, _numbers(found), acquitted))
    corrections = (each.number for each in history.arrivals if each.is_taken_in or _is_believed(each.seen, believes))
    settled = max((number for number in corrections if history.arrivals[number].seen.line.is_correction), default=-1)
    came = [evolve(each, is_settled=each.number < settled) for each in (*found.values(), *doubtful) if each.number is not None]
    strangers = [Suspect(each, _against_stranger(each, believes, named) or "", is_certain=True) for each in history.strangers]
    return Lineup(
        history,
        (*came, *(each for each in strangers if each.why)),
        tuple(each.seen for each in strangers if not each.why and not _is_believed(each.seen, believes)),
    )


def _is_believed(seen: AuditedEntry, believes: Believes) -> bool:
    return seen.line.is_correction and believes(seen)


def _against_stranger(seen: AuditedEntry, believes: Believes, named: Mapping[Place, str]) -> str | None:
    if seen.line.sequence in named:
        return named[seen.line.sequence]
    return UNKNOWN if seen.line.is_correction and not believes(seen) else None


def _certain(history: LogHistory, believes: Believes, named: Mapping[Place, str]) -> Iterator[Suspect]:
    accused = {place: _accused(history, place) for place in named.keys() & history.posted.keys()}
    for arrival in history.arrivals:
        if accused.get(arrival.place) == arrival.number:
            yield _suspect(history, arrival, named[arrival.place])
        elif arrival.seen.line.is_correction and not arrival.is_taken_in and not believes(arrival.seen):
            yield _suspect(history, arrival, UNKNOWN)
        elif arrival.entry is None and not arrival.is_taken_in:
            yield _suspect(history, arrival, NO_ENTRY)


def _accused(history: LogHistory, place: Place) -> int:
    """Return which of the entries that came into a place a person means: the one that stands there, else the last."""
    numbers = [arrival.number for arrival in history.arrivals if arrival.place == place]
    standing = [number for number in numbers if history.arrivals[number].seen.digest == history.at(place)]
    return (standing or numbers)[-1]


def _numbers(found: Mapping[int | None, Suspect]) -> frozenset[int]:
    return frozenset(number for number in found if number is not None)


def _first_stray(history: LogHistory, forged: frozenset[int]) -> Suspect | None:
    """Return the first entry that follows from nothing, in a log in which nothing was damaged before it."""
    truth = truth_of(history, forged)
    untouched = (stray for stray in truth.strays if not stray.is_behind_damage and not _is_second(history, stray.arrival))
    return next((_suspect(history, stray.arrival, stray.problem) for stray in untouched), None)


def _doubtful(history: LogHistory, forged: frozenset[int], acquitted: frozenset[Place]) -> Iterator[Suspect]:
    strays = {stray.arrival.number: stray.problem for stray in truth_of(history, forged).strays}
    for arrival in history.arrivals:
        why = strays.get(arrival.number) or (SECOND if _is_second(history, arrival) else "")
        if why and arrival.number not in forged:
            is_acquitted = arrival.place in acquitted and _accused(history, arrival.place) == arrival.number
            yield evolve(_suspect(history, arrival, why, is_certain=False), is_acquitted=is_acquitted)


def _is_second(history: LogHistory, arrival: Arrival) -> bool:
    return history.posted[arrival.place] is not arrival


def _suspect(history: LogHistory, arrival: Arrival, why: str, *, is_certain: bool = True) -> Suspect:
    return Suspect(arrival.seen, why, is_certain, arrival.number, is_first=not _is_second(history, arrival))


# --- what the books say of them ---


@frozen
class Books:
    """A user's books: the sum of what came first into each place of the ledger, and what the row ``says``.

    None where that is no number.
    """

    archived: Moved
    says: Moved | None
    entries: tuple[tuple[EntryKey, Moved], ...] = field(default=(), repr=False)
    """The user's entries by the archive: where they are and what they moved."""


@frozen
class Verdict:
    """What the books say of a user's suspects: those that moved the balance. ``gap`` is left where they say nothing."""

    moved: frozenset[int] = frozenset()
    """By their index among the suspects."""
    gap: Moved = NOTHING
    is_clear: bool = True
    choices: tuple[frozenset[int], ...] = ()
    """Where several choices agree with the books: all of them, the one with the fewest suspects first."""
    is_blind: bool = False
    """Whether the row says no number: nothing tells then what has moved the balance."""
    innocent: Moved = NOTHING
    """What the entries come to against which nothing speaks."""


def weigh(books: Books, suspects: Sequence[Suspect], *, is_row_wrong: bool = False) -> Verdict:
    """Return which of a user's suspects moved the balance: the one choice with which its books agree.

    Where a person has said that the row is wrong (``is_row_wrong``), and that all of them were posted, that is so: no choice
    has to agree with such a row, and the gap is its own.
    What is certain and agrees with no choice did not, and the gap is left. What is doubtful then stays so.
    """
    innocent = books.archived
    for suspect in suspects:
        if suspect.is_first and suspect.number is not None and not suspect.is_settled:
            innocent -= suspect.moves
    movers = [index for index, each in enumerate(suspects) if each.moves and not each.is_settled]
    is_certain = all(suspects[index].is_certain for index in movers)
    if books.says is None:
        return Verdict(is_clear=is_certain, is_blind=True, innocent=innocent)
    gap = books.says - innocent
    acquitted = {index for index in movers if suspects[index].is_acquitted}
    choices = [each for each in _choices(gap, suspects, movers) if acquitted <= each] if len(movers) <= DOUBTED_MAX else []
    if len(choices) == 1 or (choices and is_certain):  # of two forged ones of one amount it is the same which has moved
        return Verdict(choices[0], innocent=innocent)
    if is_row_wrong and acquitted and acquitted == set(movers):
        return Verdict(frozenset(movers), gap - _sum(suspects, movers), innocent=innocent)
    return Verdict(gap=gap, is_clear=is_certain, choices=tuple(choices), innocent=innocent)


def _choices(gap: Moved, suspects: Sequence[Suspect], movers: Sequence[int]) -> Iterator[frozenset[int]]:
    for count in range(len(movers) + 1):
        for chosen in combinations(movers, count):
            if _sum(suspects, chosen) == gap:
                yield frozenset(chosen)


def _sum(suspects: Sequence[Suspect], chosen: Iterable[int]) -> Moved:
    return sum_of(suspects[index].moves for index in chosen)
