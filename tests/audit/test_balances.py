"""Balances that are held to the ledger: who changes one by hand is found, and nobody who works by events is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.audit.balances import BalanceDrift, BalanceKeeper, CheckedBalances
from engine.audit.books import Audit, audit
from engine.audit.check import check_books
from engine.domain.entry import EntryType
from engine.ledger.balances import BalancePage, PageKind
from engine.ledger.dynamodb.wire import NoAnswerError
from engine.policy.model import Policy
from tests.audit.conftest import Day
from tests.support.events import event, failed, rendered
from tests.support.policies import example
from tests.support.world import DisturbedClient

pytestmark = pytest.mark.local_aws

HOUR = 3600
BUY = "  - {name: buy, match: {detail-type: [credits.purchased]}, action: grant, grant: {quantity: detail.credits}}\n"
PURCHASES = ("time: time}", "time: time, reference: detail.purchaseId}"), ("rules:\n", f"rules:\n{BUY}")
APPLICATION = example(*PURCHASES)
EVENTS = example(*PURCHASES, ("unknown_user: refuse", "unknown_user: flag\ngrants: events"))


def n(number: str) -> dict[str, str]:
    """Return a number of DynamoDB."""
    return {"N": number}


def bought(purchase: str, user: str, credits_bought: str) -> dict[str, Any]:
    """Return a purchase."""
    return event("credits.purchased", {"purchaseId": purchase, "userId": user, "credits": credits_bought})


def run(day: Day, policy: Policy = EVENTS, client: Any = None) -> dict[str, Any]:
    """Let a scheduled run look at the books, an hour after what was before, and return what it tells of them.

    The first one is at 13:16.
    """
    day.time.wait(HOUR)
    day.world.policy = policy
    told: dict[str, Any] = check_books(day.world.reconciler(client), day.time.now(), day.world.deadline(600))["audit"]
    return told


def look(day: Day) -> Audit:
    """Audit as a person does: nobody names a policy, and nothing is written."""
    keeper = BalanceKeeper(day.store, day.time.now(), day.world.deadline(600))
    return audit(day.ledger, day.world.deadline(600), keeper=keeper)


def pages(day: Day) -> list[BalancePage]:
    """Return the book of balances."""
    return list(day.store.balance_pages(day.world.deadline()))


def kinds(day: Day) -> list[PageKind]:
    """Return what its pages say."""
    return [page.kind for page in pages(day)]


def test_the_first_run_takes_the_openings_and_later_ones_hold_balances_to_them(day: Day) -> None:
    """What users had beside the postings: 1,000 each. Debits, refunds and purchases move balance and postings alike."""
    first = run(day)
    day.world.deliver(rendered("j-8"), failed("j-8"), rendered("j-9", user="u-2"), bought("p-1", "u-1", "25"))
    second = run(day)

    thousand = Decimal(1000)
    lines = ("u-1", thousand), ("u-2", thousand), ("u-3", thousand)
    assert [BalancePage(1, PageKind.OPENING, "2026-01-05T13:16:00Z", lines)] == pages(day)
    assert {"checkedSince": "2026-01-05T13:16:00Z", "drifts": []} == first["balances"] == second["balances"]
    assert CheckedBalances("2026-01-05T13:16:00Z") == look(day).checked


def test_a_balance_that_was_changed_by_hand_is_named_with_the_audit_that_saw_it_first(day: Day) -> None:
    """By how much, in each audit until it is right again. Of u-1 -1.3 was posted, then -2.1; of u-2 -3.2."""
    since = run(day)["balances"]["checkedSince"]
    day.change_row("u-1", "ADD remaining :n", n=n("250"))
    found = run(day)
    day.world.deliver(rendered("j-8"))
    day.change_row("u-2", "SET remaining = :n", n=n("996.3"))
    again = run(day)
    seen = look(day)

    first, second = "2026-01-05T14:16:00Z", "2026-01-05T15:16:00Z"
    before = f"u-1: the balance is 1248.7; 998.7 follows: 250 too much, first seen by the audit of {first}"
    assert [before] == found["balances"]["drifts"]
    assert [
        f"u-1: the balance is 1247.9; 997.9 follows: 250 too much, first seen by the audit of {first}",
        f"u-2: the balance is 996.3; 996.8 follows: 0.5 too little, first seen by the audit of {second}",
    ] == again["balances"]["drifts"]
    assert seen.checked == CheckedBalances(
        since,
        (
            BalanceDrift("u-1", Decimal("1247.9"), Decimal("997.9"), first),
            BalanceDrift("u-2", Decimal("996.3"), Decimal("996.8"), second),
        ),
    )
    assert (False, 2) == (seen.is_clean, seen.damages)

    day.change_row("u-1", "ADD remaining :n", n=n("-250"))
    day.change_row("u-2", "ADD remaining :n", n=n("0.5"))
    assert {"checkedSince": since, "drifts": []} == run(day)["balances"]
    day.change_row("u-1", "ADD remaining :n", n=n("1"))
    assert ["2026-01-05T17:16:00Z"] == [said.partition("audit of ")[2] for said in run(day)["balances"]["drifts"]]


def test_whoever_comes_later_had_nothing(day: Day) -> None:
    """A row that a purchase makes and an empty one follow from the ledger; one with credits of the application's does not."""
    run(day)
    day.world.deliver(bought("p-1", "u-4", "25"))
    day.world.user("u-5", "0").user("u-6", None).user("u-7", "50")
    day.world.deliver(rendered("j-8", user="u-5"), rendered("j-9", user="u-6"), rendered("j-10", user="u-7"))

    assert ["u-7"] == [drift.user for drift in look(day).balances]
    assert ["u-7: the balance is 49.2; -0.8 follows: 50 too much, first seen by the audit of 2026-01-05T14:16:00Z"] == (
        run(day)["balances"]["drifts"]
    )


def test_what_is_no_number_or_is_gone_is_off(day: Day) -> None:
    """A row without ``remaining`` says 0. A row that is gone had its opening, though no entry names its user."""
    day.world.user("u-4", "7")
    run(day)
    day.change_row("u-1", "SET remaining = :s", s={"S": "998.7"})
    day.change_row("u-2", "REMOVE remaining")
    day.remove_row("u-4")

    at = "first seen by the audit of 2026-01-05T14:16:00Z"
    assert [
        f"u-1: the balance is no number; 998.7 follows, {at}",
        f"u-2: the balance is 0; 996.8 follows: 996.8 too little, {at}",
        f"u-4: the balance is 0; 7 follows: 7 too little, {at}",
    ] == run(day)["balances"]["drifts"]


def test_an_opening_that_could_not_be_told_is_taken_by_the_run_that_can(day: Day) -> None:
    """Of u-1 entries and ``posted`` disagree, the balance of u-2 is a text: nothing is said of both until they are mended."""
    day.change_row("u-1", "ADD posted :n", n=n("5"))
    day.change_row("u-2", "SET remaining = :s", s={"S": "996.8"})
    first = run(day)
    day.change_row("u-1", "ADD posted :n", n=n("-5"))
    day.change_row("u-2", "SET remaining = :n", n=n("990"))
    second = run(day)
    day.change_row("u-2", "SET remaining = :n", n=n("996.8"))
    third = run(day)

    assert (["u-1"], []) == (first["drifts"], first["balances"]["drifts"])
    assert ([], []) == (second["drifts"], second["balances"]["drifts"])
    assert ["u-2: the balance is 996.8; 990 follows: 6.8 too much, first seen by the audit of 2026-01-05T15:16:01Z"] == (
        third["balances"]["drifts"]
    )
    assert [PageKind.OPENING, PageKind.NOTED, PageKind.FOUND] == kinds(day)
    assert (("u-1", None), ("u-2", None), ("u-3", Decimal(1000))) == pages(day)[0].lines
    assert (("u-1", Decimal(1000)), ("u-2", Decimal("993.2"))) == pages(day)[1].lines


def test_a_user_whose_entries_drift_is_named_once(day: Day) -> None:
    """``posted`` alone was changed: the balance is right, and is held again when ``posted`` is."""
    run(day)
    day.change_row("u-1", "ADD posted :n", n=n("5"))

    seen = look(day)

    assert (["u-1"], (), 1) == ([drift.user for drift in seen.drifts], seen.balances, seen.damages)


def test_where_the_application_gives_credits_nothing_is_held(day: Day) -> None:
    """Neither said nor kept, and no balance is read."""
    requests: list[dict[str, Any]] = []

    def watched(operation: str, request: dict[str, Any], send: Any) -> Any:
        requests.extend([request] if operation == "scan" else [])
        return send(**request)

    told = run(day, APPLICATION, DisturbedClient(day.world.client, watched))

    assert "balances" not in told
    assert [] == pages(day)
    assert "userId, posted, held" in [request.get("ProjectionExpression") for request in requests]
    day.change_row("u-1", "ADD remaining :n", n=n("250"))
    assert (True, None) == ((seen := look(day)).is_clean, seen.checked)


def test_a_policy_that_lets_the_application_give_again_ends_it_and_openings_are_taken_anew(day: Day) -> None:
    """What the application gave meanwhile is part of the next opening; what was off before is forgotten."""
    run(day)
    day.change_row("u-1", "ADD remaining :n", n=n("250"))
    run(day)
    run(day, APPLICATION)
    day.change_row("u-2", "ADD remaining :n", n=n("100"))
    assert look(day).checked is None
    anew = run(day)

    assert {"checkedSince": "2026-01-05T16:16:00Z", "drifts": []} == anew["balances"]
    assert [PageKind.OPENING, PageKind.FOUND, PageKind.CLOSED, PageKind.OPENING] == kinds(day)
    assert (("u-1", Decimal(1250)), ("u-2", Decimal(1100)), ("u-3", Decimal(1000))) == pages(day)[-1].lines


def test_of_two_audits_at_once_one_takes_the_openings(day: Day) -> None:
    """The other one says that nothing is held yet, and the next one holds them to what stands there."""
    told: list[Any] = []

    def second_run(operation: str, request: dict[str, Any], send: Any) -> Any:
        is_page = operation == "put_item" and request["Item"]["id"] == {"S": "balances"}
        if is_page and not told:
            told.append(None)
            day.change_row("u-1", "ADD remaining :n", n=n("250"))
            told[0] = run(day)["balances"]
        return send(**request)

    slower = run(day, client=DisturbedClient(day.world.client, second_run))

    assert [{"checkedSince": "2026-01-05T14:16:00Z", "drifts": []}] == told
    assert {"checkedSince": None, "drifts": []} == slower["balances"]
    assert ("u-1", Decimal(1250)) == pages(day)[0].lines[0]
    assert [] == run(day)["balances"]["drifts"]
    assert [PageKind.OPENING] == kinds(day)


def test_a_page_whose_answer_was_lost_stands_once(day: Day) -> None:
    """It is put again, meets itself, and counts."""

    def deaf(operation: str, request: dict[str, Any], send: Any) -> Any:
        answer = send(**request)
        if operation == "put_item" and request["Item"]["id"] == {"S": "balances"} and client.calls.count("put_item") <= 2:
            raise NoAnswerError("the answer was lost")
        return answer

    client = DisturbedClient(day.world.client, deaf)
    told = run(day, client=client)

    assert {"checkedSince": "2026-01-05T13:16:00Z", "drifts": []} == told["balances"]
    assert [PageKind.OPENING] == kinds(day)


def test_balances_that_are_off_alarm_like_any_drift(day: Day) -> None:
    """The metric counts them with users whose entries drift."""
    run(day)
    day.change_row("u-1", "ADD remaining :n", n=n("250"))
    day.change_row("u-2", "ADD posted :n", n=n("5"))
    run(day)

    line = day.world.lines[-1]
    assert (2, 0, "ERROR") == (line["Drift"], line["AuditsUnfinished"], line["level"])


def test_a_book_that_cannot_be_read_is_told_and_the_entries_are_checked_all_the_same(day: Day) -> None:
    """Somebody has written into it: the audit is not whole. Without ``grants: events`` nobody asks for it."""
    run(day)
    day.world.client.put_item(
        TableName=day.world.tables.seals, Item={"id": {"S": "balances"}, "number": {"N": "2"}, "kind": {"S": "gift"}}
    )
    day.change_row("u-2", "ADD posted :n", n=n("5"))
    told = run(day)

    assert "page 2 of the book of balances is none (KeyError: 'lines')" in told["balances"]["problem"]
    assert (["u-2"], 1, 1) == (told["drifts"], day.world.lines[-1]["Drift"], day.world.lines[-1]["AuditsUnfinished"])
    run(day, APPLICATION)
    assert 0 == day.world.lines[-1]["AuditsUnfinished"]


def test_a_purchase_counts_once_in_the_balance_and_in_the_ledger(day: Day) -> None:
    """Told three times it is one grant: nothing is off."""
    run(day)
    day.world.deliver(*[bought("p-1", "u-1", "25")] * 3)

    assert [(EntryType.GRANT, Decimal(25))] == [
        (entry.type, entry.amount) for entry in day.ledger.entries_of("grant#p-1", day.world.deadline())
    ]
    assert look(day).is_clean
