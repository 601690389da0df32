"""What a person asks to be adjusted, and who that is; until a second person approves it, it is a proposal."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from attrs import frozen


@frozen
class Identity:
    """Who says something.

    ``name`` is what entries keep (AWS: the caller's ARN), ``key`` what the name's owner calls unique (AWS: ``UserId``), and
    ``person`` the part that stays the same when one person takes another role.
    """

    name: str
    key: str
    person: str

    def may_be(self, other: Identity) -> bool:
        """Say whether both may be one person: whoever approves has to be another than who proposed."""
        return self.key == other.key or self.person == other.person


@frozen
class AdjustmentRequest:
    """So many credits for a user (below 0: taken), told under ``id`` for a ``reason``.

    With ``job`` it is a concession of what the job costs (``amount`` > 0); with ``reverses`` it takes that adjustment back,
    whose amount it repeats. ``about`` is the reference of a log that a person should look at beside it.
    """

    id: str
    user: str
    amount: Decimal
    reason: str
    job: str = ""
    reverses: str = ""
    about: str = ""


@frozen
class AdjustmentProposal:
    """What somebody has asked for, above what one person may adjust. It moves nothing until another approves it."""

    request: AdjustmentRequest
    by: Identity
    at: datetime


@frozen
class Approval:
    """A proposal as it was read, and who approves it."""

    proposal: AdjustmentProposal
    by: Identity
