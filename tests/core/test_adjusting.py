"""What people adjust: once by its id, within bounds, above the second of them by two people; told in what order they like."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
from attrs import define, evolve, field

from engine.domain.adjustment import AdjustmentRequest, Identity
from engine.domain.envelope import Source
from engine.domain.errors import CorrectionError
from engine.ledger.memory import MemoryStore
from engine.ledger.store import Store
from engine.policy import Policy, parse_policy
from engine.reconcile.adjustments import adjustments, withdraw
from engine.reconcile.corrections import Adjusted, Adjuster, Preview
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Clock
from engine.runtime.telemetry import Telemetry
from tests.support.clock import START
from tests.support.events import failed, rendered
from tests.support.policies import EXAMPLE

BOUNDS = 'adjustments: {maximum: "100", second_person_above: "20"}\n'
POLICY = parse_policy(EXAMPLE + BOUNDS, "example.yaml")
FREE = parse_policy(EXAMPLE, "example.yaml")
REFUSES = parse_policy(EXAMPLE.replace("overdraft: flag", "overdraft: refuse"), "example.yaml")
ANN, BEN, CID = (Identity(f"arn:aws:iam::1:user/{name}", f"AIDA{name}", name) for name in ("ann", "ben", "cid"))


def second(number: int) -> datetime:
    """Return an instant: each look at the clock is a second later."""
    return START + timedelta(seconds=number)


@define
class Desk:
    """A ledger in memory, people at a desk, and events beside them. A user has ten credits; eight seconds cost 0.8."""

    policy: Policy = POLICY
    store: MemoryStore = field(factory=lambda: MemoryStore(Clock(now=map(second, itertools.count()).__next__)))

    def __attrs_post_init__(self) -> None:
        self.store.credits["u-1"] = {"userId": "u-1", "remaining": Decimal(10)}

    @property
    def adjuster(self) -> Adjuster:
        """What the command works with."""
        return Adjuster.on(self.policy, cast("Store", self.store))

    def deadline(self) -> Any:
        """Return a deadline that nobody reaches."""
        return Clock().deadline(10)

    def deliver(self, *documents: dict[str, Any]) -> Desk:
        """Deliver events."""
        clock = self.store.clock
        reconciler = Reconciler(self.policy, cast("Store", self.store), Telemetry(lambda _: None, clock, {}), clock)
        for document in documents:
            reconciler.event(document, Source.EVENT, self.deadline())
        return self

    def adjust(self, name: str, amount: str | int = 0, by: Identity = ANN, **more: Any) -> Adjusted:
        """Adjust a user, or a job, or take an adjustment back."""
        return self.adjuster.adjust(request(name, amount, **more), by, self.deadline())

    def preview(self, name: str, amount: str | int = 0, **more: Any) -> Preview:
        """Look what it would do."""
        return self.adjuster.preview(request(name, amount, **more), ANN, self.deadline())

    def approve(self, name: str, by: Identity = BEN) -> Adjusted:
        """Approve a proposal."""
        return self.adjuster.approve(name, by, self.deadline())

    @property
    def remaining(self) -> Decimal:
        """The user's balance, which must be what was there and what was posted."""
        row = self.store.credits["u-1"]
        posted = sum((entry.amount for log in self.store.all_logs() for entry in log), Decimal(0))
        assert (posted, 10 + posted) == (row.get("posted", 0), row["remaining"])
        remaining: Decimal = row["remaining"]
        return remaining

    def lines(self, reference: str) -> list[tuple[str, Decimal]]:
        """Return a log as types and amounts."""
        return [(entry.type.value, entry.amount) for entry in self.store.entries_of(reference, self.deadline())]


def request(name: str, amount: str | int, user: str = "u-1", reason: str = "goodwill", **more: Any) -> AdjustmentRequest:
    """Return a request."""
    user = "" if "reverses" in more else user
    return AdjustmentRequest(name, user, Decimal(amount), reason, **more)


# --- a user -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("amount", "left"), [("5", "15"), ("-5", "5"), ("0.0001", "10.0001")])
def test_a_user_is_given_or_taken_credits(amount: str, left: str):
    """One entry on a log of its own, with who said it and why."""
    desk = Desk()
    adjusted = desk.adjust("a-1", amount)

    assert ("adjusted", Decimal(left)) == (adjusted.outcome, desk.remaining)
    (entry,) = adjusted.entries
    assert ("adjust#a-1", "adjust", Decimal(amount)) == (entry["reference"], entry["type"], entry["amount"])
    assert {"id": "a-1", "by": ANN.name, "reason": "goodwill"} == entry["correction"]


def test_an_entry_keeps_which_log_it_is_about():
    """For whoever looks at it later. That log is the user's own."""
    desk = Desk().deliver(rendered())
    (entry,) = desk.adjust("a-1", 5, about="job#j-1").entries

    assert "job#j-1" == entry["correction"]["about"]


def test_an_id_that_is_told_again_is_told_once():
    """By whomever, and in other words: it says what was posted."""
    desk = Desk()
    desk.adjust("a-1", 5)
    again = desk.adjust("a-1", "5.0", BEN, reason="a present")

    assert ("duplicate", Decimal(15)) == (again.outcome, desk.remaining)
    assert [ANN.name] == [entry["correction"]["by"] for entry in again.entries]


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 6},
        {"amount": -5},
        {"user": "u-2"},
        {"job": "j-1"},
        {"reverses": "a-0"},
    ],
)
def test_an_id_that_says_something_else_is_an_error_that_says_what_stands_there(other: dict[str, Any]):
    """Nothing is posted, and nobody believes that it was."""
    desk = Desk().deliver(rendered())
    desk.adjust("a-0", 1)
    desk.adjust("a-1", 5)

    with pytest.raises(CorrectionError, match="adjust#a-1 is an adjustment of 5 for user 'u-1'$"):
        desk.adjust("a-1", **{"amount": 5, **other})
    assert Decimal("15.2") == desk.remaining


# --- a job ------------------------------------------------------------------------------------------------------------


def test_a_concession_goes_back_once_whatever_happens_to_the_job_later():
    """0.8 charged, 0.5 conceded; the job fails, and only the rest of 0.3 goes back."""
    desk = Desk().deliver(rendered())
    adjusted = desk.adjust("a-1", "0.5", job="j-1")
    assert ["job#j-1", "adjust#a-1"] == [entry["reference"] for entry in adjusted.entries]
    assert Decimal("9.7") == desk.remaining

    desk.deliver(failed())
    assert Decimal(10) == desk.remaining
    assert [("debit", Decimal("-0.8")), ("adjust", Decimal("0.5")), ("refund", Decimal("0.3"))] == desk.lines("job#j-1")
    assert [("void", Decimal(0))] == desk.lines("adjust#a-1")
    assert "duplicate" == desk.adjust("a-1", "0.5", job="j-1").outcome


@pytest.mark.parametrize(
    ("user", "row"), [("detail.userId", {"userId": "u-1"}), ("row.owner", {"userId": "x", "owner": "u-1"})]
)
def test_a_job_may_be_conceded_before_the_ledger_knows_it(user: str, row: dict[str, Any]):
    """Its own row says whose it is, as the policy reads it. The charge that comes later is lowered."""
    desk = Desk(parse_policy(EXAMPLE.replace("user: detail.userId", f"user: {user}"), "example.yaml"))
    desk.store.jobs["j-1"] = {"jobId": "j-1", **row}

    assert ("voided", Decimal(10)) == (desk.adjust("a-1", "0.5", job="j-1").outcome, desk.remaining)
    desk.deliver(rendered())
    assert [("void", Decimal(0)), ("debit", Decimal("-0.3"))] == desk.lines("job#j-1")


def test_no_job_is_conceded_more_than_it_costs():
    """The rest is remembered, and counts if the job is ever charged more."""
    desk = Desk().deliver(rendered())
    assert "adjusted" == desk.adjust("a-1", 5, job="j-1").outcome
    assert Decimal(10) == desk.remaining
    assert "voided" == desk.adjust("a-2", 1, job="j-1").outcome


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"amount": -1, "job": "j-1"}, "below 0; to take more for a job reprice it, or adjust the user"),
        ({"amount": 1, "job": "j-2"}, "job#j-2 has no entry in the ledger, and Jobs names nobody"),
        ({"amount": 1, "job": "j-3"}, "job#j-3 has no entry in the ledger, and Jobs names nobody"),
        ({"amount": 1, "job": "j-4"}, "job#j-4 is of user 'u-2' by its row in Jobs, not of 'u-1'"),
        ({"amount": 1, "job": "j-1", "user": "u-2"}, "job#j-1 is of user 'u-1', not of 'u-2'"),
        ({"amount": 1, "user": "u-9"}, "no such user"),
        ({"amount": 0}, "moves 0 credits"),
        ({"amount": "0.00001"}, "has 4 places"),
        ({"amount": 1, "reason": " "}, "reason: it is empty"),
        ({"amount": 1, "reason": "x" * 1025}, "1025 characters"),
        ({"amount": 1, "name": ""}, "id: it has 0 characters"),
        ({"amount": 1, "name": "a\n"}, "nobody can read"),
        ({"amount": 1, "name": "a\u200b"}, "nobody can read"),
        ({"amount": 1, "name": "a\u0301-1"}, "each letter in one piece"),
        ({"amount": 1, "name": " a-1"}, "blanks stand one at a time between words"),
        ({"amount": 1, "name": "a-1 "}, "blanks stand one at a time between words"),
        ({"amount": 1, "name": "a  1"}, "blanks stand one at a time between words"),
        ({"amount": 1, "name": "a\N{NO-BREAK SPACE}1"}, "blanks stand one at a time between words"),
        ({"amount": 1, "name": "x" * 257}, "257 characters"),
        ({"amount": 1, "user": ""}, "wrong user"),
        ({"amount": 1, "about": "grant#p-1"}, "grant#p-1 has no entry in the ledger"),
        ({"amount": 1, "about": "job#j-1", "user": "u-2"}, "job#j-1 is of user 'u-1', not of 'u-2'"),
        ({"amount": 1, "job": "\ud800"}, "wrong job"),
        ({"amount": "100.0001"}, "`adjustments.maximum` of the policy is 100"),
        ({"amount": "-101"}, "`adjustments.maximum` of the policy is 100"),
    ],
)
def test_what_makes_no_sense_is_an_error_and_moves_nothing(asked: dict[str, Any], problem: str):
    """It says what is wrong, also where it is only looked at."""
    desk = Desk().deliver(rendered())
    desk.store.jobs |= {"j-3": {"jobId": "j-3", "userId": None}, "j-4": {"jobId": "j-4", "userId": "u-2"}}
    for tell in (desk.adjust, desk.preview):
        with pytest.raises(CorrectionError, match=problem):
            tell(**{"name": "a-1", **asked})
    assert Decimal("9.2") == desk.remaining
    assert [] == desk.lines("adjust#a-1")


# --- taken back -------------------------------------------------------------------------------------------------------


def test_an_adjustment_of_a_user_is_taken_back_once():
    """By the second entry of its log; the id of who takes it back is told too."""
    desk = Desk()
    desk.adjust("a-1", 5)
    assert "adjusted" == desk.adjust("a-2", reverses="a-1").outcome

    assert Decimal(10) == desk.remaining
    assert [("adjust", Decimal(5)), ("adjust", Decimal(-5))] == desk.lines("adjust#a-1")
    assert [("void", Decimal(0))] == desk.lines("adjust#a-2")
    assert "duplicate" == desk.adjust("a-2", by=BEN, reverses="a-1").outcome
    with pytest.raises(CorrectionError, match="adjust#a-1 was taken back already, by 'a-2'"):
        desk.adjust("a-3", reverses="a-1")


def test_a_concession_is_taken_back_on_its_jobs_log():
    """And what the job costs stands as before."""
    desk = Desk().deliver(rendered())
    desk.adjust("a-1", "0.5", job="j-1")
    desk.adjust("a-2", reverses="a-1")

    assert Decimal("9.2") == desk.remaining
    assert [("debit", Decimal("-0.8")), ("adjust", Decimal("0.5")), ("adjust", Decimal("-0.5"))] == desk.lines("job#j-1")
    with pytest.raises(CorrectionError, match="was taken back already, by 'a-2'"):
        desk.adjust("a-3", reverses="a-1")


def test_a_concession_that_is_taken_back_after_the_job_has_failed_moves_nothing():
    """The job costs nothing, with it and without it."""
    desk = Desk().deliver(rendered())
    desk.adjust("a-1", "0.5", job="j-1")
    desk.deliver(failed())

    assert ("voided", Decimal(10)) == (desk.adjust("a-2", reverses="a-1").outcome, desk.remaining)


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"reverses": "a-9"}, "adjust#a-9 is no adjustment in the ledger"),
        ({"reverses": "a-2"}, "takes back 'a-1', and cannot be taken back itself: adjust anew"),
        ({"reverses": "a-3"}, "adjust#a-3 is no adjustment"),
    ],
)
def test_what_cannot_be_taken_back_is_an_error(asked: dict[str, Any], problem: str):
    """What nobody has told, what takes back itself, and the request itself."""
    desk = Desk()
    desk.adjust("a-1", 5)
    desk.adjust("a-2", reverses="a-1")

    with pytest.raises(CorrectionError, match=problem):
        desk.adjust("a-3", **asked)
    assert Decimal(10) == desk.remaining


def test_who_takes_back_may_name_the_user_and_must_be_right():
    """A wrong one is most likely a wrong id."""
    desk = Desk()
    desk.adjust("a-1", 5)
    named = AdjustmentRequest("a-2", "u-2", Decimal(0), "a mistake", reverses="a-1")

    with pytest.raises(CorrectionError, match="adjust#a-1 is of user 'u-1', not of 'u-2'"):
        desk.adjuster.adjust(named, ANN, desk.deadline())
    assert "adjusted" == desk.adjuster.adjust(evolve(named, user="u-1"), ANN, desk.deadline()).outcome


# --- two people -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", ["20.0001", "-20.0001", "100"])
def test_above_the_second_bound_another_person_has_to_approve(amount: str):
    """Until then nothing moves. The entry keeps both."""
    desk = Desk(POLICY)
    proposed = desk.adjust("a-1", amount)
    assert (None, True, Decimal(10)) == (proposed.outcome, proposed.is_news, desk.remaining)
    again = desk.adjust("a-1", amount)
    assert (None, False) == (again.outcome, again.is_news)

    approved = desk.approve("a-1")
    assert ("adjusted", 10 + Decimal(amount)) == (approved.outcome, desk.remaining)
    assert (ANN.name, BEN.name) == (approved.entries[0]["correction"]["by"], approved.entries[0]["correction"]["approvedBy"])
    assert [] == list(desk.adjuster.corrections.proposals(desk.deadline()))


@pytest.mark.parametrize("amount", ["20", "-20", "-0.5"])
def test_up_to_the_second_bound_one_person_is_enough(amount: str):
    """The bound itself belongs to it."""
    assert "adjusted" == Desk().adjust("a-1", amount).outcome
    assert "adjusted" == Desk(FREE).adjust("a-1", "100000").outcome


def test_the_second_person_cannot_be_the_first():
    """Neither by approving nor by telling it again; a second name of the first is the first."""
    desk = Desk()
    desk.adjust("a-1", 50)

    for who in (ANN, evolve(ANN, key="AROAADM:ann"), evolve(ANN, person="anna")):
        with pytest.raises(CorrectionError, match="another person has to approve"):
            desk.approve("a-1", who)
    assert (None, False) == ((told := desk.adjust("a-1", 50, BEN)).outcome, told.is_news)
    assert Decimal(10) == desk.remaining


def test_what_was_approved_is_approved_once():
    """Approved again it says what was posted; told again it is a duplicate."""
    desk = Desk()
    desk.adjust("a-1", 50)
    desk.approve("a-1")

    for again in (desk.approve("a-1", CID), desk.approve("a-1", ANN), desk.adjust("a-1", 50, CID)):
        assert ("duplicate", BEN.name) == (again.outcome, again.entries[0]["correction"]["approvedBy"])
    assert Decimal(60) == desk.remaining


def test_a_reversal_counts_by_what_it_takes_back():
    """To take back what two people gave, two people are needed."""
    desk = Desk()
    desk.adjust("a-1", 50)
    desk.approve("a-1")
    assert None is desk.adjust("a-2", reverses="a-1").outcome
    assert None is desk.adjust("a-3", reverses="a-1", by=CID).outcome

    desk.approve("a-2")
    assert Decimal(10) == desk.remaining
    with pytest.raises(CorrectionError, match="was taken back already, by 'a-2'"):
        desk.approve("a-3")


def test_a_proposal_is_withdrawn_by_who_proposed_it():
    """Then its id is free."""
    desk = Desk()
    desk.adjust("a-1", 50)
    with pytest.raises(CorrectionError, match="nobody else withdraws it"):
        withdraw(desk.adjuster.corrections, "a-1", BEN, desk.deadline())
    withdraw(desk.adjuster.corrections, "a-1", ANN, desk.deadline())

    for call in (desk.approve, lambda name: withdraw(desk.adjuster.corrections, name, ANN, desk.deadline())):
        with pytest.raises(CorrectionError, match="proposal#a-1 is no proposal that waits"):
            call("a-1")
    assert "adjusted" == desk.adjust("a-1", 5, BEN).outcome


@pytest.mark.parametrize(
    ("forged", "problem"),
    [
        ({"amount": Decimal(-50), "job": "j-1"}, "to take more for a job reprice it"),
        ({"amount": Decimal(90), "reverses": "a-0"}, "says something else than the adjustment that it takes back"),
        ({"job": "j-1", "reverses": "a-0"}, "says something else than the adjustment that it takes back"),
        ({"amount": Decimal(0)}, "moves 0 credits"),
        ({"reason": ""}, "reason: it is empty"),
    ],
)
def test_a_proposal_that_nobody_could_have_told_is_not_approved(forged: dict[str, Any], problem: str):
    """Somebody with rights on State has written it by hand: it is asked what every request is asked."""
    desk = Desk().deliver(rendered())
    desk.adjust("a-0", 5)
    desk.adjust("a-1", 50)
    waiting = desk.store.proposals["a-1"]
    desk.store.proposals["a-1"] = evolve(waiting, request=evolve(waiting.request, **forged))

    with pytest.raises(CorrectionError, match=problem):
        desk.approve("a-1")
    assert Decimal("14.2") == desk.remaining


def test_an_id_that_waits_says_one_thing():
    """Also to somebody who would need nobody's approval, and to who only looks."""
    desk = Desk()
    desk.adjust("a-1", 50)

    for tell in (lambda: desk.adjust("a-1", 5, BEN), lambda: desk.preview("a-1", 60)):
        with pytest.raises(CorrectionError, match="proposal#a-1 waits for approval"):
            tell()


def test_a_bound_that_was_lowered_counts_for_what_waits():
    """Whoever approves approves under the policy of that day."""
    desk = Desk()
    desk.adjust("a-1", 50)
    desk.policy = parse_policy(EXAMPLE + 'adjustments: {maximum: "40"}\n', "example.yaml")

    with pytest.raises(CorrectionError, match="`adjustments.maximum` of the policy is 40"):
        desk.approve("a-1")


# --- what the balance covers, and what it would be --------------------------------------------------------------------


def test_what_the_balance_does_not_cover_is_as_the_policy_has_it():
    """Flagged, or refused: then nothing is told, and the id stays free."""
    flagging, refusing = Desk(FREE), Desk(REFUSES)
    (entry,) = flagging.adjust("a-1", -11).entries
    assert ["overdraft"] == [anomaly["name"] for anomaly in entry["anomalies"]]

    assert ("refused", ()) == ((told := refusing.adjust("a-1", -11)).outcome, told.entries)
    assert Decimal(10) == refusing.remaining
    assert "adjusted" == refusing.adjust("a-1", -10).outcome


def test_a_user_without_a_row_is_made_where_the_policy_makes_users():
    """As by an event; the entry says so, and a look at it first says the same."""
    desk = Desk(parse_policy(EXAMPLE.replace("unknown_user: refuse", "unknown_user: flag"), "example.yaml"))
    preview = desk.preview("a-1", 5, user="u-9")
    assert preview.entry is not None
    assert (None, ["unknown-user"]) == (preview.row, [anomaly.name for anomaly in preview.entry.anomalies])

    (entry,) = desk.adjust("a-1", 5, user="u-9").entries
    assert ["unknown-user"] == [anomaly["name"] for anomaly in entry["anomalies"]]
    assert Decimal(5) == desk.store.credits["u-9"]["remaining"]


def test_a_proposal_that_would_be_refused_is_not_kept():
    """A second person has nothing to approve."""
    desk = Desk(parse_policy(EXAMPLE.replace("overdraft: flag", "overdraft: refuse") + BOUNDS, "example.yaml"))

    assert "refused" == desk.adjust("a-1", -21).outcome
    assert [] == list(desk.adjuster.corrections.proposals(desk.deadline()))


@pytest.mark.parametrize(
    ("policy", "asked", "expected"),
    [
        (FREE, {"amount": 5}, ("adjusted", "5", False)),
        (POLICY, {"amount": 50}, ("adjusted", "50", True)),
        (FREE, {"amount": "0.5", "job": "j-1"}, ("adjusted", "0.5", False)),
        (FREE, {"amount": 5, "job": "j-1"}, ("adjusted", "0.8", False)),
        (FREE, {"amount": 0, "reverses": "a-0"}, ("adjusted", "-1", False)),
        (FREE, {"amount": -20}, ("adjusted", "-20", False)),
        (REFUSES, {"amount": -20}, ("refused", None, False)),
    ],
)
def test_a_preview_says_what_would_be_posted_and_posts_nothing(
    policy: Policy, asked: dict[str, Any], expected: tuple[str, str | None, bool]
):
    """Then it is just that."""
    desk = Desk(policy).deliver(rendered())
    desk.adjust("a-0", 1)
    before = desk.remaining
    preview = desk.preview("a-1", **asked)

    outcome, amount, needs_second = expected
    assert (outcome, needs_second) == (preview.outcome, preview.needs_second_person)
    assert (amount and Decimal(amount)) == (preview.entry and preview.entry.amount)
    assert before == desk.remaining == (preview.row or {})["remaining"]
    desk.adjust("a-1", **asked)
    if needs_second:
        desk.approve("a-1")
    assert before + Decimal(amount or 0) == desk.remaining


def test_what_was_adjusted_is_listed_by_its_id():
    """One line each: what was said, what it moved, and what has taken it back. Of one user or of all."""
    desk = Desk(FREE).deliver(rendered())
    desk.store.credits["u-2"] = {"userId": "u-2", "remaining": Decimal(1)}
    desk.adjust("a-1", 5, about="job#j-1")
    desk.adjust("a-2", 5, job="j-1")
    desk.adjust("a-3", reverses="a-1", by=BEN, reason="a mistake")
    desk.adjust("a-4", 2, user="u-2")

    def listed(user: str | None) -> list[tuple[Any, ...]]:
        keys = ("id", "user", "amount", "moved", "job", "reverses", "takenBackBy")
        return [
            tuple(each[key] for key in keys) for each in adjustments(cast("Store", desk.store), user, None, desk.deadline())
        ]

    of_one = [
        ("a-1", "u-1", 5, 5, "", "", "a-3"),
        ("a-2", "u-1", 5, Decimal("0.8"), "j-1", "", ""),
        ("a-3", "u-1", 5, -5, "", "a-1", ""),
    ]
    assert of_one == listed("u-1")
    assert [*of_one, ("a-4", "u-2", 2, 2, "", "", "")] == listed(None)
    assert [] == adjustments(cast("Store", desk.store), None, START.replace(year=2027), desk.deadline())
