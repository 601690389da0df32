"""An editor completes and checks a policy as one types: the real yaml-language-server over the shipped schema."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.domain.fact_kinds import Action
from engine.domain.money import ROUNDINGS
from engine.domain.price import TierModel
from engine.policy.model import Overdraft, UnknownUser
from engine.policy.schema import ROW_NEEDS_RATES
from engine.policy.words import ABOUT
from tests.support.language_server import Editor
from tests.support.typed_policy import POLICIES, TYPED, changed, place_of, under

ERROR = 1

PRICE = "price: render-second, quantity: detail.seconds"
CHARGE = f"    charge: {{{PRICE}}}\n"
REFUND = "    refund: {percent: 100}\n"
ANOMALY = '    match: {charge: {amount: [{numeric: [">", 50]}]}}\n'
FREQUENCY = "    frequency: {same: detail.userId, more_than: 3, within: 1h}\n"
OUTLIER = "{value: charge.amount, group: detail.model, mads: 6, samples: 30}"


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.yaml")), ids=lambda path: path.name)
def test_a_shipped_policy_has_no_red_line(editor: Editor, path: Path) -> None:
    """Its first line points to the schema beside it."""
    editor.open(path, path.read_text())

    assert [] == editor.marks(path)


def test_the_policy_that_is_typed_on_has_no_red_line(editor: Editor, draft: Path) -> None:
    """Else the marks below would prove nothing."""
    editor.open(draft, TYPED)

    assert [] == editor.marks(draft)


@pytest.mark.parametrize(
    ("right", "typed", "offered"),
    [
        ("action: refund", "action: ", [*Action]),
        ("action: refund", "action: re", [*Action]),
        ("overdraft: flag", "overdraft: ", [*Overdraft]),
        ("unknown_user: refuse", "unknown_user: ", [*UnknownUser]),
        ("rounding: half-even", "rounding: ", [*ROUNDINGS]),
        ("tiers: volume", "tiers: ", [*TierModel]),
        ("version: 1", "version: ", ["1"]),
    ],
)
def test_a_word_is_completed(editor: Editor, draft: Path, right: str, typed: str, offered: list[str]) -> None:
    """With all that the grammar allows there, and nothing else; the editor itself sorts out what has begun."""
    text = changed(right, typed)
    editor.open(draft, text)
    line, column = place_of(text, typed)

    assert sorted(map(str, offered)) == sorted(editor.complete(draft, line, column + len(typed)))


@pytest.mark.parametrize(
    ("above", "indent", "offered"),
    [
        ("    action: refund\n", "    ", set()),
        (CHARGE, "    ", {"repeats"}),
        ("    action: debit\n", "    ", {"repeats"}),
        ("    - effective: 2026-01-01T00:00:00Z\n", "      ", {"by", "until"}),
        (
            "unknown_user: refuse\n",
            "",
            {"unknown_job", "grants", "clock", "catch_up", "catch_up_ignore", "explain", "adjustments", "low_balance"},
        ),
    ],
)
def test_a_key_is_completed_below_a_line(editor: Editor, draft: Path, above: str, indent: str, offered: set[str]) -> None:
    """With those that are not there yet and may stand there: in a refund rule no charge, beside rates no changes."""
    text = changed(above, f"{above}{indent}\n")
    editor.open(draft, text)
    line, _ = place_of(text, above)

    assert offered == set(editor.complete(draft, line + 1, len(indent)))


@pytest.mark.parametrize(
    ("written", "offered"),
    [
        ("", {"price", "quantity", "priced_at", "amount", "minimum", "maximum", "components"}),
        ("price: render-second", {"quantity", "priced_at", "minimum", "maximum"}),
        ("amount: 5", set()),
        ("components: [{amount: 5}]", {"priced_at", "minimum", "maximum"}),
        ("components:\n        - amount: 5\n          ", {"name"}),
        ("components:\n        - quantity: detail.seconds\n          ", {"name", "price"}),
    ],
)
def test_a_charge_is_completed_with_what_has_a_meaning_there(
    editor: Editor, draft: Path, written: str, offered: set[str]
) -> None:
    """Beside a flat amount nothing more, beside components no price of its own."""
    below = written if written.endswith(" ") else f"{written}\n      "
    text = changed(CHARGE, f"    charge:\n      {below.lstrip()}\n")
    line, _ = place_of(text, "  - name: refund-failed")
    editor.open(draft, text)

    assert offered == set(editor.complete(draft, line - 1, len(text.splitlines()[line - 1])))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("\n    charge:", "chrage"),
        ("\noverdraft:", "overdraught"),
        ("percent: 100", "per_cent"),
        ("up_to: 60", "upto"),
        ("job: detail", "jbo"),
    ],
)
def test_a_misspelt_key_has_a_red_line_under_it(editor: Editor, draft: Path, right: str, wrong: str) -> None:
    """Just under the key, from its first letter to its last."""
    text = changed(right, re.sub(r"\w+(?=:)", wrong, right))

    editor.open(draft, text)
    marks = [mark for mark in editor.marks(draft) if mark["message"].startswith("Is not known here; allowed: ")]

    assert [(ERROR, under(text, wrong))] == [(mark["severity"], mark["range"]) for mark in marks]


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("action: debit", "debt", "Is not known; allowed: debit, refund, grant, revoke, hold, flag."),
        ("overdraft: flag", "flog", "Is not known; allowed: allow, flag, refuse."),
        ("percent: 100", "101", "Value is above the maximum of 100."),
        ("name: debit-rendered", "Debit", "A name has lower case letters, digits and dashes."),
        ("effective: 2026-01-01T00:00:00Z", "yesterday", "Write an instant with its zone, like 2026-07-01T00:00:00Z."),
    ],
)
def test_a_wrong_value_has_a_red_line_under_it(editor: Editor, draft: Path, right: str, wrong: str, message: str) -> None:
    """Just under the value, and it says in words what would be right."""
    text = changed(right, f"{right.split(': ', maxsplit=1)[0]}: {wrong}")

    editor.open(draft, text)
    marks = editor.marks(draft)

    assert [(ERROR, under(text, wrong), message)] == [(mark["severity"], mark["range"], mark["message"]) for mark in marks]


@pytest.mark.parametrize(
    ("right", "typed", "message"),
    [
        (CHARGE, "", "A debit rule needs `charge`."),
        (REFUND, f"{REFUND}    reason: x\n", "Has no meaning in a refund rule."),
        ("quantity: detail.seconds}", "minimum: 1}", "Write `amount`, or `price` with `quantity`, or `components`."),
        (PRICE, "amount: 5, minimum: 1", "Has no meaning beside `amount`."),
        ("price: render-second, quantity", "components: [{amount: 1}], quantity", "Has no meaning beside `components`."),
        (
            "price: render-second, quantity: detail.seconds",
            "components: [{price: render-second}]",
            "Write `amount`, or `price` with `quantity`.",
        ),
        ("percent: 100", "within: 7d", "`percent` or `amount` is missing: how much goes back."),
        ("percent: 100", "percent: 100, amount: 1", "Has no meaning beside `percent`; write one of the two."),
        (ANOMALY, "", "An anomaly needs `match`, or one of outlier, frequency, drift."),
        (ANOMALY, f"{ANOMALY}{FREQUENCY}    outlier: {OUTLIER}\n", "Stands beside `outlier`; write an anomaly for each."),
        (
            "      tiers: volume\n",
            "      changes: {default: 1}\n",
            "Has no meaning beside `changes`: that of the row above counts.",
        ),
        ("      rates:\n        default: ", "      until: 2027-01-01T00:00:00Z\n    # ", ROW_NEEDS_RATES),
    ],
)
def test_what_keys_say_of_each_other_is_marked(editor: Editor, draft: Path, right: str, typed: str, message: str) -> None:
    """What an action needs, and what has no meaning beside another key."""
    editor.open(draft, changed(right, typed))
    marks = editor.marks(draft)

    assert {(ERROR, message)} == {(mark["severity"], mark["message"]) for mark in marks}


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("overdraft", "overdraft:"),
        ("event.job", "job:"),
        ("prices.effective", "effective:"),
        ("prices.rates.up_to", "up_to:"),
        ("rules.action", "action: debit"),
        ("rules.charge.quantity", "quantity:"),
        ("rules.refund", "refund: {"),
        ("rules.refund.percent", "percent:"),
        ("anomalies.match", "match: {charge"),
    ],
)
def test_a_key_says_what_it_is_for(editor: Editor, draft: Path, key: str, place: str) -> None:
    """To whoever rests on it with the mouse."""
    editor.open(draft, TYPED)
    line, column = place_of(TYPED, place)

    said = editor.hover(draft, line, column + 1)

    assert said.replace("\\", "").startswith(ABOUT[key])
