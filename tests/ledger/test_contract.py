"""One suite of stories for every store: memory answers as the tables do, and keeps what they keep, item by item."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain.anomaly import Anomaly, Sample, Sign
from engine.domain.decision import Guard, Standing
from engine.domain.entry import Entry, EntryType, Resolution
from engine.domain.envelope import Source
from engine.domain.errors import LedgerError
from engine.domain.fact import Charge
from engine.domain.facts import Facts
from engine.domain.job_row import Mark, RowTime
from engine.domain.money import Money
from engine.ledger.conditions import is_settled
from engine.ledger.dynamodb.attributes import decode_item, encode_item
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.memory import MemoryStore
from engine.ledger.store import BATCHED_GUARDS, Posting, Receipt, ScanSlice, Tables, Verdict
from engine.ledger.wanted import ALL, Wanted
from engine.rating.baselines import Baseline, Baselines
from engine.reconcile.job_rows import due_rows
from engine.runtime.clock import Clock
from tests.support.attempts import NUMBERED
from tests.support.clock import START
from tests.support.examples import part
from tests.support.policies import example
from tools.local_aws import create_tables, delete_tables, tables_named

FACTS = Facts(charges=(Charge(Decimal(2), START, (("detail.seconds", "8"),), "video@1"),))
KEYS = {"jobs": ("jobId",), "credits": ("userId",), "ledger": ("reference", "sequence"), "state": ("id",)}
EXAMPLES = [80, pytest.param(part(500), marks=pytest.mark.proof)]
_numbers = itertools.count(1)


@define
class Both:
    """The tables and memory, asked the same questions. Each answers at the same instant, and each question takes a second."""

    client: Any
    tables: Tables
    now: datetime = START
    names: str = ""
    """What the names of users and jobs begin with."""
    asked: set[str] = field(factory=set)
    stores: tuple[DynamoStore, MemoryStore] = field(init=False)

    @stores.default
    def _stores(self) -> tuple[DynamoStore, MemoryStore]:
        clock = Clock(now=lambda: self.now)
        return DynamoStore(self.client, self.tables, clock), MemoryStore(clock)

    @property
    def memory(self) -> MemoryStore:
        """The store in memory."""
        return self.stores[1]

    def user(self, user: str, **columns: Any) -> Both:
        """Write a user's row as the application does."""
        row = {"userId": self.names + user, "plan": "pro", **columns}
        self.client.put_item(TableName=self.tables.credits, Item=encode_item(row))
        self.memory.credits[row["userId"]] = decode_item(encode_item(row))
        return self

    def job(self, job: str, **columns: Any) -> Both:
        """Write a job's row as the application does."""
        row = {"jobId": self.names + job, "status": "completed", **columns}
        item = {name: {"NULL": True} if value is None else encode_item({name: value})[name] for name, value in row.items()}
        self.client.put_item(TableName=self.tables.jobs, Item=item)
        self.memory.jobs[row["jobId"]] = decode_item(item)
        return self

    # --- questions ---

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.ask(name, *arguments)

    def ask(self, name: str, *arguments: Any) -> Any:
        """Ask both stores, and return the answer, which must be one."""
        self.now += timedelta(seconds=1)
        real, memory = (told(lambda store=store: getattr(store, name)(*arguments, self.deadline())) for store in self.stores)
        assert real == memory, name
        return memory

    def deadline(self) -> Any:
        """Return a deadline that nobody reaches."""
        return Clock().deadline(20)

    def post(self, entry: Entry, guard: Guard = Guard.NONE, mark: Mark | None = None) -> Any:
        """Post one."""
        return self.ask("post", entry, guard, mark)

    def post_all(self, *postings: Posting) -> Any:
        """Post many."""
        return self.ask("post_all", postings)

    def agree(self) -> None:
        """Hold all rows of all tables to what memory keeps."""
        assert self._stored(self.tables.credits, "userId") == self.memory.credits
        assert self._stored(self.tables.jobs, "jobId") == self.memory.jobs
        entries = {
            (row["reference"], row["sequence"]): row
            for reference in self.memory.kept
            for row in self.memory.stored_entries_of(reference, self.deadline())
        }
        assert self._stored(self.tables.ledger, "reference", "sequence") == entries

    def _stored(self, table: str, *key: str) -> dict[Any, Any]:
        pages = self.client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        rows = [decode_item(item) for page in pages for item in page["Items"]]
        return {row[key[0]] if len(key) == 1 else tuple(row[name] for name in key): row for row in rows}

    def agree_on(self, references: list[str], users: list[str], jobs: list[str]) -> None:
        """Hold these logs, balances and marks to what memory keeps."""
        for reference in references:
            self.ask("stored_entries_of", self.names + reference)
            self.ask("read", self.names + reference)
        for user in users:
            self.ask("balance", self.names + user)
        for job in jobs:
            key = encode_item({"jobId": self.names + job})
            item = self.client.get_item(TableName=self.tables.jobs, Key=key, ConsistentRead=True).get("Item")
            assert (decode_item(item) if item else None) == self.memory.jobs.get(self.names + job)


def told(ask: Callable[[], Any]) -> Any:
    """Return an answer so that it can be compared: a page or a stream as a list, an error by what callers do about it."""
    try:
        answer = ask()
        answer = list(answer) if isinstance(answer, Iterator) else answer
    except LedgerError as error:
        return type(error).__name__, getattr(error, "field", None), getattr(error, "is_of_an_item", False)
    return answer


def entry(job: str = "j-1", sequence: int = 1, amount: str | int = -2, *, user: str = "u-1", **more: Any) -> Entry:
    """Return an entry of a job."""
    return Entry(
        reference=f"job#{job}",
        job=job,
        sequence=sequence,
        user=user,
        type=EntryType.DEBIT,
        amount=Decimal(amount),
        occurred_at=START,
        rule="debit-rendered",
        policy="video@1",
        facts=FACTS,
        cost=Decimal(2),
        money=Money(),
        source=Source.EVENT,
        **more,
    )


def verdicts(receipts: list[Receipt]) -> list[str]:
    """Return what became of each posting."""
    return [receipt.verdict.value for receipt in receipts]


@pytest.fixture(scope="module")
def shared_tables(dynamodb: Any) -> Iterator[Tables]:
    """Return tables that all stories share: a story has a few rows, and making tables takes longer than emptying them."""
    tables = create_tables(dynamodb, tables_named(f"test-contract-{uuid.uuid4().hex[:12]}"))
    yield tables
    delete_tables(dynamodb, tables)


@pytest.fixture
def both(dynamodb: Any, shared_tables: Tables) -> Iterator[Both]:
    """Return empty tables and an empty memory."""
    yield Both(dynamodb, shared_tables)
    for table, key in KEYS.items():
        name = getattr(shared_tables, table)
        for item in dynamodb.scan(TableName=name, ConsistentRead=True)["Items"]:
            dynamodb.delete_item(TableName=name, Key={attribute: item[attribute] for attribute in key})


# --- one posting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "guard", "amount", "answer"),
    [
        ({"remaining": 10}, Guard.EXISTS, -2, Verdict.POSTED),
        ({"remaining": 10}, Guard.COVERED, -10, Verdict.POSTED),
        ({"remaining": Decimal("9.9999")}, Guard.COVERED, -10, Standing.NOT_COVERED),
        ({"remaining": 10}, Guard.NOT_COVERED, -10, Standing.ASSUMED_COVERED),
        ({"remaining": Decimal("9.9999")}, Guard.NOT_COVERED, -10, Verdict.POSTED),
        ({"remaining": 10}, Guard.MISSING, -2, Standing.ASSUMED_COVERED),
        ({"remaining": -3, "posted": -13}, Guard.EXISTS, 5, Verdict.POSTED),
        ({}, Guard.EXISTS, -2, Verdict.POSTED),
        ({}, Guard.COVERED, -2, Standing.NOT_COVERED),
        ({}, Guard.NOT_COVERED, -2, Verdict.POSTED),
        (None, Guard.EXISTS, -2, Standing.UNKNOWN_USER),
        (None, Guard.COVERED, -2, Standing.UNKNOWN_USER),
        (None, Guard.NOT_COVERED, -2, Standing.UNKNOWN_USER),
        (None, Guard.MISSING, -2, Verdict.POSTED),
        (None, Guard.NONE, 0, Verdict.POSTED),
        ({"remaining": "ten"}, Guard.EXISTS, -2, "remaining"),
        ({"remaining": "ten"}, Guard.COVERED, -2, "remaining"),
        ({"remaining": True}, Guard.NOT_COVERED, -2, "remaining"),
        ({"remaining": 10, "posted": ["x"]}, Guard.COVERED, -2, "posted"),
        ({"remaining": 10, "posted": "x"}, Guard.EXISTS, -2, "posted"),
        ({"remaining": "ten"}, Guard.MISSING, -2, "remaining"),
    ],
)
def test_a_guard_asks_the_users_row(
    both: Both, row: dict[str, Any] | None, guard: Guard, amount: int, answer: Verdict | Standing | str
) -> None:
    """Posted, or what the row teaches, or which attribute of it is wrong; then nothing moved."""
    if row is not None:
        both.user("u-1", **row)

    found = both.post(entry(amount=amount), guard)

    expected = {Verdict: ("verdict",), Standing: ("standing",)}.get(type(answer))
    assert answer == (getattr(found, expected[0]) if expected else found[1])
    both.agree()


def test_a_sequence_that_is_taken_tells_the_first_entry_to_its_own_user(both: Both) -> None:
    """Whatever else is wrong with the posting; a later entry, and another user's, tell nothing."""
    both.user("u-1", remaining=10).job("j-1")
    assert Verdict.POSTED is both.post(entry(), Guard.COVERED, Mark("completed", sequence=1)).verdict
    assert Verdict.POSTED is both.post(entry(sequence=2, amount=1), Guard.EXISTS).verdict

    taken = both.post(entry(amount=-99), Guard.COVERED, Mark("completed", sequence=9))
    assert (Verdict.SEQUENCE_TAKEN, 1, Decimal(-2)) == (taken.verdict, taken.log.sequence, taken.log.posted)
    assert (FACTS, "u-1", Decimal(2)) == (taken.log.facts, taken.log.user, taken.log.cost)
    assert [(Verdict.SEQUENCE_TAKEN, None)] * 2 == [
        ((receipt := both.post(other)).verdict, receipt.log) for other in (entry(user="u-2"), entry(sequence=2))
    ]
    assert Verdict.POSTED is both.post(entry(sequence=4, amount=0)).verdict, "a gap is free"
    assert Verdict.POSTED is both.post(entry(sequence=3, amount=0)).verdict
    assert (4, Decimal(-1)) == ((log := both.read("job#j-1")).sequence, log.posted)
    assert [1, 2, 3, 4] == [one.sequence for one in both.entries_of("job#j-1")]
    assert {"remaining": 9, "posted": -1, "userId": "u-1", "plan": "pro"} == both.balance("u-1")
    both.agree()


def test_a_correction_gives_a_log_to_its_user(both: Both) -> None:
    """The log is of its first entry's user, until a repair says otherwise."""
    both.post(entry(user="u-2"))
    both.post(entry(sequence=2))
    assert "u-2" == both.read("job#j-1").user
    both.post(evolve(entry(sequence=3), source=Source.REPAIR))
    assert "u-1" == both.read("job#j-1").user
    assert (0, None) == ((nothing := both.read("job#none")).sequence, nothing.user)
    both.agree()


def test_a_log_is_read_with_what_is_held_for_it_and_whose_it_is(both: Both) -> None:
    """A refused request comes first, and does not say whose it is. What a next entry holds follows from what is held."""
    both.user("u-1", remaining=10)
    refused = evolve(entry(amount=0, user="u-2", event_id="e-1"), type=EntryType.FLAG, facts=Facts(refused=("e-1",)))

    both.post(refused)
    assert (None, Decimal(0)) == ((log := both.read("job#j-1")).user, log.held)
    both.post(evolve(entry(sequence=2, held=Decimal(2)), type=EntryType.HOLD), Guard.COVERED)
    assert ("u-1", Decimal(2)) == ((log := both.read("job#j-1")).user, log.held)
    both.post(evolve(entry(sequence=3, amount=1, held=Decimal(-2)), type=EntryType.SETTLE), Guard.EXISTS)
    assert Decimal(0) == both.read("job#j-1").held
    assert {"remaining": 9, "posted": -1, "held": 0, "userId": "u-1", "plan": "pro"} == both.balance("u-1")
    both.agree()


OF_U1, LATEST = ("userId", "u-1"), RowTime("updatedAt", latest=START)
MARKS: list[tuple[dict[str, Any], Mark, bool]] = [
    ({}, Mark("completed", sequence=1), True),
    ({}, Mark("completed", settled=False, sequence=1), True),
    ({"reconciledSequence": 1, "reconciled": True, "reconciledStatus": "completed"}, Mark("completed", sequence=1), False),
    ({"reconciledSequence": 1, "reconciled": True, "reconciledStatus": "completed"}, Mark("failed", sequence=2), True),
    ({"reconciledSequence": 1, "reconciled": True, "reconciledStatus": "failed"},
     Mark("completed", sequence=1, read="completed"), True),
    ({"reconciledSequence": 1, "reconciled": True, "reconciledStatus": "completed"},
     Mark("completed", sequence=1, read="completed"), False),
    ({"reconciledSequence": 1, "status": "failed"}, Mark("completed", sequence=1, read="completed"), False),
    ({"reconciledSequence": 2}, Mark("completed", sequence=1, read="completed"), False),
    ({"reconciledSequence": 1, "reconciled": 1, "reconciledStatus": "completed"},
     Mark("completed", sequence=1, read="completed"), True),
    ({"reconciledSequence": "9"}, Mark("completed", sequence=1), True),
    ({"reconciledSequence": True}, Mark("completed", sequence=1), True),
    ({"reconciledSequence": Decimal("1.5")}, Mark("completed", sequence=1), False),
    ({"userId": "u-1"}, Mark("completed", sequence=1, user=OF_U1), True),
    ({"userId": "u-2"}, Mark("completed", sequence=1, user=OF_U1), False),
    ({"userId": None}, Mark("completed", sequence=1, user=OF_U1), False),
    ({"userId": 1}, Mark("completed", sequence=1, user=("userId", "1")), False),
    ({"updatedAt": "2026-01-05T12:00:00Z"}, Mark("completed", sequence=1, time=LATEST), True),
    ({"updatedAt": "2026-01-05T11:59:59.999Z"}, Mark("completed", sequence=1, time=LATEST), True),
    ({"updatedAt": "2026-01-05T12:00:00.000Z"}, Mark("completed", sequence=1, time=LATEST), False),
    ({"updatedAt": "2026-01-05T12:00:01Z"}, Mark("completed", sequence=1, time=LATEST), False),
    ({"updatedAt": 7}, Mark("completed", sequence=1, time=LATEST), True),
    ({"at": {"done": "2026-01-05T12:00:01Z"}}, Mark("completed", sequence=1, time=RowTime("at.done", latest=START)), False),
    ({"at": "2026"}, Mark("completed", sequence=1, time=RowTime("at.done", latest=START)), True),
    ({"updatedAt": "x"}, Mark("completed", sequence=1, time=RowTime("updatedAt", read="x")), True),
    ({"updatedAt": "y"}, Mark("completed", sequence=1, time=RowTime("updatedAt", read="x")), False),
    ({}, Mark("completed", sequence=1, time=RowTime("updatedAt", read="x")), False),
    ({"updatedAt": None}, Mark("completed", sequence=1, time=RowTime("updatedAt")), True),
    ({}, Mark("completed", sequence=1, time=RowTime("updatedAt")), True),
    ({"updatedAt": "x"}, Mark("completed", sequence=1, time=RowTime("updatedAt")), False),
]  # fmt: skip


@pytest.mark.parametrize(("row", "mark", "is_taken"), MARKS)
def test_a_row_takes_a_mark_alone_and_with_a_posting(both: Both, row: dict[str, Any], mark: Mark, is_taken: bool) -> None:  # noqa: FBT001
    """What does not take it is shown as it is, and the entry and the balance did not move."""
    both.user("u-1", remaining=10).job("j-1", **row).job("j-2", **row)

    assert is_taken is both.mark("j-1", mark)
    receipt = both.post(entry("j-2"), Guard.COVERED, mark)

    assert (Verdict.POSTED if is_taken else Verdict.ROW_LEARNED) is receipt.verdict
    assert None is receipt.row if is_taken else "j-2" == receipt.row["jobId"]
    both.agree()


def test_a_mark_makes_no_row(both: Both) -> None:
    """Neither alone nor with a posting; a posting that is no job's asks for none."""
    both.user("u-1", remaining=10)

    assert False is both.mark("j-1", Mark("completed", sequence=1))
    assert Verdict.NO_JOB_ROW is both.post(entry(), Guard.COVERED, Mark("completed", sequence=1)).verdict
    grant = evolve(entry(amount=5), job=None, reference="grant#p-1", type=EntryType.GRANT)
    assert Verdict.POSTED is both.post(grant, Guard.EXISTS, Mark("completed", sequence=1)).verdict
    both.agree()


@pytest.mark.parametrize("attributes", [None, frozenset({"seconds", "by"}), frozenset({"nothing"}), frozenset({"jobId"})])
@pytest.mark.parametrize("jobs", [["j-1"], ["j-2"], ["j-1", "j-2", "j-3", "j-1"], ["j-9"], ["j-8", "j-9"]])
def test_rows_of_jobs_are_told_as_events_would_tell_them(
    both: Both, jobs: list[str], attributes: frozenset[str] | None
) -> None:
    """A fraction is the decimal of its binary double; a job without a row is left out, a row without what is asked is not."""
    both.job("j-1", seconds=Decimal("8.3333333333333333333"), by={"plan": ["pro", None, True, 7]}, status=None)
    both.job("j-2", by="x").job("j-3", seconds=Decimal(10) ** 20)

    rows = both.job_rows(jobs, attributes)

    assert {job for job in jobs if job in {"j-1", "j-2", "j-3"}} == rows.keys()
    assert all(job == row["jobId"] for job, row in rows.items())
    if "seconds" in rows.get("j-1", {}):
        assert Decimal("8.333333333333334") == rows["j-1"]["seconds"]


# --- many postings ----------------------------------------------------------------------------------------------------


def test_postings_of_one_user_share_its_balance(both: Both) -> None:
    """Two debits of 6 are each covered by 10 and not together: both go on alone, and a neighbour is held up."""
    both.user("u-1", remaining=10).user("u-2", remaining=2)
    mine, other = [(entry(job, amount=-6), Guard.COVERED, None) for job in ("j-1", "j-2")], entry("j-3", user="u-2")

    assert ["alone", "alone", "held-up"] == verdicts(both.post_all(*mine, (other, Guard.COVERED, None)))
    both.agree()
    assert ["posted", "posted"] == verdicts(both.post_all(mine[0], (other, Guard.COVERED, None)))
    assert ["alone", "held-up"] == verdicts(both.post_all(mine[1], (entry("j-4", amount=0), Guard.NONE, None)))
    refund = (entry("j-5", amount=3), Guard.EXISTS, None)
    assert ["alone", "alone"] == verdicts(both.post_all((entry("j-6", amount=-5), Guard.COVERED, None), refund)), "4 are left"
    assert ["posted", "posted"] == verdicts(both.post_all((entry("j-6", amount=-4), Guard.COVERED, None), refund))
    both.agree()


def test_whose_fault_it_was_is_told_to_each(both: Both) -> None:
    """A taken sequence, a job without a row, a row that does not take the mark, an unknown user, and one that is fine."""
    both.user("u-1", remaining=10).job("j-3", reconciledSequence=5).job("j-5")
    both.post(entry(), Guard.COVERED)
    mark = Mark("completed", sequence=1)

    receipts = both.post_all(
        (entry(), Guard.COVERED, None),
        (entry("j-2"), Guard.COVERED, mark),
        (entry("j-3"), Guard.COVERED, mark),
        (entry("j-4", user="nobody"), Guard.EXISTS, None),
        (entry("j-5"), Guard.COVERED, mark),
    )

    assert ["sequence-taken", "no-job-row", "row-learned", "alone", "held-up"] == verdicts(receipts)
    assert (1, 5) == (receipts[0].log.sequence, receipts[2].row["reconciledSequence"])
    both.agree()


def test_a_transaction_holds_a_hundred_actions(both: Both) -> None:
    """Fifty-five postings with their marks are two: the second is posted although the first was refused."""
    both.user("u-1", remaining=1000)
    for number in range(55):
        both.job(f"j-{number}")
    both.post(entry("j-0", amount=0))
    mark = Mark("completed", sequence=1)
    postings = [(entry(f"j-{number}"), Guard.COVERED, mark) for number in range(55)]

    assert [49, 6] == [len(group) for group in both.memory.together(postings)]
    assert [["sequence-taken"], ["held-up"] * 48, ["posted"] * 6] == [
        (found := verdicts(both.post_all(*postings)))[:1], found[1:49], found[49:],
    ]  # fmt: skip
    both.agree()


# --- what is read -----------------------------------------------------------------------------------------------------


def anomalous(job: str, **more: Any) -> Entry:
    """Return an entry with all that an entry may have."""
    return entry(
        job,
        anomalies=(Anomaly("burst", "look", (("first", "job#j-0"), ("jobs", "3"))), Anomaly("bare")),
        samples=(Sample("charge.amount", "veo-3", Decimal("0.8")),),
        signs=(Sign("burst", "k"),),
        event_id="e-1",
        quantity=Decimal("8.50"),
        time_is_assumed=True,
        **more,
    )


def test_entries_come_back_as_they_were_posted(both: Both) -> None:
    """Whole, and as they are stored; by their reference, by their user, and those that a person has to look at."""
    resolved = evolve(entry("j-2", 2, 0), type=EntryType.FLAG, resolution=Resolution((1,), "fine"))
    for one in (anomalous("j-2"), entry("j-1"), resolved, entry("j-3", user="u-2")):
        both.post(one)

    assert [anomalous("j-2"), resolved] == both.entries_of("job#j-2")
    assert ["k"] == [row["signs"]["burst"] for row in both.stored_entries_of("job#j-2")[:1]]
    assert [1, 1, 2] == [row["sequence"] for row in both.entries_of_user("u-1")]
    assert [] == both.entries_of_user("nobody")
    for since, found in ((None, 2), (START + timedelta(seconds=2), 1), (START + timedelta(days=1), 0)):
        real, memory = (sorted(store.flagged(since, both.deadline()), key=str) for store in both.stores)
        assert (found, real) == (len(memory), memory)
    both.agree()


def test_what_many_entries_show_is_read_of_those_posted_since(both: Both) -> None:
    """Samples and signs; an entry that nothing counts by is left out, and a flag of a look back is seen."""
    flag = evolve(entry("j-2", 2, 0), type=EntryType.FLAG, rule="burst")
    for one in (anomalous("j-1"), entry("j-3"), anomalous("j-2"), flag):
        both.post(one)

    for second, seen, samples in ((0, 3, 2), (3.5, 1, 0)):
        since = START + timedelta(seconds=second)
        pages = [[one for page in store.recent(since, both.deadline()) for one in page] for store in both.stores]
        found = [list(store.samples(since, 100, both.deadline())) for store in both.stores]
        assert (seen, {*pages[0]}) == (len(pages[1]), {*pages[1]})
        assert (samples, found[0]) == (len(found[1]), found[1])
    assert 1 == len(list(both.memory.samples(START, 1, both.deadline())))
    assert "burst" == next(one for one in pages[1] or [flag.seen] if one.flagged).flagged


ROWS: list[dict[str, Any]] = [
    {}, {"status": "failed"}, {"status": "queued"}, {"status": "odd"}, {"status": ["x"]}, {"status": None}, {"status": 7},
    {"reconciled": True, "reconciledStatus": "completed"}, {"reconciled": True, "reconciledStatus": "failed"},
    {"reconciled": True}, {"reconciled": 1, "reconciledStatus": "completed"}, {"seconds": Decimal("8.3333333333333333333")},
    {"status": "queued", "reconciled": True, "reconciledStatus": "queued"}, {"more": {"a": [1, {"b": Decimal("0.1")}]}},
]  # fmt: skip


@pytest.mark.parametrize("attributes", [None, frozenset({"userId", "status", "seconds", "more"})])
@pytest.mark.parametrize("statuses", [None, frozenset({"completed", "failed"})])
def test_a_scan_finds_the_rows_that_are_due(
    both: Both, attributes: frozenset[str] | None, statuses: frozenset[str] | None
) -> None:
    """In whatever order: those not settled at their status; the ignored stay away, and what nobody mapped is counted."""
    for number, row in enumerate(ROWS):
        both.job(f"j-{number:02}", userId="u-1", **row)
    asked = ScanSlice(), Wanted(statuses, attributes, ("queued",)), both.deadline()

    real, memory = (store.due_jobs(*asked) for store in both.stores)

    assert {row["jobId"]: row for row in real.rows} == {row["jobId"]: row for row in memory.rows}
    assert len(real.rows) == len(memory.rows)
    assert (real.unmapped, None, real.rows_read) == (memory.unmapped, memory.next_after, memory.rows_read)
    assert {"j-07", "j-12"} == {job for job, row in both.memory.jobs.items() if is_settled(row)}


ATTEMPTS: list[dict[str, Any]] = [
    {"attempt": 1}, {"attempt": 1, "reconciledStatus": "completed#1"}, {"attempt": "1", "reconciledStatus": "completed#1"},
    {"attempt": 2, "reconciledStatus": "completed#1"},
    {"attempt": 1, "reconciledStatus": "completed", "reconciledSequence": 1}, {"reconciledStatus": "completed"},
    {"reconciledStatus": "completed#1"}, {"attempt": 1, "reconciled": 1, "reconciledStatus": "completed#1"},
    {"attempt": 1, "status": "queued", "reconciledStatus": "queued#1"}, {"attempt": 1, "status": "odd"},
    {"attempt": 1, "status": "odd", "reconciledStatus": "odd#1"},
    {"attempt": Decimal("1.5"), "reconciledStatus": "completed#1"},
]  # fmt: skip


def test_a_scan_finds_the_rows_that_have_gone_on_to_another_attempt(both: Both) -> None:
    """What a mark says of the attempt is compared with what the policy finds in the row, for which it is fetched."""
    policy = example(NUMBERED, ("catch_up:", "catch_up_ignore: [queued]\ncatch_up:"))
    for number, row in enumerate(ATTEMPTS):
        both.job(f"j-{number:02}", **{"userId": "u-1", "reconciled": True, **row})

    real, memory = (due_rows(policy, store, ScanSlice(), both.deadline()) for store in both.stores)

    assert {"j-00", "j-03", "j-04", "j-06", "j-07", "j-11"} == {row["jobId"] for row in real.rows}
    assert {row["jobId"]: row for row in real.rows} == {row["jobId"]: row for row in memory.rows}
    assert ({"odd": 1}, {"odd": 1}, 12) == (real.unmapped, memory.unmapped, memory.rows_read)


def test_slices_and_pages_together_see_every_row_once(both: Both) -> None:
    """However the table is divided."""
    for number in range(20):
        both.job(f"j-{number}")
    both.memory.page_rows = 3

    seen = []
    for segment in range(4):
        part: ScanSlice | None = ScanSlice(segment, 4)
        while part is not None:
            page = both.memory.due_jobs(part, ALL, both.deadline())
            seen += [row["jobId"] for row in page.rows]
            part = evolve(part, after=page.next_after) if page.next_after else None

    assert sorted(f"j-{number}" for number in range(20)) == sorted(seen)


def test_the_run_under_way_is_one(both: Both) -> None:
    """It counts down, may be given back to, and ends where another begins."""
    assert "LedgerRefused" == both.run_left("r-1")[0]
    both.begin_run("r-1", 10)
    assert (7, 7) == (both.take_from_run("r-1", 3), both.run_left("r-1"))
    both.give_back_to_run("r-1", 2)
    assert -1 == both.take_from_run("r-1", 10)
    both.begin_run("r-2", 5)
    both.give_back_to_run("r-1", 2)
    assert ["LedgerRefused", "LedgerRefused"] == [both.take_from_run("r-1", 1)[0], both.run_left("r-1")[0]]
    assert 5 == both.run_left("r-2")


def test_a_day_has_one_first_asker_and_baselines_are_kept_by_their_policy(both: Both) -> None:
    """A day before one that was asked for is no first one."""
    asked = ["2026-01-05", "2026-01-05", "2026-01-06", "2026-01-04"]
    assert [True, False, True, False] == [both.is_first_of_the_day(day) for day in asked]
    baselines = Baselines({"charge.amount": {"veo-3": Baseline(Decimal("0.8"), Decimal("0.1"), 30, Decimal(1))}}, START)
    assert Baselines() == both.load_baselines("video")
    both.store_baselines("video", baselines)
    assert (baselines, Baselines()) == (both.load_baselines("video"), both.load_baselines("audio"))


def test_what_is_handed_out_is_a_copy(both: Both) -> None:
    """Whoever changes an answer changes nothing that is kept."""
    both.user("u-1", remaining=10, tags=["a"]).job("j-1", reconciledSequence=9, tags=["a"])

    both.memory.balance("u-1", both.deadline())["tags"].append("b")  # type: ignore[index]
    row = both.memory.post(entry(), Guard.NONE, Mark("completed", sequence=1), both.deadline()).row
    row["tags"].append("b")  # type: ignore[index]
    both.memory.due_jobs(ScanSlice(), ALL, both.deadline()).rows[0]["tags"].append("b")

    both.agree()


# --- any sequence of postings -----------------------------------------------------------------------------------------

USERS, JOBS = ["u-0", "u-1", "u-2"], ["j-0", "j-1", "j-2"]
BALANCES = st.sampled_from([None, {}, {"remaining": 0}, {"remaining": 3}, {"remaining": 3, "posted": -2}, {"remaining": "x"}])
TIMES = st.sampled_from([None, LATEST, RowTime("updatedAt"), RowTime("updatedAt", read="2026-01-05T12:00:00Z")])
SAID = st.sampled_from([
    {}, {"updatedAt": "2026-01-05T12:00:00Z"}, {"updatedAt": "2026-01-05T13:00:00Z", "userId": "u-1"}, {"status": "failed"},
    {"reconciledSequence": 1}, {"reconciled": True, "reconciledStatus": "completed", "reconciledSequence": 2}, None,
])  # fmt: skip
MARK = st.none() | st.builds(
    Mark,
    st.sampled_from(["completed", "failed"]),
    settled=st.booleans(),
    sequence=st.integers(1, 3),
    read=st.sampled_from([None, "completed", "failed"]),
    user=st.sampled_from([None, OF_U1]),
    time=TIMES,
)
ENTRY = st.builds(entry, st.sampled_from(JOBS), st.integers(1, 3), st.integers(-4, 3), user=st.sampled_from(USERS))
BATCH = st.tuples(ENTRY, st.sampled_from(sorted(BATCHED_GUARDS)), MARK)
STEP = st.one_of(
    st.tuples(st.just("post"), ENTRY, st.sampled_from(list(Guard)), MARK),
    st.tuples(st.just("post_all"), st.lists(BATCH, min_size=2, max_size=3, unique_by=lambda posting: posting[0].job)),
    st.tuples(st.just("mark"), st.sampled_from(JOBS), MARK.filter(bool)),
)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_sequence_of_postings_ends_alike(dynamodb: Any, tables: Tables, examples: int) -> None:
    """Several users, jobs, guards, marks and sequences, in any order: each answer is one, and so is what is left."""

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.tuples(BALANCES, BALANCES, BALANCES), st.tuples(SAID, SAID, SAID), st.lists(STEP, min_size=1, max_size=8))
    def ends_alike(balances: Any, rows: Any, steps: list[Any]) -> None:
        both = Both(dynamodb, tables, names=f"{next(_numbers)}/")
        for user, balance in zip(USERS, balances, strict=True):
            both.user(user, **balance) if balance is not None else None
        for job, row in zip(JOBS, rows, strict=True):
            both.job(job, **row) if row is not None else None
        for name, *arguments in steps:
            both.ask(name, *(_renamed(argument, both.names) for argument in arguments))
        both.agree_on([f"job#{job}" for job in JOBS], USERS, JOBS)

    ends_alike()


def _renamed(value: Any, names: str) -> Any:
    """Return an argument of a question in the names of one example."""
    if isinstance(value, Entry):
        return evolve(value, reference=names + value.reference, job=names + (value.job or ""), user=names + value.user)
    if isinstance(value, list | tuple):
        return [_renamed(one, names) for one in value]
    return names + value if isinstance(value, str) and value in JOBS else value
