"""``adjustments``: the bounds of what people adjust. Mistakes are told in their line; what can never count is warned of."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.domain.errors import PolicyError
from engine.policy import parse_policy
from engine.policy.model import AdjustmentBounds
from engine.policy.schema import policy_schema
from tests.support.policies import EXAMPLE

LINE = EXAMPLE.count("\n") + 1


def bounds(written: str) -> AdjustmentBounds:
    """Return the bounds of a policy that ends with this line."""
    return parse_policy(f"{EXAMPLE}{written}\n", "example.yaml").adjustments


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", (None, None)),
        ("adjustments: {}", (None, None)),
        ("adjustments: {maximum: 100}", (Decimal(100), None)),
        ('adjustments: {second_person_above: "20.5"}', (None, Decimal("20.5"))),
        ('adjustments: {maximum: "0", second_person_above: 0}', (Decimal(0), Decimal(0))),
    ],
)
def test_a_bound_that_is_not_written_is_none(written: str, expected: tuple[Decimal | None, Decimal | None]):
    """Digit by digit, and 0 is a bound."""
    assert expected == ((said := bounds(written)).maximum, said.second_person_above)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("adjustments: 100", "14: is `100`; write a mapping with maximum, second_person_above"),
        ("adjustments: {max: 100}", "15: `max` is not known here; did you mean `maximum`? allowed: maximum, second_person"),
        ("adjustments: {maximum: -1}", "24: is '-1'; write a plain decimal from 0 to 10^28"),
        ("adjustments: {maximum: 1e3}", "24: is '1e3'; write a plain decimal from 0 to 10^28"),
        ("adjustments: {maximum: [1]}", "24: is a list; write a plain decimal"),
        ("adjustments: {second_person_above: ''}", "36: is empty; write a plain decimal"),
    ],
)
def test_a_wrong_bound_is_refused(written: str, expected: str):
    """In its line and column."""
    with pytest.raises(PolicyError) as refusal:
        bounds(written)
    (mistake,) = refusal.value.mistakes
    assert f"{LINE}:{expected}" == f"{mistake.line}:{mistake.column}: {mistake.message}"[: len(f"{LINE}:{expected}")]


@pytest.mark.parametrize(
    ("written", "warned"),
    [
        ("{maximum: 100, second_person_above: 20}", False),
        ("{maximum: 100, second_person_above: 100}", True),
        ("{second_person_above: 200, maximum: 100}", True),
        ("{maximum: 100}", False),
        ("{second_person_above: 200}", False),
    ],
)
def test_an_approval_that_nobody_ever_needs_is_warned_of(written: str, warned: bool):  # noqa: FBT001
    """Whatever is above the maximum is refused."""
    warnings = parse_policy(f"{EXAMPLE}adjustments: {written}\n", "example.yaml").warnings
    told = [f"{warning.line}: {warning.message}" for warning in warnings]
    amount = "200" if "200" in written else "100"
    said = f"{LINE}: is {amount}: no adjustment ever needs a second person, `maximum` is 100"
    assert ([said] if warned else []) == told


def test_an_editor_knows_the_bounds():
    """The key, its two members, and what each takes."""
    of = policy_schema()["properties"]["adjustments"]
    assert ["maximum", "second_person_above"] == list(of["properties"])
    assert [] == of["required"]
