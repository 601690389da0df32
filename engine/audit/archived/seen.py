"""What an audit against the archive is of, and what it saw."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from engine.audit.archived.older import Read
from engine.audit.balances import CheckedBalances
from engine.audit.differences import Difference, Kind
from engine.ledger.archive.acknowledged import Acknowledged
from engine.ledger.archive.bucket import Bucket
from engine.ledger.archive.chain import Head


@frozen
class Archive:
    """A bucket, how a line in it is read, and the head of its chain as the tables have it (None: where it ends)."""

    bucket: Bucket
    reads: Read
    head: Head | None = None


@frozen
class ArchiveAudit:
    """What an audit against the archive saw.

    ``is_finished`` is whether it came to the head, compared the books, and had the time to look for all that was posted
    where somebody wrote; ``busy`` are users of whom nothing can be said.
    """

    since: Head
    until: Head
    objects: int
    records: int
    entries: int
    """Originals in the archive, up to ``until``."""
    users: int
    differences: tuple[Difference, ...]
    counts: Mapping[Kind, int]
    busy: tuple[str, ...] = ()
    is_finished: bool = True
    checked: CheckedBalances | None = None
    new: int = 0
    """Of what was found, how much the audit before did not find."""
    is_kept: bool = False
    """Whether a checkpoint was kept."""
    unexplained: int = 0
    """Flagged entries of the last day that have no explanation after an hour."""
    unchecked: str = ""
    """Why balances could not be checked against the ledger, where that failed."""

    acknowledged: tuple[Acknowledged, ...] = ()
    """What is not as it should be of the archive, and a person answers for: it is not counted."""

    @property
    def damages(self) -> int:
        """How many things are not as they should be."""
        return sum(self.counts.values())
