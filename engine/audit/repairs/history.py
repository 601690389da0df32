"""All that a repair knows of one log: what came into it, in its order, by the archive, and what stands there now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from attrs import field, frozen

from engine.domain.entry import Entry
from engine.ledger.audits import AuditedEntry
from engine.ledger.seals import digest
from engine.ledger.stored import NO_ENTRY, EntryKey, Place, entry_of


@frozen
class Arrival:
    """An entry that came into the ledger, whole, as the archive keeps it. ``number`` counts those of its log."""

    number: int
    seen: AuditedEntry
    is_taken_in: bool = False
    """Whether it stood there when the archive began, so that nobody saw it come."""

    @property
    def place(self) -> Place:
        """Its sequence."""
        return self.seen.line.sequence

    @property
    def entry(self) -> Entry | None:
        """The entry; None where it is none of this system."""
        return readable(self.seen)


def readable(seen: AuditedEntry) -> Entry | None:
    """Return the entry that stands somewhere; None where what stands there is none of this system."""
    try:
        return entry_of(seen.stored)
    except NO_ENTRY:
        return None


@frozen
class LogHistory:
    """One log: its ``arrivals`` in the order of the archive, and the entries ``found`` there now, by their sequences."""

    reference: str
    arrivals: tuple[Arrival, ...]
    found: Mapping[Place, AuditedEntry]
    touched: frozenset[tuple[Place, str]] = frozenset()
    """What the archive tells of places beside what came into them: the digest of a changed entry, nothing for a removal."""
    posted: Mapping[Place, Arrival] = field(init=False)
    """By its place the entry that was posted there: of several that came into one place the first counts."""
    damaged: tuple[Place, ...] = field(init=False)
    """The places in which something else stands than was posted there, or nothing. What is no entry was not posted."""

    @posted.default
    def _posted(self) -> Mapping[Place, Arrival]:
        return {arrival.place: arrival for arrival in reversed(self.arrivals)}

    @property
    def strangers(self) -> tuple[AuditedEntry, ...]:
        """What stands in places that nothing ever came into, as far as the archive knows."""
        return tuple(entry for place, entry in sorted(self.found.items()) if place not in self.posted)

    @damaged.default
    def _damaged(self) -> tuple[Place, ...]:
        """Compare what stands there now with what was posted."""
        differing = (place for place, arrival in sorted(self.posted.items()) if self.at(place) != arrival.seen.digest)
        return tuple(place for place in differing if self.posted[place].is_taken_in or self.posted[place].entry is not None)

    def at(self, place: Place) -> str:
        """Return the digest of what stands in a place; empty for nothing."""
        return self.found[place].digest if place in self.found else ""

    @property
    def changed(self) -> frozenset[Place]:
        """The places in which something else stood for a while, whatever is there now."""
        posted = {place: arrival.seen.digest for place, arrival in self.posted.items()}
        return frozenset(place for place, found in self.touched if found and found != posted.get(place))

    @property
    def freed(self) -> frozenset[Place]:
        """The places that stood free for a while: nothing is there now, it was removed, or something came into it twice."""
        times: dict[Place, int] = defaultdict(int)
        for arrival in self.arrivals:
            times[arrival.place] += 1
        gone = {place for place in self.posted if place not in self.found or (place, "") in self.touched}
        return frozenset(gone.union(place for place, count in times.items() if count > 1))

    @property
    def users(self) -> frozenset[str]:
        """Whom it names, or did."""
        there = (*(arrival.seen for arrival in self.arrivals), *self.found.values())
        return frozenset(seen.line.user for seen in there if seen.line.user is not None)

    @property
    def digest(self) -> str:
        """The digest of all that stands there now."""
        return log_digest({place: entry.digest for place, entry in self.found.items()})


def log_digest(standing: Mapping[Place, str]) -> str:
    """Return the digest of a log, of which the digests of its entries stand by their places."""
    return digest("\n".join(f"{place} {standing[place]}" for place in sorted(standing)))


def history(
    reference: str,
    came: Iterable[AuditedEntry],
    found: Iterable[AuditedEntry],
    taken_in: frozenset[EntryKey] = frozenset(),
    touched: Iterable[tuple[Place, str]] = (),
) -> LogHistory:
    """Return the history of a log. What ``came`` is in the order of the archive: the same again is the same."""
    arrivals: dict[tuple[Place, str], AuditedEntry] = {}
    for seen in came:
        arrivals.setdefault((seen.line.sequence, seen.digest), seen)
    numbered: Sequence[AuditedEntry] = tuple(arrivals.values())
    return LogHistory(
        reference,
        tuple(Arrival(number, seen, seen.line.key in taken_in) for number, seen in enumerate(numbered)),
        {entry.line.sequence: entry for entry in found},
        frozenset(touched),
    )
