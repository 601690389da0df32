"""What the judge makes of jobs that are tried more than once, worked out by hand; and the plans that number attempts."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from attrs import evolve

from tests.simulation.claims import claim_of
from tests.simulation.history import edits_of
from tests.simulation.tellings import Telling
from tests.simulation.test_judge import NEVER_ONCE, POLICIES, ROW, entries, rendered, told, verdict
from tests.simulation.world.numbering import with_attempts
from tests.simulation.world.plan import plan_of
from tests.simulation.world.terms import EDITS, HOLDS, document_of, is_numbered, numbered

NUMBERED = {**POLICIES, "base": document_of(numbered(0), "flag", "refuse")}
ADDED = {**POLICIES, "dearer": document_of(numbered(2), "flag", "refuse")}

type Log = tuple[tuple[Telling, str], ...]


def done(attempt: int, at: str = "05:00", **said: str) -> Telling:
    """Return a render of an attempt: 8 x 0.1 unless it says something else."""
    return rendered(at, attempt=str(attempt), **said)


def back(kind: str, attempt: int, at: str, **said: str) -> Telling:
    """Return a failure of an attempt."""
    return told(kind, at, attempt=str(attempt), **said)


FAILED_BELOW = back("failed", 1, "07:00")
LOGS: dict[str, tuple[Log, str]] = {
    "the higher attempt counts": (((done(1), "-0.8"), (done(2, seconds="4"), "0.4")), "-0.4"),
    "whatever the clocks say": (((done(2, seconds="4"), "-0.4"), (done(1, "06:00"), "0")), "-0.4"),
    "a failure below it plays no part": (((done(1), "-0.8"), (done(2, "06:00"), "0"), (FAILED_BELOW, "0")), "-0.8"),
    "a failure above gives back what was charged below": (((done(1), "-0.8"), (back("failed", 2, "04:00"), "0.8")), "0"),
    # half, and a quarter of what is left
    "two failures take one after the other": (
        ((done(1), "-0.8"), (back("cancelled", 2, "06:00"), "0.4"), (back("broken", 3, "06:00", missing="25"), "0.1")),
        "-0.3"),
    "what is too old for the window stays": (((done(1), "-0.8"), (back("cancelled", 2, "15:01"), "0")), "-0.8"),
    "what comes back is no more than what is left": (
        ((done(1), "-0.8"), (back("cancelled", 2, "06:00"), "0.4"), (back("credited", 3, "05:00", back="0.5"), "0.4")), "0"),
}  # fmt: skip


@pytest.mark.parametrize("name", LOGS)
def test_attempts_come_to_what_was_worked_out(name: str) -> None:
    """A ten-thousandth more or less is wrong."""
    steps, net = LOGS[name]
    log, tellings = entries(*((telling, amount, "base") for telling, amount in steps)), [telling for telling, _ in steps]
    assert [] == verdict(log, tellings, net, policies=NUMBERED)

    log[-1]["amount"] = str(Fraction(log[-1]["amount"]) + Fraction(1, 10_000))
    assert 1 == len(verdict(log, tellings, str(Fraction(net) + Fraction(1, 10_000)), policies=NUMBERED))


def test_what_was_told_without_a_number_is_known_when_it_is_told_again() -> None:
    """By what it said then; a render of the second attempt at another time is another, at the new price of 8 x 0.2."""
    first, second = done(1), done(2, "06:00")
    log = entries((first, "-0.8", "base"), (second, "-0.8", "dearer"))
    assert [] == verdict(log, [first, second], "-1.6", policies=ADDED)

    log[1:] = entries((first, "-0.8", "base"), (evolve(first, event="again"), "-0.8", "dearer"))[1:]
    (wrong,) = verdict(log, [first, evolve(first, event="again")], "-1.6", policies=ADDED)
    assert "job#j-1: its entries come to -1.6; -0.8 is right" == wrong


def test_what_a_scan_has_not_read_is_whatever_was_told_before() -> None:
    """The attempt, where the policy numbers none; but of a policy that ignores repeats a scan reads whole rows."""
    charge = claim_of(done(1).fact, NUMBERED["base"], "base", ROW)

    assert charge.is_said_by(done(2).by_scan(NEVER_ONCE))
    assert not charge.is_said_by(done(2).by_scan(POLICIES["once"]))
    assert not charge.is_said_by(done(2, seconds="9").by_scan(NEVER_ONCE))
    assert not charge.is_said_by(done(2).fact)


def test_a_fact_is_outdone_in_its_own_attempt_alone() -> None:
    """An earlier charge of another attempt has to be known: a later one of this attempt would make it needless."""
    log: list[dict[str, Any]] = entries((done(2, "06:00"), "-0.8", "base"))
    assert [] == verdict(log, [done(2, "06:00"), done(2)], "-0.8", policies=NUMBERED)

    for attempt in (1, 3):
        (wrong,) = verdict(log, [done(2, "06:00"), done(attempt)], "-0.8", policies=NUMBERED)
        assert wrong.endswith("was told, and no entry knows of it")


# --- plans ------------------------------------------------------------------------------------------------------------


def test_one_history_in_three_numbers_attempts_and_the_others_are_as_they_were() -> None:
    """Some policies of it at least, so that events of before are told again; jobs have up to three attempts and more."""
    plans = [plan_of(seed) for seed in range(300)]
    with_some = [plan for plan in plans if any(map(is_numbered, edits_of(plan)))]
    said = [{fact.said["attempt"] for fact in plan.facts if "attempt" in fact.said} for plan in plans]

    assert 70 < len(with_some) < 130
    assert 10 < sum(not all(map(is_numbered, edits_of(plan))) for plan in with_some)
    assert all(numbers or not any(map(is_numbered, edits_of(plan))) for plan, numbers in zip(plans, said, strict=True))
    assert {"0", "1", "2", "3", "4"} <= {number for numbers in said for number in numbers}
    assert all(edit < 2 * EDITS * (1 + len(HOLDS)) for plan in plans for edit in edits_of(plan))


def test_what_is_told_of_one_fact_is_of_one_attempt() -> None:
    """As a number or as digits; and each row says it."""
    count: Counter[str] = Counter()
    for plan in map(plan_of, range(100)):
        numbers = {fact.event: fact.said["attempt"] for fact in plan.facts if "attempt" in fact.said}
        for step in plan.steps():
            if step.kind in {"direct", "send"} and step.subject["id"] in numbers:
                number = step.subject["detail"]["attempt"]
                count[type(number).__name__] += 1
                assert int(numbers[step.subject["id"]]) == int(number)
            if step.kind in {"put", "update"} and step.subject[1] in numbers:
                assert int(numbers[step.subject[1]]) == int(step.subject[0]["attempt"])
                count["row"] += 1

    assert {"int", "float", "str", "row"} == {name for name, times in count.items() if times > 20}


def test_a_plan_that_numbers_no_attempt_is_left_alone() -> None:
    """Its steps are the very same."""
    plans = [plan_of(seed) for seed in range(20)]
    alone = [plan for plan in plans if not any("attempt" in fact.said for fact in plan.facts)]

    assert alone
    assert all(with_attempts(plan) is plan for plan in alone)
