"""What the judge makes of holds, worked out by hand; and the plans whose policies hold credits."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from tests.simulation import judge
from tests.simulation.claims import Fact, instant, rule_of
from tests.simulation.history import edits_of, holds_credits
from tests.simulation.judge import Case
from tests.simulation.tellings import Telling
from tests.simulation.watch import Balances, Moved, Refusal, problems
from tests.simulation.world.plan import plan_of
from tests.simulation.world.reserving import with_holds
from tests.simulation.world.terms import document_of, holding, numbered

STRICT, LENIENT = (document_of(holding(numbered(0), way), "refuse", "refuse") for way in (1, 3))
HELD, NOT_HELD = (
    {"strict": STRICT, "lenient": LENIENT},
    {"strict": STRICT, "without": document_of(numbered(0), "refuse", "refuse")},
)
EXPIRED = "13:00"
"""Eight hours after five."""

type Line = tuple[Telling | str, str, str, str]
"""A telling, or when its hold was said to have expired; the type of its entry, the amount, and what is held more since."""


def told(kind: str, at: str, seconds: str = "8", attempt: int = 1, user: str = "u-1") -> Telling:
    """Return what is told of an attempt; a second costs 0.1."""
    said = {"seconds": seconds, "frames": "5", "model": "veo", "resolution": "hd", "attempt": str(attempt)}
    words = {"kind": kind, **{f"detail.{name}": text for name, text in said.items()}}
    return Telling(f"{kind} {at} {seconds} {attempt}", "job#j-1", user, Fact(kind, instant(f"2026-01-05T{at}:00Z"), words))


def asked(at: str = "05:00", seconds: str = "8", attempt: int = 1) -> Telling:
    """Return a request to hold what so many seconds cost."""
    return told("submitted", at, seconds, attempt)


def entry(number: int, line: Line, policy: str = "strict") -> dict[str, Any]:
    """Return the entry of a line."""
    telling, kind, amount, held = line
    common = {"reference": "job#j-1", "sequence": number, "userId": "u-1", "type": kind, "amount": amount, "held": held}
    if isinstance(telling, str):
        return {**common, "rule": "expiry", "policy": policy, "occurredAt": f"2026-01-05T{telling}:00Z"}
    rule, said = rule_of(telling.fact.kind, HELD[policy]), telling.fact.said
    shown = {"quantity": said["detail.seconds"], "price": {"unit": "default"}} if rule["action"] != "refund" else {}
    facts = {"refused": [telling.event]} if kind == "flag" and rule["action"] == "hold" else {}
    about = {"rule": rule["name"], "policy": policy, "occurredAt": telling.fact.at.isoformat(), "eventId": telling.event}
    return {**common, **about, **shown, "facts": facts}


def verdict(*lines: Line, more: tuple[Telling, ...] = (), policy: str = "strict", **known: Any) -> list[str]:
    """Return what the judge says of a log, of whose user the row says what its entries do."""
    log = [entry(number, line, policy) for number, line in enumerate(lines, start=1)]
    posted, held = (sum((Fraction(each[name]) for each in log), Fraction(0)) for name in ("amount", "held"))
    row = {"remaining": 100 + posted, "posted": posted, "held": held}
    tellings = [*(telling for telling, *_ in lines if isinstance(telling, Telling)), *more]
    case = {"policies": HELD, "senseless": frozenset(), "letters": frozenset(), "credits": {"u-1": row}, **known}
    return judge.judge(Case(tellings, entries=log, granted={"u-1": Fraction(100)}, **case))


DONE, FAILED = told("rendered", "06:00", "6"), told("failed", "06:00")
MADE: Line = (asked(), "hold", "-0.8", "0.8")
LOGS: dict[str, tuple[Line, ...]] = {
    "a charge of 0.6 takes the place of a hold of 0.8": (MADE, (DONE, "settle", "0.2", "-0.8")),
    "a charge of 1 takes 0.2 more": (MADE, (told("rendered", "06:00", "10"), "settle", "-0.2", "-0.8")),
    "a failure gives it back": (MADE, (FAILED, "release", "0.8", "-0.8")),
    "whatever the clocks say": (MADE, (told("failed", "04:00"), "release", "0.8", "-0.8")),
    "it expires eight hours later": (MADE, (EXPIRED, "release", "0.8", "-0.8")),
    "what was charged after that counts": (MADE, (EXPIRED, "release", "0.8", "-0.8"), (DONE, "debit", "-0.6", "0")),
    "an earlier request of 0.3 takes its place": (
        MADE, (asked("04:00", "3"), "hold", "0.5", "-0.5"), (DONE, "settle", "-0.3", "-0.3")),
    "of one instant the smaller": (MADE, (asked(seconds="4"), "hold", "0.4", "-0.4"), (FAILED, "release", "0.4", "-0.4")),
    "of one instant the larger says nothing": (
        MADE, (asked(seconds="9"), "void", "0", "0"), (FAILED, "release", "0.8", "-0.8")),
    # 0.6 was charged below: 0.8 hold 0.2 more
    "the next attempt holds what it costs more": (
        (DONE, "debit", "-0.6", "0"), (asked("06:30", attempt=2), "hold", "-0.2", "0.2"),
        (told("failed", "08:00", attempt=2), "release", "0.8", "-0.2")),
    "a hold below what was charged costs nothing": (
        (DONE, "debit", "-0.6", "0"), (asked("06:30", "4", 2), "hold", "0", "0"), ("15:00", "release", "0", "0")),
    "a charge of a higher attempt ends it": (MADE, (told("rendered", "04:00", "6", 2), "settle", "0.2", "-0.8")),
    # the balance covers no more: what was held is charged, 9.2 stay due, and the next attempt posts what it holds alone
    "what is refused beyond it stays due": (
        MADE, (told("rendered", "06:00", "30"), "settle", "0", "-0.8"), (asked("06:30", "45", 2), "hold", "-1.5", "1.5"),
        ("15:00", "release", "1.5", "-1.5")),
}  # fmt: skip
WAITING = "what is refused beyond it stays due"


@pytest.mark.parametrize("name", LOGS)
def test_holds_come_to_what_was_worked_out(name: str) -> None:
    """A ten-thousandth more or less, posted or held, is wrong at each entry."""
    lines, due = LOGS[name], frozenset({"job#j-1"} if name == WAITING else ())
    assert [] == verdict(*lines, may_be_due=due)

    for number, (telling, kind, amount, held) in enumerate(lines):
        more = str(Fraction(held) + Fraction(1, 10_000))
        assert verdict(*lines[:number], (telling, kind, amount, more), *lines[number + 1 :], may_be_due=due)
        if name != WAITING:
            more = str(Fraction(amount) + Fraction(1, 10_000))
            assert verdict(*lines[:number], (telling, kind, more, held), *lines[number + 1 :])


def test_a_hold_posts_what_it_holds_and_nothing_that_was_left_due() -> None:
    """Of 3 credits 2.2 were left due; the hold takes 1.5. What a settle is refused it does not give back either."""
    charged: Line = (told("rendered", "06:00", "30"), "settle", "0", "-0.8")
    taking: Line = (asked("06:30", "45", 2), "hold", "-3.7", "1.5")
    due = frozenset({"job#j-1"})

    assert "job#j-1: entry 3 holds 1.5, and posts -3.7" in verdict(MADE, charged, taking, may_be_due=due)
    assert ["job#j-1: entry 2 settles 0.8, and gives 0.8 back; 0.0 is right"] == verdict(
        MADE, (told("rendered", "06:00", "30"), "settle", "0.8", "-0.8"), may_be_due=due
    )


def test_a_hold_that_is_open_in_the_end_is_wrong() -> None:
    """All is quiet then, and each has expired."""
    assert [
        "job#j-1: a hold of 2026-01-05T05:00:00Z is open still",
        "u-1: its entries hold 0.8, and Credits 0.8; when all is quiet 0 is right",
    ] == verdict(MADE)


def test_a_hold_expires_in_its_time_and_once() -> None:
    """Not a minute early, and not where none is open."""
    (early,) = verdict(MADE, ("12:59", "release", "0.8", "-0.8"))
    (again,) = verdict(MADE, (EXPIRED, "release", "0.8", "-0.8"), (EXPIRED, "void", "0", "0"))

    assert "job#j-1: entry 2 says that a hold has expired, which is to stand until 2026-01-05T13:00:00Z" == early
    assert "job#j-1: entry 3 says that a hold has expired, and none was open" == again


@pytest.mark.parametrize(
    ("lowest", "policy", "wrong"),
    [
        ("0.7999", "strict", ""),
        (None, "strict", ""),  # the user had no row
        ("0.8", "strict", "refuses a hold of 0.8, which the balance covered: it was 0.8 at least"),
        ("0", "lenient", "refuses a hold of 0.8 that needs no balance"),
    ],
)
def test_a_request_is_refused_that_the_balance_does_not_cover(lowest: str | None, policy: str, wrong: str) -> None:
    """And that the policy does not let through all the same."""
    known = {} if lowest is None else {("job#j-1", 1): Fraction(lowest)}
    said = verdict((asked(), "flag", "0", "0"), policy=policy, lowest=known)

    assert ([f"job#j-1: entry 1 {wrong}"] if wrong else []) == said


def test_a_refused_request_stays_refused_and_says_nothing_of_whose_job_it_is() -> None:
    """The next request is a new one; told again by another the first makes no sense, and still stands there."""
    refused: Line = (asked(), "flag", "0", "0")
    assert [] == verdict(refused, (asked("05:01"), "hold", "-0.8", "0.8"), (DONE, "settle", "0.2", "-0.8"))
    (wrong,) = verdict(refused, (asked(), "hold", "-0.8", "0.8"), (DONE, "settle", "0.2", "-0.8"))
    assert f"job#j-1: entry 2 is of {asked().event}, which was refused before" == wrong

    others = told("submitted", "05:00", user="u-2")
    log = [{**entry(1, (others, "flag", "0", "0")), "userId": "u-2"}, entry(2, (DONE, "debit", "-0.6", "0"))]
    rows = {"u-1": {"remaining": Fraction("99.4"), "posted": Fraction("-0.6")}, "u-2": {"remaining": Fraction(0)}}
    known: dict[str, Any] = {"credits": rows, "granted": {"u-1": Fraction(100)}, "senseless": frozenset({others.event})}
    assert [] == judge.judge(Case([others, DONE], HELD, log, letters=frozenset({others.event}), **known))


def test_a_request_that_nobody_knows_reserves_nothing() -> None:
    """Its attempt is decided, or below another, or an earlier request is known; or it came under a policy without holds."""
    settled: tuple[Line, ...] = (MADE, (DONE, "settle", "0.2", "-0.8"))
    for later in (asked("07:00"), asked("04:00"), asked(attempt=0)):
        assert [] == verdict(*settled, more=(later,))
    higher = asked(attempt=2)
    (wrong,) = verdict(*settled, more=(higher,))
    assert "job#j-1: the submitted of 2026-01-05T05:00:00Z was told, and no entry knows of it" == wrong
    assert [] == verdict(*settled, more=(higher,), policies=NOT_HELD)


# --- what is watched --------------------------------------------------------------------------------------------------


def test_a_hold_that_leaves_less_than_nothing_should_have_been_refused() -> None:
    """It is asked of the balance whatever the policy says of debits, and never flagged."""
    held = Moved("job#j-1", 1, "u-1", moved("-1"), frozenset(), had_row=True, left=moved("-0.5"))

    assert 2 == len(list(problems(held, "refuse", "refuse")))
    assert [] == list(problems(held, "allow", "refuse"))


def moved(text: str) -> Any:
    """Return a figure as balances have it."""
    return Fraction(text)


def test_the_least_that_a_user_had_meanwhile_is_remembered() -> None:
    """What was there when it began counts, and what came and went until the refusal stands."""
    balances = Balances()
    for at, left in ((1.0, "5"), (2.0, "1"), (4.0, "3"), (6.0, "0")):
        balances.moved("u-1", at, moved(left))
    balances.refusals += [
        Refusal("job#j-1", 1, "u-1", since=3.0, until=5.0),
        Refusal("job#j-2", 1, "u-1", since=4.5, until=5.0),
        Refusal("job#j-3", 1, "u-2", since=4.5, until=5.0),
    ]

    assert {("job#j-1", 1): Fraction(1), ("job#j-2", 1): Fraction(3)} == balances.lowest_of_refusals()


# --- plans ------------------------------------------------------------------------------------------------------------


def test_one_history_in_four_holds_credits_and_the_others_are_as_they_were() -> None:
    """All policies of most of them do; a request is told before, between and after what else is told of its job."""
    plans = [plan_of(seed) for seed in range(200)]
    holding_some = [plan for plan in plans if holds_credits(plan)]
    others = [plan for plan in plans if not holds_credits(plan)]

    assert 35 < len(holding_some) < 65
    assert 5 < sum(not all(edit >= holding(0) for edit in edits_of(plan)) for plan in holding_some)
    assert all(any(fact.kind == "submitted" for fact in plan.facts) for plan in holding_some)
    assert not any(fact.kind == "submitted" for plan in others for fact in plan.facts)
    assert all(with_holds(plan) is plan for plan in others)
