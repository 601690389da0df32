"""What to do about one assessment."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from engine.domain.entry import Entry
from engine.domain.entry_types import Outcome
from engine.domain.job_row import Mark

__all__ = ["Decision", "Guard", "Outcome", "Standing"]


class Standing(StrEnum):
    """What is known of the user's row in Credits. The first attempt assumes; a cancelled transaction teaches."""

    ASSUMED_COVERED = "assumed-covered"
    NOT_COVERED = "not-covered"
    UNKNOWN_USER = "unknown-user"


class Guard(StrEnum):
    """What must hold of the user's row for the posting to go through."""

    NONE = "none"
    """No credit moves, so the row plays no part."""
    EXISTS = "exists"
    COVERED = "covered"
    """The row exists, and the balance covers the debit."""
    NOT_COVERED = "not-covered"
    """The row exists, and the balance does not cover the debit: the entry says overdraft, and must be right."""
    MISSING = "missing"
    """The row does not exist and is created by this posting."""


@frozen
class Decision:
    """What to do about one assessment: an entry to post with its guard and mark, or nothing."""

    outcome: Outcome
    entry: Entry | None = None
    guard: Guard = Guard.NONE
    mark: Mark | None = None
    is_unclear: bool = False
    """A row of Jobs without a time of its own contradicts what is known: the user has the benefit of the doubt."""
