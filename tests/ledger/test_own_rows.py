"""The rows of jobs that events ask for, on real tables: what is requested, what it costs, and what happens when it fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from engine.domain.envelope import Source
from engine.domain.errors import EventError, LedgerRefused, LedgerUnavailable
from engine.ledger.dynamodb.calls import items_at
from engine.ledger.dynamodb.own_rows import read_rows
from engine.ledger.dynamodb.wire import ServiceError
from engine.ledger.store import Tables
from engine.policy import Policy
from tests.support.clock import ManualClock
from tests.support.events import event, failed, rendered
from tests.support.policies import example
from tests.support.world import DisturbedClient, World

pytestmark = pytest.mark.local_aws

USER = ("user: detail.userId", 'user: "detail.userId || row.userId"')
SECONDS = ("quantity: detail.seconds", "quantity: row.seconds")
BY_ROWS = example(USER, SECONDS)


def done(job: str = "j-1", **detail: Any) -> dict[str, Any]:
    """Return an event that says which job is done, and little else."""
    return event("video.rendered", {"jobId": job, "model": "veo-3", "result_url": "s3://r", **detail}, id=f"e-{job}")


def messages(*documents: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the records of a batch of the queue."""
    return [{"messageId": document["id"], "eventSource": "aws:sqs", "body": json.dumps(document)} for document in documents]


@pytest.fixture
def world(dynamodb: Any, tables: Tables) -> World:
    """Return tables with a policy that reads rows at work on them."""
    return World(dynamodb, tables, BY_ROWS).user("u-1", "1000")


class Watched:
    """A client that keeps what is asked of Jobs by key, and hands everything on."""

    def __init__(self, client: Any) -> None:
        self.reads: list[tuple[str, dict[str, Any]]] = []
        self.client = DisturbedClient(client, self.see)

    def see(self, operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        """Note a request."""
        if operation in {"get_item", "batch_get_item"}:
            self.reads.append((operation, request))
        return send(**request)


# --- what is asked ----------------------------------------------------------------------------------------------------


def test_one_event_reads_one_row_consistently_and_no_more_of_it_than_the_policy_asks_for(world: World) -> None:
    """Half a read unit would be a stale row; the attributes that nobody asks for stay in the table."""
    world.job("j-1", seconds=8)
    watched = Watched(world.client)

    world.deliver(done(), client=watched.client)

    assert [
        (
            "get_item",
            {
                "TableName": world.tables.jobs,
                "Key": {"jobId": {"S": "j-1"}},
                "ConsistentRead": True,
                "ProjectionExpression": "#a0, #a1, #a2",
                "ExpressionAttributeNames": {"#a0": "jobId", "#a1": "seconds", "#a2": "userId"},
            },
        )
    ] == watched.reads
    assert [("debit", Decimal("-0.8"))] == world.amounts()


@pytest.mark.parametrize(
    ("policy", "documents", "reads"),
    [
        (example(), [rendered(), failed(), rendered()], []),
        (example(USER), [rendered(), failed()], []),
        (BY_ROWS, [done(), failed()], ["get_item"]),
        (BY_ROWS, [done(), done()], ["get_item", "get_item"]),
        (BY_ROWS, [event("video.queued", {"jobId": "j-1"})], []),
    ],
    ids=["a policy without rows", "the event says it", "the charge asks", "each telling asks once", "no rule matches"],
)
def test_only_what_needs_a_row_reads_one(
    world: World, policy: Policy, documents: list[dict[str, Any]], reads: list[str]
) -> None:
    """A policy that does not use `row` asks the tables nothing more than ever."""
    world.policy = policy
    world.job("j-1", seconds=8)
    watched = Watched(world.client)

    world.deliver(*documents, client=watched.client)

    assert reads == [operation for operation, _ in watched.reads]


def test_a_batch_reads_its_rows_in_one_request_and_only_events_without_a_row_come_back(world: World) -> None:
    """Forty events, three of them without a row."""
    jobs = [f"j-{number}" for number in range(1, 41)]
    for job in jobs:
        if job not in {"j-7", "j-8", "j-40"}:
            world.job(job, seconds=8)
    watched = Watched(world.client)

    back = world.reconciler(watched.client).batch(messages(*map(done, jobs)), world.deadline())

    assert ["e-j-7", "e-j-8", "e-j-40"] == back
    assert ["batch_get_item"] == [operation for operation, _ in watched.reads]
    (keys,) = watched.reads[0][1]["RequestItems"].values()
    assert (40, True) == (len(keys["Keys"]), keys["ConsistentRead"])
    assert {"userId": "u-1", "plan": "pro", "remaining": Decimal("970.4"), "posted": Decimal("-29.6")} == world.user_row()
    wrong = [line for line in world.lines if line["outcome"] == "error"]
    assert ["e-j-7", "e-j-8", "e-j-40"] == [line["event"] for line in wrong]
    assert {"detail.userId || row.userId"} == {line["field"] for line in wrong}


def test_a_replay_of_very_many_events_asks_for_a_hundred_rows_at_a_time(world: World) -> None:
    """That is what a request holds; a job that several events name is asked for once."""
    for number in range(1, 121):
        world.job(f"j-{number}", seconds=1)
    asked = [f"j-{number}" for number in [*range(1, 121), *range(1, 11)]]
    watched = Watched(world.client)

    found = read_rows(watched.client, world.tables.jobs, asked, frozenset({"seconds"}), world.deadline())

    assert {f"j-{number}": {"jobId": f"j-{number}", "seconds": 1} for number in range(1, 121)} == found
    assert [100, 20] == [len(request["RequestItems"][world.tables.jobs]["Keys"]) for _, request in watched.reads]


@pytest.mark.parametrize("jobs", [["j-1"], ["j-1", "j-2"]])
def test_a_row_without_what_is_asked_for_is_a_row(world: World, jobs: list[str]) -> None:
    """It is told from no row at all, by one request as by the other."""
    world.job("j-1")

    assert {"j-1": {"jobId": "j-1"}} == read_rows(
        world.client, world.tables.jobs, jobs, frozenset({"nothing"}), world.deadline()
    )


def test_the_whole_row_is_read_where_an_expression_asks_for_it(world: World) -> None:
    """What it looks at cannot be told beforehand."""
    world.policy = example(("quantity: detail.seconds", "quantity: length(row.*)"))
    world.job("j-1")
    watched = Watched(world.client)

    world.deliver(rendered(), client=watched.client)

    assert "ProjectionExpression" not in watched.reads[0][1]
    assert 8 == world.entries()[0]["quantity"]


# --- what a row says --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["8.3333333333333333333", "0.1", "1e-7", "12345678901234567890"])
def test_a_number_of_a_row_is_the_number_that_an_event_tells(world: World, number: str) -> None:
    """Told by the row, and by an event with the same digits from the queue: one charge."""
    world.job("j-1", seconds=Decimal(number))
    world.deliver(done())
    kept = world.entries()

    world.policy = example()
    body = json.dumps(done(userId="u-1", seconds="<>")).replace('"<>"', number)
    world.reconciler().batch([{"messageId": "m", "eventSource": "aws:sqs", "body": body}], world.deadline())

    assert kept == world.entries()


def test_a_row_that_was_written_after_its_event_is_charged_at_the_next_try(world: World) -> None:
    """Events overtake rows: nothing is posted until the row is there."""
    with pytest.raises(EventError, match="there is no row of job 'j-1' in Jobs"):
        world.deliver(done())
    assert [] == world.entries()

    world.job("j-1", seconds=8)

    assert ["debited"] == [report.outcome for report in world.deliver(done())]


def test_an_event_told_again_after_its_row_has_changed_moves_nothing(world: World) -> None:
    """By every door."""
    world.job("j-1", seconds=8)
    world.deliver(done())
    known = world.everything()["ledger"], world.user_row()

    world.job("j-1", seconds=80)
    outcomes = [world.deliver(done(), source=source)[0].outcome for source in (Source.EVENT, Source.REPLAY)]
    back = world.reconciler().batch(messages(done()), world.deadline())

    assert (["duplicate", "duplicate"], []) == (outcomes, back)
    assert known == (world.everything()["ledger"], world.user_row())


def test_the_mark_asks_the_attribute_that_the_user_was_read_from(world: World) -> None:
    """The row names another owner than the event's user: the posting is refused, whoever names the user first."""
    world.policy = example(("user: detail.userId", 'user: "detail.userId || row.owner"'))
    world.job("j-1", owner="u-2", userId="u-1")

    with pytest.raises(EventError, match="the row of job 'j-1' in Jobs names 'u-2'"):
        world.deliver(rendered())

    assert [] == world.entries()


def test_a_scan_reads_what_expressions_ask_of_the_row_and_no_row_by_itself(world: World) -> None:
    """The page has it already."""
    world.job("j-1", seconds=8, updatedAt="2026-01-05T10:00:00Z")
    watched = Watched(world.client)

    world.scan(watched.client)

    assert [("debit", Decimal("-0.8"))] == world.amounts()
    assert [] == [request for _, request in watched.reads if request.get("TableName") == world.tables.jobs]
    assert ["duplicate"] == [report.outcome for report in world.deliver(done())]


# --- when reading fails -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("together", [False, True])
def test_a_process_that_dies_at_any_call_leaves_what_the_next_one_finishes(
    dynamodb: Any,
    new_tables: Callable[[], Tables],
    after: bool,  # noqa: FBT001
    together: bool,  # noqa: FBT001
) -> None:
    """Killed before or after each call in turn; the same event again then ends as if nothing had happened."""

    class CrashError(BaseException):
        """The process is gone."""

    for at in range(10):
        world = World(dynamodb, new_tables(), BY_ROWS).user("u-1", "1000").job("j-1", seconds=8).job("j-2", seconds=1)
        calls = iter(range(99))

        def die(_operation: str, request: dict[str, Any], send: Callable[..., Any], at: int = at, calls: Any = calls) -> Any:
            is_last = next(calls) == at
            if is_last and not after:
                raise CrashError
            answer = send(**request)
            if is_last:
                raise CrashError
            return answer

        def deliver(client: Any, world: World = world) -> None:
            if together:
                world.reconciler(client).batch(messages(done("j-1"), done("j-2")), world.deadline())
            else:
                world.deliver(done("j-1"), done("j-2"), client=client)

        try:
            deliver(DisturbedClient(world.client, die))
        except CrashError:
            deliver(world.client)
        else:
            assert at >= 2
            break
        assert [("debit", Decimal("-0.8"))] == world.amounts("j-1")
        assert [("debit", Decimal("-0.1"))] == world.amounts("j-2")
    else:
        pytest.fail("it never came to its end")


def test_a_lost_answer_is_asked_for_again(world: World) -> None:
    """Reading twice is reading once."""
    world.job("j-1", seconds=8)
    lost = [True]

    def lose(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        if operation == "get_item" and lost:
            lost.pop()
            raise ReadTimeoutError(endpoint_url="x")
        return send(**request)

    assert ["debited"] == [report.outcome for report in world.deliver(done(), client=DisturbedClient(world.client, lose))]


def refusing(code: str) -> Callable[..., Any]:
    """Return what answers each read of rows by an error."""

    def refuse(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        if operation in {"get_item", "batch_get_item"}:
            raise ClientError({"Error": {"Code": code, "Message": "by a test"}}, operation)  # type: ignore[arg-type]
        return send(**request)

    return refuse


def test_without_the_permission_the_event_waits_until_it_is_there(world: World) -> None:
    """Whatever needs no row is posted meanwhile."""
    world.policy = example(USER)
    client = DisturbedClient(world.client, refusing("AccessDeniedException"))

    back = world.reconciler(client).batch(
        messages(done("j-1", seconds=1), done("j-2", seconds=1, userId="u-1")), world.deadline()
    )

    assert ["e-j-1"] == back
    assert ([], [("debit", Decimal("-0.1"))]) == (world.amounts("j-1"), world.amounts("j-2"))
    with pytest.raises(LedgerRefused, match=r"event e-j-1, rule debit-rendered, job j-1: .*AccessDenied") as raised:
        world.deliver(done(seconds=1), client=client)
    assert raised.value.is_of_an_item is False, "no retry and no letter helps: it waits"


def left_over(*counts: int) -> Any:
    """Return a client that leaves so many of the keys over, request by request."""

    class Leaving:
        asked: list[int] = []  # noqa: RUF012

        def batch_get_item(self, **request: Any) -> Any:
            """Answer some keys."""
            wanted = request["RequestItems"]["Jobs"]
            self.asked.append(len(wanted["Keys"]))
            left = counts[len(self.asked) - 1] if len(self.asked) <= len(counts) else 0
            given, keys = wanted["Keys"][left:], wanted["Keys"][:left]
            answer = {"Responses": {"Jobs": given}}
            return {**answer, "UnprocessedKeys": {"Jobs": {**wanted, "Keys": keys}} if keys else {}}

    return Leaving()


def test_keys_that_are_left_over_are_asked_for_again_after_a_wait() -> None:
    """As DynamoDB's documentation asks for it."""
    clock, client = ManualClock(), left_over(3, 3, 1)
    jobs = [f"j-{number}" for number in range(1, 6)]

    found = read_rows(client, "Jobs", jobs, None, clock.clock().deadline(10))

    assert (set(jobs), [5, 3, 3, 1]) == (set(found), client.asked)
    assert 3 == len(clock.waits)


def test_keys_that_stay_unread_end_at_the_deadline() -> None:
    """A table that is throttled for good keeps nobody for ever."""
    clock = ManualClock()

    with pytest.raises(LedgerUnavailable, match="DynamoDB left keys of Jobs unread until the time was used up"):
        list(items_at(left_over(*[1] * 10_000), "Jobs", {"Keys": [{"jobId": {"S": "j-1"}}]}, clock.clock().deadline(3)))


def test_a_table_of_jobs_that_is_throttled_keeps_the_other_events_of_a_batch_for_some_seconds_at_most(world: World) -> None:
    """Five of them, by a clock that a test moves."""
    clock = ManualClock()
    world.clock = clock.clock()
    world.policy = example(USER)
    started = clock.clock().steady()

    def throttled(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        if operation == "get_item":
            raise ServiceError("ProvisionedThroughputExceededException", "slow down", 400, [])
        return send(**request)

    told = done("j-2", seconds=1, userId="u-1")
    back = world.reconciler(DisturbedClient(world.client, throttled)).batch(
        messages(done("j-1", seconds=1), told), clock.clock().deadline(60)
    )

    assert (["e-j-1"], [("debit", Decimal("-0.1"))]) == (back, world.amounts("j-2"))
    assert clock.clock().steady() - started <= 5


def test_a_row_that_stays_unread_costs_its_own_event_alone(world: World) -> None:
    """DynamoDB leaves one key of ten over, for as long as it is asked: nine are charged, and the tenth comes back."""
    clock = ManualClock()
    world.clock = clock.clock()
    for number in range(1, 11):
        world.job(f"j-{number}", seconds=8)

    def busy(operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        if operation != "batch_get_item":
            return send(**request)
        (wanted,) = request["RequestItems"].values()
        keys = [key for key in wanted["Keys"] if key["jobId"] != {"S": "j-3"}]
        left = {world.tables.jobs: {**wanted, "Keys": [{"jobId": {"S": "j-3"}}]}}
        read = send(RequestItems={world.tables.jobs: {**wanted, "Keys": keys}}) if keys else {"Responses": {}}
        return {**read, "UnprocessedKeys": left}

    told = messages(*(done(f"j-{number}") for number in range(1, 11)))
    back = world.reconciler(DisturbedClient(world.client, busy)).batch(told, clock.clock().deadline(60))

    assert (["e-j-3"], Decimal("992.8")) == (back, world.user_row()["remaining"])
    (wrong,) = [line for line in world.lines if line["outcome"] == "error"]
    assert ("e-j-3", "j-3") == (wrong["event"], wrong["job"])
