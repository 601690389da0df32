"""``reconciler test``: what given events post under a policy, beside what they should, and what no test has reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli.options import AsJson
from engine.cli.output import complain, print_json, say
from engine.cli.status import FAILED, MISUSED
from engine.policy import Policy, load_policy
from engine.preview.policy_tests import Coverage, TestFile, load_tests, parts_of, run_test

POLICY_TESTS = Path("policies/tests")

Tested = Mapping[str, Any]
"""One file's answer: ``file``, ``policy``, ``tests`` with their ``differences``, and what no test of the policy reached."""


def run_policy_tests(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files of policy tests.  [default: policies/tests/*.yaml]")
    ] = None,
    *,
    policy: Annotated[
        Path | None,
        typer.Option(
            help="Run them against this edited policy. Without files: those of the policy that has its name.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List what no test reached.")] = False,
    require_coverage: Annotated[
        bool, typer.Option("--require-coverage", help="Fail where no test reached a rate, a rule or an anomaly.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run policy tests. Shows entries that differ, and counts the rates, rules and anomalies that no test reached."""
    opened = _opened(files or [], load_policy(policy) if policy else None)
    answers = _answers(opened)
    if as_json:
        print_json(answers)
    else:
        _print_all(answers, opened, in_full=verbose or require_coverage)
    if any(map(_has_failed, answers)) or (require_coverage and any(answer["notReached"] for answer in answers)):
        raise typer.Exit(FAILED)


def _opened(files: Sequence[Path], edited: Policy | None) -> list[TestFile]:
    """Return the files of tests, with the policy that they are run against."""
    paths = files or sorted(POLICY_TESTS.glob("*.yaml"))
    if not paths:
        raise _misused(f"there are no policy tests in {POLICY_TESTS}; name a file of them")
    if edited is not None and not files:
        paths = [path for path in paths if load_tests(path).policy.name == edited.name]
    if not paths and edited is not None:
        raise _misused(f"no file in {POLICY_TESTS} tests a policy that is called {edited.name}; name the file of tests")
    return [load_tests(path, edited) for path in paths]


def _misused(message: str) -> typer.Exit:
    complain(message)
    return typer.Exit(MISUSED)


def _answers(opened: Sequence[TestFile]) -> list[Tested]:
    """Return each file's answer. What several files say of one policy is reached by any of them."""
    coverage: dict[str, Coverage] = {}
    answers = [_tested(file, coverage.setdefault(file.policy.identity, Coverage())) for file in opened]
    missed = {file.policy.identity: coverage[file.policy.identity].missed(file.policy) for file in opened}
    return [{**answer, "notReached": missed[answer["policy"]]} for answer in answers]


def _tested(file: TestFile, coverage: Coverage) -> Tested:
    tests = []
    for policy_test in file.tests:
        result = run_test(policy_test, file.policy)
        coverage.add(result.entries)
        tests.append({"name": policy_test.name, "line": policy_test.line, "differences": list(result.differences)})
    return {"file": str(file.path), "policy": file.policy.identity, "tests": tests}


def _has_failed(answer: Tested) -> bool:
    return any(policy_test["differences"] for policy_test in answer["tests"])


# --- printing ---------------------------------------------------------------------------------------------------------


def _print_all(answers: Sequence[Tested], opened: Sequence[TestFile], *, in_full: bool) -> None:
    last = {answer["policy"]: index for index, answer in enumerate(answers)}
    if any(map(_has_failed, answers)):
        say("- expected, + found:")
    for index, (answer, file) in enumerate(zip(answers, opened, strict=True)):
        _print_tested(answer)
        if answer["notReached"] and last[answer["policy"]] == index:
            _print_not_reached(answer["notReached"], len(list(parts_of(file.policy))), in_full=in_full)


def _print_tested(answer: Tested) -> None:
    failed = [policy_test for policy_test in answer["tests"] if policy_test["differences"]]
    for policy_test in failed:
        place = f"{answer['file']}:{policy_test['line']}"
        say("\n".join([f"{place}: {policy_test['name']}", *(f"    {line}" for line in policy_test["differences"])]))
    passed = len(answer["tests"]) - len(failed)
    say(f"{answer['file']}: {passed} passed, {len(failed)} failed ({answer['policy']})")


def _print_not_reached(missed: Sequence[str], parts: int, *, in_full: bool) -> None:
    if not in_full:
        say(f"    no test reached {len(missed)} of {parts} rates, rules and anomalies; --verbose lists them")
    for part in missed if in_full else ():
        say(f"    no test reached: {part}")
