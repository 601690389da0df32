"""Tiers and several selectors, as tables worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from engine.domain.money import Money
from engine.domain.price import Price, Tier, TierModel
from engine.policy.charges import ChargeTerms, amount_of, in_tiers, price_charge
from engine.policy.expressions.paths import compile_path
from engine.policy.price_books import PriceBook, PriceProblem, PriceRow

START = datetime(2026, 1, 1, tzinfo=UTC)
TIERS = (Tier(Decimal("0.10"), Decimal(60)), Tier(Decimal("0.08"), Decimal(300)), Tier(Decimal("0.05")))
"""The first minute 0.10 a second, up to five minutes 0.08, above that 0.05."""


def cost(seconds: str, model: TierModel, **bounds: str) -> str:
    """Return what so many seconds cost."""
    row = PriceRow(START, {"default": TIERS}, (), model)
    terms = ChargeTerms(
        book=PriceBook("tiered", (row,)),
        quantity=compile_path("detail.seconds"),
        **{name: Decimal(bound) for name, bound in bounds.items()},
    )
    priced = price_charge(terms, {"detail": {"seconds": seconds}}, START, Money())
    assert priced.amount == amount_of(priced.price, priced.quantity, Money())
    return str(priced.amount)


@pytest.mark.parametrize(
    ("seconds", "graduated", "volume"),
    [
        ("0", "0.0000", "0.0000"),
        ("0.5", "0.0500", "0.0500"),
        ("60", "6.0000", "6.0000"),
        ("60.01", "6.0008", "4.8008"),  # 60 x 0.10 + 0.01 x 0.08; all at 0.08
        ("61", "6.0800", "4.8800"),
        ("300", "25.2000", "24.0000"),  # 60 x 0.10 + 240 x 0.08
        ("301", "25.2500", "15.0500"),  # and 1 x 0.05
        ("1000", "60.2000", "50.0000"),
    ],
)
def test_graduated_tiers_add_up_and_volume_tiers_count_for_all(seconds: str, graduated: str, volume: str) -> None:
    """A tier ends with its ``up_to``, which still belongs to it."""
    assert (graduated, volume) == (cost(seconds, TierModel.GRADUATED), cost(seconds, TierModel.VOLUME))


def test_bounds_count_after_tiers() -> None:
    """The whole has a minimum and a maximum, not each tier."""
    assert ("1.0000", "20.0000") == (
        cost("1", TierModel.GRADUATED, minimum="1"),
        cost("300", TierModel.VOLUME, maximum="20"),
    )


def test_a_price_with_tiers_keeps_them_and_the_rate_that_was_reached() -> None:
    """An entry must tell how it came about without its policy."""
    terms = ChargeTerms(
        book=PriceBook("tiered", (PriceRow(START, {"default": TIERS}, (), TierModel.VOLUME),)),
        quantity=compile_path("detail.seconds"),
    )

    price = price_charge(terms, {"detail": {"seconds": 61}}, START, Money()).price

    assert (
        Price(
            book="tiered",
            effective=START,
            rate=Decimal("0.08"),
            unit="default",
            tiers=TIERS,
            tier_model=TierModel.VOLUME,
        )
        == price
    )


def test_the_parts_of_a_quantity_add_up_to_it() -> None:
    """Nothing is charged twice, and nothing is left out."""
    for quantity in ("0", "59.999", "60", "60.001", "299", "300", "300.5", "12345678901234567890.12345"):
        assert Decimal(quantity) == sum(part for part, _ in in_tiers(TIERS, Decimal(quantity)))


# --- several selectors ------------------------------------------------------------------------------------------------

RATES: Any = {
    "default": (Tier(Decimal("0.12")),),
    "sora": (Tier(Decimal("0.30")),),
    "veo": {"default": (Tier(Decimal("0.40")),), "4k": (Tier(Decimal("0.60")),)},
    "wan": {"720p": {"default": (Tier(Decimal("0.10")),), "long": (Tier(Decimal("0.05")),)}},
}
SELECTORS = tuple(compile_path(f"detail.{name}") for name in ("model", "resolution", "length"))


def selected(**detail: Any) -> tuple[str | None, Decimal | None, dict[str, str]]:
    """Return the unit and the rate that an event selects, and what it said."""
    terms = ChargeTerms(book=PriceBook("b", (PriceRow(START, RATES, SELECTORS),)), quantity=compile_path("detail.seconds"))
    priced = price_charge(terms, {"detail": {"seconds": 1, **detail}}, START, Money())
    return priced.price.unit, priced.price.rate, dict(priced.content)


@pytest.mark.parametrize(
    ("detail", "unit", "rate", "asked"),
    [
        ({"model": "sora"}, "sora", "0.30", ["detail.model"]),
        ({"model": "else", "resolution": 7}, "default", "0.12", ["detail.model"]),
        ({"model": "veo", "resolution": "4k"}, "veo/4k", "0.60", ["detail.model", "detail.resolution"]),
        ({"model": "veo", "resolution": "8k"}, "veo/default", "0.40", ["detail.model", "detail.resolution"]),
        (
            {"model": "wan", "resolution": "720p", "length": "long"},
            "wan/720p/long",
            "0.05",
            ["detail.length", "detail.model", "detail.resolution"],
        ),
    ],
)
def test_each_value_selects_within_what_the_one_before_has_selected(
    detail: dict[str, Any], unit: str, rate: str, asked: list[str]
) -> None:
    """A selector is asked only where there is something left to select, and only what was asked is remembered."""
    found_unit, found_rate, content = selected(**detail)

    assert (unit, Decimal(rate), sorted([*asked, "detail.seconds"])) == (found_unit, found_rate, sorted(content))


@pytest.mark.parametrize(
    ("detail", "field", "problem"),
    [
        ({"model": "veo"}, "detail.resolution", "is missing; a string that selects a rate is needed"),
        (
            {"model": "wan", "resolution": "1080p"},
            "detail.resolution",
            "is '1080p'; b/wan has neither that rate nor a default, only: 720p",
        ),
    ],
)
def test_what_selects_nothing_is_a_problem_of_its_own_field(detail: dict[str, Any], field: str, problem: str) -> None:
    """The message says within which rates it was looked for."""
    with pytest.raises(PriceProblem) as refusal:
        selected(**detail)

    assert (field, problem) == (refusal.value.field, refusal.value.problem)
