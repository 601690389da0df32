"""What only many logs show: jobs that come too often, found as the scheduled run finds them, in bounded memory.

What logs have posted is spilled by what it is counted by. A key is passed by under which so many entries never come within the
length of time; for the others the engine's own look back runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from operator import itemgetter, sub

from engine.domain.anomaly import Excerpt
from engine.policy.detectors import Frequency
from engine.policy.model import Policy
from engine.preview.planning.effects import Sign
from engine.preview.planning.fold import MICROSECOND, EntrySign, Folded
from engine.preview.planning.reduction import EPOCH, microseconds
from engine.preview.planning.seen import Limit, SeenByAll
from engine.preview.planning.spill import AT, REFERENCE, SEQ, TEXTS, InOrder, Record, Spill
from engine.preview.planning.tally import Tally
from engine.rating.trends import too_many

NAME, KEY, WHEN, OF_LOG, FIRST, PLACE, SIDES = range(7)
"""The members of what is spilled: the anomaly, what it counts by, the entry's time and log, and its place among all entries.

``SIDES`` is 1 for an entry now, 2 for one then, 3 for both.
"""

NOW, THEN = 1, 2
BOTH = NOW | THEN


class Signing:
    """Spills what entries are counted by, but for what has come too seldom to be too many."""

    def __init__(self, seen: SeenByAll) -> None:
        self.seen = seen

    def spill(self, folded: Folded, logs: Sequence[Sequence[Record]], spill: Spill) -> None:
        """Spill what the entries of logs are counted by; the logs end alike. An entry that both sides have is spilled once."""
        now, then = folded.signs
        if now is then:
            self._add(now, logs, BOTH, spill)
        else:
            self._add(now, logs, NOW, spill)
            self._add(then, logs, THEN, spill)

    def _add(self, signs: Iterable[EntrySign], logs: Sequence[Sequence[Record]], sides: int, spill: Spill) -> None:
        for of, first, place, sign in signs:
            for log in self._counted(sign, of, logs):
                record, text = log[of], _text(sign, log[of])
                spill.add_by(text, (sign.name, text, record[AT], record[REFERENCE], log[first][SEQ], place, sides))

    def _counted(self, sign: Sign, of: int, logs: Sequence[Sequence[Record]]) -> Sequence[Sequence[Record]]:
        """Return logs without those whose text has come too seldom."""
        return logs if sign.places is None else self.seen.more_often(sign.name, logs, of, sign.places[0])


def _text(sign: Sign, record: Record) -> str:
    """Return what an entry is counted by."""
    return sign.key if sign.places is None else "\0".join([record[TEXTS][place] for place in sign.places])


def limits_of(policies: Iterable[Policy]) -> dict[str, Limit]:
    """Return what is counted of texts, by the names of the anomalies."""
    limits: dict[str, Limit] = {}
    for name, frequency in (each for policy in policies for each in _frequencies(policy).items()):
        limit = Limit(frequency.more_than, frequency.within // MICROSECOND)
        other = limits.get(name, limit)
        limits[name] = Limit(min(limit.more_than, other.more_than), max(limit.within, other.within))
    return limits


def _frequencies(policy: Policy) -> dict[str, Frequency]:
    return {rule.name: rule.detector for rule in policy.anomalies if isinstance(rule.detector, Frequency)}


class LookingBack:
    """Finds what comes too often under both policies."""

    def __init__(self, policies: tuple[Policy, Policy]) -> None:
        self.frequencies = tuple(map(_frequencies, policies))

    def find(self, records: Iterable[Record], found: Spill) -> None:
        """Spill each entry of a partition that completes what comes too often, by its log."""
        keys: dict[tuple[str, str], list[Record]] = {}
        for record in records:
            keys.setdefault((record[NAME], record[KEY]), []).append(record)
        for (name, _), entries in keys.items():
            if not self._may_be_found(name, entries):
                continue
            for sides, which in self._asked(name, entries):
                self._found([entry for entry in entries if entry[SIDES] & which], name, sides, found)

    def find_in_order(self, records: InOrder, found: Spill) -> None:
        """Do the same for a partition that does not fit into memory: it is in order, and is read once for each side."""
        for which, side in enumerate((NOW, THEN)):
            of_side = (record for record in records if record[SIDES] & side and record[NAME] in self.frequencies[which])
            for (name, _), entries in groupby(of_side, key=itemgetter(NAME, KEY)):
                firsts: list[tuple[int, int]] = []
                told = list(too_many(_excerpts(entries, firsts), self.frequencies[which][name], set()))
                for place, (entry, _) in enumerate(told):
                    at = entry.reference, name, *firsts[0], place, microseconds(entry.at), side
                    found.add_by(entry.reference, at)

    def _asked(self, name: str, entries: list[Record]) -> Iterator[tuple[int, int]]:
        """Yield which sides are looked at, and by which entries: both at once where they ask and have the same."""
        now, then = (frequencies.get(name) for frequencies in self.frequencies)
        if now == then and all(entry[SIDES] == BOTH for entry in entries):
            yield BOTH, BOTH
            return
        yield from ((side, side) for side, asked in ((NOW, now), (THEN, then)) if asked is not None)

    def _may_be_found(self, name: str, entries: list[Record]) -> bool:
        """Say whether either policy may find too many among entries now and then, looked at together."""
        asked = (frequencies[name] for frequencies in self.frequencies if name in frequencies)
        return any(_may_be_too_many(entries, frequency) for frequency in asked)

    def _found(self, entries: list[Record], name: str, sides: int, found: Spill) -> None:
        frequency = self.frequencies[0 if sides & NOW else 1][name]
        if not _may_be_too_many(entries, frequency):
            return
        first = min((entry[FIRST], entry[PLACE]) for entry in entries)
        excerpts = [Excerpt(entry[OF_LOG], None, "", EPOCH + timedelta(microseconds=entry[WHEN])) for entry in entries]
        excerpts.sort(key=lambda entry: (entry.at, entry.reference))
        for place, (entry, _) in enumerate(too_many(excerpts, frequency, set())):
            found.add_by(entry.reference, (entry.reference, name, *first, place, microseconds(entry.at), sides))


def in_order(record: Record) -> tuple[str, str, int, str]:
    """Return the order in which a partition is looked at that does not fit into memory."""
    return record[NAME], record[KEY], record[WHEN], record[OF_LOG]


def _excerpts(entries: Iterable[Record], firsts: list[tuple[int, int]]) -> Iterator[Excerpt]:
    """Yield entries as a look back sees them; ``firsts`` has then the place of the one that was posted first."""
    for entry in entries:
        firsts[:] = [min([(entry[FIRST], entry[PLACE]), *firsts])]
        yield Excerpt(entry[OF_LOG], None, "", EPOCH + timedelta(microseconds=entry[WHEN]))


def _may_be_too_many(entries: list[Record], frequency: Frequency) -> bool:
    """Say whether more entries than that ever lie within the length of time: of fewer no jobs are too many."""
    if len(entries) <= frequency.more_than:
        return False
    times, within = sorted(map(itemgetter(WHEN), entries)), frequency.within // MICROSECOND
    return any(map(within.__ge__, map(sub, times[frequency.more_than :], times)))


def count_flags(found: Iterable[Record], tally: Tally) -> None:
    """Count the flags that are posted: a log that was flagged for a later entry is not flagged again for an earlier one."""
    known: dict[tuple[str, str, int], int] = {}
    for reference, name, _, _, _, at, sides in sorted(found, key=itemgetter(2, 3, 4)):
        for which, side in enumerate((NOW, THEN)):
            flagged = reference, name, which
            if sides & side and known.get(flagged, at - 1) < at:
                known[flagged] = at
                tally.flag(name, which, 1)
