"""How much goes back: a percent of it or an amount of credits, as a rule says it or as an event is asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from attrs import frozen

from engine.domain.money import DIGITS_MAX, Money, canonical
from engine.policy.charges import number_at
from engine.policy.expressions.paths import Path
from engine.policy.price_books import PriceProblem

if TYPE_CHECKING:
    from engine.domain.envelope import Document
    from engine.domain.fact import Content

ALL_OF_IT = Decimal(100)
"""Percent."""


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
class RevokeTerms(Share):
    """How much of a grant is taken back by now, and under which name that is counted (None: the rule's)."""

    series: str | None = None


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
