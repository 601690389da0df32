"""Several prices in one event: what they come to together, and what an entry keeps of each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from benchmarks.capacity import item_bytes
from engine.audit.recount import recount
from engine.domain.errors import EventError
from engine.domain.money import Money
from engine.domain.price import Component, Price, Tier, TierModel
from engine.ledger.dynamodb.attributes import decode_item
from engine.ledger.dynamodb.postings import item_of
from engine.ledger.stored import stored_of
from engine.policy import parse_policy
from engine.policy.charges import amount_of
from tests.support.books import Books
from tests.support.components import POSTED_AT, TOKENS, cost, done, entry, policy, stored, text

# --- the sum ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("components", "detail", "amount"),
    [
        # 1,234 x 0.000003 = 0.003702 and 567 x 0.000015 = 0.008505
        (TOKENS, {"in": 1234, "out": 567}, "0.0122"),
        # 100,000 x 0.00000015 = 0.015 and 2,000 x 0.0000006 = 0.0012
        (TOKENS, {"in": 100_000, "out": "2000", "model": "small"}, "0.0162"),
        # a set-up fee and 12 seconds at 0.10
        ('{amount: "0.25"}, {price: second, quantity: detail.s}', {"s": 12}, "1.45"),
        # 60 x 0.10 + 30 x 0.08, and a flat amount
        ('{price: second, quantity: detail.s}, {amount: "0.05"}', {"s": 90}, "8.45"),
        # the same, and 101 frames that all have the rate of the second tier: 1.01
        ("{price: second, quantity: detail.s}, {price: frame, quantity: detail.f}", {"s": 90, "f": 101}, "9.41"),
        # twice the same book: 10 and 20 seconds are 3, as 30 seconds are
        ("{price: second, quantity: detail.s}, {price: second, quantity: detail.f}", {"s": 10, "f": 20}, "3"),
        # but each has its own tiers: 50 and 50 seconds are 10, although 100 seconds are 9.20
        ("{price: second, quantity: detail.s}, {price: second, quantity: detail.f}", {"s": 50, "f": 50}, "10"),
        # one alone, and nothing of either
        ("{price: second, quantity: detail.s}", {"s": "0.5"}, "0.05"),
        (TOKENS, {"in": 0, "out": 0}, "0"),
        ("{amount: 1}, {amount: 2}", {}, "3"),
    ],
)
def test_components_add_up(components: str, detail: dict[str, Any], amount: str) -> None:
    """Each quantity at its own book, row, tiers and rate; worked out by hand."""
    assert Decimal(amount) == Decimal(cost(components, **detail))


@pytest.mark.parametrize(
    ("money", "amount"),
    [
        ("{places: 2, rounding: half-even}", "0.02"),  # 0.005 to the even each, three times, would be 0
        ("{places: 2, rounding: half-up}", "0.02"),  # and upwards each 0.03
        ("{places: 2, rounding: up}", "0.02"),
        ("{places: 2, rounding: down}", "0.01"),
        ("{places: 3, rounding: half-even}", "0.015"),
    ],
)
def test_the_sum_is_rounded_once(money: str, amount: str) -> None:
    """Three times 0.005 are 0.015: no component is rounded by itself, whatever its own places."""
    assert amount == cost('{amount: "0.005"}, {amount: "0.005"}, {amount: "0.005"}', money=money)


@pytest.mark.parametrize(
    ("detail", "amount"),
    [
        ({"in": 1, "out": 1}, "0.01"),  # not the minimum of each
        ({"in": 1000, "out": 467}, "0.0100"),  # 0.003 + 0.007005: just above it, before it is rounded
        ({"in": 1000, "out": 500}, "0.0105"),
        ({"in": 10_000_000, "out": 1_000_000}, "45"),
        ({"in": 10_000_000, "out": 2_000_000}, "50"),  # 30 + 30: neither reaches the maximum by itself
    ],
)
def test_bounds_count_for_the_sum(detail: dict[str, Any], amount: str) -> None:
    """The least and the most is of the whole charge."""
    assert Decimal(amount) == Decimal(cost(TOKENS, ', minimum: "0.01", maximum: 50', **detail))


DEARER = (
    'small: "0.00000015"}}\n',
    'small: "0.00000015"}}\n    - {effective: 2026-01-05T00:00:00Z, changes: {default: "0.000006"}}\n',
)


@pytest.mark.parametrize(
    ("submitted", "amount"),
    [
        ("2026-01-04T23:59:59Z", "-4.5"),  # 3 + 1.5, as on the day before
        ("2026-01-05T00:00:00Z", "-7.5"),  # 6 + 1.5
    ],
)
def test_the_instant_of_the_price_is_that_of_all_components(submitted: str, amount: str) -> None:
    """It is one key of the charge; what the event says of it belongs to the charge's content."""
    charge = text(f"{{amount: 0}}, {TOKENS}", more=", priced_at: detail.submitted").replace(*DEARER)
    books = Books(parse_policy(charge, "media.yaml"))

    books.deliver(done(**{"in": 1_000_000, "out": 100_000, "submitted": submitted}))

    (charged,) = books.entries_of("j-1")
    assert Decimal(amount) == charged.amount
    assert ("detail.submitted", submitted) in charged.facts.charges[0].content
    assert not recount([charged])[0].failed


def test_a_grant_has_components_too() -> None:
    """Credits that were bought, and a bonus."""
    parts = "{price: second, quantity: detail.s}, {quantity: detail.credits}, {amount: 5}"
    grant = text(parts, more=", maximum: 500").replace("action: debit", "action: grant").replace("charge:", "grant:")
    books = Books(parse_policy(grant, "media.yaml"))

    books.deliver(done(purchase="p-1", credits=100, s=10), done(purchase="p-2", credits="494.5", s=10))

    assert Decimal(106) == books.net("grant#p-1")
    assert Decimal(500) == books.net("grant#p-2")


@pytest.mark.parametrize(
    ("detail", "field", "problem"),
    [
        ({"in": 5}, "detail.out", "is missing; a finite number >= 0 is needed"),
        ({"in": 5, "out": -1}, "detail.out", "is -1; a finite number >= 0 is needed"),
        ({"in": True, "out": 1}, "detail.in", "is True; a finite number >= 0 is needed"),
        ({"in": 5, "out": 5, "model": None}, "detail.model", "is missing; a string that selects a rate is needed"),
        ({"in": "9" * 38, "out": "9" * 38, "model": "huge"}, "charge.components", "makes a charge of more than the 38 digits"),
    ],
)
def test_a_component_that_makes_no_sense_is_a_problem_of_its_own_field(
    detail: dict[str, Any], field: str, problem: str
) -> None:
    """Nothing is charged for the rest: the event comes back."""
    books = Books(parse_policy(text(TOKENS).replace('small: "0.00000015"', "huge: 1"), "media.yaml"))

    with pytest.raises(EventError) as refusal:
        books.deliver(done(**detail))

    assert f"field {field}: {problem}" in str(refusal.value)
    assert {} == books.entries


# --- what an entry keeps ----------------------------------------------------------------------------------------------

NAMED = (
    "{name: fee, amount: 0.005}, {name: in, price: tokens-in, quantity: detail.in}, {price: second, quantity: detail.s},"
    " {price: frame, quantity: detail.f}"
)


def test_an_entry_keeps_each_component_unrounded() -> None:
    """With its book, row, rate, unit, tiers and quantity, under names that are for good."""
    charged = entry(policy(NAMED, more=", minimum: 1, maximum: 90", money="{places: 2}"), **{"in": 1234, "s": 90, "f": 8})
    first = "2026-01-01T00:00:00Z"

    assert {
        "minimum": 1,
        "maximum": 90,
        "components": [
            {"name": "fee", "amount": Decimal("0.005")},
            {
                "name": "in",
                "amount": Decimal("0.003702"),
                "quantity": 1234,
                "book": "tokens-in",
                "effective": first,
                "rate": Decimal("0.000003"),
                "unit": "default",
            },
            {
                "amount": Decimal("8.4"),
                "quantity": 90,
                "book": "second",
                "effective": first,
                "rate": Decimal("0.08"),
                "unit": "default",
                "tiers": [{"upTo": 60, "rate": Decimal("0.1")}, {"rate": Decimal("0.08")}],
                "tierModel": "graduated",
            },
            {
                "amount": Decimal("0.16"),
                "quantity": 8,
                "book": "frame",
                "effective": first,
                "rate": Decimal("0.02"),
                "unit": "default",
                "tiers": [{"upTo": 100, "rate": Decimal("0.02")}, {"rate": Decimal("0.01")}],
                "tierModel": "volume",
            },
        ],
    } == decode_item(item_of(charged, POSTED_AT))["price"]
    assert Decimal("-8.57") == charged.amount  # 8.568702
    assert charged.quantity is None


def test_a_price_with_components_comes_back_as_it_was() -> None:
    """Also the figures of the quantity itself, which a grant may have."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    tiers = (Tier(Decimal(1), Decimal(5)), Tier(Decimal(2)))
    components = (
        Component(Price(amount=Decimal("0.5")), None, Decimal("0.5"), "fee"),
        Component(Price(book="b", effective=start, rate=Decimal(2), unit="x/y", tiers=tiers, tier_model=TierModel.VOLUME),
                  Decimal(8), Decimal(16)),
        Component(Price(), Decimal(3), Decimal(3), "itself"),
        Component(Price(book="b", effective=start, rate=Decimal(1), unit="x"), Decimal("0.1"), None),
    )  # fmt: skip
    whole = Price(components=components, minimum=Decimal(1))
    charged = evolve(entry(policy("{amount: 1}")), price=whole)

    assert whole == stored(charged).price
    assert Decimal("19.6") == amount_of(whole, None, Money())


def test_a_price_without_components_is_stored_as_ever() -> None:
    """Today's entries keep their bytes."""
    plain = parse_policy(text("{amount: 1}").replace("{components: [{amount: 1}]}", "{amount: 1}"), "media.yaml")

    assert {"amount": 1} == decode_item(item_of(entry(plain), POSTED_AT))["price"]


def test_what_a_component_comes_to_is_left_out_where_it_has_too_many_digits() -> None:
    """The charge itself fits, and counts: 47 digits behind the point are no number of the ledger."""
    quantity = "0." + "3" * 37
    charged = entry(policy("{price: tokens-in, quantity: detail.in}, {amount: 1}"), **{"in": quantity})
    assert charged.price is not None

    assert (None, Decimal(quantity)) == (charged.price.components[0].amount, charged.price.components[0].quantity)
    assert ("1.0000", []) == (format(-charged.amount, ".4f"), list(recount([charged])[0].problems))


def test_the_size_of_an_entry() -> None:
    """Some 150 bytes a component with its name, and a write unit for seven of them."""
    names = [f"component-{number:02}" for number in range(20)]
    parts = [f"{{name: {name}, price: tokens-in, quantity: detail.usage.{name.replace('-', '_')}}}" for name in names]
    usage = {name.replace("-", "_"): 123_456_789 for name in names}
    sizes = []
    for count in (1, 20):
        charged = entry(policy(", ".join(parts[:count])), model="gpt-5.4-mini-2026-03-17", usage=usage)
        sizes.append(item_bytes(item_of(charged, POSTED_AT)))

    assert 130 <= (sizes[1] - sizes[0]) / 19 <= 160
    assert sizes[1] < 4 * 1024


# --- the content ------------------------------------------------------------------------------------------------------


def test_a_charge_knows_all_that_any_component_asked() -> None:
    """Each expression once, also where several components ask it."""
    charged = entry(policy(f"{TOKENS}, {{price: second, quantity: detail.in}}, {{amount: 1}}"), **{"in": 5, "out": "7.0"})

    assert {"detail.in": "5", "detail.out": "7", "detail.model": "large"} == dict(charged.facts.charges[0].content)


def test_an_expression_may_be_a_quantity_and_select_a_rate() -> None:
    """Whichever of the two texts is kept, the same event is known again under another policy."""
    sizes = '  size:\n    - {effective: 2026-01-01T00:00:00Z, by: detail.in, rates: {default: 1, "8.0": 2}}\nrules:'
    both = text("{price: tokens-in, quantity: detail.in}, {price: size, quantity: detail.out}").replace("rules:", sizes)
    books = Books(parse_policy(both, "media.yaml"))
    books.deliver(done(**{"in": "8.0", "out": 3}))
    books.policy = parse_policy(both.replace("default: 1", "default: 7"), "media.yaml")
    books.deliver(done(**{"in": "8.0", "out": 3}))

    assert [("debit", "-6.0000")] == books.lines("j-1")


def test_twins_that_differ_in_one_component_only_are_in_conflict() -> None:
    """The smaller counts, in either order."""
    twins = [done(**{"in": 1_000_000, "out": 10_000}), done(**{"in": 1_000_000, "out": 20_000})]
    for order in (twins, twins[::-1]):
        books = Books(policy(TOKENS))
        books.deliver(*order, *order)

        assert Decimal("-3.15") == books.net("j-1")
        assert ["conflicting-charge"] == books.anomalies("j-1")
        assert all(not count.failed for count in recount(books.entries_of("j-1")))


def test_a_known_event_keeps_its_amount_when_components_change() -> None:
    """One more, one less, another order, another price: the event of the past says what it said."""
    edits = [
        policy(f"{TOKENS}, {{price: second, quantity: detail.s}}"),
        policy("{price: tokens-out, quantity: detail.out}"),
        policy("{price: tokens-out, quantity: detail.out}, {price: tokens-in, quantity: detail.in}"),
        parse_policy(text(TOKENS).replace("0.000003", "0.000004"), "media.yaml"),
    ]
    books = Books(policy(TOKENS))
    event = done(**{"in": 1_000_000, "out": 10_000, "s": 10})
    books.deliver(event)
    for edit in edits:
        books.policy = edit
        books.deliver(event)

    assert [("debit", "-3.1500")] == books.lines("j-1")


def test_a_component_may_rest_on_the_jobs_own_row() -> None:
    """What the row has answered is fixed with the charge: told again with another row, the event is known."""
    books = Books(policy("{price: tokens-in, quantity: detail.in}, {price: second, quantity: row.seconds}"))
    books.store.jobs["j-1"] = {"jobId": "j-1", "userId": "u-1", "status": "done", "seconds": 8}
    books.deliver(done(**{"in": 100_000}))
    books.store.jobs["j-1"]["seconds"] = 9
    books.deliver(done(**{"in": 100_000}))

    assert [("debit", "-1.1000")] == books.lines("j-1")


def test_a_refund_gives_back_of_the_sum() -> None:
    """Half of 0.0122, to the even."""
    books = Books(policy(TOKENS))
    failed = {**done(at="11:00"), "detail-type": "failed"}
    books.deliver(done(**{"in": 1234, "out": 567}), failed)

    assert [("debit", "-0.0122"), ("refund", "0.0061")] == books.lines("j-1")


def keys_of(mapping: Mapping[str, Any]) -> set[str]:
    """Return the keys of what is not None."""
    return {key for key, value in mapping.items() if value is not None}


def test_what_says_nothing_is_left_out_of_a_component() -> None:
    """Twenty of them would each carry its nulls."""
    charged = entry(policy("{amount: 1}"))
    price: Any = stored_of(charged, POSTED_AT)["price"]

    assert {"components"} == keys_of(price)
    assert {"amount"} == keys_of(price["components"][0])
