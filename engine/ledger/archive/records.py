"""The records of a whole archive, in their order: what a repair reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import Factory, define

from engine.domain.errors import LedgerRefused
from engine.ledger.archive.acknowledged import Acknowledged, acknowledged
from engine.ledger.archive.bucket import Bucket
from engine.ledger.archive.chain import EMPTY, FIRST_LINE, ArchiveError, ArchiveObject, Break, Head, follow
from engine.ledger.audits import ArchivedRecord
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Deadline

UNREADABLE = (
    "Has a newer version written it? Then use that one's command. Else somebody has put it there: "
    "the runbook says under found-archive how to go on"
)
"""What to do about a line that is no record. What archives keeps what is no entry apart, so that none is in the chain."""


@define(eq=False)
class Records:
    """What stands in a chain up to its ``head``, and what came behind that since, object by object.

    A line that cannot be read breaks the chain like an object that is gone: books without what stood there may accuse
    innocents. It goes on behind what a person has acknowledged, and notes that (``passed_over``).
    """

    bucket: Bucket
    head: Head
    reads: Callable[[str], ArchivedRecord]
    deadline: Deadline
    passed_over: dict[str, Acknowledged] = Factory(dict)
    _accepted: dict[str, Acknowledged] = Factory(dict)

    def objects(self) -> Iterator[tuple[str, Iterator[ArchivedRecord]]]:
        """Yield the key and the records of every object; whoever asks for the next one has read all of them.

        Raises TimeIsUp, LedgerRefused where the chain is broken or a line is no record, LedgerError where no answer comes.
        """
        self._accepted = acknowledged(self.bucket, self.deadline)
        strays, unheard = list[str](), dict[tuple[EntryKey, str], str]()
        for each in self._objects(strays):
            if isinstance(each, Break) and self._is_accepted(each.problem):
                continue
            if isinstance(each, Break):
                raise LedgerRefused(f"the archive is broken behind object {each.number}, and proves nothing: {each.problem}")
            while strays:
                unheard |= self._told_by(strays.pop())
            yield each.key, self._heard(each, unheard)
        if unheard:
            ((reference, place), _), key = next(iter(unheard.items()))
            told = f"{key} is no part of it, and tells of {reference}, entry {place}, which has not come again"
            raise LedgerRefused(f"the archive is broken, and proves nothing: {told}. Wait a minute, or see who moved the head")

    def of(self, key: str) -> Iterator[ArchivedRecord]:
        """Yield the records of one object once more. Raises LedgerRefused where it is no longer what was read before."""
        try:
            found = ArchiveObject.read(key, self.bucket.get(key, self.deadline) or b"")
        except ArchiveError as error:
            raise LedgerRefused(f"the archive has changed while it was read, and proves nothing: {error}") from error
        yield from self._records(found)

    def _is_accepted(self, problem: str) -> bool:
        if problem in self._accepted:
            self.passed_over[problem] = self._accepted[problem]
        return problem in self._accepted

    def _heard(self, archived: ArchiveObject, unheard: dict[tuple[EntryKey, str], str]) -> Iterator[ArchivedRecord]:
        for record in self._records(archived):
            unheard.pop((record.key, record.digest), None)
            yield record

    def _objects(self, strays: list[str]) -> Iterator[ArchiveObject | Break]:
        if self.head != EMPTY:
            yield from follow(self.bucket, EMPTY, self.head, self.deadline, strays)
        yield from follow(self.bucket, self.head, None, self.deadline, strays)

    def _told_by(self, key: str) -> dict[tuple[EntryKey, str], str]:
        """Return what a stray tells. Its writer died or was overtaken: the same comes again, unless the head was forged.

        Of a branch that a person has acknowledged nothing has to come again: the head names the right one.
        """
        if any(problem.startswith(f"{key}: ") for problem in self._accepted):
            return {}
        try:
            found = ArchiveObject.read(key, self.bucket.get(key, self.deadline) or b"")
        except ArchiveError:
            return {}
        return {(record.key, record.digest): key for record in self._records(found)}

    def _records(self, archived: ArchiveObject) -> Iterator[ArchivedRecord]:
        for number, line in enumerate(archived.lines, start=FIRST_LINE):
            try:
                record = self.reads(line)
            except ValueError as error:
                if self._is_accepted(problem := f"{archived.key}, line {number}: {error}"):
                    continue
                raise LedgerRefused(f"the archive is not whole, and proves nothing: {problem}. {UNREADABLE}") from error
            yield record
