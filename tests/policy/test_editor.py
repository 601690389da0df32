"""An editor completes and checks a policy as one types: the real yaml-language-server over the shipped schema."""

from __future__ import annotations

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
from engine.policy.words import ABOUT
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
        ("    refund: {percent: 100}\n", "    ", {"charge", "grant", "reason"}),
        ("unknown_user: refuse\n", "", {"unknown_job", "clock", "catch_up", "catch_up_ignore", "explain"}),
    ],
)
def test_a_key_is_completed(editor: Editor, draft: Path, above: str, indent: str, offered: set[str]) -> None:
    """With those that are not there yet."""
    text = changed(above, f"{above}{indent}\n")
    editor.open(draft, text)
    line, _ = place_of(text, above)

    assert offered == set(editor.complete(draft, line + 1, len(indent)))


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
    marks = [mark for mark in editor.marks(draft) if wrong in mark["message"]]

    assert [(ERROR, under(text, wrong))] == [(mark["severity"], mark["range"]) for mark in marks]


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("action: debit", "debt", 'Value is not accepted. Valid values: "debit", "refund", "grant", "flag".'),
        ("overdraft: flag", "flog", 'Value is not accepted. Valid values: "allow", "flag", "refuse".'),
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
    ("right", "typed", "messages"),
    [
        ("    charge: {price: render-second, quantity: detail.seconds}\n", "", ['Missing property "charge".']),
        ("    refund: {percent: 100}\n", "    refund: {percent: 100}\n    reason: x\n", ["Property reason is not allowed."]),
        ("quantity: detail.seconds}", "minimum: 1}", ['Missing property "quantity".']),
        ("price: render-second, quantity: detail.seconds", "amount: 5, minimum: 1", ["Property minimum is not allowed."]),
        ('    match: {charge: {amount: [{numeric: [">", 50]}]}}\n', "", ['Missing property "match".']),
    ],
)
def test_what_keys_say_of_each_other_is_marked(
    editor: Editor, draft: Path, right: str, typed: str, messages: list[str]
) -> None:
    """What an action needs, and what has no meaning beside another key."""
    editor.open(draft, changed(right, typed))
    marks = editor.marks(draft)

    assert [(ERROR, message) for message in messages] == [(mark["severity"], mark["message"]) for mark in marks]


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
