"""No sensible edit is warned of: whoever is warned for nothing stops reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from engine.domain.price import Tier
from engine.policy import Policy, load_policy, parse_policy
from engine.policy.price_books import PriceBook, Rates
from tests.policy.mutation.run import RECIPES, SHIPPED
from tests.policy.mutation.tree import Tree

POLICIES = [*SHIPPED, *RECIPES]


def edited(path: Path, times: Decimal) -> Iterator[str]:
    """Yield the policy with each book's rates so many times as high from a date on: all in one row of changes."""
    text, policy = path.read_text(encoding="utf-8"), load_policy(path)
    tree = Tree(text)
    for book in policy.prices.values():
        spot = tree.by_path["prices", book.name]
        row = f"{{effective: 2030-01-01T00:00:00Z, changes: {changes(last(book), times)}}}"
        indent = " " * (spot.start - text.rindex("\n", 0, spot.start) - 1)
        yield f"{text[: spot.end]}\n{indent}- {row}{text[spot.end :]}"


def last(book: PriceBook) -> Rates:
    """Return the rates of the last row without an end."""
    return next(row.rates for row in reversed(book.rows) if row.until is None)


def changes(rates: Rates, times: Decimal) -> str:
    """Return rates as YAML, so many times as high."""
    each = {key: tiers(rate, times) if isinstance(rate, tuple) else changes(rate, times) for key, rate in rates.items()}
    return "{" + ", ".join(f'"{key}": {value}' for key, value in each.items()) + "}"


def tiers(rate: tuple[Tier, ...], times: Decimal) -> str:
    """Return a rate, or tiers, as YAML."""
    if len(rate) == 1:
        return f"{rate[0].rate * times:f}"
    bounds: Mapping[int, str] = {at: f"up_to: {tier.up_to}, " for at, tier in enumerate(rate) if tier.up_to is not None}
    return "[" + ", ".join(f"{{{bounds.get(at, '')}rate: {tier.rate * times:f}}}" for at, tier in enumerate(rate)) + "]"


def warnings(policy: Policy) -> list[str]:
    """Return what is told of a policy."""
    return [str(warning) for warning in policy.warnings]


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_policy_that_people_use_is_told_nothing(path: Path) -> None:
    """Shipped policies, and recipes."""
    assert [] == warnings(load_policy(path))


@pytest.mark.parametrize("times", ["0.5", "0.8", "0.95", "1.05", "1.2", "2", "3"])
@pytest.mark.parametrize("path", POLICIES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_prices_may_rise_and_fall(path: Path, times: str) -> None:
    """All of a book at once, from a half to three times as much."""
    assert [] == [told for text in edited(path, Decimal(times)) for told in warnings(parse_policy(text, path.name))]


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_ten_times_as_much_is_told_of_each_book(path: Path) -> None:
    """Else the test above would say nothing."""
    texts = list(edited(path, Decimal(10)))

    assert [True] * len(texts) == [bool(warnings(parse_policy(text, path.name))) for text in texts]
    assert texts or not load_policy(path).prices


NAMES = ["kling-3", "hailuo-2.3-pro", "seedance-1-pro", "luma-ray-3", "pixverse-v5", "wan2.7-i2v", "veo-3.2-fast", "sora-3"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rate", ["0.03", "0.15", "0.75", "3"])
def test_a_new_model_may_cost_what_it_likes(name: str, rate: str) -> None:
    """Within what is usual: the shipped rates go from 0.05 to 0.60. It is the next version of a known one, or another's."""
    text = SHIPPED[-1].read_text(encoding="utf-8")
    row = f"    - {{effective: 2030-01-01T00:00:00Z, changes: {{{name}: {rate}}}}}\n"

    assert [] == warnings(parse_policy(text.replace("\nrules:", f"{row}\nrules:", 1), "video.yaml"))
