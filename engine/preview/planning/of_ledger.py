"""What a plan says where a ledger is given: which logs it cannot price anew, and who would fall below zero."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from attrs import frozen

from engine.domain.money import EXACT, canonical
from engine.policy.model import Overdraft, Policy
from engine.preview.changes import changes
from engine.preview.planning.kept.balances import Overdrawn, row_of
from engine.preview.planning.kept.spool import Spooled
from engine.preview.planning.material import EVENTS_DO_NOT_SAY
from engine.preview.planning.spill import Record
from engine.preview.planning.streamed import Streamed

UNSEEN = {
    "anomaly ": "the ledger does not keep what anomalies look at, so that nothing here shows it; events do (--events)",
    "setting event": "whose a job is was settled when it was told, so that nothing here shows it; events do (--events)",
    "rule ": "events that no rule has taken are not in the ledger; a file of events may have them (--events)",
}
"""What the ledger does not show of an edit, by the beginning of how ``changes`` tells it."""

TAKES_MORE = re.compile(r"rule .*(is new|`match` differs)")


@frozen
class OfLedger:
    """What is known of a ledger: ``spooled`` where it is planned; ``why_unknown`` where it does not say what users had."""

    spooled: Spooled | None = None
    why_unknown: str | None = None

    @property
    def what(self) -> str:
        """What is planned."""
        return "events" if self.spooled is None else "charges or grants in the ledger of that time"

    def answer(self, overdrawn: Overdrawn | None, overdraft: Overdraft) -> dict[str, Any]:
        """Return the parts of an answer that rest on it, as JSON-like values."""
        spooled = self.spooled
        of_events: list[Any] = []
        return {
            "source": "events" if spooled is None else "ledger",
            "ledger": None if spooled is None else _figures(spooled),
            "leftOut": of_events if spooled is None else Streamed(spooled.left_out, _left_out),
            "new_overdrafts": None if overdrawn is None else len(overdrawn.rows),
            "overdrafts": [] if overdrawn is None else Streamed(overdrawn.rows, row_of),
            "balances": {
                "why": self.why_unknown,
                "overdraft": overdraft.value,
                "unknown": None if overdrawn is None else overdrawn.unknown,
            },
        }

    def cautions(self, policies: tuple[Policy, Policy], moved_now: Decimal) -> Iterator[str]:
        """Yield warnings. ``moved_now`` is what all entries would move under the policy as it is now: from the users' side."""
        if (spooled := self.spooled) is None:
            return
        if left := len(spooled.left_out):
            yield f"{left} jobs and grants cannot be priced anew from what the ledger keeps, and are in none of these figures"
        if spooled.posted != moved_now:
            paid, pay = (canonical(EXACT.minus(each)) for each in (spooled.posted, moved_now))
            yield f"users have paid {paid} for these jobs and grants; by the policy as it is now they would have paid {pay}"
        yield from _unseen(changes(*policies))


def _unseen(edits: Iterable[str]) -> Iterator[str]:
    for edit in edits:
        for beginning, why in UNSEEN.items():
            if edit.startswith(beginning) and (beginning != "rule " or TAKES_MORE.match(edit)):
                yield f"{edit}: {why}"


EVENTS_ALONE = OfLedger(why_unknown=EVENTS_DO_NOT_SAY)
"""No ledger is given."""


def _figures(spooled: Spooled) -> dict[str, Any]:
    paid = canonical(EXACT.minus(spooled.posted))
    return {"jobs": spooled.logs, "paid": paid, "reasons": [dict(reason) for reason in spooled.reasons]}


def _left_out(record: Record) -> dict[str, str]:
    reference, user, why = record
    return {"reference": reference, "user": user, "why": why}
