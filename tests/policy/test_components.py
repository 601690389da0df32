"""What may be written of several prices in one event, and what may not."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from engine.domain.errors import PolicyError
from engine.policy import parse_policy
from engine.policy.schema import policy_schema
from tests.policy.test_schema import mistakes
from tests.support.components import TOKENS, policy, text

# --- mistakes ---------------------------------------------------------------------------------------------------------


ONE = "{price: tokens-in, quantity: detail.in}"


@pytest.mark.parametrize(
    ("components", "more", "mistake"),
    [
        ("", "", "has 0 items; write at least 1"),
        (", ".join(["{amount: 1}"] * 21), "", "has 21 components; at most 20 make one amount"),
        ("{}", "", "a component is either `amount`, or `price` with `quantity`"),
        ("{amount: 1, price: tokens-in}", "", "a component is either `amount`, or `price` with `quantity`"),
        ("{price: tokens-in, name: in}", "", "`quantity` is missing: the JMESPath of what the price is for"),
        ("{quantity: detail.in}", "", "a component is either `amount`, or `price` with `quantity`"),
        ("{amount: 1, quantity: detail.in}", "", "`quantity` has no meaning beside `amount`"),
        (ONE.replace("}", ", minimum: 1}"), "", "`minimum` is not known here"),
        ("{price: tokens-im, quantity: detail.in}", "", "there is no price book `tokens-im`"),
        ("{name: In, amount: 1}", "", "is `In`; a name has lower case letters, digits and dashes"),
        ("{name: in, amount: 1}, {name: in, amount: 2}", "", "the name `in` is taken by a component above"),
        (ONE, ", amount: 1", "a charge is either `amount`, or `price` with `quantity`, or `components`"),
        (ONE, ", price: tokens-in", "a charge is either `amount`, or `price` with `quantity`, or `components`"),
        (ONE, ", quantity: detail.in", "`quantity` has no meaning beside `components`"),
        (ONE, ", minimum: 2, maximum: 1", "the minimum 2 is above the maximum 1"),
        (ONE, ", minimum: 0.00001", "`minimum` 0.00001 has more than the 4 places of `money`"),
        ("{components: [{amount: 1}]}", "", "`components` is not known here"),
        (ONE.replace("}", ", priced_at: time}"), "", "`priced_at` is not known here"),
        ("{amount: 1}", ", priced_at: time", "`priced_at` has no meaning without `price`, the book whose row it selects"),
    ],
)
def test_what_cannot_be_is_refused(components: str, more: str, mistake: str) -> None:
    """The message says what would be right."""
    with pytest.raises(PolicyError) as refusal:
        policy(components, more=more)

    assert mistake in str(refusal.value)


@pytest.mark.parametrize(
    "components",
    [
        "",
        "{}",
        "{amount: 1, price: second}",
        "{price: second}",
        "{quantity: detail.in}",
        "{amount: 1, minimum: 1}",
        "{amount: -1}",
    ],
)
def test_an_editor_marks_it_too(components: str) -> None:
    """The schema is made of the same shapes."""
    assert mistakes(text(components))


@pytest.mark.parametrize("more", [", amount: 1", ", price: second", ", quantity: detail.in"])
def test_an_editor_marks_what_has_no_meaning_beside_components(more: str) -> None:
    """Bounds have one."""
    assert mistakes(text("{amount: 1}", more=more))


def test_an_editor_takes_what_is_right() -> None:
    """Also an amount with more places than a credit: it is rounded with the rest."""
    Draft202012Validator.check_schema(policy_schema())

    assert [] == mistakes(text(f"{{name: fee, amount: 0.0000001}}, {TOKENS}", more=", minimum: 1, maximum: 2"))


@pytest.mark.parametrize(
    ("pattern", "mistake"),
    [
        ("{charge: {component: {amount: [1]}}}", "`charge` has no `component`; did you mean `components`?"),
        ("{charge: {components: {amont: [1]}}}", "`charge.components` has no `amont`; did you mean `amount`?"),
    ],
)
def test_a_member_that_a_charge_does_not_have_is_refused(pattern: str, mistake: str) -> None:
    """An anomaly that can never match would be silent for ever."""
    with pytest.raises(PolicyError) as refusal:
        policy("{amount: 1}", anomalies=f"[{{name: odd, match: {pattern}}}]")

    assert mistake in str(refusal.value)


def test_a_price_book_is_used_where_a_component_names_it() -> None:
    """And one that none names is warned of."""
    fine = "{places: 8}"
    spare = text(TOKENS, money=fine).replace(
        "rules:", "  spare:\n    - {effective: 2026-01-01T00:00:00Z, rates: {default: 1}}\nrules:", 1
    )

    assert () == policy(TOKENS, money=fine).warnings
    assert ["no rule uses the price book `spare`"] == [each.message for each in parse_policy(spare, "media.yaml").warnings]


def test_an_anomaly_that_names_a_row_of_a_component_is_warned_of_the_rows_behind_it() -> None:
    """As one that names the row of a whole charge."""
    first = "tokens-in 2026-01-01T00:00:00Z default"
    anomalies = f"[{{name: odd, match: {{charge: {{components: {{price: [{first}]}}}}}}}}]"
    later = (
        'small: "0.00000015"}}\n',
        'small: "0.00000015"}}\n    - {effective: 2026-07-01T00:00:00Z, changes: {small: "0.0000002"}}\n',
    )
    of = parse_policy(text(ONE, money="{places: 8}", anomalies=anomalies).replace(*later), "media.yaml")

    assert ["says nothing of the row in line 8, which counts from 2026-07-01T00:00:00Z on;"] == [
        warning.message.partition(" `")[0] for warning in of.warnings
    ]
