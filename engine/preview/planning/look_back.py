"""What only many logs show: jobs that come too often, found as the scheduled run finds them, in bounded memory.

What logs have posted is spilled by what it is counted by. A key is passed by under which so many entries never come within the
length of time; for the others the engine's own look back runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from operator import itemgetter

from engine.domain.anomaly import Excerpt
from engine.policy.detectors import Frequency
from engine.policy.model import Policy
from engine.preview.planning.fold import AT, MICROSECOND, REFERENCE, SEQ, TEXTS, EntrySign, Folded
from engine.preview.planning.reduction import EPOCH, microseconds
from engine.preview.planning.spill import Record, Spill
from engine.preview.planning.tally import Tally
from engine.rating.trends import too_many

NAME, KEY, WHEN, OF_LOG, FIRST, PLACE, SIDES = range(7)
"""The members of what is spilled: the anomaly, what it counts by, the entry's time and log, and its place among all entries.

``SIDES`` is 1 for an entry now, 2 for one then, 3 for both.
"""

NOW, THEN = 1, 2
BOTH = NOW | THEN


def spill_signs(folded: Folded, records: Sequence[Record], spill: Spill) -> None:
    """Spill what a log's entries are counted by. An entry that is the same on both sides is spilled once."""
    now, then = folded.signs
    if now == then:
        _add(now, records, BOTH, spill)
    else:
        _add(now, records, NOW, spill)
        _add(then, records, THEN, spill)


def _add(signs: Iterable[EntrySign], records: Sequence[Record], sides: int, spill: Spill) -> None:
    for of, first, place, (name, places, key) in signs:
        record = records[of]
        texts = record[TEXTS]
        text = key if places is None else texts[places[0]] if len(places) == 1 else "\0".join([texts[at] for at in places])
        spill.add_by(text, (name, text, record[AT], record[REFERENCE], records[first][SEQ], place, sides))


class LookingBack:
    """Finds what comes too often under both policies."""

    def __init__(self, policies: tuple[Policy, Policy]) -> None:
        self.frequencies = tuple(
            {rule.name: rule.detector for rule in policy.anomalies if isinstance(rule.detector, Frequency)}
            for policy in policies
        )

    def find(self, records: Iterable[Record], found: Spill) -> None:
        """Spill each entry of a partition that completes what comes too often, by its log."""
        keys: dict[tuple[str, str], list[Record]] = {}
        for record in records:
            keys.setdefault((record[NAME], record[KEY]), []).append(record)
        for (name, _), entries in keys.items():
            for sides, which in self._asked(name, entries):
                self._found([entry for entry in entries if entry[SIDES] & which], name, sides, found)

    def _asked(self, name: str, entries: list[Record]) -> Iterator[tuple[int, int]]:
        """Yield which sides are looked at, and by which entries: both at once where they ask and have the same."""
        now, then = (frequencies.get(name) for frequencies in self.frequencies)
        if now == then and all(entry[SIDES] == BOTH for entry in entries):
            yield BOTH, BOTH
            return
        yield from ((side, side) for side, asked in ((NOW, now), (THEN, then)) if asked is not None)

    def _found(self, entries: list[Record], name: str, sides: int, found: Spill) -> None:
        frequency = self.frequencies[0 if sides & NOW else 1][name]
        if not _may_be_too_many(entries, frequency):
            return
        first = min((entry[FIRST], entry[PLACE]) for entry in entries)
        excerpts = [Excerpt(entry[OF_LOG], None, "", EPOCH + timedelta(microseconds=entry[WHEN])) for entry in entries]
        excerpts.sort(key=lambda entry: (entry.at, entry.reference))
        for place, (entry, _) in enumerate(too_many(excerpts, frequency, set())):
            found.add_by(entry.reference, (entry.reference, name, *first, place, microseconds(entry.at), sides))


def _may_be_too_many(entries: list[Record], frequency: Frequency) -> bool:
    """Say whether more entries than that ever lie within the length of time: of fewer no jobs are too many."""
    if len(entries) <= frequency.more_than:
        return False
    times, within = sorted(map(itemgetter(WHEN), entries)), frequency.within // MICROSECOND
    return any(late - early <= within for early, late in zip(times, times[frequency.more_than :], strict=False))


def count_flags(found: Iterable[Record], tally: Tally) -> None:
    """Count the flags that are posted: a log that was flagged for a later entry is not flagged again for an earlier one."""
    known: dict[tuple[str, str, int], int] = {}
    for reference, name, _, _, _, at, sides in sorted(found, key=itemgetter(2, 3, 4)):
        for which, side in enumerate((NOW, THEN)):
            flagged = reference, name, which
            if sides & side and known.get(flagged, at - 1) < at:
                known[flagged] = at
                tally.flag(name, which, 1)
