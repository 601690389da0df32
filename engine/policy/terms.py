"""The terms of a rule: what it says beside its name, its pattern and its action. Each action has its own.

``terms_shape`` is how they are written in a policy. It is asked when a policy is read, and imports the grammar only then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, assert_never

from attrs import frozen

from engine.domain.fact_kinds import Action
from engine.policy.charges import ChargeTerms, HoldTerms
from engine.policy.expressions.paths import Path
from engine.policy.shares import RefundTerms, RevokeTerms

if TYPE_CHECKING:
    from engine.policy.grammar import Shape


@frozen
class FlagTerms:
    """Why a person should look."""

    reason: str

    def paths(self) -> Iterator[Path]:
        """Yield the expressions that an event is asked."""
        yield from ()


type Terms = ChargeTerms | HoldTerms | RefundTerms | RevokeTerms | FlagTerms


def terms_shape(action: Action) -> Shape:
    """Return what a rule of this action says. Of a price book it gives the name (``pricing.DraftTerms``)."""
    from engine.policy import grammar, pricing, sharing  # noqa: PLC0415  a compiled policy needs none of them

    match action:
        case Action.DEBIT:
            return pricing.CHARGE
        case Action.GRANT:
            return pricing.GRANT
        case Action.REFUND:
            return sharing.REFUND
        case Action.REVOKE:
            return sharing.REVOKE
        case Action.HOLD:
            return pricing.HOLD
        case Action.FLAG:
            return grammar.Text()
        case _:
            assert_never(action)
