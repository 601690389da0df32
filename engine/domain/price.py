"""All that an amount follows from, beside the quantity."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from attrs import field, frozen


class TierModel(StrEnum):
    """How tiers apply to a quantity."""

    GRADUATED = "graduated"
    """Each part of the quantity at the rate of the tier that it lies in."""
    VOLUME = "volume"
    """The whole quantity at the rate of the tier that it reaches."""


@frozen
class Tier:
    """A rate for quantities up to and including ``up_to``; None for all above the tier before."""

    rate: Decimal
    up_to: Decimal | None = None


@frozen
class Price:
    """All that an amount follows from, beside the quantity: an entry keeps it, so that it can be worked out for ever.

    A flat ``amount``; or ``rate`` credits a unit (with ``tiers``: the rate of the tier that was reached); or the sum of
    ``components``; or none of them, where the quantity itself is the amount. ``book`` and ``effective`` name the row of the
    price book, ``unit`` the keys of its ``rates`` that led to the rate.
    """

    amount: Decimal | None = None
    book: str | None = None
    effective: datetime | None = None
    rate: Decimal | None = None
    unit: str | None = None
    tiers: tuple[Tier, ...] = ()
    tier_model: TierModel = TierModel.GRADUATED
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    components: tuple[Component, ...] = ()
    defaulted: bool = field(default=False, eq=False)
    """Whether a selected value had no rate of its own, so that ``default`` counts.

    No amount follows from it, and no entry keeps it.
    """

    @property
    def parts(self) -> tuple[Price, ...]:
        """The prices of single quantities that it is made of: those of its components, or itself."""
        return tuple(component.price for component in self.components) or (self,)


@frozen
class Component:
    """One of several things that an event is charged for: a quantity at a price, or a flat amount; neither has bounds.

    ``amount`` is what it comes to, never rounded; None where that has more digits than the ledger holds.
    """

    price: Price
    quantity: Decimal | None = None
    amount: Decimal | None = None
    name: str | None = None
