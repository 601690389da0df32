"""Who catches a mutant: ``validate`` by refusing it, in the right line, or the policy's tests by failing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path as FilePath

from attrs import frozen

from engine.domain.errors import PolicyError
from engine.policy import Policy, parse_policy
from engine.policy.far_dates import far_dates
from engine.preview.policy_tests import PolicyTest, load_tests, run_test
from tests.policy.mutation.equivalent import equivalence
from tests.policy.mutation.operators import OPERATORS, Mutant, mutants
from tests.policy.mutation.tree import Tree

POLICIES = FilePath(__file__).parents[3] / "policies"
SHIPPED = sorted(POLICIES.glob("*.yaml"))
RECIPES = sorted((POLICIES.parent / "docs" / "recipes").glob("*/policy.yaml"))

TODAY = datetime(2026, 12, 1, tzinfo=UTC)
"""When dates lie far ahead."""


class Verdict(StrEnum):
    """What became of a mutant."""

    REFUSED = "validate"
    FAILED = "tests"
    WARNED = "warned"
    """No test fails, and ``validate`` warns of it in the right line."""
    EQUIVALENT = "equivalent"
    CONTRADICTED = "contradicted"
    """A test tells it from the policy, though a reason says that none can: the reason is wrong."""
    SURVIVED = "survived"


@frozen
class Judged:
    """A mutant and what became of it: ``why`` is the refusal, the test that failed, or the reason of its equivalence."""

    mutant: Mutant
    verdict: Verdict
    why: str = ""
    is_rightly_placed: bool = True

    def __str__(self) -> str:
        place = "/".join(map(str, self.mutant.path))
        at = ", ".join(map(str, sorted(self.mutant.at)))
        return f"{self.mutant.operator} at {place} (line {at}): {self.why or self.verdict}"


def judge_all(path: FilePath, every: int = 1) -> list[Judged]:
    """Return what becomes of every mutant of a policy file, or of one in so many of each operator."""
    return judge_text(path.read_text(), tests_of(path), every)


def judge_text(text: str, tests: Sequence[PolicyTest] = (), every: int = 1) -> list[Judged]:
    """Return what becomes of every mutant of a policy, or of one in so many of each operator."""
    tree = Tree(text)
    return [_judge(mutant, tree, tests) for mutant in mutants(text, every)]


def tests_of(path: FilePath) -> tuple[PolicyTest, ...]:
    """Return the tests of a policy file: those of its name beside it, or those of a recipe."""
    return load_tests(path.parent / ("tests.yaml" if path in RECIPES else f"tests/{path.name}")).tests


def _judge(mutant: Mutant, tree: Tree, tests: Sequence[PolicyTest]) -> Judged:
    try:
        policy = parse_policy(mutant.text, "mutant.yaml")
    except PolicyError as error:
        placed = mutant.is_rightly_placed(mistake.line for mistake in error.mistakes)
        return Judged(mutant, Verdict.REFUSED, "; ".join(str(mistake).split("\n")[0] for mistake in error.mistakes), placed)
    failed = next((test.name for test in tests if not run_test(test, policy).passed), None)
    reason = equivalence(mutant, tree)
    if failed is not None:
        return Judged(mutant, Verdict.CONTRADICTED if reason else Verdict.FAILED, failed)
    if reason:
        return Judged(mutant, Verdict.EQUIVALENT, reason)
    return _warned(mutant, policy, tree) or Judged(mutant, Verdict.SURVIVED)


def _warned(mutant: Mutant, policy: Policy, tree: Tree) -> Judged | None:
    """Return what is warned of and was not before, if it stands where the change is."""
    before = {warning.message for warning in parse_policy(tree.text, "mutant.yaml").warnings}
    told = [*policy.warnings, *far_dates(policy, mutant.text.encode(), "mutant.yaml", TODAY)]
    new = [warning for warning in told if warning.message not in before]
    here = next((warning for warning in new if warning.line in mutant.at | mutant.felt), None)
    return Judged(mutant, Verdict.WARNED, str(here).split("\n", maxsplit=1)[0]) if here is not None else None


def caught_share(judged: Iterable[Judged]) -> float:
    """Return how many of the mutants that are not equivalent were caught, of 1."""
    counts = Counter(one.verdict for one in judged)
    caught = counts[Verdict.REFUSED] + counts[Verdict.FAILED] + counts[Verdict.WARNED]
    return caught / (caught + counts[Verdict.SURVIVED])


# --- the table --------------------------------------------------------------------------------------------------------

HEAD = ("operator", "mutants", "validate", "tests", "warned", "equivalent", "survived", "right line")


def report(judged: list[Judged]) -> str:
    """Return the table for people, then what survived, then what is equivalent and why."""
    rows = [_row(name, [one for one in judged if one.mutant.operator == name]) for name in OPERATORS]
    lines = [_line(HEAD), *map(_line, [*rows, _row("all", judged)]), f"caught: {caught_share(judged):.1%}"]
    return "\n".join([*lines, *_listed(judged, Verdict.SURVIVED), *_listed(judged, Verdict.EQUIVALENT)])


def _row(name: str, judged: list[Judged]) -> tuple[str, ...]:
    counts = Counter(one.verdict for one in judged)
    rightly = sum(one.is_rightly_placed for one in judged if one.verdict is Verdict.REFUSED)
    shown = (Verdict.REFUSED, Verdict.FAILED, Verdict.WARNED, Verdict.EQUIVALENT, Verdict.SURVIVED)
    return (name, str(len(judged)), *(str(counts[verdict]) for verdict in shown), f"{rightly}/{counts[Verdict.REFUSED]}")


def _line(cells: Iterable[str]) -> str:
    name, *figures = cells
    return f"{name:<34}" + "".join(f"{figure:>12}" for figure in figures)


def _listed(judged: Iterable[Judged], verdict: Verdict) -> Iterator[str]:
    chosen = [one for one in judged if one.verdict is verdict]
    yield from (f"{verdict}:", *(f"    {one}" for one in chosen)) if chosen else ()
