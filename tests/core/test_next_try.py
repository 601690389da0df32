"""Whether the next try of a dead letter would post: asked of policy and ledger, without writing anything."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import pytest

from engine.domain.envelope import Source
from engine.ledger.memory import MemoryStore
from engine.policy import Policy
from engine.preview.dry_run import Silence
from engine.preview.next_try import next_try
from engine.reconcile.dead_letters import Letter, jobs_and_users, read_letter
from engine.reconcile.reconciler import Reconciler
from tests.planning.test_holds_planned import NOW as HOLDING
from tests.planning.test_holds_planned import told
from tests.support.clock import ManualClock
from tests.support.events import event, failed, rendered
from tests.support.policies import example

Document = dict[str, Any]

SCHEDULED = '{"source": "aws.events", "detail-type": "Scheduled Event"}'

REFUSING = example(("overdraft: flag", "overdraft: refuse"))


def letter_of(*documents: Document | str) -> Letter:
    """Return the letter of a batch of these events that died; of one, the event itself as a queue redrives it."""
    bodies = [document if isinstance(document, str) else json.dumps(document) for document in documents]
    records = [{"eventSource": "aws:sqs", "body": body} for body in bodies]
    batch = json.dumps({"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": {"Records": records}})
    return read_letter({"MessageId": "m-1", "Body": bodies[0] if len(bodies) == 1 else batch, "ReceiptHandle": ""}, "failed")


def ledger_with(*documents: Document, policy: Policy | None = None, balance: str = "10", **rows: Document) -> MemoryStore:
    """Return a ledger of a user with a balance, that these events were posted to; ``rows`` are of Jobs."""
    clock = ManualClock().clock()
    ledger = MemoryStore(clock, {"u-1": {"userId": "u-1", "remaining": Decimal(balance)}}, jobs=rows)
    reconciler = Reconciler(policy or example(), ledger, Silence(print, clock), clock)  # type: ignore[arg-type]
    for document in documents:
        reconciler.event(document, Source.EVENT, clock.deadline(10))
    return ledger


def now(ledger: MemoryStore, *documents: Document | str, policy: Policy | None = None) -> str:
    """Return what the next try of a letter with these events would do, and check that nothing was written."""
    before = copy.deepcopy((ledger.kept, ledger.credits, ledger.jobs))
    answer = next_try(letter_of(*documents), policy or example(), ledger, ledger.clock.deadline(10))  # type: ignore[arg-type]
    assert before == (ledger.kept, ledger.credits, ledger.jobs)
    return answer


def test_what_would_be_posted_is_ready() -> None:
    """A charge, a refund of a charge, and a late failure that is remembered."""
    charged = ledger_with(rendered("j-1"))

    assert "ready" == now(ledger_with(), rendered("j-1"))
    assert "ready" == now(charged, failed("j-1"))
    assert "ready" == now(ledger_with(), failed("j-1"))


def test_what_the_ledger_holds_already_is_not_ready() -> None:
    """Somebody has sent the event again meanwhile, or a scan has found the job."""
    posted = ledger_with(rendered("j-1"), failed("j-1"))

    assert "known already: the ledger holds all of it" == now(posted, rendered("j-1"))
    assert "known already: the ledger holds all of it" == now(posted, failed("j-1"), rendered("j-1"))
    assert "ready" == now(posted, rendered("j-1"), rendered("j-2"))


@pytest.mark.parametrize(
    ("ledger", "whose"),
    [
        (ledger_with(rendered("j-1")), "the job's first entry names 'u-1'"),
        (ledger_with(**{"j-1": {"jobId": "j-1", "userId": "u-1"}}), "the row of job 'j-1' in Jobs names 'u-1'"),
    ],
)
def test_an_event_of_another_users_job_is_not_ready(ledger: MemoryStore, whose: str) -> None:
    """By what the ledger knows of the job, or by the job's own row."""
    theirs = rendered("j-1", user="u-2", at="12:00")
    ledger.credits["u-2"] = {"userId": "u-2", "remaining": Decimal(10)}

    assert now(ledger, theirs).endswith(f"rule debit-rendered, field detail.userId: is 'u-2'; {whose}")


def test_a_user_who_is_not_there_and_a_balance_that_is_no_number_are_told() -> None:
    """They would come back."""
    broken = ledger_with()
    broken.credits["u-1"]["remaining"] = "ten"

    assert now(ledger_with(), rendered(user="u-9")).endswith("is 'u-9'; there is no such user in Credits")
    assert now(broken, rendered()).endswith("the balance of user 'u-1' is no number: 'ten'")


def test_a_charge_that_the_balance_does_not_cover_is_not_ready_where_the_policy_refuses_it() -> None:
    """8 seconds are 0.80. Of two in one letter the second sees what the first would take."""
    refused = "refused: the user's balance does not cover it (`overdraft: refuse`)"

    assert refused == now(ledger_with(balance="0.79"), rendered(), policy=REFUSING)
    assert "ready" == now(ledger_with(balance="0.80"), rendered(), policy=REFUSING)
    assert refused == now(ledger_with(balance="1.59"), rendered("j-1"), rendered("j-2"), policy=REFUSING)
    assert "ready" == now(ledger_with(balance="1.60"), rendered("j-1"), rendered("j-2"), policy=REFUSING)
    assert "ready" == now(ledger_with(balance="0.79"), rendered(), policy=example()), "it would be posted, and flagged"
    waiting = ledger_with(rendered(), policy=REFUSING, balance="0.79")
    assert refused == now(waiting, rendered(), policy=REFUSING)
    waiting.credits["u-1"]["remaining"] = Decimal("0.80")
    assert "ready" == now(waiting, rendered(), policy=REFUSING)


def test_a_job_without_a_row_is_not_ready_where_the_policy_asks_for_one() -> None:
    """The row is asked for where a scan would settle it."""
    strict = example(("unknown_user: refuse", "unknown_user: refuse\nunknown_job: refuse"))

    assert "there is no such job in Jobs (`unknown_job: refuse`)" in now(ledger_with(), rendered("j-1"), policy=strict)
    assert "ready" == now(ledger_with(**{"j-1": {"jobId": "j-1"}}), rendered("j-1"), policy=strict)


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ((rendered(seconds=-1),), "field detail.seconds: is -1"),
        ((rendered(at="2026-01-05T13:00:01Z"),), "a time not after 2026-01-05T13:00:00Z is needed (`clock.ahead`)"),
        ((rendered("j-1"), rendered("j-2", seconds=-1)), "field detail.seconds: is -1"),
        (({**rendered(), "source": "audio.generation"},), "no rule of the policy matches it"),
        (("no json",), "there is no event in it"),
        ((SCHEDULED,), "nothing to post: the next scheduled run does its work"),
        ((event("video.rendered", {"jobId": 7, "userId": "u-1"}),), "field detail.jobId: is 7; a string is needed"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_says_so(documents: tuple[Document | str, ...], said: str) -> None:
    """In the words of the error that the next try would raise."""
    assert said in now(ledger_with(), *documents)


def test_a_letter_names_its_jobs_and_users_as_far_as_its_events_do() -> None:
    """Each once; a purchase by its reference; what is no name is left out."""
    grants = example(
        ("time: time", "time: time, reference: detail.purchaseId"),
        ("rules:", "rules:\n  - {name: bought, match: {detail-type: [bought]}, action: grant, grant: {amount: 1}}"),
    )
    bought = event("bought", {"purchaseId": "p-1", "userId": "u-2"})
    documents = (rendered("j-1"), failed("j-1"), bought, event("video.rendered", {"jobId": 7, "userId": ["u"]}))

    assert (["j-1", "grant#p-1"], ["u-1", "u-2"]) == jobs_and_users(letter_of(*documents), grants)
    assert (["j-1"], ["u-1", "u-2"]) == jobs_and_users(letter_of(*documents), example())
    assert ([], []) == jobs_and_users(letter_of("no json"), example())


def test_a_request_to_hold_that_comes_too_late_is_closed() -> None:
    """The job has failed: there is nothing to hold for. One of a job that nobody knows is ready."""
    failed_before = ledger_with(told("failed", "j-1", "10:00"), policy=HOLDING)
    late, other = told("submitted", "j-1", "10:05", seconds=8), told("submitted", "j-2", "10:05", seconds=8)

    assert now(failed_before, late, policy=HOLDING).startswith(
        "closed: the work that it would hold for was charged, has failed"
    )
    assert "ready" == now(failed_before, other, policy=HOLDING)
