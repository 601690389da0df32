"""A policy with something wrong is refused where it is wrong, or a policy test fails.

Each run of the tests takes one mutant in twelve of each kind of mistake, ``make proof`` takes all.
``python -m tests.policy.mutation`` prints what becomes of each kind of mistake in the shipped policies.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.domain.errors import PolicyError
from engine.policy import parse_policy
from tests.policy.mutation.operators import Mutant, mutants
from tests.policy.mutation.run import RECIPES, SHIPPED, Judged, Verdict, caught_share, judge_all, judge_text, report
from tests.policy.mutation.spread import SPREAD
from tests.policy.mutation.tree import Tree

CAUGHT_MIN = 0.97
EVERY = [12, pytest.param(1, marks=pytest.mark.proof)]


def those(judged: list[Judged], verdict: Verdict) -> list[str]:
    """Return the mutants of one verdict, as a failing test shows them."""
    return [str(one) for one in judged if one.verdict is verdict]


def misplaced(judged: list[Judged]) -> list[str]:
    """Return the refusals that name a wrong line."""
    return [str(one) for one in judged if not one.is_rightly_placed]


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("path", [*SHIPPED, *RECIPES], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_mistakes_in_a_shipped_policy_are_caught(path: Path, every: int) -> None:
    """At least 97 in 100 that make a difference; every refusal names the right line; ``pytest -s`` shows the table."""
    judged = judge_all(path, every)
    print(f"\n{path.name}\n{report(judged)}")  # noqa: T201  the table is for people

    assert [] == misplaced(judged)
    assert [] == those(judged, Verdict.CONTRADICTED)
    assert caught_share(judged) >= CAUGHT_MIN, those(judged, Verdict.SURVIVED)


@pytest.mark.parametrize("every", EVERY)
def test_mistakes_in_any_construct_are_refused_in_the_right_line(every: int) -> None:
    """Also in those that no shipped policy has."""
    assert () == parse_policy(SPREAD, "spread.yaml").warnings
    judged = judge_text(SPREAD, every=every)

    assert [] == misplaced(judged)
    assert sum(one.verdict is Verdict.REFUSED for one in judged) > 500 / every


def test_a_refusal_that_names_a_line_beside_the_right_one_is_noticed() -> None:
    """Else the share of right lines would say nothing: of refusals one line off, hardly any would pass."""
    told = [(mutant, mistakes(mutant)) for mutant in mutants(SPREAD, every=5, kinds="key misspelt")]
    refused = [(mutant, lines) for mutant, lines in told if lines]

    assert all(mutant.is_rightly_placed(lines) for mutant, lines in refused)
    passing = [mutant.path for mutant, lines in refused if mutant.is_rightly_placed(line + 1 for line in lines)]
    assert len(passing) < len(refused) / 10, passing


def test_one_thing_is_changed_and_nothing_else() -> None:
    """Comments and all other lines stay as and where they are."""
    tree = Tree("a: 1  # one\nb: {c: [x, y], d: 2}  # two\ne:\n  - f: 3\n    g: 4\n")

    changed = [
        tree.without(tree.by_path["b", "c"]),
        tree.without(tree.by_path["b", "d"]),
        tree.without(tree.by_path["b", "c", 0]),
        tree.without(tree.by_path["e", 0, "f"]),
        tree.with_twice(tree.by_path["a",]),
        tree.with_twice(tree.by_path["e", 0, "f"]),
        tree.with_value(tree.by_path["e",], "z"),
    ]

    assert [
        "a: 1  # one\nb: {d: 2}  # two\ne:\n  - f: 3\n    g: 4\n",
        "a: 1  # one\nb: {c: [x, y]}  # two\ne:\n  - f: 3\n    g: 4\n",
        "a: 1  # one\nb: {c: [y], d: 2}  # two\ne:\n  - f: 3\n    g: 4\n",
        "a: 1  # one\nb: {c: [x, y], d: 2}  # two\ne:\n  - \n    g: 4\n",
        "a: 1  # one\na: 1\nb: {c: [x, y], d: 2}  # two\ne:\n  - f: 3\n    g: 4\n",
        "a: 1  # one\nb: {c: [x, y], d: 2}  # two\ne:\n  - f: 3\n    f: 3\n    g: 4\n",
        "a: 1  # one\nb: {c: [x, y], d: 2}  # two\ne:\n  z\n\n",
    ] == changed


def mistakes(mutant: Mutant) -> list[int]:
    """Return the lines that a refusal of a mutant names; none where it is not refused."""
    try:
        parse_policy(mutant.text, "mutant.yaml")
    except PolicyError as error:
        return [mistake.line or 0 for mistake in error.mistakes]
    return []
