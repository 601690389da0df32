"""Seals what was posted since the last seal, and finds what has been changed, removed or slipped in since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from attrs import Factory, define, evolve, field, frozen

from engine.domain.instants import posting_text
from engine.domain.money import ZERO
from engine.ledger.audits import AuditedEntry, AuditStore, Line
from engine.ledger.seals import NO_SEAL, PART_BYTES_MAX, Seal, SealedEntry
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Deadline

REST = timedelta(minutes=15)
"""So old is what is sealed: no invocation is still about to post what it dated so long ago, and clocks differ by less."""

NOT_YET = "not yet"
"""What a correction calls the damage that others have to follow for: by itself it corrects nothing."""

CORRECTED = "corrected"
"""The anomaly of a correcting entry; its figures say what it corrects."""


@define
class Sealer:
    """Takes the entries of one reading of the whole ledger, in any order, and seals what the last seal does not cover.

    Parts are stored on the way, so that memory does not grow with the ledger; without their header they mean nothing.
    """

    store: AuditStore
    at: datetime
    deadline: Deadline
    last: Seal = field(init=False)
    until: str = field(init=False)
    parts: list[str] = Factory(list)
    entries: int = 0
    behind: int = 0
    known: int = 0
    """Entries behind the seals that are gone, less those that were added, as corrections tell of them."""
    _lines: list[str] = Factory(list)
    _bytes: int = 0

    def __attrs_post_init__(self) -> None:
        self.last = self.store.last_seal(self.deadline)
        self.until = max(self.last.until, posting_text(self.at - REST))

    @property
    def came_or_went(self) -> int:
        """How many entries behind the last seal are there that it does not count; below 0, how many are gone.

        Those that were corrected are no news.
        """
        return self.behind + self.known - self.last.total

    def take(self, entry: AuditedEntry) -> None:
        """Take one entry."""
        posted_at = entry.posted_at
        self.known += sum(COUNTED.get(figures.get("damage", ""), 0) for figures in corrections_in(entry))
        if posted_at <= self.last.until:
            self.behind += 1
        elif posted_at <= self.until:
            self._seal(sealed_entry(entry).text())

    def _seal(self, line: str) -> None:
        size = len(line.encode("utf-8", "surrogatepass")) + 1
        if self._bytes + size > PART_BYTES_MAX:
            self._keep_part()
        self._lines.append(line)
        self._bytes += size
        self.entries += 1

    def _keep_part(self) -> None:
        if self._lines:
            self.parts.append(self.store.keep_part(self._lines, self.deadline))
        self._lines, self._bytes = [], 0

    def close(self) -> Seal:
        """Store the header, now that everything was read, and return the newest one. Where nothing is new there is none."""
        self._keep_part()
        if not self.entries:
            return self.last
        seal = Seal(
            number=self.last.number + 1,
            since=self.last.until,
            until=self.until,
            entries=self.entries,
            total=self.last.total + self.entries,
            parts=tuple(self.parts),
            previous=self.last.hash if self.last.number else "",
        )
        return seal if self.store.keep(seal, self.deadline) else self.store.last_seal(self.deadline)


def sealed_entry(entry: AuditedEntry) -> SealedEntry:
    """Return what a seal keeps of an entry. What is damaged by then is sealed as it is."""
    line = entry.line
    return SealedEntry(
        posted_at=entry.posted_at,
        reference=line.reference,
        sequence=line.sequence,
        user=line.user or "",
        amount=line.amount or ZERO,
        digest=entry.digest,
        facts=entry.facts_digest,
        held=line.moves.held,
    )


class Damage(StrEnum):
    """What can have happened to what was sealed."""

    CHANGED = "changed"
    REMOVED = "removed"
    ADDED = "added"
    """An entry that was put behind a seal, dated back."""
    SEAL = "seal"
    """The seals themselves are not what they were."""


COUNTED: Mapping[str, int] = {Damage.REMOVED: 1, Damage.ADDED: -1}
"""What a correction says of how many entries there should be behind the seals."""


@frozen
class Deviation:
    """One thing that is not as it was sealed. ``found`` is the entry as it is now, ``digest`` its digest ("" for none)."""

    damage: Damage
    problem: str
    seal: int
    sealed: SealedEntry | None = None
    found: Line | None = None
    digest: str = ""
    corrected_by: int | Decimal | None = None
    """The sequence of the entry that corrects it, where one does."""
    facts_are_sealed: bool = False
    """Whether what the entry knows of its job is what was sealed, whatever else was changed."""

    @property
    def reference(self) -> str | None:
        """The log that it is in; None where the seals themselves are damaged."""
        return self.sealed.reference if self.sealed else self.found.reference if self.found else None

    @property
    def sequence(self) -> int | Decimal | None:
        """The entry's place in its log."""
        return self.sealed.sequence if self.sealed else self.found.sequence if self.found else None


@frozen
class Verification:
    """What became of all that was sealed: the first damage first. ``hashes`` are those of the seals, in their order."""

    seals: int
    entries: int
    hashes: tuple[str, ...]
    deviations: tuple[Deviation, ...]

    @property
    def head(self) -> str:
        """The hash of the newest seal; empty where there is none."""
        return self.hashes[-1] if self.hashes else ""

    @property
    def open(self) -> tuple[Deviation, ...]:
        """What no entry has corrected."""
        return tuple(deviation for deviation in self.deviations if deviation.corrected_by is None)


def verify(store: AuditStore, deadline: Deadline, seen: Callable[[int], None] = lambda _: None) -> Verification:
    """Compare every sealed entry with what is there now, in the order of the seals.

    Memory is that of one part, but where entries were slipped in: to name them takes the keys of all that was sealed. Where
    seals are damaged nobody can say what was slipped in.
    """
    reader = SealReader(store, deadline, seen)
    last, hashes, deviations = NO_SEAL, list[str](), list[Deviation]()
    for seal, stored_hash in store.seals(deadline):
        hashes.append(seal.hash)
        deviations += _header_deviations(seal, stored_hash, last)
        deviations += reader.deviations_of(seal)
        last = seal
    gone = sum(deviation.damage is Damage.REMOVED for deviation in deviations)
    all_is_read = not any(deviation.damage is Damage.SEAL for deviation in deviations)
    if all_is_read and reader.behind(last) > reader.entries - gone:
        deviations += reader.slipped_in(last)
    return Verification(last.number, reader.entries, tuple(hashes), tuple(reader.with_corrections(deviations)))


def _header_deviations(seal: Seal, stored_hash: str, before: Seal) -> Iterator[Deviation]:
    previous = before.hash if before.number else ""
    facts = {
        "its number": (seal.number, before.number + 1),
        "its hash": (stored_hash, seal.hash),
        "the hash of the one before": (seal.previous, previous),
        "its beginning": (seal.since, before.until),
        "its total": (seal.total, before.total + seal.entries),
    }
    for name, (found, expected) in facts.items():
        if found != expected:
            yield Deviation(Damage.SEAL, f"seal {seal.number}: {name} is {found}; {expected} follows", seal.number)


@define
class SealReader:
    """Reads what was sealed, and what has become of it. ``entries`` counts what was read; ``seen`` is told of it."""

    store: AuditStore
    deadline: Deadline
    seen: Callable[[int], None]
    entries: int = 0

    def deviations_of(self, seal: Seal) -> list[Deviation]:
        """Return what has become of the entries of one seal, the earliest posting first."""
        found = [deviation for name in seal.parts for deviation in self._part_deviations(seal.number, name)]
        return sorted(found, key=lambda deviation: deviation.sealed.posted_at if deviation.sealed else "")

    def _part_deviations(self, seal: int, name: str) -> Iterator[Deviation]:
        lines = self.store.part(name, self.deadline)
        if lines is None:
            yield Deviation(Damage.SEAL, f"seal {seal}: its part {name[:12]} is gone or was changed", seal)
            return
        now = self.store.entries_at([(line.reference, line.sequence) for line in lines], self.deadline)
        for line in lines:
            if deviation := _deviation(seal, line, now.get((line.reference, line.sequence))):
                yield deviation
        self.entries += len(lines)
        self.seen(self.entries)

    def behind(self, last: Seal) -> int:
        """Return how many entries there are now behind the last seal."""
        return sum(entry.posted_at <= last.until for entry in self.store.entries(self.deadline))

    def slipped_in(self, last: Seal) -> list[Deviation]:
        """Return the entries behind the last seal that no seal has."""
        sealed = set(self._sealed_keys())
        return [
            Deviation(Damage.ADDED, f"was added behind seal {last.number}", last.number, found=line, digest=entry.digest)
            for entry in self.store.entries(self.deadline)
            if entry.posted_at <= last.until and (line := entry.line).key not in sealed
        ]

    def _sealed_keys(self) -> Iterator[EntryKey]:
        for seal, _ in self.store.seals(self.deadline):
            for name in seal.parts:
                yield from ((line.reference, line.sequence) for line in self.store.part(name, self.deadline) or ())

    def with_corrections(self, deviations: Sequence[Deviation]) -> Iterator[Deviation]:
        """Yield the deviations, each with the entry that corrects it. A correction itself is none, once its log says so."""
        logs: dict[str, dict[tuple[str, str], int | Decimal]] = defaultdict(dict)
        for reference in {deviation.reference for deviation in deviations} - {None}:
            logs[str(reference)] = _corrections(self.store.log(str(reference), self.deadline))
        for deviation in deviations:
            by = logs[deviation.reference or ""].get((str(deviation.sequence), deviation.digest))
            yield deviation if by is None else evolve(deviation, corrected_by=by)


def _deviation(seal: int, line: SealedEntry, entry: AuditedEntry | None) -> Deviation | None:
    if entry is None or _took_its_place(entry, line):
        problem = f"is gone: {line.amount:f} of {line.user}, posted {line.posted_at}"
        return Deviation(Damage.REMOVED, problem, seal, line)
    digest, now = entry.digest, entry.line
    if digest == line.digest:
        return None
    facts_are_sealed = bool(line.facts) and line.facts == entry.facts_digest
    return Deviation(Damage.CHANGED, _change(line, now), seal, line, now, digest, facts_are_sealed=facts_are_sealed)


def _took_its_place(entry: AuditedEntry, line: SealedEntry) -> bool:
    """Say whether an entry is a correction that came later, into a place that was free: of this entry or of another."""
    return entry.posted_at > line.posted_at and any(corrections_in(entry))


def _change(line: SealedEntry, now: Line) -> str:
    """Say what is different; a seal keeps no more than amount, user and what is held."""
    if now.amount != line.amount:
        amount = "no number" if now.amount is None else f"{now.amount:f}"
        return f"was changed: its amount is {amount}; {line.amount:f} was sealed"
    if now.user != line.user:
        return f"was changed: its user is {now.user}; {line.user} was sealed"
    if now.held != line.held:
        held = "no number" if now.held is None else f"{now.held:f} more"
        return f"was changed: what it holds is {held}; {line.held:f} more was sealed"
    return "was changed, in neither amount nor user"


def _corrections(log: Sequence[AuditedEntry]) -> dict[tuple[str, str], int | Decimal]:
    """Return what the correcting entries of a log correct (sequence and digest as it was found), and their own sequences."""
    found: dict[tuple[str, str], int | Decimal] = {}
    for entry in log:
        own = entry.line.sequence
        for figures in corrections_in(entry):
            if figures.get("damage") == NOT_YET:
                continue
            found[figures.get("entry", ""), figures.get("found", "")] = own
    return found


def corrections_in(entry: AuditedEntry) -> Iterator[Mapping[str, str]]:
    """Yield the figures of what an entry corrects; nothing for what is no correction, and no figure that is no text."""
    if entry.line.is_correction:
        for anomaly in entry.anomalies:
            if isinstance(anomaly, Mapping) and anomaly.get("name") == CORRECTED:
                figures = anomaly.get("figures")
                named = figures.items() if isinstance(figures, Mapping) else ()
                yield {name: figure for name, figure in named if isinstance(figure, str)}
