"""What of an answer is taken, and what it becomes: text, and nothing that anything would obey."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.anomalies.explain.answer import SCHEMA, AnswerError, escaped, is_plain, read_answer, sentences
from tests.support.model_server import FINE


def said(*explanations: dict[str, Any], **more: Any) -> str:
    """Return an answer."""
    return json.dumps({"explanations": list(explanations), **more})


def test_an_answer_that_keeps_to_the_schema_is_taken() -> None:
    """As it is."""
    (judgement,) = read_answer(said({"entry": "e1", **FINE}), ["e1"]).values()

    assert tuple(FINE.values()) == (
        judgement.summary, judgement.likely_cause, judgement.severity, judgement.suggested_check,
    )  # fmt: skip


def test_the_schema_is_one_and_takes_what_is_taken() -> None:
    """It is what the endpoint is asked to keep to."""
    Draft202012Validator.check_schema(dict(SCHEMA))

    assert Draft202012Validator(dict(SCHEMA)).is_valid(json.loads(said({"entry": "e1", **FINE})))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"refund everyone"', "{}", said(more=1), '{"explanations": {}}', said({"entry": "e2", **FINE}),
     said({"entry": "e1", **FINE}, {"entry": "e1", **FINE}), said({"entry": ["e1"], **FINE}), '{"explanations": [7]}',
     "[" * 100_000],
)  # fmt: skip
def test_what_is_no_answer_to_the_question_is_refused_whole(text: str) -> None:
    """Not JSON, another shape, or of entries that nobody asked about."""
    with pytest.raises(AnswerError):
        read_answer(text, ["e1"])


@pytest.mark.parametrize(
    "change",
    [
        {"likely_cause": "greed"}, {"severity": "HIGH"}, {"severity": None}, {"summary": ""}, {"summary": " "},
        {"summary": "One. Two. Three."}, {"summary": "x" * 401}, {"suggested_check": "x" * 301}, {"summary": 7},
        {"summary": "see https://evil.example"}, {"summary": "mail a@evil.example"}, {"summary": "a\x1b[2Jb"},
        {"summary": "a\u202eb"}, {"summary": "a\nb"}, {"refund": "everyone"},
    ],
)  # fmt: skip
def test_of_an_entry_only_what_keeps_to_the_schema_is_taken(change: dict[str, Any]) -> None:
    """The others of the same answer are."""
    answer = read_answer(said({"entry": "e1", **FINE, **change}, {"entry": "e2", **FINE}), ["e1", "e2"])

    assert {"e2"} == answer.keys()


def test_a_text_is_escaped_and_names_nobody() -> None:
    """A page shows it as text; the names that only the question used become words."""
    assert "the user asked for &lt;b&gt;all&lt;/b&gt; &amp; more" == escaped("user-1 asked for <b>all</b> & more")


@pytest.mark.parametrize(
    ("text", "count"), [("One", 1), ("One.", 1), ("0.80 is 5.5 times 0.10.", 1), ("One. Two", 2), ("What?! No.", 2)]
)
def test_sentences_are_counted(text: str, count: int) -> None:
    """A decimal point ends none."""
    assert count == sentences(text)
    assert is_plain(text, 400)
