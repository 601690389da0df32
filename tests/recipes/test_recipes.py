"""Each recipe of docs/recipes/ does what its page says, on the payloads that its provider publishes."""

from __future__ import annotations

import json
import shutil
import subprocess
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli.app import app
from engine.domain.money import Money
from engine.policy import load_policy
from engine.preview.policy_tests import Coverage, run_test
from tests.support.documentation import code, read_page
from tests.support.recipes import INDEX, RECIPES, Recipe, amounts, equations, linked, recipes, shape, told

EVERY = pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.name)

QUESTIONS = (
    "How does it get onto the bus?",
    "Which time does it carry?",
    "Whose credits?",
    "What if it comes twice?",
    "Where is its shape from?",
    "What is filled in?",
    "Stack parameters",
)
"""What every page answers about its event, in this order."""


def printed(*arguments: Any) -> tuple[int, str]:
    """Return how a command ends, and what it prints."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_the_index_has_every_recipe_once() -> None:
    """A page that is not in the index is found by nobody."""
    folders = [
        link.removesuffix("/README.md") for table in read_page(INDEX).tables for row in table.rows for link in linked(row[1])
    ]

    assert sorted(folders) == [recipe.name for recipe in recipes()]


@EVERY
def test_the_policy_is_fine_without_a_warning(recipe: Recipe) -> None:
    """Nobody begins with a policy that complains."""
    status, told = printed("validate", recipe.policy)

    assert (0, False) == (status, "warning" in told), told


@EVERY
def test_the_stack_parameters_deliver_what_the_rules_wait_for(recipe: Recipe) -> None:
    """And nothing that no rule takes."""
    given = dict(part.split("=", 1) for part in code(answers(recipe)["Stack parameters"]))
    sources, kinds = (given[name].split(",") for name in ("EventSources", "EventDetailTypes"))
    pairs = ",".join(f"{source}/{kind}" for source in sources for kind in kinds)

    status, told = printed("validate", recipe.policy, "--delivers", pairs)

    assert (0, False) == (status, "warning" in told), told


@EVERY
def test_its_policy_tests_pass_and_reach_everything(recipe: Recipe) -> None:
    """A rate or a rule that no test reaches may be wrong."""
    file, coverage, failures = recipe.loaded(), Coverage(), []
    for test in file.tests:
        result = run_test(test, file.policy)
        coverage.add(result.entries)
        failures += [(test.name, line) for line in result.differences]

    assert ([], []) == (failures, list(coverage.missed(file.policy)))


@EVERY
def test_each_payload_posts_what_the_page_says(recipe: Recipe) -> None:
    """``reconciler explain`` takes each as its job's first event; a file that the page does not have is used by nobody."""
    rows = {linked(row[0])[0]: code(row[-1])[0] for row in recipe.table("payload").rows}

    assert rows == {name: outcome(recipe, name) for name in recipe.payloads}


@EVERY
def test_policy_tests_send_only_what_the_provider_sends(recipe: Recipe) -> None:
    """Each field of an event in them is in a payload, at the same place and of the same kind."""
    known = {place for payload in recipe.payloads.values() for place in shape(payload)}
    optional = {(path, "null") for path, _kind in known}

    unknown = {
        (test.name, path, kind)
        for test in recipe.loaded().tests
        for event in test.given
        if "row" not in event
        for path, kind in shape(event) - known - optional
    }

    assert set() == unknown


@EVERY
def test_the_sums_on_the_page_are_right(recipe: Recipe) -> None:
    """Worked out here without the engine."""
    sums = [one for _name, arithmetic, _posted in recipe.table("policy test").rows for one in equations(arithmetic)]

    assert sums
    assert [] == [(float(left), float(right)) for left, right in sums if left != right]


@EVERY
def test_the_amounts_on_the_page_are_what_the_policy_tests_expect(recipe: Recipe) -> None:
    """Each line is about a policy test, and each amount is the result of a sum in it."""
    money, tests = load_policy(recipe.policy).money, {test.name: test for test in recipe.loaded().tests}
    for name, arithmetic, posted in recipe.table("policy test").rows:
        results = {
            rounded(result, money) for result in [*(right for _left, right in equations(arithmetic)), *told(arithmetic)]
        }

        assert [entry.amount for entry in tests[name].expect] == [Decimal(amount) for amount in amounts(posted)], name
        assert {abs(Decimal(amount)) for amount in amounts(posted)} <= results | {Decimal(0)}, name


@pytest.mark.parametrize("recipe", [one for one in recipes() if one.row], ids=lambda recipe: recipe.name)
def test_the_status_of_its_row_is_known_to_the_scan(recipe: Recipe) -> None:
    """Else every scan would count the row, and alarm; and a recipe with a row is one that reads it."""
    row, policy = json.loads((recipe.row or Path()).read_text()), recipe.policy.read_text()

    assert row["status"] in load_policy(recipe.policy).catch_up_ignore
    assert "row." in policy


@EVERY
def test_what_the_page_quotes_is_in_the_files(recipe: Recipe) -> None:
    """Lines of the policy stand on the page as they stand in the file."""
    policy = recipe.policy.read_text()

    assert [] == [block.text for block in recipe.page.blocks if block.kind == "yaml" and block.text not in policy]


@EVERY
def test_the_page_answers_what_everybody_asks(recipe: Recipe) -> None:
    """How the event arrives, which time it has, whose it is, what happens when it comes twice, and what of it is true."""
    assert QUESTIONS == tuple(answers(recipe))
    assert all(answers(recipe).values())


def test_a_recipe_is_copied_as_the_index_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files, and the name of the policy in one of them."""
    copy, change, validate, test = next(block for block in read_page(INDEX).blocks if block.kind == "sh").text.splitlines()
    shutil.copytree(RECIPES, tmp_path / "docs" / "recipes")
    (tmp_path / "policies" / "tests").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    subprocess.run(["/bin/sh", "-c", f"{copy} && {change}"], check=True)

    assert [0, 0] == [printed(*command.split()[1:])[0] for command in (validate, test)]


@EVERY
def test_its_tests_name_the_policy_as_the_index_says(recipe: Recipe) -> None:
    """So that one command makes them the tests of a copy."""
    assert recipe.tests.parent != recipe.folder or "\npolicy: policy.yaml\n" in recipe.tests.read_text()


# --- reading ----------------------------------------------------------------------------------------------------------


def answers(recipe: Recipe) -> dict[str, str]:
    """Return what the page says about its event, by question."""
    return {question: answer for question, answer in recipe.table("about the event").rows}  # noqa: C416  pairs of texts


def outcome(recipe: Recipe, payload: str) -> str:
    """Return what ``explain`` says that an event does, in two words."""
    row = ["--row", recipe.row] if recipe.row else []
    _status, told = printed("explain", recipe.folder / payload, "--policy", recipe.policy, *row, "--json")
    answer = json.loads(told)
    if answer["problem"]:
        return str(answer["problem"])
    entry = answer["entry"]
    return f"{entry['type']} {Decimal(entry['amount']).normalize():f}" if entry else "ignored"


def rounded(value: Fraction, money: Money) -> Decimal:
    """Return a result as the policy rounds an amount."""
    return money.round(Decimal(value.numerator) / Decimal(value.denominator))
