"""YAML that looks like something else: merge keys, and numbers that JSON does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.domain.errors import PolicyError
from engine.policy import parse_policy
from engine.policy.patterns import compile_pattern
from engine.policy.patterns.numbers import json_spelling
from engine.preview.policy_tests import load_tests
from tests.support.policies import example, example_text

MERGE = "merge keys (`<<`) do not work; write the keys out, or quote a key of that name"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("match: {source: [video.generation], detail-type: [video.failed]}", "match: {<<: {}, detail-type: [video.failed]}"),
        ('match: {detail: {jobId: [{prefix: "test-"}]}}', "match: {detail: {<<: {jobId: [x]}}}"),
        ('match: {detail: {jobId: [{prefix: "test-"}]}}', "match: {$or: [{<<: {source: [x]}}, {source: [y]}]}"),
        ('match: {detail: {jobId: [{prefix: "test-"}]}}', "match: {detail: {jobId: [{<<: {prefix: x}}]}}"),
        ('match: {charge: {amount: [{numeric: [">", 50]}]}}', "match: {<<: {charge: {amount: [1]}}}"),
        ("when: {status: [failed]}", "when: {<<: {status: [failed]}}"),
        ("event: {source: video.generation, detail-type: video.failed, time: updatedAt}", "event: {<<: {source: a}}"),
        ('rates: {default: "0.10", premium: "0.25"}', 'rates: {default: "0.10", <<: {premium: "0.25"}}'),
        ('rates: {default: "0.10", premium: "0.25"}', 'rates: {default: "0.10", <<: "0.25"}'),
        ("refund: {percent: 100}", "refund: {<<: {percent: 100}}"),
        ("money: {places: 4", "money: {<<: {places: 4}"),
    ],
)  # fmt: skip
def test_a_merge_key_is_refused_wherever_it_stands(old: str, new: str) -> None:
    """Also where keys are the author's own: a field called `<<` matches nothing, and a model of that name costs nobody."""
    with pytest.raises(PolicyError) as refusal:
        example((old, new))

    said = [mistake for mistake in refusal.value.mistakes if mistake.message == MERGE]
    text = example_text((old, new)).splitlines()
    assert ["<<"] == [text[mistake.line - 1][mistake.column - 1 :][:2] for mistake in said if mistake.line and mistake.column]


def test_a_merge_key_in_policy_tests_is_refused(tmp_path: Path) -> None:
    """What a test is given must be what it says."""
    (tmp_path / "policy.yaml").write_text(example_text())
    given = "{<<: {source: video.generation}, detail-type: video.rendered}"
    (tmp_path / "tests.yaml").write_text(f"policy: policy.yaml\ntests:\n  - name: a\n    given:\n      - {given}\n")

    with pytest.raises(PolicyError, match=r"tests.yaml:5:10: merge keys \(`<<`\) do not work"):
        load_tests(tmp_path / "tests.yaml")


def test_a_quoted_key_of_two_angles_is_a_key_like_any_other() -> None:
    """A field of that name may exist."""
    policy = example(('match: {detail: {jobId: [{prefix: "test-"}]}}', "match: {detail: {\"<<\": [x], '<': [y]}}"))

    assert policy.rules[2].matches({"detail": {"<<": "x", "<": "y"}})
    assert not policy.rules[2].matches({"detail": {"<<": "z", "<": "y"}})


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        (".5", "0.5"), ("-.5", "-0.5"), ("5.", "5"), ("+5", "5"), ("+.5e3", "0.5e3"), ("0x10", "16"), ("-0x1F", "-31"),
        ("0o7", "7"), ("0b11", "3"), ("1_000", "1000"), ("1_000.25", "1000.25"), ("007", "7"), ("010", "10"), ("00.5", "0.5"),
        (".inf", ""), ("-.Inf", ""), (".nan", ""), (".NaN", ""),
        ("5", None), ("-5", None), ("0.5", None), ("1e5", None), ("1E+5", None), ("-0", None), ("0", None),
        ("", None), (".", None), ("-", None), ("+", None), ("_", None), ("_1", None), ("e5", None), ("0x", None),
        ("1.2.3", None), ("veo-3", None), ("1:30", None), ("2026-01-05", None), ("4k", None), ("\u0663", None), ("inf", None),
    ],
)  # fmt: skip
def test_a_number_that_json_does_not_have_is_spelled_as_json_does(text: str, spelled: str | None) -> None:
    """What some reader of YAML takes for a number; None for what is JSON already, or looks like no number."""
    assert spelled == json_spelling(text)


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        (".5", "'.5' is not a number of JSON: write 0.5"),
        ("+5", "'+5' is not a number of JSON: write 5"),
        ("0x10", "'0x10' is not a number of JSON: write 16"),
        (".inf", "'.inf' is not a number of JSON: write a finite number"),
        ('"60"', "'60' is not a number: write it without quotes"),
        ("sixty", "'sixty' is not a number"),
    ],
)
def test_a_bound_that_is_no_number_is_told_how_to_be_one(bound: str, message: str) -> None:
    """It has no quotes, so none can be left out."""
    with pytest.raises(PolicyError) as refusal:
        example(('longer-than-5-minutes, match: {detail: {seconds: [{numeric: [">", 300]}]}}',
                 f'longer, match: {{detail: {{seconds: [{{numeric: [">", {bound}]}}]}}}}'))  # fmt: skip

    assert [message] == [mistake.message for mistake in refusal.value.mistakes]


def test_a_pattern_in_python_is_told_the_same() -> None:
    """By whichever way the pattern comes."""
    with pytest.raises(PolicyError, match="is not a number of JSON: write 0.5"):
        compile_pattern({"detail": {"seconds": [{"numeric": ["=", ".5"]}]}})


@pytest.mark.parametrize(("amount", "hint"), [(".5", ", as 0.5"), ("+1", ", as 1"), ("1_0", ", as 10"), ("x", "")])
def test_an_amount_that_is_no_number_is_told_the_same(amount: str, hint: str) -> None:
    """Everywhere in a policy."""
    with pytest.raises(PolicyError) as refusal:
        example(('minimum: "0.01"', f"minimum: {amount}"))

    assert refusal.value.mistakes[0].message.endswith(f"; write a plain decimal from 0 to 10^28{hint}")


@pytest.mark.parametrize(
    ("written", "warning"),
    [
        (".5", "`.5` is a text here and no number; quote it, or write 0.5"),
        ("+5", "`+5` is a text here and no number; quote it, or write 5"),
        ("0x10", "`0x10` is a text here and no number; quote it, or write 16"),
        ("1_000", "`1_000` is a text here and no number; quote it, or write 1000"),
        ("5.", "`5.` is a text here and no number; quote it, or write 5"),
        ("0o7", "`0o7` is a text here and no number; quote it, or write 7"),
        (".inf", "`.inf` is a text here and no number; quote it, or write a finite number"),
        ('".5"', None),
        ("0.5", None),
        ("veo-3", None),
    ],
)
def test_a_text_that_looks_like_a_number_is_warned_of_in_a_pattern(written: str, warning: str | None) -> None:
    """It matches no number, and most likely was meant to."""
    text = example_text(('jobId: [{prefix: "test-"}]', f"seconds: [{written}]"))
    warnings = [mistake.message for mistake in parse_policy(text, "p.yaml").warnings]

    assert ([warning] if warning else []) == [said for said in warnings if "is a text here" in said]
