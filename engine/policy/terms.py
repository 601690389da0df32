"""The terms of a rule: what it says beside its name, its pattern and its action. Each action has its own.

``terms_shape`` is how they are written in a policy. It is asked when a policy is read, and imports the grammar only then.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, assert_never

from attrs import frozen

from engine.domain.fact_kinds import Action
from engine.domain.money import DIGITS_MAX, Money, canonical
from engine.policy.charges import ChargeTerms, number_at
from engine.policy.expressions.paths import Path
from engine.policy.price_books import PriceProblem

if TYPE_CHECKING:
    from engine.domain.envelope import Document
    from engine.domain.facts import Content
    from engine.policy.grammar import Shape


@frozen
class Share:
    """How much goes back: a percent of it or an amount of credits, each a number or what an event is asked for it."""

    percent: Decimal | Path | None = None
    amount: Decimal | Path | None = None

    def paths(self) -> Iterator[Path]:
        """Yield the expressions that an event is asked."""
        yield from (said for said in (self.percent, self.amount) if isinstance(said, Path))


@frozen
class RefundTerms(Share):
    """How much of a charge goes back, and how old the charge may be (None: as old as it likes)."""

    within: timedelta | None = None


@frozen
class ShareTold:
    """How much goes back by one event: ``percent`` (0 to 100), or ``amount`` (credits, rounded); and what the event said."""

    percent: Decimal | None
    amount: Decimal | None
    content: Content


def share_told(share: Share, document: Document, money: Money) -> ShareTold:
    """Return how much goes back by an event. Raises PriceProblem for a number that makes no sense."""
    if share.amount is None:
        return ShareTold(*_percent_told(share.percent, document))
    if not isinstance(share.amount, Path):
        return ShareTold(None, share.amount, ())
    said = number_at(share.amount, document)
    amount = money.round(said)
    if len(amount.as_tuple().digits) > DIGITS_MAX:
        raise PriceProblem(share.amount.text, f"has more than the {DIGITS_MAX} digits that fit into the ledger")
    return ShareTold(None, amount, ((share.amount.text, canonical(said)),))


def _percent_told(percent: Decimal | Path | None, document: Document) -> tuple[Decimal | None, None, Content]:
    if not isinstance(percent, Path):
        return percent, None, ()
    said = number_at(percent, document)
    if said > ALL_OF_IT:
        raise PriceProblem(percent.text, f"is {canonical(said)}; a number from 0 to {ALL_OF_IT} is needed")
    return said, None, ((percent.text, canonical(said)),)


ALL_OF_IT = Decimal(100)
"""Percent."""


@frozen
class FlagTerms:
    """Why a person should look."""

    reason: str

    def paths(self) -> Iterator[Path]:
        """Yield the expressions that an event is asked."""
        yield from ()


type Terms = ChargeTerms | RefundTerms | FlagTerms


def terms_shape(action: Action) -> Shape:
    """Return what a rule of this action says. Of a price book it gives the name (``pricing.DraftTerms``)."""
    from engine.policy import grammar, pricing, shares  # noqa: PLC0415  a compiled policy needs none of them

    match action:
        case Action.DEBIT:
            return pricing.CHARGE
        case Action.GRANT:
            return pricing.GRANT
        case Action.REFUND:
            return shares.REFUND
        case Action.FLAG:
            return grammar.Text()
        case _:
            assert_never(action)
