"""The records of a whole archive, in their order: what a repair reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import Factory, define

from engine.ledger.archive.bucket import Bucket
from engine.ledger.archive.chain import EMPTY, ArchiveError, ArchiveObject, Break, Head, follow
from engine.ledger.audits import ArchivedRecord
from engine.runtime.clock import Deadline


@define(eq=False)
class Records:
    """What stands in a chain up to its ``head``, and what came behind that since, object by object.

    ``problems`` are what was not as it was written: what stood there is missing among the records.
    """

    bucket: Bucket
    head: Head
    reads: Callable[[str], ArchivedRecord]
    deadline: Deadline
    problems: dict[str, None] = Factory(dict)

    def objects(self) -> Iterator[tuple[str, Iterator[ArchivedRecord]]]:
        """Yield the key and the records of every object. Raises TimeIsUp, and LedgerError where no answer comes."""
        for each in self._objects():
            if isinstance(each, ArchiveObject):
                yield each.key, self._records(each)
            else:
                self.problems[f"the archive is broken behind object {each.number}: {each.problem}"] = None

    def of(self, key: str) -> Iterator[ArchivedRecord]:
        """Yield the records of one object once more."""
        try:
            yield from self._records(ArchiveObject.read(key, self.bucket.get(key, self.deadline) or b""))
        except ArchiveError as error:
            self.problems[str(error)] = None

    def _objects(self) -> Iterator[ArchiveObject | Break]:
        if self.head != EMPTY:
            yield from follow(self.bucket, EMPTY, self.head, self.deadline)
        yield from follow(self.bucket, self.head, None, self.deadline)

    def _records(self, archived: ArchiveObject) -> Iterator[ArchivedRecord]:
        for number, line in enumerate(archived.lines, start=1):
            try:
                yield self.reads(line)
            except ValueError as error:
                self.problems[f"{archived.key}, line {number}: {error}"] = None
