"""The logs that a part of the chain is about: as they were posted, each entry counted again from those before it.

What was posted counts, and not what stands there now: so one damage hides no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import define, evolve

from engine.audit.archived.part import Spot
from engine.audit.claims import id_problem
from engine.audit.differences import Difference, Kind
from engine.audit.logs import faults
from engine.audit.recount import recount
from engine.domain.entry import Entry
from engine.ledger.audits import AuditedEntry, AuditStore
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Deadline

type Believed = Callable[[AuditedEntry], bool]
"""Whether an entry that calls itself a correction is one of a plan that was applied."""

type Undoes = Callable[[AuditedEntry, AuditedEntry], bool]
"""Says of a correction that is believed whether it undoes another entry of its log, as one that was put there."""


def nothing_undone(_correction: AuditedEntry, _entry: AuditedEntry) -> bool:
    """Say of no entry that it is undone."""
    return False


ENTRIES_RECOUNTED_MAX = 500
"""A log with more entries than this is only added up: to count an entry again takes all those before it."""


@define
class Logs:
    """The entries of some logs: those that the archive has told of, and the rest as the ledger has them."""

    store: AuditStore
    deadline: Deadline
    spots: Mapping[EntryKey, Spot]
    believed: Believed
    undoes: Undoes = nothing_undone

    def references(self) -> list[str]:
        """Return the logs that were written to or touched."""
        return sorted({key[0] for key, spot in self.spots.items() if spot.is_new or spot.is_touched})

    def read(self, references: Sequence[str]) -> dict[EntryKey, AuditedEntry]:
        """Return what the ledger has of the logs that somebody was at work at, and of those that go on from before the part.

        Of a log that came as a whole, and that nobody touched, the archive has told everything.
        """
        found: dict[EntryKey, AuditedEntry] = {}
        for reference, known in self._by_log(references).items():
            if any(self.spots[key].is_touched for key in known) or not _is_from_the_first(known):
                found |= {entry.line.key: entry for entry in self.store.log(reference, self.deadline)}
        return found

    def _by_log(self, references: Iterable[str]) -> dict[str, list[EntryKey]]:
        found: dict[str, list[EntryKey]] = {reference: [] for reference in references}
        for key in self.spots:
            if key[0] in found:
                found[key[0]].append(key)
        return found

    def differences(self, references: Sequence[str], now: Mapping[EntryKey, AuditedEntry]) -> Iterator[Difference]:
        """Yield what does not follow in logs."""
        logs: dict[str, dict[EntryKey, AuditedEntry]] = {reference: {} for reference in references}
        for key, entry in now.items():
            if key[0] in logs:
                logs[key[0]][key] = entry
        for key, spot in self.spots.items():
            was_taken_away = spot.is_touched and key not in now and not spot.is_entry
            if key[0] in logs and spot.original is not None and not was_taken_away:
                logs[key[0]][key] = spot.original
        for reference in references:
            yield from self._of_log([entry for _, entry in sorted(logs[reference].items())], now)
        yield from self._of_ids(logs, now)

    def _of_ids(
        self, logs: Mapping[str, Mapping[EntryKey, AuditedEntry]], now: Mapping[EntryKey, AuditedEntry]
    ) -> Iterator[Difference]:
        """Yield where an id of an adjustment is claimed without a word, told without a claim, or told twice.

        Word and claim come together: where one of them came before, or never, the log of the other is read. A shard is late:
        one may be archived and the other under way. So what speaks against an id has to do so in the ledger as well.
        """
        posted = {reference: [entry for _, entry in sorted(log.items())] for reference, log in logs.items()}
        whole: dict[str, Sequence[AuditedEntry]] = {}

        def log_of(reference: str) -> Sequence[AuditedEntry]:
            if reference not in posted:
                posted[reference] = self.store.log(reference, self.deadline)
            return posted[reference]

        def with_what_is_under_way(reference: str) -> Sequence[AuditedEntry]:
            if reference not in whole:
                there = {entry.line.key: entry for entry in self.store.log(reference, self.deadline)}
                there |= {entry.line.key: entry for entry in log_of(reference)}
                whole[reference] = [entry for _, entry in sorted(there.items())]
            return whole[reference]

        came = (key for key, spot in self.spots.items() if spot.is_new or spot.is_open)
        for entry in [logs[key[0]][key] for key in came if key in logs[key[0]]]:
            if not id_problem(entry, log_of, self._is_believed):
                continue
            if problem := id_problem(entry, with_what_is_under_way, self._is_believed):
                yield self._difference(Kind.SENSELESS, problem, entry, now)

    def _of_log(self, log: Sequence[AuditedEntry], now: Mapping[EntryKey, AuditedEntry]) -> Iterator[Difference]:
        real = [entry.line.is_correction and self._is_believed(entry) for entry in log]
        since = max((index for index, is_real in enumerate(real) if is_real), default=-1)
        for index, entry in enumerate(log):
            if entry.line.is_correction and not real[index] and not self._is_undone(entry, log, real):
                problem = "it calls itself a correction, and no plan that was applied has it"
                yield self._difference(Kind.UNKNOWN_CORRECTION, problem, entry, now)
        named: set[EntryKey] = set()
        for entry, kind, problem in self._problems(log, real, since):
            if entry.line.key not in named:
                named.add(entry.line.key)
                yield self._difference(kind, problem, entry, now)

    def _is_undone(self, entry: AuditedEntry, log: Sequence[AuditedEntry], real: Sequence[bool]) -> bool:
        return any(is_real and self.undoes(other, entry) for other, is_real in zip(log, real, strict=True))

    def _is_believed(self, entry: AuditedEntry) -> bool:
        spot = self.spots.get(entry.line.key)
        return (spot is not None and spot.is_taken_in) or self.believed(entry)

    def _problems(
        self, log: Sequence[AuditedEntry], real: Sequence[bool], since: int
    ) -> Iterator[tuple[AuditedEntry, Kind, str]]:
        for entry in log[since + 1 :]:
            if problem := entry.problem:
                yield entry, Kind.UNREADABLE, problem
            spot = self.spots.get(entry.line.key)
            if spot is not None and not spot.is_dated_right:
                yield entry, Kind.SENSELESS, f"it says that it was posted {entry.posted_at}, and came {spot.at}"
        lines = [evolve(entry.line, is_correction=is_real) for entry, is_real in zip(log, real, strict=True)]
        places = {entry.line.sequence: entry for entry in log}
        for fault in faults(lines):
            there = places.get(fault.sequence)
            problem = fault.problem if there is not None else f"entry {fault.sequence} of its log {fault.problem}"
            yield there or log[-1], Kind.SENSELESS, problem
        yield from _recounted(log, since)

    def _difference(self, kind: Kind, problem: str, entry: AuditedEntry, now: Mapping[EntryKey, AuditedEntry]) -> Difference:
        key = entry.line.key
        users = frozenset(user for user in (entry.line.user,) if user)
        spot = self.spots.get(key)
        archived = spot.original if spot is not None else None
        return Difference(kind, problem, key, users, archived, now.get(key, entry))


def _is_from_the_first(known: Sequence[EntryKey]) -> bool:
    """Say whether places are those of a whole log, up to the last of them."""
    return sorted(sequence for _, sequence in known) == list(range(1, len(known) + 1))


def _recounted(log: Sequence[AuditedEntry], since: int) -> Iterator[tuple[AuditedEntry, Kind, str]]:
    """Yield what does not follow from itself and those before it, as far as all of these can be read."""
    entries: list[Entry] = []
    for each in log[:ENTRIES_RECOUNTED_MAX]:
        if isinstance(found := each.entry, str):
            break
        entries.append(found)
    for index, counted in enumerate(recount(entries)):
        if counted.failed and index > since:
            yield log[index], Kind.SENSELESS, "; ".join(counted.problems)
