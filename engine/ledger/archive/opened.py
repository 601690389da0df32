"""An archive as audits open it: its bucket, where the head of its chain stands, and how a line of it is read."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from engine.ledger.archive.bucket import Bucket
from engine.ledger.archive.chain import HeadStore
from engine.ledger.audits import ArchivedRecord


@frozen
class OpenArchive:
    """What an audit of a ledger against its archive reads."""

    bucket: Bucket
    heads: HeadStore
    reads: Callable[[str], ArchivedRecord]
    """Raises ValueError for what is no record."""
