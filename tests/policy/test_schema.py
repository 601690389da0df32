"""The JSON Schema that editors check with: from the same shapes as the loader, and never narrower than it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from engine.cli.app import app
from engine.domain.errors import PolicyError
from engine.domain.fact_kinds import PRICED
from engine.policy import parse_policy
from engine.policy.anomalies import PRICED_MEMBERS
from engine.policy.patterns.operands import OPERATORS
from engine.policy.schema import key_paths, policy_schema
from engine.policy.words import ABOUT, FIGURES, OPERATORS_ABOUT, PRICED_ABOUT, SECTIONS, section_of
from tests.policy.test_documentation import PAGE, examples
from tests.support.documentation import code
from tests.support.policies import EXAMPLE, example_text

POLICIES = Path(__file__).resolve().parents[2] / "policies"
SHIPPED = sorted(POLICIES.glob("*.yaml"))
RECIPES = sorted((POLICIES.parent / "docs" / "recipes").glob("*/policy.yaml"))


def mistakes(text: str) -> list[str]:
    """Return where the schema finds a mistake, as an editor would read the file."""
    document = yaml.load(text, Loader=_EditorLoader)  # noqa: S506  a SafeLoader that leaves instants as text
    return ["/".join(map(str, error.path)) for error in Draft202012Validator(policy_schema()).iter_errors(document)]


class _EditorLoader(yaml.SafeLoader):
    """YAML 1.2 has no timestamps."""


_EditorLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def test_the_schema_is_a_schema() -> None:
    """Of the draft that it names."""
    Draft202012Validator.check_schema(policy_schema())


def test_the_shipped_schema_is_the_one_that_the_command_prints() -> None:
    """The policies point to it; `reconciler schema > policies/policy.schema.json` makes it anew."""
    for arguments in (["schema"], ["schema", "--json"]):
        printed = CliRunner().invoke(app, arguments).stdout
        assert policy_schema() == json.loads(printed) == json.loads((POLICIES / "policy.schema.json").read_text())


def test_every_key_has_words_for_it_and_no_words_are_spare() -> None:
    """An editor shows them beside the key."""
    assert set(key_paths()) == ABOUT.keys()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_policy_has_no_mistake_and_points_to_the_schema(path: Path) -> None:
    """So that an editor checks and completes it as one types."""
    text = path.read_text()

    assert [] == mistakes(text)
    assert text.startswith("# yaml-language-server: $schema=policy.schema.json\n")


SECOND_ROW = '\n      by: detail.model\n      rates: {default: "0.12", premium: "0.25"}'
"""What the example's second row of prices says beside its effective date."""


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (("overdraft: flag", "overdaft: flag"), ""),
        (("action: debit", "action: debt"), "rules/0/action"),
        (("percent: 100", "percent: 101"), "rules/1/refund/percent"),
        (("name: video", "name: Video Prices"), "name"),
        (("places: 4", "places: 1.5"), "money/places"),
        (("version: 1", "version: 2"), "version"),
        (("rules:", "rules: []\nrulez:"), "rules"),
        (("match: {source: [video.generation], detail-type: [video.failed]}", "match: {}"), "rules/1/match"),
        (("event: {source: video.generation, detail-type: video.failed, time: updatedAt}", "event: {}"), "catch_up/1/event"),
        ((SECOND_ROW, ""), "prices/render-second/1"),
        ((SECOND_ROW, "\n      by: detail.model\n      changes: {default: 1}"), "prices/render-second/1"),
        ((SECOND_ROW, "\n      rates: {default: 2}\n      changes: {default: 1}"), "prices/render-second/1"),
        ((SECOND_ROW, "\n      changes: {default: cheap}"), "prices/render-second/1/changes/default"),
        ((SECOND_ROW, "\n      changes: {default: {hd: {a: {b: {c: {d: 1}}}}}}"), "prices/render-second/1/changes/default"),
        (("{price: render-second, quantity: detail.seconds,", "{amount: 1, priced_at: time,"), "rules/0/charge"),
    ],
)
def test_a_mistake_is_marked_where_it_is(change: tuple[str, str], place: str) -> None:
    """A red line under the right word."""
    assert place in mistakes(example_text(change))


CHANGES: list[Any] = [
    ("overdraft: flag\n", ""),
    ("places: 4", 'places: "4"'),
    ("version: 1", 'version: "1"'),
    ('"0.10"', "0.10"),
    ("percent: 100", 'percent: "12.5"'),
    ("reason: a test render reached production", "reason: 7"),
    (
        SECOND_ROW,
        "\n      until: 2026-08-01T00:00:00Z\n      changes: {premium: null, default: [{up_to: 5, rate: 1}, {rate: 0}]}",
    ),
    (
        SECOND_ROW,
        "\n      by: [a, b, c, d, e]\n      rates: {default: 1, a: {b: {c: {d: {default: 2}}}}}",
    ),
    (SECOND_ROW, "\n      changes: {}"),
    ("quantity: detail.seconds", 'quantity: detail.seconds, priced_at: "detail.submittedAt || time"'),
    ("anomalies:", "anomalies: []\nexplain: {model: gpt-4.1, max_per_hour: 60}\nunused:"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_loader_takes_the_schema_takes_too(change: tuple[str, str]) -> None:
    """An editor must not cry at what is right."""
    text = example_text(change)
    try:
        parse_policy(text, "p.yaml")
    except PolicyError:
        assert mistakes(text)
    else:
        assert [] == mistakes(text)


def test_no_example_of_the_documentation_has_a_red_line() -> None:
    """Nor any pattern of its tables: the schema is never narrower than the loader."""
    seen = 0
    for example in examples():
        if example.block.kind in {"yaml policy", "yaml part", "yaml warned"}:
            assert (example.block.line, []) == (example.block.line, mistakes(example.files["policy.yaml"]))
            seen += 1
    for table in PAGE.tables:
        for row in table.rows if table.header[0] == "pattern" else ():
            pattern = code(row[0])[0]
            text = example_text(('match: {detail: {jobId: [{prefix: "test-"}]}}', f"match: {pattern}"))
            assert (pattern, []) == (pattern, mistakes(text))
            seen += 1

    assert seen > 40


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.parent.name)
def test_no_recipe_has_a_red_line(path: Path) -> None:
    """They use all that a policy can say."""
    assert [] == mistakes(path.read_text())


def test_the_words_are_those_of_the_loader() -> None:
    """What an editor offers inside a pattern is what the loader takes there."""
    assert PRICED_MEMBERS == tuple(FIGURES)
    assert [kind.key for kind in PRICED] == list(PRICED_ABOUT)
    assert {*OPERATORS_ABOUT} - {"$or"} == {*OPERATORS} - {"exactly"}


def test_each_key_leads_to_a_section_of_the_documentation() -> None:
    """That is there: its heading gives the anchor."""
    headings = re.findall(r"^#+ (.+)$", PAGE.text, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert set() == {section_of(path) for path in key_paths()} - anchors
    assert set() == {path for path in SECTIONS if path} - set(key_paths())


def test_the_example_is_right() -> None:
    """Else the mistakes above would prove nothing."""
    assert [] == mistakes(EXAMPLE)
