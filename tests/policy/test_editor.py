"""An editor completes and checks a policy as one types: the real yaml-language-server over the shipped schema."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.domain.fact_kinds import Action
from engine.domain.money import ROUNDINGS
from engine.domain.price import TierModel
from engine.policy.model import Overdraft, UnknownUser
from engine.policy.patterns.operands import NEGATABLE
from engine.policy.schema import ROW_NEEDS_RATES
from engine.policy.schema_patterns import EXAMPLES_OF_NUMBERS
from engine.policy.words import ABOUT, ENVELOPE_FIELDS, FIGURES, OPERATORS_ABOUT
from tests.support.language_server import Editor, running_editor
from tools.language_server import LanguageServerMissingError, language_server

POLICIES = Path(__file__).parents[2] / "policies"
ERROR = 1

TYPED = """# yaml-language-server: $schema=policy.schema.json
version: 1
name: video
event: {job: detail.jobId, user: detail.userId, time: time}
money: {places: 4, rounding: half-even}
prices:
  render-second:
    - effective: 2026-01-01T00:00:00Z
      tiers: volume
      rates:
        default: [{up_to: 60, rate: "0.10"}, {rate: "0.08"}]
rules:
  - name: debit-rendered
    match: {detail-type: [video.rendered]}
    action: debit
    charge: {price: render-second, quantity: detail.seconds}
  - name: refund-failed
    match: {detail-type: [video.failed]}
    action: refund
    refund: {percent: 100}
overdraft: flag
unknown_user: refuse
anomalies:
  - name: costs-over-50
    match: {charge: {amount: [{numeric: [">", 50]}]}}
"""
"""What stands in the editor before somebody types on."""

CHARGE = "    charge: {price: render-second, quantity: detail.seconds}\n"
REFUND = "    refund: {percent: 100}\n"
ANOMALY = '    match: {charge: {amount: [{numeric: [">", 50]}]}}\n'
FREQUENCY = "    frequency: {same: detail.userId, more_than: 3, within: 1h}\n"
OUTLIER = "{value: charge.amount, group: detail.model, mads: 6, samples: 30}"


@pytest.fixture(scope="module")
def editor() -> Iterator[Editor]:
    """Return an editor with the folder of policies open."""
    try:
        command = language_server()
    except LanguageServerMissingError as missing:
        pytest.skip(str(missing))
    with running_editor(command, POLICIES) as running:
        yield running


@pytest.fixture
def draft() -> Path:
    """Return a file beside the shipped policies that nobody has saved yet."""
    return POLICIES / f"draft-{uuid.uuid4().hex}.yaml"


def place_of(text: str, words: str) -> tuple[int, int]:
    """Return line and column, both from 0, where ``words`` begin."""
    before = text[: text.index(words)]
    return before.count("\n"), len(before) - before.rfind("\n") - 1


def changed(right: str, typed: str) -> str:
    """Return the policy with one place typed otherwise."""
    assert TYPED.count(right) == 1
    return TYPED.replace(right, typed)


def under(text: str, words: str) -> dict[str, Any]:
    """Return the range of a mark under ``words``, from their first letter to their last."""
    line, column = place_of(text, words)
    return {"start": {"line": line, "character": column}, "end": {"line": line, "character": column + len(words)}}


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
        ("    charge: {price: render-second, quantity: detail.seconds}\n", "    ", set()),
        ("    - effective: 2026-01-01T00:00:00Z\n", "      ", {"by", "until"}),
        ("unknown_user: refuse\n", "", {"unknown_job", "clock", "catch_up", "catch_up_ignore", "explain"}),
    ],
)
def test_a_key_is_completed(editor: Editor, draft: Path, above: str, indent: str, offered: set[str]) -> None:
    """With those that are not there yet and may stand there: in a refund rule no charge, beside rates no changes."""
    text = changed(above, f"{above}{indent}\n")
    editor.open(draft, text)
    line, _ = place_of(text, above)

    assert offered == set(editor.complete(draft, line + 1, len(indent)))


MATCH = "    match: {detail-type: [video.rendered]}\n"
PRICED = 'match: {charge: {amount: [{numeric: [">", 50]}]}}'
ENVELOPE = {*ENVELOPE_FIELDS, "$or"}
TESTS = {*OPERATORS_ABOUT} - {"$or"}


@pytest.mark.parametrize(
    ("right", "typed", "offered"),
    [
        (MATCH, "    match:\n      |\n", ENVELOPE),
        (MATCH, "    match: {s|}\n", ENVELOPE),
        (MATCH, "    match:\n      source: [a]\n      |\n", ENVELOPE - {"source"}),
        (MATCH, "    match:\n      $or:\n        - |\n", ENVELOPE),
        (MATCH, "    match:\n      detail:\n        |\n", {"$or"}),
        (MATCH, "    match: {detail-type: [{p|}]}\n", TESTS),
        (MATCH, "    match:\n      detail-type:\n        - |\n", TESTS),
        (MATCH, "    match: {detail: {a: {b: [x, {p|}]}}}\n", TESTS),
        (MATCH, "    match: {$or: [{source: [{p|}]}, {source: [a]}]}\n", TESTS),
        (MATCH, "    match: {detail-type: [{prefix: a, |}]}\n", set()),
        (MATCH, "    match: {detail-type: [{anything-but: {p|}}]}\n", {*NEGATABLE}),
        (MATCH, "    match: {detail-type: [{anything-but: {prefix: a, |}}]}\n", set()),
        (MATCH, "    match: {detail-type: [{prefix: {e|}}]}\n", {"equals-ignore-case"}),
        (MATCH, "    match: {detail-type: [{exists: |}]}\n", {"true", "false"}),
        (
            MATCH,
            "    match:\n      detail:\n        a:\n          - numeric: |\n",
            {*map(json.dumps, EXAMPLES_OF_NUMBERS)},
        ),
        (PRICED, "match: {c|}", {*ENVELOPE, "charge", "grant"}),
        (PRICED, "match:\n      charge:\n        |", {*FIGURES}),
        (PRICED, "match: {charge: {unit: [{p|}]}}", TESTS),
    ],
)
def test_a_pattern_is_completed(editor: Editor, draft: Path, right: str, typed: str, offered: set[str]) -> None:
    """With what may stand at the bar: fields of each event, operators where a test stands, and no second operator."""
    text = changed(right, typed.replace("|", ""))
    line, column = place_of(text, typed.replace("|", ""))
    before = typed[: typed.index("|")]
    editor.open(draft, text)

    line, column = line + before.count("\n"), (0 if "\n" in before else column) + len(before.rpartition("\n")[2])
    assert offered == set(editor.complete(draft, line, column))


A_FIELD = "Write a list of values, like [video.rendered], or a mapping of fields."
AN_OPERATOR = "Is no operator; write one of prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, exists, cidr."
A_TEXT = "Write a text in quotes, or {equals-ignore-case: ...} and nothing else."
A_TEST = "Write a value, or one operator, like {prefix: video.}; a list inside a list is not allowed."


@pytest.mark.parametrize(
    ("wrong", "mark", "message"),
    [
        ("[video.rendered]", "[video.rendered]", "Write an event pattern, like {source: [video.generation]}."),
        ("{detail-type: video.rendered}", "video.rendered", A_FIELD),
        ("{detail-type: [[a]]}", "[a]", A_TEST),
        ("{detail-type: [{prefx: a}]}", "prefx", AN_OPERATOR),
        ("{detail-type: [{prefix: 5}]}", "5", A_TEXT),
        (
            "{detail-type: [{suffix: {prefix: a}}]}",
            "prefix",
            A_TEXT,
        ),
        ("{detail-type: [{wildcard: 5}]}", "5", "Write a text in quotes."),
        ("{detail-type: [{exists: sure}]}", "sure", "Write true or false."),
        ("{detail-type: [{cidr: 10.0.0.0}]}", "10.0.0.0", "Write a network, like 10.0.0.0/8 or 2001:db8::/32."),
        ('{detail-type: [{numeric: ["!=", 5]}]}', '"!="', "Is no comparison; write one of =, <, <=, >, >=."),
        ('{detail-type: [{numeric: [">", "5"]}]}', '"5"', "Write a number without quotes."),
        ("{detail-type: [{numeric: 5}]}", "5", 'Write a list of one or two comparisons, like [">", 0, "<=", 5].'),
        ("{detail-type: [{anything-but: true}]}", "true", "Name texts or numbers."),
        ("{detail: {$or: [{a: b}, {c: [d]}]}}", "b", A_FIELD),
    ],
)
def test_a_mistake_in_a_pattern_has_a_red_line(editor: Editor, draft: Path, wrong: str, mark: str, message: str) -> None:
    """Just under what is wrong, and it says what would be right."""
    text = changed(MATCH, f"    match: {wrong}\n")
    line, column = place_of(text, wrong)
    start = {"line": line, "character": column + wrong.index(mark, 1 if len(mark) < len(wrong) else 0)}
    end = {"line": line, "character": start["character"] + len(mark)}

    editor.open(draft, text)

    assert ({"start": start, "end": end}, message) in [(said["range"], said["message"]) for said in editor.marks(draft)]


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
        ("action: debit", "debt", "Is not known; allowed: debit, refund, grant, flag."),
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
        ("quantity: detail.seconds}", "minimum: 1}", "Write `amount`, or `price` with `quantity`."),
        ("price: render-second, quantity: detail.seconds", "amount: 5, minimum: 1", "Has no meaning beside `amount`."),
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
