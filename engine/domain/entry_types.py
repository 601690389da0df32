"""The types of an entry, how an event ends that posts one, and what is counted of it.

A new type is a member of ``EntryType``, its row, and mostly a member of ``Outcome`` with its metric.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import assert_never

from attrs import frozen


class EntryType(StrEnum):
    """What an entry of the ledger does to the balance."""

    DEBIT = "debit"
    REFUND = "refund"
    GRANT = "grant"
    REVOKE = "revoke"
    ADJUST = "adjust"
    REPRICE = "reprice"
    HOLD = "hold"
    SETTLE = "settle"
    RELEASE = "release"
    FLAG = "flag"
    VOID = "void"


class Outcome(StrEnum):
    """How one event ended. Anything else is an exception, and the event must come back."""

    DEBITED = "debited"
    REFUNDED = "refunded"
    GRANTED = "granted"
    REVOKED = "revoked"
    ADJUSTED = "adjusted"
    """By a person's word: credits given or taken."""
    REPRICED = "repriced"
    """By a person's word: a job costs what another policy says."""
    HELD = "held"
    """Credits are reserved for work that has not begun."""
    SETTLED = "settled"
    """A charge took the place of a hold."""
    RELEASED = "released"
    """A hold has ended without a charge."""
    CLOSED = "closed"
    """A hold for an attempt that is decided, or has expired: it reserves nothing."""
    VOIDED = "voided"
    """A new fact that moves nothing: remembered, so that no order of arrival can charge for it."""
    FLAGGED = "flagged"
    REFUSED = "refused"
    """The balance does not cover the charge: it stays due, and every scan tries it again. A hold is not tried again."""
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    """No rule matches."""


@frozen(eq=False, repr=False)
class TypeOfEntry:
    """What holds of all entries of one type.

    ``signs`` are those that the amount may have, ``amount_is`` says so to a person. What ``waits_for_balance`` stays due where
    the balance does not cover it and the policy refuses that.
    """

    outcome: Outcome
    signs: tuple[int, ...]
    amount_is: str
    waits_for_balance: bool = False

    @property
    def moves_credits(self) -> bool:
        return self.signs != (0,)


def _row(entry_type: EntryType) -> TypeOfEntry:  # noqa: C901, PLR0911  a table, in the form that the type check completes
    match entry_type:
        case EntryType.DEBIT:
            return TypeOfEntry(Outcome.DEBITED, (-1,), "below 0", waits_for_balance=True)
        case EntryType.REFUND:
            return TypeOfEntry(Outcome.REFUNDED, (1,), "above 0")
        case EntryType.GRANT:
            return TypeOfEntry(Outcome.GRANTED, (-1, 1), "not 0")
        case EntryType.REVOKE:
            return TypeOfEntry(Outcome.REVOKED, (-1, 1), "not 0")  # a dispute that was won gives back
        case EntryType.ADJUST:
            return TypeOfEntry(Outcome.ADJUSTED, (-1, 1), "not 0")
        case EntryType.REPRICE:
            return TypeOfEntry(Outcome.REPRICED, (-1, 1), "not 0")
        case EntryType.HOLD:
            return TypeOfEntry(Outcome.HELD, (-1, 0, 1), "what it reserves", waits_for_balance=True)
        case EntryType.SETTLE:
            return TypeOfEntry(Outcome.SETTLED, (-1, 0, 1), "what the hold was above the charge", waits_for_balance=True)
        case EntryType.RELEASE:
            return TypeOfEntry(Outcome.RELEASED, (-1, 0, 1), "what was reserved", waits_for_balance=True)
        case EntryType.FLAG:
            return TypeOfEntry(Outcome.FLAGGED, (0,), "0")
        case EntryType.VOID:
            return TypeOfEntry(Outcome.VOIDED, (0,), "0")
        case _:
            assert_never(entry_type)


ENTRY_TYPES: Mapping[EntryType, TypeOfEntry] = {entry_type: _row(entry_type) for entry_type in EntryType}

POSTED = tuple(row.outcome for row in ENTRY_TYPES.values())
"""How an event ends that brings its log to what it should be. (A refusal posts an entry too, and leaves the charge due.)"""


def _metric(outcome: Outcome) -> str:  # noqa: C901, PLR0911, PLR0912  a table, in the form that the type check completes
    match outcome:
        case Outcome.DEBITED:
            return "Debits"
        case Outcome.REFUNDED:
            return "Refunds"
        case Outcome.GRANTED:
            return "Grants"
        case Outcome.REVOKED:
            return "Revokes"
        case Outcome.ADJUSTED:
            return "ManualAdjustments"  # what a scan had to post counts among the ``Adjustments``
        case Outcome.REPRICED:
            return "Repricings"
        case Outcome.HELD:
            return "Holds"
        case Outcome.SETTLED:
            return "Settlements"
        case Outcome.RELEASED:
            return "Releases"
        case Outcome.CLOSED:
            return "Closed"
        case Outcome.VOIDED:
            return "Voids"
        case Outcome.FLAGGED:
            return "Flags"
        case Outcome.REFUSED:
            return "Refusals"
        case Outcome.DUPLICATE:
            return "Duplicates"
        case Outcome.IGNORED:
            return "Ignored"
        case _:
            assert_never(outcome)


METRICS: Mapping[Outcome, str] = {outcome: _metric(outcome) for outcome in Outcome}
"""The metric that counts each outcome. An entry with anomalies also counts among the ``Flags``."""
