"""What a second policy would have posted for an event, beside what was posted.

Amounts are credits, signed from the user's side, as an entry's are.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import frozen

from engine.domain.digits import in_digits

UNKNOWN = "unknown"
"""What the ledger has kept of earlier events does not tell what the second policy makes of them."""

REJECTED = "error"
"""The event makes no sense under the second policy: there it would have come back, and posted nothing."""

METRICS = ("ShadowPosted", "ShadowDiffers", "ShadowRejected", "ShadowDifference", "ShadowUnknown", "ShadowErrors")
"""What is counted of it."""

FAILED = "failed"
"""The shadow itself has failed: a fault of the program or of its file."""


@frozen
class Shadowed:
    """How an event would have ended under a second policy: ``outcome`` is one of ``Outcome``, or of the three above.

    ``difference`` is how much more the user would have now than the running policy has left. Where the outcome is not known
    there is neither it nor an amount; ``why`` says why.
    """

    policy: str
    outcome: str
    rule: str | None = None
    amount: Decimal | None = None
    difference: Decimal | None = None
    why: str = ""

    def answer(self) -> dict[str, Any]:
        """Return it as JSON-like values, without what is not there."""
        told = {
            "policy": self.policy,
            "outcome": self.outcome,
            "rule": self.rule,
            "amount": None if self.amount is None else in_digits(self.amount),
            "difference": None if self.difference is None else in_digits(self.difference),
            "why": self.why or None,
        }
        return {name: value for name, value in told.items() if value is not None}

    def metrics(self) -> dict[str, float]:
        """Return what is counted of it."""
        if self.outcome == FAILED:
            return {"ShadowErrors": 1}
        if self.amount is None or self.difference is None:
            return {"ShadowUnknown": 1}
        return {
            "ShadowPosted": int(self.amount != 0),
            "ShadowDiffers": int(self.difference != 0),
            "ShadowRejected": int(self.outcome == REJECTED),
            "ShadowDifference": float(self.difference),
        }
