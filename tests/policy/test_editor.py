"""An editor completes and checks a policy as one types: the real yaml-language-server over the shipped schema."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.decimals import ROUNDINGS
from engine.policy.model import Action, Overdraft
from engine.policy.words import ABOUT
from tests.support.language_server import Editor, running_editor
from tools.language_server import LanguageServerMissingError, language_server

POLICIES = Path(__file__).parents[2] / "policies"
VIDEO = POLICIES / "video.yaml"
ERROR = 1


@pytest.fixture(scope="module")
def editor() -> Iterator[Editor]:
    """Return an editor with the folder of policies open."""
    try:
        command = language_server()
    except LanguageServerMissingError as missing:
        pytest.skip(str(missing))
    with running_editor(command, POLICIES) as running:
        yield running


def draft(text: str) -> tuple[Path, str]:
    """Return a file beside the shipped policies that nobody has saved yet."""
    return POLICIES / f"draft-{uuid.uuid4().hex}.yaml", text


def place_of(text: str, words: str) -> tuple[int, int]:
    """Return line and column (from 0) just behind ``words``."""
    before = text[: text.index(words) + len(words)]
    return before.count("\n"), len(before) - before.rfind("\n") - 1


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.yaml")), ids=lambda path: path.name)
def test_a_shipped_policy_has_no_red_line(editor: Editor, path: Path) -> None:
    """Its first line points to the schema beside it."""
    assert [] == editor.open(path, path.read_text())


@pytest.mark.parametrize(
    ("right", "typed", "offered"),
    [
        ("    action: refund", "    action: ", set(Action)),
        ("overdraft: flag", "overdraft: ", set(Overdraft)),
        ("places: 4, rounding: half-even", "places: 4, rounding: ", set(ROUNDINGS)),
    ],
)
def test_a_word_is_completed(editor: Editor, right: str, typed: str, offered: set[str]) -> None:
    """All that the grammar allows there, and nothing else."""
    text = re.sub(" +#.*", "", VIDEO.read_text())
    line, column = place_of(text, right)
    path, text = draft(text.replace(right, typed, 1))
    editor.open(path, text)

    assert {str(word) for word in offered} == set(editor.complete(path, line, column - len(right) + len(typed)))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("\n    charge:", "\n    chrage:"), ("\noverdraft:", "\noverdraught:"), ("percent: 100", "per_cent: 100")],
)
def test_a_misspelt_key_has_a_red_line_under_it(editor: Editor, right: str, wrong: str) -> None:
    """Just under the key, from its first letter to its last."""
    path, text = draft(VIDEO.read_text().replace(right, wrong, 1))
    key = wrong.split(":", maxsplit=1)[0].strip()
    line, end = place_of(text, wrong.split(":", maxsplit=1)[0])

    marks = [mark for mark in editor.open(path, text) if key in mark["message"]]

    under_the_key = {"start": {"line": line, "character": end - len(key)}, "end": {"line": line, "character": end}}
    assert [(ERROR, under_the_key)] == [(mark["severity"], mark["range"]) for mark in marks]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("action: debit", "action: debt"), ("overdraft: flag", "overdraft: flog"), ("percent: 100", "percent: 101")],
)
def test_a_wrong_value_has_a_red_line_under_it(editor: Editor, right: str, wrong: str) -> None:
    """On its own line, and nowhere else."""
    path, text = draft(VIDEO.read_text().replace(right, wrong, 1))

    marks = editor.open(path, text)

    assert {place_of(text, wrong)[0]} == {mark["range"]["start"]["line"] for mark in marks}
    assert {ERROR} == {mark["severity"] for mark in marks}


@pytest.mark.parametrize("key", ["overdraft", "catch_up", "\n    refund", "minimum", "effective", "mads"])
def test_a_key_says_what_it_is_for(editor: Editor, key: str) -> None:
    """To whoever rests on it with the mouse."""
    path, text = draft(VIDEO.read_text())
    editor.open(path, text)
    line, end = place_of(text, key)

    (about,) = {words for name, words in ABOUT.items() if name.rsplit(".", 1)[-1] == key.strip() and "refund." not in name}
    assert about in editor.hover(path, line, end - 1).replace("\\", "")
