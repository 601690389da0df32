"""Who would fall below zero under an edit and did not: balances as the ledger has them. Figures are worked out by hand."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.ledger.audits import Credit
from engine.policy import Policy
from engine.preview.planning.condition import Condition, ConditionError
from engine.preview.planning.material import Material
from tests.support.events import failed, rendered
from tests.support.kept_plans import Books, plan_of
from tests.support.policies import example

HALF_MORE = ('"0.10"', '"0.15"')
"""A job of 8 seconds costs 0.80 now, and 1.20 then."""

REFUSING = ("overdraft: flag", "overdraft: refuse")
AT_TEN = "2026-01-05T10:00:00Z"


def plan(
    had: dict[str, str], *documents: dict[str, Any], now: Policy | None = None, then: Policy | None = None
) -> dict[str, Any]:
    """Return the plan of a ledger of users who had so much before."""
    now = now or example()
    return plan_of(Books(now, had).tell(*documents).material(), now, then or example(HALF_MORE))


@pytest.mark.parametrize(
    ("had", "documents", "rows"),
    [
        ("1", [rendered()], [("0.2", "-0.2", AT_TEN)]),
        ("1.20", [rendered()], []),
        ("0.50", [rendered()], []),
        ("1", [rendered(), failed()], [("0.2", "-0.2", AT_TEN)]),
        ("1", [failed(at="09:00"), rendered()], [("0.2", "-0.2", AT_TEN)]),
        ("1", [failed(at="10:00"), rendered()], []),
        ("2", [rendered(), rendered("j-2", at="12:00")], [("0.4", "-0.4", "2026-01-05T12:00:00Z")]),
        ("2", [rendered(), failed(), rendered("j-2", at="12:00")], []),
        ("1", [rendered(model="premium", seconds=4)], []),
    ],
    ids=[
        "it is not covered then",
        "just enough",
        "below zero now already",
        "in between only",
        "a failure before the render gives nothing back",
        "a failure at its instant gives all of it back",
        "the second one",
        "what came back covers the second one",
        "what is not dearer",
    ],
)
def test_a_user_who_would_fall_below_zero_is_named(had: str, documents: list[dict[str, Any]], rows: list[tuple[str, ...]]):
    """By the lowest balance at the instants at which things happened, now and then."""
    told = plan({"u-1": had}, *documents)

    assert [("u-1", *row) for row in rows] == [tuple(row.values()) for row in told["overdrafts"]]
    assert (len(rows), {"why": None, "overdraft": "flag", "unknown": 0}) == (told["new_overdrafts"], told["balances"])


def test_the_furthest_below_zero_comes_first():
    """Of three users two would be overdrawn: by 0.20 and by 1.00."""
    told = plan(
        {"ann": "1", "bo": "5", "cy": "2"},
        rendered("j-1", user="ann"),
        rendered("j-2", user="bo"),
        rendered("j-3", user="cy", seconds=20),
    )

    assert [("cy", "-1"), ("ann", "-0.2")] == [(row["user"], row["then"]) for row in told["overdrafts"]]
    assert 2 == told["new_overdrafts"]


def test_the_balance_is_what_the_application_has_granted_and_what_the_ledger_has_moved():
    """0.20 are left of 1.00, whatever else was posted since the entries were read; a row of 0 and 0 had nothing."""
    books = Books(example(), {"u-1": "1"}).tell(rendered())
    rows = Credit("u-1", Decimal("-5.8"), Decimal("-4.8")), Credit("u-1", Decimal(0), Decimal(0))
    later, poor = (Material(entries=books.entries, credits=lambda row=row: iter([row])) for row in rows)

    assert [("0.2", "-0.2")] == lowest(plan_of(later, example(), example(HALF_MORE)))
    assert [] == lowest(plan_of(poor, example(), example(HALF_MORE)))
    assert [("-0.8", "-1.2")] == lowest(plan_of(poor, example(), example(HALF_MORE, REFUSING)))


def lowest(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lowest balances of those who would be overdrawn, now and then."""
    return [(row["now"], row["then"]) for row in answer["overdrafts"]]


def test_an_edit_that_refuses_overdrafts_names_whom_it_would_refuse():
    """0.50 do not cover 0.80: that is flagged now, and would be refused, at whatever price. Who is refused now is not new."""
    documents, refusing = [rendered()], example(REFUSING)

    flagged = plan({"u-1": "0.50"}, *documents, then=refusing)
    refused = plan({"u-1": "0.50"}, *documents, now=refusing, then=example(REFUSING, HALF_MORE))

    assert (1, "refuse") == (flagged["new_overdrafts"], flagged["balances"]["overdraft"])
    assert [{"user": "u-1", "now": "-0.3", "then": "-0.3", "at": AT_TEN}] == flagged["overdrafts"]
    assert 0 == refused["new_overdrafts"]


def test_users_of_whom_nobody_knows_what_they_had_are_counted():
    """One has no row in Credits, another a balance that is no number."""
    books = Books(example(), {"ann": "1", "bo": "1", "cy": "1"}).tell(
        *(rendered(f"j-{user}", user=user) for user in ("ann", "bo", "cy"))
    )
    some = Material(entries=books.entries, credits=lambda: (each for each in odd(books) if each.user != "cy"))

    told = plan_of(some, example(), example(HALF_MORE))

    assert (["ann"], 2) == ([row["user"] for row in told["overdrafts"]], told["balances"]["unknown"])


def odd(books: Books) -> list[Credit]:
    """Return the balances, bo's being none."""
    return [Credit("bo", each.posted, None) if each.user == "bo" else each for each in books.credits()]


def test_balances_of_a_ledger_stand_beside_a_plan_of_events(tmp_path: Path):
    """The events say what would be dearer, the ledger what users had."""
    path = tmp_path / "events.jsonl"
    path.write_text(f"{json.dumps(rendered())}\n")
    books = Books(example(), {"u-1": "1"}).tell(rendered())

    told = plan_of(books.material((path,)), example(), example(HALF_MORE))

    assert ("events", 1, "0.4000") == (told["source"], told["events"], told["net"]["by"])
    assert [{"user": "u-1", "now": "0.2", "then": "-0.2", "at": AT_TEN}] == told["overdrafts"]


def test_who_is_overdrawn_is_the_same_by_two_processes():
    """Each spills what its logs move."""
    books = Books(example(), {f"u-{n}": str(n % 5) for n in range(40)})
    books.tell(*(rendered(f"j-{n}", user=f"u-{n}", seconds=10 + n) for n in range(40)))

    alone, together = (plan_of(books.material(), example(), example(HALF_MORE), workers=n) for n in (1, 2))

    assert alone["new_overdrafts"] > 0
    assert alone == together


@pytest.mark.parametrize(
    ("material", "why"),
    [
        (
            Material(events=(Path(os.devnull),), entries=list),
            "entries alone do not say what users had: name the table of balances",
        ),
        (Material(entries=list), "entries alone do not say what users had: name"),
        (Material(), "events do not say what users had; --ledger, or an --export of it, does"),
    ],
)
def test_where_nobody_knows_what_users_had_the_plan_says_so(material: Material, why: str):
    """The number stays null, and a condition on it is an error."""
    told = plan_of(material, example(), example(HALF_MORE))

    assert (None, []) == (told["new_overdrafts"], told["overdrafts"])
    assert told["balances"]["why"].startswith(why)
    with pytest.raises(ConditionError, match=f"`new_overdrafts` is not known: {why}"):
        Condition.read("new_overdrafts > 0").met(told)


def test_a_condition_holds_of_the_number_of_overdrafts():
    """And of the length of the list."""
    told = plan({"u-1": "1"}, rendered())

    assert "new_overdrafts > 0" == Condition.read("new_overdrafts > 0").met(told)
    assert "overdrafts >= 1" == Condition.read("new_overdrafts > 1 or overdrafts >= 1").met(told)
