"""Holds that are due: what a scheduled run finds by the index, asks of the rows, and expires. In memory and on the tables."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
from attrs import define, field

from engine.domain.documents import read_document
from engine.domain.envelope import Document, Source
from engine.domain.errors import LedgerRefused, LedgerUnavailable
from engine.domain.instants import posting_text
from engine.domain.references import spread
from engine.ledger.dynamodb.attributes import decode_item, encode_item
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.tables import KEYS
from engine.ledger.holds import NEVER
from engine.ledger.memory import MemoryStore
from engine.ledger.store import Store, Tables
from engine.ledger.stored import HOLD_SHARDS
from engine.policy import parse_policy
from engine.rating.beside import Beside
from engine.reconcile.due_holds import OVERLAP, expire_holds
from engine.reconcile.reconciler import Reconciler
from engine.reconcile.shadow import SecondPolicy
from engine.runtime.clock import Clock, Deadline
from engine.runtime.telemetry import Telemetry
from tests.simulation.database import Client, Database, Seeded
from tests.support.events import event, instant
from tests.support.world import DisturbedClient
from tools.local_aws import create_tables

NOON = datetime.fromisoformat("2026-01-05T12:00:00Z")

TEXT = """\
version: 1
name: holds
event: {job: detail.jobId, user: detail.userId, time: time, attempt: "detail.attempt || `0`"}
prices:
  second: [{effective: 2025-01-01T00:00:00Z, rates: {default: "0.1"}}]
rules:
  - name: submitted
    match: {detail-type: [submitted]}
    action: hold
    hold: {price: second, quantity: detail.seconds, expires: 2h}
  - {name: rendered, match: {detail-type: [rendered]}, action: debit, charge: {price: second, quantity: detail.seconds}}
  - {name: failed, match: {detail-type: [failed]}, action: refund, refund: {percent: 100}}
catch_up:
  - {when: {status: [completed]}, event: {source: video.generation, detail-type: rendered, time: updatedAt}}
  - {when: {status: [failed]}, event: {source: video.generation, detail-type: failed, time: updatedAt}}
"""

POLICY = parse_policy(TEXT, "holds.yaml")


@define
class Desk:
    """A ledger at a time that a test sets, with the policy at work on it."""

    client: Any = None
    tables: Tables = field(factory=Tables)
    now: datetime = NOON
    steady: float = 0.0
    tick: float = 0.0
    """How many seconds pass whenever somebody looks at the clock."""
    lines: list[dict[str, Any]] = field(factory=list)
    shadow: SecondPolicy | None = None
    store: Any = field(init=False)

    @store.default
    def _store(self) -> DynamoStore | MemoryStore:
        clock = Clock(lambda: self.now, self.passing)
        return MemoryStore(clock) if self.client is None else DynamoStore(self.client, self.tables, clock)

    def passing(self) -> float:
        """Return the seconds on the steady clock."""
        self.steady += self.tick
        return self.steady

    def reconciler(self) -> Reconciler:
        """Return the policy at work."""
        telemetry = Telemetry(lambda line: self.lines.append(json.loads(line)), self.store.clock)
        return Reconciler(POLICY, cast("Store", self.store), telemetry, self.store.clock, shadow=self.shadow)

    def deadline(self, seconds: float = 600) -> Deadline:
        """Return a deadline that lies so far ahead; time stands still unless a test moves it."""
        return Deadline(self.store.clock, self.steady + seconds)

    def user(self, user: str, remaining: str = "100") -> None:
        """Write a user's row as the application does."""
        self.put("credits", {"userId": user, "remaining": Decimal(remaining)})

    def job(self, job: str, **row: Any) -> None:
        """Write a job's row as the application does."""
        self.put("jobs", {"jobId": job, "userId": "u-1", "seconds": 6, "updatedAt": "2026-01-05T12:30:00Z", **row})

    def put(self, table: str, row: dict[str, Any]) -> None:
        """Write a row as the application does."""
        if self.client is not None:
            self.client.put_item(TableName=getattr(self.tables, table), Item=encode_item(row))
        else:
            rows = getattr(self.store, table)
            rows[row["userId" if table == "credits" else "jobId"]] = decode_item(encode_item(row))

    def hold(self, job: str, at: str = "12:00", *, user: str = "u-1", **detail: Any) -> None:
        """Let a job's 8 seconds, 0.8 credits, be held for two hours from then on."""
        self.deliver(event("submitted", {"jobId": job, "userId": user, "seconds": 8, **detail}, at))

    def deliver(self, document: Document) -> None:
        """Deliver an event."""
        self.reconciler().event(read_document(json.dumps(document)), Source.EVENT, self.deadline())

    def look(self, at: str, seconds: float = 600) -> dict[str, Any]:
        """Let the scheduled run look at a time of day, and return what it says."""
        self.now = datetime.fromisoformat(instant(at))
        answer: dict[str, Any] = expire_holds(self.reconciler(), self.deadline(seconds))["holds"]
        return answer

    def line(self, job: str) -> list[tuple[str, Decimal]]:
        """Return a job's entries as (type, amount)."""
        return [(entry.type.value, entry.amount.normalize()) for entry in self.store.entries_of(f"job#{job}", self.deadline())]

    def balance(self, user: str = "u-1") -> tuple[Decimal, Decimal]:
        """Return what the user can spend, and what is held."""
        row = self.store.balance(user, self.deadline())
        return Decimal(row["remaining"]).normalize(), Decimal(row.get("held", 0)).normalize()

    def metrics(self) -> dict[str, float]:
        """Return the metrics of the last look."""
        names = ("HoldsDue", "HoldsExpired", "HoldsLateSeconds", "HoldsOverdue", "ExpiriesUnfinished")
        return {name: self.lines[-1][name] for name in names}

    def problems(self) -> list[str]:
        """Return what is told of single holds and rows."""
        return [line["problem"] for line in self.lines if line["message"] == "failed"]


@pytest.fixture
def on_tables(dynamodb: Any, tables: Tables) -> Desk:
    """Return a desk on real tables."""
    return Desk(dynamodb, tables)


@pytest.fixture
def desks(on_tables: Desk) -> Iterator[list[Desk]]:
    """Return a desk in memory and one on tables, each with a user who has a hundred credits."""
    both = [Desk(), on_tables]
    for desk in both:
        desk.user("u-1")
    yield both
    assert both[0].balance() == both[1].balance()
    assert both[0].store.holds().looked_until(both[0].deadline()) == both[1].store.holds().looked_until(both[1].deadline())


def d(text: str) -> Decimal:
    """Return a number as tests compare it."""
    return Decimal(text).normalize()


HELD, RELEASED = ("hold", d("-0.8")), ("release", d("0.8"))


def test_a_hold_that_is_due_is_released_and_one_that_is_not_stays(desks: list[Desk]) -> None:
    """Held at 12:00 and at 12:10 for two hours; the run of 14:05 finds the first, five minutes late."""
    for desk in desks:
        desk.hold("j-1")
        desk.hold("j-2", "12:10")

        assert {"seen": 1, "due": 1, "expired": 1, "errors": 0, "byRow": 0, "finished": True} == desk.look("14:05")
        assert {"HoldsDue": 1, "HoldsExpired": 1, "HoldsLateSeconds": 300, "HoldsOverdue": 0, "ExpiriesUnfinished": 0} == (
            desk.metrics()
        )
        assert [HELD, RELEASED] == desk.line("j-1")
        assert [HELD] == desk.line("j-2")
        assert (d("99.2"), d("0.8")) == desk.balance()
        assert [] == [line for line in desk.lines if "Adjustments" in line], "no event was lost"


def test_a_hold_is_due_at_the_instant_at_which_it_expires(desks: list[Desk]) -> None:
    """14:00 is two hours after 12:00."""
    for desk in desks:
        desk.hold("j-1")

        assert 1 == desk.look("14:00")["expired"]


def test_before_a_hold_expires_the_row_of_its_job_is_asked(desks: list[Desk]) -> None:
    """Done counts as done (0.6 of the 0.8), failed as failed; whatever else there is has expired: a list is no status."""
    for desk in desks:
        for number, status in enumerate(("completed", "failed", "rendering", ["completed"])):
            desk.hold(f"j-{number}")
            desk.job(f"j-{number}", status=status)
        desk.hold("j-4")

        assert {"seen": 5, "due": 5, "expired": 3, "errors": 0, "byRow": 2, "finished": True} == desk.look("14:05")
        assert [HELD, ("settle", d("0.2"))] == desk.line("j-0")
        rules = [desk.store.entries_of(f"job#j-{number}", desk.deadline())[-1].rule for number in range(5)]
        assert ["rendered", "failed", "expiry", "expiry", "expiry"] == rules
        assert (d("99.4"), d("0")) == desk.balance()
        assert desk.store.job_row("j-0", desk.deadline())["reconciled"] is True
        assert 2 == sum(line.get("Adjustments", 0) for line in desk.lines), "two events were lost"


def test_a_row_that_makes_no_sense_is_told_and_keeps_no_credits_back(desks: list[Desk]) -> None:
    """It says that the job is done, and not for how long: the scan tells it too, and a person mends it."""
    for desk in desks:
        desk.hold("j-1")
        desk.job("j-1", status="completed", seconds="eight")

        answer = desk.look("14:05")

        assert (1, 1) == (answer["errors"], answer["expired"])
        assert ["failed"] == [line["message"] for line in desk.lines if line.get("field") == "detail.seconds"]
        assert (d("100"), d("0")) == desk.balance()


def test_a_hold_that_has_ended_is_passed_over_and_read_no_more(desks: list[Desk]) -> None:
    """Its index entry stays; the entry after it says that it was settled."""
    for desk in desks:
        desk.hold("j-1")
        desk.deliver(event("rendered", {"jobId": "j-1", "userId": "u-1", "seconds": 8}, "12:30"))

        assert {"seen": 1, "due": 0, "expired": 0, "errors": 0, "byRow": 0, "finished": True} == desk.look("14:05")
        assert [HELD, ("settle", d("0"))] == desk.line("j-1")


def test_a_second_look_does_nothing_and_later_ones_do_not_even_see_the_hold(desks: list[Desk]) -> None:
    """Half an hour is looked at again; what was due before that is behind it."""
    for desk in desks:
        desk.hold("j-1")
        desk.look("14:05")

        assert (1, 0) == (desk.look("14:20")["seen"], desk.lines[-1]["HoldsExpired"])
        assert 1 == desk.look("14:40")["seen"]
        assert 0 == desk.look("15:00")["seen"]
        assert [HELD, RELEASED] == desk.line("j-1")


def test_a_hold_whose_event_came_late_is_due_when_it_is_posted(desks: list[Desk]) -> None:
    """The request of 12:00 comes at 17:00, three hours after its hold has expired and the runs have passed that."""
    for desk in desks:
        desk.look("16:55")
        desk.now = NOON + timedelta(hours=5)
        desk.hold("j-1")

        assert 1 == desk.look("17:10")["expired"]
        assert 3 * 3600 + 600 == desk.metrics()["HoldsLateSeconds"]


def test_the_hold_of_a_higher_attempt_is_due_by_itself(desks: list[Desk]) -> None:
    """The first attempt failed, the second was asked for at 13:00: at 14:05 nothing is due, at 15:05 the second."""
    for desk in desks:
        desk.hold("j-1")
        desk.deliver(event("failed", {"jobId": "j-1", "userId": "u-1"}, "12:30"))
        desk.hold("j-1", "13:00", attempt=1)

        assert 0 == desk.look("14:05")["due"]
        assert 1 == desk.look("15:05")["expired"]
        assert [HELD, RELEASED, HELD, RELEASED] == desk.line("j-1")


def test_a_concession_after_a_hold_does_not_hide_it(desks: list[Desk]) -> None:
    """The entry after the hold ends nothing: an earlier attempt's word came late."""
    for desk in desks:
        desk.hold("j-1", attempt=1)
        desk.deliver(event("rendered", {"jobId": "j-1", "userId": "u-1", "seconds": 1}, "12:30"))

        assert 1 == desk.look("14:05")["expired"]
        assert (d("99.9"), d("0")) == desk.balance()


def test_a_run_without_time_keeps_what_it_has_done_and_the_next_one_goes_on(desks: list[Desk]) -> None:
    """The first look has no time for a page; the second does all of it."""
    for desk in desks:
        desk.hold("j-1")

        assert (0, False) == (desk.look("14:05", seconds=1)["expired"], desk.lines[-1]["finished"])
        assert 1 == desk.metrics()["ExpiriesUnfinished"]
        assert (1, True) == (desk.look("14:06")["expired"], desk.lines[-1]["finished"])


def test_a_hold_that_cannot_be_expired_is_tried_for_a_day_and_holds_up_no_other(desks: list[Desk]) -> None:
    """The user's balance has become a text; the next run after it was mended expires the hold."""
    for desk in desks:
        desk.user("u-2")
        desk.hold("j-1", user="u-2")
        desk.hold("j-2")
        broken = desk.store.balance("u-2", desk.deadline())
        desk.put("credits", {**broken, "remaining": "lots"})

        assert (1, 1) == (desk.look("14:05")["expired"], desk.lines[-1]["errors"])
        assert ["the balance of user 'u-2' is no number"] == [problem.partition(":")[0] for problem in desk.problems()]
        assert (1, 1) == (desk.look("20:05")["errors"], desk.lines[-1]["HoldsOverdue"])
        desk.put("credits", broken)
        assert (1, 0) == (desk.look("20:20")["expired"], desk.lines[-1]["errors"])
        assert (d("100"), d("0")) == desk.balance("u-2")


def test_after_a_day_no_run_goes_back_to_what_could_not_be_expired(desks: list[Desk]) -> None:
    """The last try is that of the first run which is a day late."""
    for desk in desks:
        desk.user("u-2")
        desk.hold("j-1", user="u-2")
        desk.put("credits", {"userId": "u-2", "remaining": "lots"})

        tries = [desk.look(f"2026-01-{at}:00Z")["errors"] for at in ("05T14:05", "06T13:55", "06T14:10", "06T14:25")]
        assert [1, 1, 1, 0] == tries
        assert [HELD] == desk.line("j-1")


def test_a_second_policy_releases_what_it_would_have_held() -> None:
    """It holds 0.5 where 0.8 are held: 0.3 more are left, and after the expiry the same as before."""
    desk = Desk()
    desk.user("u-1")
    then = parse_policy(TEXT.replace('default: "0.1"', 'default: "0.0625"'), "then.yaml")
    desk.shadow = SecondPolicy(Beside(POLICY, then), desk.store.clock)
    desk.hold("j-1")
    desk.look("14:05")

    assert [0.3, -0.3] == [line["ShadowDifference"] for line in desk.lines if "ShadowDifference" in line]


def test_all_shards_are_kept_up_to_half_an_hour_ago(desks: list[Desk]) -> None:
    """Also those in which nothing was due."""
    for desk in desks:
        desk.look("14:00")

        until = desk.store.holds().looked_until(desk.deadline())
        assert dict.fromkeys(HOLD_SHARDS, posting_text(desk.now - OVERLAP)) == until


def test_a_run_that_finds_no_place_kept_begins_with_the_first_hold(desks: list[Desk]) -> None:
    """State was lost, or a person has taken the place away, as entries came back behind where the runs had come to."""
    for desk in desks:
        desk.hold("j-1")
        desk.store.holds().look_until(dict.fromkeys(HOLD_SHARDS, posting_text(NOON + timedelta(hours=4))), desk.deadline())

        assert 0 == desk.look("17:00")["seen"]
        desk.store.holds().look_until({}, desk.deadline())
        assert 1 == desk.look("17:00")["expired"]


# --- what the database does -------------------------------------------------------------------------------------------


def test_a_ledger_without_the_index_is_told_by_its_name() -> None:
    """A ledger of before: the run says what is missing, and never fails."""
    client = Client(Database())
    tables = Tables("app.jobs", "app.credits", "old", "app.state")
    for table, key in ((tables.ledger, KEYS["ledger"]), (tables.state, KEYS["state"])):
        client.create_table(
            TableName=table,
            AttributeDefinitions=[{"AttributeName": each, "AttributeType": kind} for each, kind in key.items()],
            KeySchema=[{"AttributeName": each, "KeyType": kind} for each, kind in zip(key, ("HASH", "RANGE"), strict=False)],
            BillingMode="PAY_PER_REQUEST",
        )
    desk = Desk(client, tables)

    answer = desk.look("14:00")

    assert "table old has no index HoldDueIndex;" in answer["problem"]
    assert ("ERROR", 1, 1) == tuple(desk.lines[-1][name] for name in ("level", "ExpiriesUnfinished", "HoldsOverdue"))


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a page have three holds, as others have a hundred."""
    monkeypatch.setattr("engine.ledger.dynamodb.holds.PAGE_HOLDS", 3)
    monkeypatch.setattr("engine.ledger.memory_holds.PAGE_HOLDS", 3)


def jobs_of_one_shard(count: int) -> list[str]:
    """Return jobs whose holds are found in the first shard."""
    jobs = (f"j-{number}" for number in itertools.count())
    return list(itertools.islice((job for job in jobs if spread(f"job#{job}") % len(HOLD_SHARDS) == 0), count))


@pytest.mark.usefixtures("small_pages")
def test_more_holds_than_a_page_are_all_found_in_order(desks: list[Desk]) -> None:
    """Seven of one shard are three pages; four of them have ended."""
    for desk in desks:
        jobs = jobs_of_one_shard(7)
        for minute, job in enumerate(jobs):
            desk.hold(job, f"12:0{minute}")
        for job in jobs[1:5]:
            desk.deliver(event("failed", {"jobId": job, "userId": "u-1"}, "12:30"))

        assert {"seen": 7, "due": 3, "expired": 3, "errors": 0, "byRow": 0, "finished": True} == desk.look("14:10")
        assert (d("100"), d("0")) == desk.balance()
        found = desk.store.holds().due("0", NEVER, posting_text(desk.now), desk.deadline())
        assert jobs == [hold.reference.removeprefix("job#") for page in found for hold in page]


@pytest.mark.usefixtures("small_pages")
def test_a_run_that_has_no_time_for_all_pages_is_gone_on_with_behind_the_last(desks: list[Desk]) -> None:
    """Seven holds; each look at the clock takes a second, so that the first runs have time for nothing or a part."""
    for desk in desks:
        for minute, job in enumerate(jobs_of_one_shard(7)):
            desk.hold(job, f"12:0{minute}")
        desk.tick = 1.0
        looks = [desk.look("20:00", seconds=seconds) for seconds in (4, 16, 32)]
        desk.tick = 0.0
        desk.look("20:00")

        assert (False, True) == (looks[0]["finished"], looks[0]["expired"] < 7)
        assert 7 == sum(line.get("HoldsExpired", 0) for line in desk.lines)
        assert (d("100"), d("0")) == desk.balance()


def test_a_look_with_nothing_to_do_asks_each_shard_once_and_ended_holds_cost_a_request_a_page() -> None:
    """Where it stood, sixteen queries, where it stands; and for an ended hold one look at what came after it."""
    client = DisturbedClient(Client(Database()), lambda _operation, request, send: send(**request))
    desk = Desk(client, create_tables(client, Tables("app.jobs", "app.credits", "app.ledger", "app.state", "app.seals")))
    desk.user("u-1")
    desk.hold("j-1")
    desk.deliver(event("failed", {"jobId": "j-1", "userId": "u-1"}, "12:30"))
    client.calls.clear()

    desk.look("13:00")
    assert {"get_item": 1, "query": 16, "put_item": 1} == Counter(client.calls)
    client.calls.clear()
    desk.look("14:05")
    assert {"get_item": 1, "query": 16, "batch_get_item": 1, "put_item": 2} == Counter(client.calls)


def test_an_index_that_trails_costs_a_later_run_no_hold() -> None:
    """A request that came late is due at once; the index does not show it yet to the run of the same minute."""
    desk = Desk()

    def seconds() -> float:
        return (desk.now - NOON).total_seconds()

    desk.client = Client(Database(seconds, Seeded.of(7, share=0, index_share=1), memory_seconds=60))
    desk.tables = create_tables(desk.client, Tables("app.jobs", "app.credits", "app.ledger", "app.state", "app.seals"))
    desk.store = DynamoStore(desk.client, desk.tables, desk.store.clock)
    desk.user("u-1")
    desk.now = NOON + timedelta(hours=5)
    desk.hold("j-1")

    assert [0, 1] == [desk.look(at)["expired"] for at in ("17:00", "17:15")]
    assert (d("100"), d("0")) == desk.balance()


def test_a_database_that_does_not_answer_keeps_the_place() -> None:
    """The run says so, and the next one expires what this one could not."""
    desk = Desk()
    desk.user("u-1")
    desk.hold("j-1")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryStore, "read", lambda *_: (_ for _ in ()).throw(LedgerUnavailable("no answer")))
        answer = desk.look("14:05")

    assert ("LedgerUnavailable: no answer", False) == (answer["problem"], answer["finished"])
    assert 1 == desk.look("14:20")["expired"]


def test_what_the_store_refuses_of_the_whole_run_is_told() -> None:
    """No permission for State, say."""
    desk = Desk()
    with pytest.MonkeyPatch.context() as patch:
        refuse = lambda *_: (_ for _ in ()).throw(LedgerRefused("AccessDeniedException"))  # noqa: E731
        patch.setattr("engine.ledger.memory_holds.MemoryHoldStore.looked_until", refuse)

        assert "LedgerRefused: AccessDeniedException" == desk.look("14:05")["problem"]
