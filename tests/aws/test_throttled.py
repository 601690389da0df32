"""A throttled table on the deployed stack: what makes no sense is given up meanwhile, and no good event is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.failing_runs import new
from tests.support.refusing_database import THROTTLED, RefusingDatabase, refusing_database
from tests.support.stack import entries, rendered, served_with
from tools.deployment import VISIBILITY_SECONDS, Deployment, wait_until

TIMES = 20
"""More often than half an hour of throttling at the template's visibility timeout."""

FOR_EVER = 1_000_000

TIMEOUT_SECONDS = 7
"""Of the function, so that it does not try each event for fifteen seconds; enough for a letter (``SEND_SECONDS_MAX``)."""


@contextmanager
def throttled_ledger(stack: Deployment) -> Iterator[RefusingDatabase]:
    """Let the ledger take no transaction."""
    with refusing_database(stack.aws.endpoint, "TransactWriteItems", stack.tables.ledger, THROTTLED) as database:
        database.refusals = FOR_EVER
        with served_with(stack, TIMEOUT_SECONDS, AWS_ENDPOINT_URL_DYNAMODB=database.url):
            yield database


@contextmanager
def seen_again_every_second(stack: Deployment) -> Iterator[None]:
    """Let the queue hand an event over once a second, also to several invocations at once: twenty times come sooner."""
    sqs = stack.aws.client("sqs")
    sqs.set_queue_attributes(QueueUrl=stack.events_queue, Attributes={"VisibilityTimeout": "1"})
    yield
    sqs.set_queue_attributes(QueueUrl=stack.events_queue, Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)})
    sqs.close()


def refusals_of(stack: Deployment, job: str) -> int:
    """Return how often an event of the queue came back since the database did not take it, by the function's log."""
    lines = [json.loads(line) for line in stack.log_lines() if f'"{job}"' in line and line.startswith("{")]
    return len([line for line in lines if line.get("error") == "LedgerUnavailable" and line["source"] == "queue"])


def letters_of(stack: Deployment, job: str) -> list[str]:
    """Return the reasons of a job's letters in the queue of failed events."""
    letters = [letter for letter in stack.failed_events() if job == json.loads(letter["Body"])["detail"].get("jobId")]
    return [letter["MessageAttributes"]["ErrorMessage"]["StringValue"] for letter in letters]


def test_a_good_event_outlives_throttling_that_a_senseless_one_does_not(deployed: Deployment) -> None:
    """The senseless one is a letter with its reason after three receives; the good one is posted after more than twenty."""
    (good_user, good), (bad_user, bad) = new(deployed), new(deployed)
    with throttled_ledger(deployed) as ledger:
        deployed.send(rendered(bad_user, bad, seconds="eight"))
        wait_until(lambda: bool(letters_of(deployed, bad)), "the senseless event is a letter")
        with seen_again_every_second(deployed):
            deployed.send(rendered(good_user, good))
            wait_until(lambda: refusals_of(deployed, good) >= TIMES, f"the good event is refused {TIMES} times")
            assert [] == entries(deployed, good)

            ledger.refusals = 0
            wait_until(lambda: bool(entries(deployed, good)), "the good event is posted")

    assert ["-0.8"] == [entry["amount"]["N"] for entry in entries(deployed, good)]
    assert [] == letters_of(deployed, good)
    (reason,) = letters_of(deployed, bad)
    expected = f"event .+, job '{bad}', user '{bad_user}', rule debit-rendered, field detail.seconds: is 'eight'; .+"
    assert re.fullmatch(expected, reason)
