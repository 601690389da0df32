"""The records of a whole archive, in their order: what a repair reads."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import Factory, define

from engine.ledger.archive.bucket import Bucket
from engine.ledger.archive.chain import EMPTY, ArchiveObject, Head, follow
from engine.ledger.dynamodb.stream import Record
from engine.runtime.clock import Deadline


@define(eq=False)
class Records:
    """What stands in a chain ``until`` a head (None: to its last object). Each call reads it again, an object at a time.

    ``problems`` are what was not as it was written: what stood there is missing among the records.
    """

    bucket: Bucket
    until: Head | None
    deadline: Deadline
    problems: dict[str, None] = Factory(dict)

    def __call__(self) -> Iterator[Record]:
        """Yield every record. Raises TimeIsUp, and LedgerError where no answer comes."""
        for each in follow(self.bucket, EMPTY, self.until, self.deadline):
            if isinstance(each, ArchiveObject):
                yield from self._records(each)
            else:
                self.problems[f"the archive is broken behind object {each.number}: {each.problem}"] = None

    def _records(self, archived: ArchiveObject) -> Iterator[Record]:
        for number, line in enumerate(archived.lines, start=1):
            try:
                yield Record.read(line)
            except ValueError as error:
                self.problems[f"{archived.key}, line {number}: {error}"] = None
