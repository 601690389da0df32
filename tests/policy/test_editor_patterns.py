"""An editor completes and checks event patterns as one types: the real yaml-language-server over the shipped schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.policy.patterns.operands import NEGATABLE
from engine.policy.schema_patterns import EXAMPLES_OF_NUMBERS
from engine.policy.words import ENVELOPE_FIELDS, FIGURES, OPERATORS_ABOUT
from tests.support.language_server import Editor
from tests.support.typed_policy import changed, place_of

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
        (MATCH, "    match: {detail-type: [|]}\n", set()),
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
        (PRICED, "match: {c|}", {*ENVELOPE, "charge", "hold", "grant"}),
        (PRICED, "match:\n      charge:\n        |", {*FIGURES, "components"}),
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
