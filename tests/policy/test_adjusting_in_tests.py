"""Policy tests in which people correct: by the real conductors, in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.domain.errors import PolicyError
from engine.preview.policy_tests import Coverage, load_tests, run_test
from tests.support.events import failed, rendered
from tests.support.policies import EXAMPLE

BOUNDS = 'adjustments: {maximum: "100", second_person_above: "20"}\n'


def tried(folder: Path, *steps: str, policy: str = EXAMPLE + BOUNDS, **keys: str) -> list[str]:
    """Return what differs where a test is given these steps and expects nothing: all that is posted."""
    lines = [f"    {name}: {value}" for name, value in keys.items()]
    given = [f"      - {step}" for step in steps]
    (folder / "policy.yaml").write_text(policy)
    text = "\n".join(["policy: policy.yaml", "tests:", "  - name: it", *lines, "    given:", *given])
    (folder / "tests.yaml").write_text(text)
    file = load_tests(folder / "tests.yaml")
    return list(run_test(file.tests[0], file.policy).differences)


RENDERED, FAILED = json.dumps(rendered("j-1")), json.dumps(failed("j-1", at="11:00"))
"""Eight seconds cost 0.80, and all of it goes back."""


@pytest.mark.parametrize(
    ("steps", "posted"),
    [
        (("adjust: {id: a, user: u-1, amount: 5}",), ["+ adjust#a adjust 5 by adjust"]),
        (("adjust: {id: a, user: u-1, amount: -5}",), ["+ adjust#a adjust -5 by adjust"]),
        (("adjust: {id: a, user: u-1, amount: 5}",) * 2, ["+ adjust#a adjust 5 by adjust"]),
        (("adjust: {id: a, user: u-1, amount: 5}", "adjust: {id: b, reverses: a}"),
         ["+ adjust#a adjust 5 by adjust", "+ adjust#a adjust -5 by adjust"]),
        (("adjust: {id: a, user: u-1, amount: 50}",), []),
        (("adjust: {id: a, user: u-1, amount: 50}", "approve: a"), ["+ adjust#a adjust 50 by adjust"]),
        ((RENDERED, FAILED, "adjust: {id: a, user: u-1, job: j-1, amount: 0.5}"),
         ["+ job#j-1 debit -0.8000 by debit-rendered", "+ job#j-1 refund 0.8000 by refund-failed",
          "+ job#j-1 void 0 by adjust"]),
        ((RENDERED, "adjust: {id: a, user: u-1, job: j-1, amount: 0.5}", "adjust: {id: b, reverses: a}", FAILED),
         ["+ job#j-1 debit -0.8000 by debit-rendered", "+ job#j-1 adjust 0.5000 by adjust",
          "+ job#j-1 adjust -0.5000 by adjust", "+ job#j-1 refund 0.8000 by refund-failed"]),
    ],
)  # fmt: skip
def test_what_people_adjust_is_posted_at_its_place(tmp_path: Path, steps: tuple[str, ...], posted: list[str]):
    """Once by its id; above the bound by two; what only claims an id is left out."""
    assert posted == tried(tmp_path, *steps)


DEARER, CHEAPER = (EXAMPLE.replace('"0.10"', rate) for rate in ('"1.00"', '"0.01"'))


@pytest.mark.parametrize(
    ("policy", "steps", "posted"),
    [
        (DEARER, (RENDERED, "reprice: other.yaml"), ["debit -0.8000 by debit-rendered", "reprice -7.2000 by reprice"]),
        (CHEAPER, (RENDERED, "reprice: other.yaml", FAILED),
         ["debit -0.8000 by debit-rendered", "reprice 0.7200 by reprice", "refund 0.0800 by refund-failed"]),
        (CHEAPER, (RENDERED, "reprice: other.yaml", "reprice: other.yaml", RENDERED),
         ["debit -0.8000 by debit-rendered", "reprice 0.7200 by reprice"]),
        (EXAMPLE, (RENDERED, "reprice: other.yaml"), ["debit -0.8000 by debit-rendered"]),
        (CHEAPER, ("reprice: other.yaml", RENDERED), ["debit -0.8000 by debit-rendered"]),
        (CHEAPER, (RENDERED, "adjust: {id: a, user: u-1, job: j-1, amount: 0.8}", "reprice: other.yaml"),
         ["debit -0.8000 by debit-rendered", "adjust 0.8000 by adjust", "void 0 by reprice"]),
    ],
)  # fmt: skip
def test_what_is_priced_anew_costs_what_the_other_policy_says(
    tmp_path: Path, policy: str, steps: tuple[str, ...], posted: list[str]
):
    """Once; a failure gives back what it then has cost; what comes later has the test's own prices."""
    (tmp_path / "other.yaml").write_text(policy)

    assert [f"+ job#j-1 {entry}" for entry in posted] == tried(tmp_path, *steps)


def test_a_policy_that_is_not_there_is_a_mistake(tmp_path: Path):
    """Before any test runs."""
    with pytest.raises(PolicyError, match=r"other\.yaml: cannot be read"):
        tried(tmp_path, "reprice: other.yaml")


def test_a_balance_refuses_what_the_policy_does_not_let_it_owe(tmp_path: Path):
    """A test shows that as well: nothing is posted, and nothing stays due."""
    refuses = EXAMPLE.replace("overdraft: flag", "overdraft: refuse")

    assert [] == tried(
        tmp_path, "adjust: {id: a, user: u-1, amount: -5}", policy=refuses, users="{u-1: 1}", balances="{u-1: 1}"
    )


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("adjust: {id: a, user: u-1, amount: 101}", "`adjustments.maximum` of the policy is 100"),
        ("adjust: {id: a, user: u-1, job: j-9, amount: 1}", "job#j-9 has no entry in the ledger"),
        ("adjust: {id: b, reverses: a}", "adjust#a is no adjustment in the ledger"),
        ("approve: a", "proposal#a is no proposal that waits"),
    ],
)
def test_what_makes_no_sense_is_an_error_that_a_test_can_expect(tmp_path: Path, step: str, error: str):
    """By a part of what it says."""
    assert [] == tried(tmp_path, step, error=f'"{error}"')
    expected_none, found = tried(tmp_path, step)
    assert "- no error" == expected_none
    assert error in found


@pytest.mark.parametrize(
    ("step", "mistake"),
    [
        ("adjust: {user: u-1, amount: 5}", "`id` is missing"),
        ("adjust: {id: a, amount: 5}", "an adjustment is of a `user`"),
        ("adjust: {id: a, user: u-1}", "an adjustment has an `amount`, or `reverses` another one"),
        ("adjust: {id: b, user: u-1, amount: 5, reverses: a}", "an adjustment has an `amount`, or `reverses` another one"),
        ("adjust: {id: a, user: u-1, amonut: 5}", "`amonut` is not known here; did you mean `amount`?"),
        ("{adjust: {id: a, user: u-1, amount: 5}, approve: a}", "`adjust` and `approve` are 2 elements of `given`"),
        ("{adjust: {id: a, user: u-1, amount: 5}, time: 2026-01-05T10:00:00Z}", "`time` is not known here"),
        ("{adjsut: {id: a, user: u-1, amount: 5}}", "`adjsut` is not known here; did you mean `adjust`?"),
        ("approve: [a]", "is a list; write the id of an adjustment"),
    ],
)
def test_a_mistake_in_the_file_is_told_by_its_place(tmp_path: Path, step: str, mistake: str):
    """Before any test runs."""
    with pytest.raises(PolicyError, match="tests.yaml:5:") as told:
        tried(tmp_path, step)

    assert mistake in str(told.value)


def test_what_people_adjust_reaches_no_rule(tmp_path: Path):
    """A rule may be called as the command is, and still needs an event that reaches it."""
    tried(tmp_path, "adjust: {id: a, user: u-1, amount: 5}", policy=EXAMPLE.replace("debit-rendered", "adjust"))
    file = load_tests(tmp_path / "tests.yaml")
    coverage = Coverage()
    coverage.add(run_test(file.tests[0], file.policy).entries)

    assert "rule adjust" in coverage.missed(file.policy)
