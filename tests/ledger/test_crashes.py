"""A process that dies before or after any single call to AWS, and the event again: always the right balance, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from engine.domain.envelope import Source
from engine.ledger.store import Tables
from engine.policy import Policy
from tests.support.events import event, failed, rendered
from tests.support.policies import example
from tests.support.world import DisturbedClient, World

pytestmark = pytest.mark.local_aws

CALLS_MAX = 20
"""More than any course of events here makes."""


class CrashError(BaseException):
    """The process is gone: nothing in it can catch this."""


REFUSE = ("overdraft: flag", "overdraft: refuse")
CREATE = ("unknown_user: refuse", "unknown_user: flag")

Step = Callable[[World, Any], Any]


def deliver(*documents: dict[str, Any], source: Source = Source.EVENT) -> Step:
    """Return the step that delivers events through a client."""
    return lambda world, client: world.deliver(*documents, client=client, source=source)


def scan(world: World, client: Any) -> Any:
    """Scan the table of jobs through a client."""
    return world.scan(client, segments=1)


def batch(*documents: dict[str, Any]) -> Step:
    """Return the step that hands over a batch of a queue."""
    import json  # noqa: PLC0415  only here

    records = [
        {"messageId": f"m-{index}", "eventSource": "aws:sqs", "body": json.dumps(document)}
        for index, document in enumerate(documents)
    ]
    return lambda world, client: world.reconciler(client).batch(records, world.deadline())


def nothing(world: World) -> None:
    """Prepare no more than the user."""


def with_row(world: World) -> None:
    """Prepare the job's row."""
    world.job("j-1")


def with_charge(world: World) -> None:
    """Prepare a job that is charged."""
    with_row(world)
    world.deliver(rendered())


def with_lost_failure(world: World) -> None:
    """Prepare a job that is charged, and then failed without an event."""
    with_charge(world)
    world.job("j-1", status="failed", updatedAt="2026-01-05T11:00:00Z", reconciled=True, reconciledStatus="completed")


def with_unmarked_charge(world: World) -> None:
    """Prepare a job whose row was written after its event."""
    world.deliver(rendered())
    world.job("j-1")


def poor(world: World) -> None:
    """Prepare a user whose balance does not cover the debit."""
    world.job("j-1").user("u-1", "0.5")


SEVERAL = [rendered(f"j-{number}", user=f"u-{number % 3}", seconds=9) for number in range(6)]


def several_users(world: World) -> None:
    """Prepare three users, one of whom has next to nothing, and rows of some jobs."""
    world.user("u-0").user("u-1").user("u-2", "1")
    for number in range(0, 6, 2):
        world.job(f"j-{number}", userId=f"u-{number % 3}")


def stranger(world: World) -> None:
    """Prepare a job of a user who has no row."""
    world.job("j-1", userId="u-9")


ACTIONS: dict[str, tuple[tuple[tuple[str, str], ...], Callable[[World], None], Step]] = {
    "debit": ((), with_row, deliver(rendered())),
    "debit without a job's row": ((), nothing, deliver(rendered())),
    "debit of a premium test render": ((), with_row, deliver(rendered("test-1", seconds=900, model="premium"))),
    "refund": ((), with_charge, deliver(failed())),
    "refund of half": ((("percent: 100", "percent: 50"),), with_charge, deliver(failed())),
    "void of a failure": ((), with_row, deliver(failed())),
    "void of a late render": ((), with_row, deliver(failed(), rendered())),
    "render, failure, render again": ((), with_row, deliver(rendered(), failed(), rendered(at="12:00", seconds=9))),
    "conflicting charge": ((), with_charge, deliver(rendered(seconds=7))),
    "flag": ((), nothing, deliver(event("video.queued", {"jobId": "test-1", "userId": "u-1"}))),
    "overdraft, flagged": ((), poor, deliver(rendered())),
    "overdraft, allowed": ((("overdraft: flag", "overdraft: allow"),), poor, deliver(rendered())),
    "overdraft, refused": ((REFUSE,), poor, deliver(rendered())),
    "unknown user, created": ((CREATE,), stranger, deliver(rendered(user="u-9"))),
    "duplicate": ((), with_charge, deliver(rendered())),
    "batch": ((), with_row, batch(rendered("j-1"), rendered("j-2"), failed("j-2"))),
    "batch of several users, one of them poor": ((), several_users, batch(*SEVERAL, failed("j-1", user="u-1"), SEVERAL[0])),
    "batch, refused": ((REFUSE,), several_users, batch(*SEVERAL)),
    "replay": ((), with_row, deliver(rendered(), failed(), source=Source.REPLAY)),
    "scan of a lost render": ((), with_row, scan),
    "scan of a lost failure": ((), with_lost_failure, scan),
    "scan of a row that came late": ((), with_unmarked_charge, scan),
    "scan of a refused charge": ((REFUSE,), poor, scan),
}


def run(client: Any, tables: Tables, name: str, disturb: Any = None, *, again: bool = False) -> tuple[World, list[str]]:
    """Prepare the world of an action and take its step, through a disturbed client if one is wanted; then ``again``."""
    changes, prepare, step = ACTIONS[name]
    policy: Policy = example(*changes)
    world = World(client, tables, policy).user()
    prepare(world)
    disturbed = DisturbedClient(client, disturb or (lambda _operation, request, send: send(**request)))
    try:
        step(world, disturbed)
    except CrashError:
        assert again
    if again:
        step(world, client)
    return world, disturbed.calls


def crash_at(number: int, *, after: bool) -> Any:
    """Return a disturbance that ends the process before or after its ``number``-th call."""
    seen = 0

    def disturb(_operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        nonlocal seen
        seen += 1
        if seen == number and not after:
            raise CrashError
        answer = send(**request)
        if seen == number:
            raise CrashError
        return answer

    return disturb


def lose_answer_of(number: int) -> Any:
    """Return a disturbance in which the ``number``-th call is carried out, but its answer never arrives."""
    seen = 0

    def disturb(_operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        nonlocal seen
        seen += 1
        answer = send(**request)
        if seen == number:
            raise ReadTimeoutError(endpoint_url="http://dynamodb")
        return answer

    return disturb


@pytest.mark.parametrize("name", ACTIONS)
def test_a_crash_at_any_call_is_mended_by_sending_the_event_again(name: str, dynamodb: Any, new_tables: Any) -> None:
    """Before and after each call in turn; the tables end as if nothing had happened."""
    undisturbed, calls = run(dynamodb, new_tables(), name)
    expected = undisturbed.everything()
    assert 1 <= len(calls) <= CALLS_MAX

    for number in range(1, len(calls) + 1):
        for after in (False, True):
            world, _ = run(dynamodb, new_tables(), name, crash_at(number, after=after), again=True)
            assert expected == world.everything(), f"call {number} ({calls[number - 1]}), {after=}"


@pytest.mark.parametrize("name", ACTIONS)
def test_an_answer_that_is_lost_at_any_call_changes_nothing(name: str, dynamodb: Any, new_tables: Any) -> None:
    """The request is sent again within the same invocation, which ends well and posts once."""
    undisturbed, calls = run(dynamodb, new_tables(), name)
    expected = undisturbed.everything()

    for number in range(1, len(calls) + 1):
        world, _ = run(dynamodb, new_tables(), name, lose_answer_of(number))
        assert expected == world.everything(), f"call {number} ({calls[number - 1]})"
