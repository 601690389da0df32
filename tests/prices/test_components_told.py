"""Several prices in one event: counted again, explained, and seen by anomalies, `plan` and policy tests."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from attrs import evolve

from engine.anomalies.explain.brief import Names, brief
from engine.anomalies.findings import Finding
from engine.audit.recount import recount
from engine.domain.entry import Entry
from engine.domain.envelope import Envelope, Source
from engine.domain.price import Component
from engine.policy import parse_policy
from engine.preview.changes import changes
from engine.preview.policy_tests import Coverage
from engine.preview.reasons import reasons_for
from engine.rating.assess import assess, priced_view
from engine.rating.baselines import NO_BASELINES
from tests.support.books import Books
from tests.support.components import TOKENS, done, entry, policy, stored, text

# --- counted again ----------------------------------------------------------------------------------------------------


def test_each_component_is_explained() -> None:
    """An event's story and an entry's: the same arithmetic, to the last digit."""
    of = policy("{name: in, price: tokens-in, quantity: detail.in}, {price: second, quantity: detail.s}, {amount: 0.01}",
                more=", minimum: 9")  # fmt: skip
    event = done(**{"in": 1234, "s": 90, "model": "gpt"})
    row = "the row from 2026-01-01T00:00:00Z"
    arithmetic = [
        f"component 1, in: price book `tokens-in`, {row}, rate `default`",
        "component 1, in: 1234 x 0.000003 = 0.003702",
        f"component 2, second: price book `second`, {row}, rate `default`",
        "component 2, second: up to 60: 60 x 0.10 = 6.00",
        "component 2, second: above: 30 x 0.08 = 2.40",
        "component 2, second: together 8.40",
        "component 3: a flat amount of 0.01",
        "together 8.413702",
        "minimum 9 counts instead",
        "rounded half-even to 4 places: 9.0000",
    ]
    at = f"at 2026-01-05T10:00:00Z {row} counts; there is no later one"

    steps = list(reasons_for(event, of).steps)

    assert steps == [
        f"component 1, in: {at}",
        "component 1, in: `gpt` has no rate of its own: `default` counts",
        "component 1, in: detail.in is 1234",
        *arithmetic[:2],
        f"component 2, second: {at}",
        "component 2, second: detail.s is 90",
        *arithmetic[2:],
    ]
    books = Books(of)
    books.deliver(event)
    assert arithmetic == list(recount(books.entries_of("j-1"))[0].steps[:10])


@pytest.mark.parametrize(
    ("spoil", "problems"),
    [
        (lambda part: part, []),
        (lambda part: evolve(part, amount=Decimal("0.003703")),
         ["its component 1, in is 0.003703; 0.003702 follows"]),
        (lambda part: evolve(part, quantity=Decimal(1235)),
         ["its component 1, in is 0.003702; 0.003705 follows"]),  # the minimum hides it from the charge itself
        (lambda part: evolve(part, quantity=Decimal(10**7)),
         ["its charge is 9; 38.4100 follows", "its component 1, in is 0.003702; 30.000000 follows"]),
        (lambda part: evolve(part, amount=None), []),
    ],
)  # fmt: skip
def test_a_component_that_was_changed_does_not_agree(spoil: Callable[[Component], Component], problems: list[str]) -> None:
    """Each is held to its own quantity and price, although the sum is bounded and rounded."""
    of = policy("{name: in, price: tokens-in, quantity: detail.in}, {price: second, quantity: detail.s}, {amount: 0.01}",
                more=", minimum: 9")  # fmt: skip
    charged = entry(of, **{"in": 1234, "s": 90})
    assert charged.price is not None
    first, *others = charged.price.components

    spoilt = evolve(charged, price=evolve(charged.price, components=(spoil(first), *others)))

    assert problems == list(recount([spoilt])[0].problems)


EDITS = [
    (f"{TOKENS}, {{amount: 0.00005}}", ', minimum: "0.0001"', "{places: 4, rounding: half-even}"),
    ("{price: second, quantity: detail.s}, {price: frame, quantity: detail.f}, {price: second, quantity: detail.f}",
     ", maximum: 9", "{places: 2, rounding: up}"),
    ("{name: fee, amount: 0.125}, {price: frame, quantity: detail.f}, {price: tokens-in, quantity: detail.out}",
     ', minimum: "0.5", maximum: "2.5"', "{places: 2, rounding: half-up}"),
    (", ".join(["{price: tokens-out, quantity: detail.in}", "{price: second, quantity: detail.s}"] * 10),
     "", "{places: 6, rounding: down}"),
]  # fmt: skip
"""A policy and three changes of all that it says of components."""


def test_random_entries_recount_to_the_last_digit() -> None:
    """After three changes of policy; what each comes to is worked out here in fractions, from the documentation alone."""
    chance = random.Random(20260105)  # noqa: S311  nothing secret: the same entries in every run
    books = Books(policy("{amount: 1}"))
    for components, more, money in EDITS:
        books.policy = policy(components, more=more, money=money)
        for _ in range(500):
            books.deliver(random_event(chance))
    logs = [[stored(kept) for kept in entries] for entries in books.entries.values()]
    recounts = [count for entries in logs for count in recount(entries)]

    assert 1000 < len(recounts)
    assert 4 == len({count.entry.policy for count in recounts})
    assert [] == [(count.entry, count.problems) for count in recounts if count.failed][:3]
    brought_in = [(count.entry, by_hand(count.entry)) for count in recounts if count.entry.price is not None]
    assert 800 < len(brought_in)
    for kept, amount in brought_in:
        assert amount in {Fraction(charge.amount) for charge in kept.facts.charges} or kept.amount == 0


def random_event(chance: random.Random) -> dict[str, Any]:
    """Return what was done or failed for one of many jobs."""
    detail = {
        "in": chance.randint(0, 5_000_000),
        "out": f"{chance.randint(0, 99_999)}.{chance.randint(0, 999):03}",
        "s": chance.choice([0, 59.999, 60, 60.001, chance.randint(0, 400)]),
        "f": chance.choice([0, 100, "100.5", chance.randint(0, 300)]),
        "model": chance.choice(["small", "large"]),
    }
    happened = done(f"j-{chance.randint(1, 600)}", f"{chance.randint(10, 23)}:{chance.randint(10, 59)}", **detail)
    return happened if chance.random() < 0.8 else {**happened, "detail-type": "failed"}


def by_hand(kept: Entry) -> Fraction:
    """Return what an entry's components come to, bounded and rounded."""
    assert kept.price is not None
    total = sum((component_by_hand(component) for component in kept.price.components), Fraction(0))
    total = max(total, Fraction(kept.price.minimum or 0))
    total = min(total, Fraction(kept.price.maximum)) if kept.price.maximum is not None else total
    scaled = total * 10**kept.money.places
    whole, rest = divmod(scaled, 1)
    half = Fraction(1, 2)
    up = {
        "up": rest > 0,
        "down": False,
        "half-up": rest >= half,
        "half-even": rest > half or (rest == half and whole % 2 == 1),
    }
    return Fraction(whole + up[kept.money.rounding], 10**kept.money.places)


def component_by_hand(component: Component) -> Fraction:
    """Return what one component comes to, and see that the entry says the same."""
    price, quantity = component.price, Fraction(component.quantity or 0)
    if price.amount is not None:
        amount = Fraction(price.amount)
    elif not price.tiers or price.tier_model == "volume":
        amount = quantity * Fraction(price.rate or 0)
    else:
        first, second = price.tiers
        lower = min(quantity, Fraction(first.up_to or 0))
        amount = lower * Fraction(first.rate) + (quantity - lower) * Fraction(second.rate)
    assert component.amount is not None
    assert amount == Fraction(component.amount)
    return amount


# --- what anomalies see -----------------------------------------------------------------------------------------------


def test_anomalies_see_the_sum_and_each_component() -> None:
    """The amount is bounded and rounded; what only one quantity has is null, and stands with its component."""
    of = policy("{name: in, price: tokens-in, quantity: detail.in}, {amount: 0.01}", more=", minimum: 3")
    assessment = assess(Envelope(done(**{"in": 1234}), Source.EVENT), of)
    assert assessment is not None

    assert {
        "charge": {
            "amount": Decimal(3),
            "quantity": None,
            "rate": None,
            "unit": None,
            "price": None,
            "defaulted": True,
            "components": [
                {
                    "name": "in",
                    "amount": Decimal("0.003702"),
                    "quantity": Decimal(1234),
                    "rate": Decimal("0.000003"),
                    "unit": "default",
                    "price": "tokens-in 2026-01-01T00:00:00Z default",
                    "defaulted": True,
                },
                {
                    "name": None,
                    "amount": Decimal("0.01"),
                    "quantity": None,
                    "rate": None,
                    "unit": None,
                    "price": None,
                    "defaulted": False,
                },
            ],
        }
    } == priced_view(assessment)


ANOMALIES = """
  - {name: dear, match: {charge: {amount: [{numeric: [">", 3]}]}}}
  - {name: one-is-dear, match: {charge: {components: {amount: [{numeric: [">", 2]}]}}}}
  - {name: long-answer, match: {charge: {components: {name: [out], quantity: [{numeric: [">", 50000]}]}}}}
  - {name: no-rate-of-its-own, match: {charge: {defaulted: [true]}}}
  - {name: all-have-one, match: {charge: {defaulted: [false]}}}
  - {name: unusual, outlier: {value: charge.amount, group: detail.model, mads: 6, samples: 5}}
  - name: unusual-answer
    outlier: {value: "charge.components[?name=='out'].quantity | [0]", group: detail.model, mads: 6, samples: 5}
"""


@pytest.mark.parametrize(
    ("detail", "names"),
    [
        ({"in": 900_000, "out": 40_000, "model": "small"}, ["all-have-one"]),
        ({"in": 750_000, "out": 40_000}, ["one-is-dear", "no-rate-of-its-own"]),  # 2.25 and 0.60
        ({"in": 800_000, "out": 60_000}, ["dear", "one-is-dear", "long-answer", "no-rate-of-its-own"]),  # 2.40 and 0.90
        ({"in": 60_000, "out": 9, "model": "small"}, ["all-have-one"]),  # the other component's quantity
    ],
)
def test_patterns_look_into_components(detail: dict[str, Any], names: list[str]) -> None:
    """A pattern matches where one component has all that it asks for."""
    parts = "{name: in, price: tokens-in, quantity: detail.in}, {name: out, price: tokens-out, quantity: detail.out}"
    charged = entry(policy(parts, anomalies=ANOMALIES, more=", maximum: 3.5"), **detail)

    assert names == [anomaly.name for anomaly in charged.anomalies]
    samples = {sample.of: sample.value for sample in charged.samples}
    assert {charged.cost, Decimal(detail["out"])} == set(samples.values())


def test_a_finding_belongs_to_the_model_of_its_first_component() -> None:
    """Where no detector has measured the entry."""
    charged = entry(policy(f"{{amount: 1}}, {TOKENS}"), **{"in": 1, "out": 1, "model": "small"})

    assert "small" == Finding(charged, "2026-01-06T00:00:00Z").model


def test_the_model_that_explains_gets_each_component() -> None:
    """Figures as exact texts."""
    charged = entry(policy("{name: in, price: tokens-in, quantity: detail.in}, {amount: 0.01}"), **{"in": 1234})

    said = brief({"e-1": charged}, NO_BASELINES, {}, Names())

    assert (
        '"price": {"components": [{"name": "in", "quantity": "1234", "comes_to": "0.003702", "rate": "0.000003",'
        ' "book": "tokens-in", "unit": "default"}, {"comes_to": "0.01", "flat": "0.01"}]}, "quantity": null'
    ) in said


# --- plan and policy tests --------------------------------------------------------------------------------------------


def test_plan_tells_an_edit_of_a_component() -> None:
    """A rate by its book, all else as a change of the charge."""
    now = policy(TOKENS)
    dearer = parse_policy(text(TOKENS).replace("0.000003", "0.000004"), "media.yaml")

    assert ["price tokens-in from 2026-01-01T00:00:00Z: default 0.000003 -> 0.000004"] == list(changes(now, dearer))
    other = policy(TOKENS.replace("detail.out", "detail.o"))
    assert ["rule debit: `charge or grant` differs"] == list(changes(now, other))
    assert [] == list(changes(now, policy(TOKENS)))


def test_a_policy_test_reaches_the_rates_of_all_components() -> None:
    """And of no other."""
    of, coverage = policy(TOKENS), Coverage()
    coverage.add([entry(of, **{"in": 1, "out": 1, "model": "small"})])

    missed = [f"rate {book} 2026-01-01T00:00:00Z default" for book in ("tokens-in", "tokens-out")]
    assert [*missed, "rule failed"] == coverage.missed(of)
