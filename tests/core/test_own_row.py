"""Expressions that read the job's own row in Jobs: what they find, when it is read, and what of it stays when it changes."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from attrs import Factory, define
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.decision import Outcome
from engine.domain.envelope import Envelope, Source
from engine.domain.errors import EventError, LedgerUnavailable
from engine.domain.fact_kinds import content_of
from engine.ledger.memory import MemoryStore
from engine.policy import Policy
from engine.reconcile.job_rows import row_event
from tests.support.books import Books
from tests.support.events import event, failed, rendered
from tests.support.policies import example
from tools.environments import ROOT

USER = ("user: detail.userId", 'user: "detail.userId || row.userId"')
SECONDS = ("quantity: detail.seconds", "quantity: row.seconds")
PLAN = ("by: detail.model", "by: row.plan")
RATES = ('rates: {default: "0.10", premium: "0.25"}', 'rates: {default: "0.10", pro: "0.05"}')
TIME = "2026-01-05T10:00:00Z"
OF_JOB = "; `row` is that of job 'j-1'"
ROW = {
    "jobId": "j-1",
    "userId": "u-1",
    "status": "completed",
    "seconds": 8,
    "plan": "pro",
    "model": "veo-3",
    "updatedAt": TIME,
}


def books(*changes: tuple[str, str], **row: Any) -> Books:
    """Return books whose store has the row of job j-1."""
    ledger = Books(example(*changes))
    ledger.store.jobs["j-1"] = {**ROW, **row}
    return ledger


def done(at: str = "10:00", **detail: Any) -> dict[str, Any]:
    """Return an event that says which job is done, and little else."""
    return event("video.rendered", {"jobId": "j-1", "model": "veo-3", "result_url": "s3://renders/j-1.mp4", **detail}, at)


# --- what is found ----------------------------------------------------------------------------------------------------


def test_an_event_that_names_only_its_job_is_charged_by_its_row():
    """8 seconds at the 0.05 of the plan pro, to the user of the row."""
    ledger = books(USER, SECONDS, PLAN, RATES)

    assert [Outcome.DEBITED] == ledger.deliver(done())

    (entry,) = ledger.entries_of("j-1")
    assert ("u-1", Decimal("-0.4000"), Decimal(8)) == (entry.user, entry.amount, entry.quantity)
    assert (("row.plan", "pro"), ("row.seconds", "8")) == entry.facts.charges[0].content


def test_the_time_may_be_the_rows_own():
    """The price of its day counts: 0.12 from July on."""
    ledger = books(("time: time", "time: row.finishedAt"), finishedAt="2026-08-01T00:00:00Z")

    ledger.deliver(rendered())

    assert [("debit", "-0.9600")] == ledger.lines("j-1")


def test_a_purchase_may_be_worth_what_its_row_says():
    """The event names the purchase and the job that it is for."""
    grant = ("  - name: refund-failed", "  - {name: bought, match: {detail-type: [credits.bought]}, action: grant,"
             " grant: {quantity: row.credits}}\n  - name: refund-failed")  # fmt: skip
    ledger = books(("time: time}", "time: time, reference: detail.order}"), USER, grant, credits=Decimal("12.5"))

    ledger.deliver(event("credits.bought", {"jobId": "j-1", "order": "o-1"}))

    assert [("grant", "12.5000")] == ledger.lines("grant#o-1")


def test_patterns_do_not_see_the_row():
    """A pattern is EventBridge's, and EventBridge has no row."""
    ledger = books(USER, SECONDS, ("source: [video.generation], detail-type: [video.rendered]", "row: {plan: [pro]}"))

    assert [Outcome.IGNORED] == ledger.deliver(done())


def test_a_number_is_one_number_whichever_way_it_came():
    """A fraction of a row is the decimal that the same fraction of an event is."""
    ledger = books(USER, SECONDS, seconds=Decimal("8.3333333333333333333"))

    ledger.deliver(done())

    assert Decimal("8.333333333333334") == ledger.entries_of("j-1")[0].quantity


# --- when it is read --------------------------------------------------------------------------------------------------


@define
class Watched(MemoryStore):
    """A store that counts which rows were read."""

    reads: list[tuple[list[str], frozenset[str] | None]] = Factory(list)

    def job_rows(self, jobs: Any, attributes: Any, deadline: Any) -> Any:
        """Note the jobs, and read their rows."""
        self.reads.append((sorted(jobs), attributes))
        return super().job_rows(jobs, attributes, deadline)


def watched(*changes: tuple[str, str], rows: int = 1) -> tuple[Books, Any]:
    """Return books with rows of ``rows`` jobs, and the list of what is read of them."""
    ledger = Books(example(*changes))
    store = Watched(ledger.store.clock, newcomers=ledger.store.newcomers)
    store.jobs.update({f"j-{n}": {**ROW, "jobId": f"j-{n}"} for n in range(1, rows + 1)})
    ledger.store = store
    ledger.policy = example(*changes)
    return ledger, store.reads


def test_a_row_is_read_once_and_no_more_of_it_than_is_asked_for():
    """One event asks three times."""
    ledger, reads = watched(USER, SECONDS, PLAN, RATES)

    ledger.deliver(done())

    assert [(["j-1"], frozenset({"userId", "seconds", "plan"}))] == reads


def test_a_row_is_read_only_where_the_event_does_not_say_it():
    """`||` asks the right side only where the left one gives nothing."""
    ledger, reads = watched(USER)

    ledger.deliver(rendered())

    assert [("debit", "-0.8000")] == ledger.lines("j-1")
    assert [] == reads


def test_a_row_is_read_only_for_rules_that_ask_for_it():
    """The refund asks nothing of the row."""
    ledger, reads = watched(SECONDS)

    ledger.deliver(failed(), done(at="12:00", userId="u-1"))

    assert [(["j-1"], frozenset({"seconds"}))] == reads


def test_an_event_that_no_rule_takes_reads_nothing():
    """Whatever the policy would ask of it."""
    ledger, reads = watched(USER)

    assert [Outcome.IGNORED] == ledger.deliver(event("video.queued", {"jobId": "j-1"}))
    assert [] == reads


def test_a_policy_without_rows_loads_nothing_of_what_reads_them():
    """What the function imports costs milliseconds."""
    program = """
import pickle, sys
from engine.domain.envelope import Envelope, Source
from engine.policy import load_policy
from engine.preview.dry_run import DryRun, store_of
from tests.support.events import failed, rendered
run = DryRun(pickle.loads(pickle.dumps(load_policy("policies/video.yaml"))), store_of())
for document in (rendered(), failed(), rendered()):
    run.reconcile(Envelope(document, Source.EVENT))
print([name for name in sys.modules if name.endswith(("own_rows", "event_and_row"))])
"""
    told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "[]" == told.stdout.strip()


def test_a_batch_reads_its_rows_together_and_only_events_without_a_row_come_back():
    """Of forty events three have no row."""
    ledger, reads = watched(USER, SECONDS, rows=40)
    for job in ("j-7", "j-8", "j-40"):
        del ledger.store.jobs[job]
    envelopes = [Envelope(event("video.rendered", {"jobId": f"j-{n}", "model": "veo-3"}), Source.QUEUE) for n in range(1, 41)]

    results = ledger.run.reconciler.many(envelopes, ledger.run.deadline)

    assert 1 == len(reads)
    assert [7, 8, 40] == [n for n, result in enumerate(results, start=1) if isinstance(result, EventError)]
    assert {Decimal("-0.8000")} == {ledger.net(f"j-{n}") for n in range(1, 41) if n not in {7, 8, 40}}
    assert "there is no row of job 'j-7' in Jobs, which `detail.userId || row.userId` needs" in str(results[6])


def test_events_of_one_job_keep_their_order_in_a_batch():
    """The render asks for the row, the failure after it does not: the refund comes after the charge all the same."""
    ledger, _ = watched(SECONDS)
    envelopes = [Envelope(document, Source.QUEUE) for document in (done(userId="u-1"), failed())]

    ledger.run.reconciler.many(envelopes, ledger.run.deadline)

    assert [("debit", "-0.8000"), ("refund", "0.8000")] == ledger.lines("j-1")


def test_rows_that_cannot_be_read_bring_back_their_events_and_no_other():
    """The table of jobs does not answer; an event that says all by itself is charged."""

    class Down(Watched):
        def job_rows(self, *_asked: Any) -> Any:
            """Answer nothing."""
            raise LedgerUnavailable("DynamoDB gave no answer in time")

    ledger = Books(example(USER))
    ledger.store = Down(ledger.store.clock, newcomers=ledger.store.newcomers)
    ledger.policy = example(USER)

    asking, telling = done(), rendered("j-2")
    results = ledger.run.reconciler.many([Envelope(each, Source.QUEUE) for each in (asking, telling)], ledger.run.deadline)

    assert isinstance(results[0], LedgerUnavailable)
    assert f"event {asking['id']}, rule debit-rendered, job j-1: DynamoDB gave no answer in time" == str(results[0])
    assert [("debit", "-0.8000")] == ledger.lines("j-2")
    with pytest.raises(LedgerUnavailable, match=r"job j-1: DynamoDB gave no answer"):
        ledger.deliver(asking)


# --- what makes no sense ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "row", "problem"),
    [
        ((SECONDS,), None, "field row.seconds: there is no row of job 'j-1' in Jobs, which `row.seconds` needs"),
        ((SECONDS,), {"seconds": None}, f"field row.seconds: is missing; a finite number >= 0 is needed{OF_JOB}"),
        ((SECONDS,), {"seconds": "eight"}, f"field row.seconds: is 'eight'; a finite number >= 0 is needed{OF_JOB}"),
        ((PLAN,), {"plan": None}, "field row.plan: is missing; a string that selects a rate is needed"),
        ((("time: time", "time: row.at"),), {}, "field row.at: is missing; an ISO 8601 instant with a zone is needed"),
        ((USER,), {"userId": 7}, "field detail.userId || row.userId: is 7; a string is needed"),
        ((USER,), {"userId": ["u-1"]}, "field detail.userId || row.userId: is a list with 1 element; a string is needed"),
        ((USER,), {"userId": ""}, f"field detail.userId || row.userId: has 0 characters; 1 to 1024 are needed{OF_JOB}"),
    ],
)
def test_a_row_that_does_not_say_what_is_asked_moves_nothing(changes: Any, row: dict[str, Any] | None, problem: str) -> None:
    """The error names the event, the rule and the expression; the row may be written late, so the event comes again."""
    ledger = books(*changes, **(row or {}))
    if row is None:
        del ledger.store.jobs["j-1"]
    told = done() if USER in changes else done(userId="u-1", seconds=8)

    with pytest.raises(EventError) as raised:
        ledger.deliver(told)

    assert f"event {told['id']}, rule debit-rendered, {problem}" in str(raised.value)
    assert [] == ledger.lines("j-1")


def test_what_the_event_itself_says_wrong_is_not_looked_for_in_the_row():
    """The row was read for the user; the seconds stand in the event."""
    ledger = books(USER, ("quantity: detail.seconds", "quantity: detail.seconds || row.seconds"))
    told = done(seconds="eight")

    with pytest.raises(EventError) as raised:
        ledger.deliver(told)

    problem = "field detail.seconds || row.seconds: is 'eight'; a finite number >= 0 is needed"
    assert f"event {told['id']}, rule debit-rendered, {problem}" == str(raised.value)


@pytest.mark.parametrize("job", [None, 7, "", "a\nb"])
def test_an_event_whose_job_nobody_can_name_has_no_row(job: Any) -> None:
    """A purchase need not name a job, but then it has no row to read."""
    grant = ("  - name: refund-failed", "  - {name: bought, match: {detail-type: [credits.bought]}, action: grant,"
             " grant: {quantity: row.credits}}\n  - name: refund-failed")  # fmt: skip
    ledger = Books(example(("time: time}", "time: time, reference: detail.order}"), grant))

    with pytest.raises(EventError, match="`row.credits` is read from the row of that job in Jobs"):
        ledger.deliver(event("credits.bought", {"jobId": job, "userId": "u-1", "order": "o-1"}))


# --- what is told again -----------------------------------------------------------------------------------------------

AGAIN: dict[str, tuple[tuple[str, str], ...]] = {
    "the same policy": (),
    "dearer": (('"0.10"', '"0.99"'),),
    "the event's own figure": (("quantity: row.seconds", "quantity: detail.seconds"),),
    "no selector": (("by: row.plan", "by: detail.model"),),
}


@pytest.mark.parametrize("edit", AGAIN)
@pytest.mark.parametrize("changed", [{"seconds": 12}, {"plan": "free"}, {"seconds": 1, "plan": "free"}, {}])
@pytest.mark.parametrize("source", [Source.EVENT, Source.QUEUE, Source.REPLAY])
def test_an_event_that_is_told_again_after_its_row_has_changed_is_known(
    edit: str, changed: dict[str, Any], source: Source
) -> None:
    """What was read of the row is fixed at the first telling, also under another policy."""
    ledger = books(USER, SECONDS, PLAN, RATES)
    told = done(seconds=8, model="veo-3")
    ledger.deliver(told)
    known = ledger.entries_of("j-1")

    ledger.store.jobs["j-1"] |= changed
    ledger.policy = example(USER, SECONDS, PLAN, RATES, *AGAIN[edit])

    assert [Outcome.DUPLICATE] == ledger.deliver(told, source=source)
    assert known == ledger.entries_of("j-1")


def test_a_policy_that_begins_to_read_the_row_knows_what_was_told_before():
    """The kept expressions are asked, whatever today's policy asks."""
    ledger = books()
    ledger.deliver(rendered())

    ledger.policy = example(USER, SECONDS, PLAN, RATES)

    assert [Outcome.DUPLICATE] == ledger.deliver(rendered())
    assert [("debit", "-0.8000")] == ledger.lines("j-1")


def test_an_answer_that_mixes_event_and_row_is_fixed_where_the_row_gave_it():
    """Where the event says it itself, another event that says something else is another event."""
    mixed = ("quantity: detail.seconds", 'quantity: "detail.seconds || row.seconds"')
    ledger = books(mixed)
    ledger.deliver(rendered(seconds=9))

    ledger.deliver(rendered(seconds=7))

    assert ["conflicting-charge"] == ledger.anomalies("j-1")
    assert Decimal("-0.7000") == ledger.net("j-1")

    ledger = books(mixed)
    ledger.deliver(done(userId="u-1"))
    ledger.store.jobs["j-1"]["seconds"] = 12

    assert [Outcome.DUPLICATE] == ledger.deliver(done(userId="u-1"))


FINISHED = ("time: time", "time: row.finishedAt")


def test_a_time_that_was_read_from_the_row_is_fixed_for_its_event():
    """Any write on the row may move it: an event that is delivered again must not charge a job that has failed meanwhile."""
    ledger = books(FINISHED, finishedAt="2026-01-05T10:00:00Z")
    told = rendered()
    ledger.deliver(told)
    ledger.store.jobs["j-1"]["finishedAt"] = "2026-01-05T11:00:00Z"
    ledger.deliver(failed())

    ledger.store.jobs["j-1"]["finishedAt"] = "2026-01-05T12:00:00Z"
    outcomes = ledger.deliver(told)

    assert [Outcome.DUPLICATE] == outcomes
    assert [("debit", "-0.8000"), ("refund", "0.8000")] == ledger.lines("j-1")


def test_a_failure_whose_time_was_read_from_the_row_gives_nothing_back_for_what_was_rendered_later():
    """Delivered again after the second render, it is still the failure of the first."""
    ledger = books(FINISHED, finishedAt="2026-01-05T10:00:00Z")
    ledger.deliver(rendered())
    ledger.store.jobs["j-1"]["finishedAt"] = "2026-01-05T11:00:00Z"
    failure = failed()
    ledger.deliver(failure)
    ledger.store.jobs["j-1"]["finishedAt"] = "2026-01-05T12:00:00Z"
    ledger.deliver(rendered())

    assert [Outcome.DUPLICATE] == ledger.deliver(failure)
    assert Decimal("-0.8000") == ledger.net("j-1")


REFUND = ("refund: {percent: 100}", "refund: {percent: row.share}")
GIVEN_BACK = ("refund: {percent: 100}", "refund: {amount: row.credits}")


@pytest.mark.parametrize(("refund", "row"), [(REFUND, {"share": 50}), (GIVEN_BACK, {"credits": Decimal("0.4")})])
def test_a_refund_gives_what_the_row_said_at_its_first_telling(refund: tuple[str, str], row: dict[str, Any]) -> None:
    """Half of 0.80; told again by the same event, after the row has changed, it gives nothing more."""
    ledger = books(refund, **row)
    told = failed()
    ledger.deliver(rendered(), told)

    ledger.store.jobs["j-1"] |= {"share": 100, "credits": Decimal("0.8")}

    assert [Outcome.DUPLICATE] == ledger.deliver(told)
    assert Decimal("-0.4000") == ledger.net("j-1")


PURCHASES = (
    ("time: time}", "time: time, reference: detail.order}"),
    ("  - name: refund-failed", "  - {name: bought, match: {detail-type: [credits.bought]}, action: grant,"
     " grant: {quantity: row.credits}}\n"
     "  - {name: taken-back, match: {detail-type: [credits.refunded]}, action: revoke, revoke: {amount: row.refunded}}\n"
     "  - name: refund-failed"),
)  # fmt: skip


def test_a_purchase_is_worth_and_loses_what_the_row_said_at_the_first_telling():
    """10 bought, 4 taken back; both told again, after the row has changed."""
    ledger = books(*PURCHASES, credits=10, refunded=4)
    told = [
        event(f"credits.{what}", {"jobId": "j-1", "userId": "u-1", "order": "o-1"}, at)
        for what, at in (("bought", "10:00"), ("refunded", "11:00"))
    ]
    ledger.deliver(*told)

    ledger.store.jobs["j-1"] |= {"credits": 99, "refunded": 7}

    assert [Outcome.DUPLICATE] * 2 == ledger.deliver(*told)
    assert [("grant", "10.0000"), ("revoke", "-4.0000")] == ledger.lines("grant#o-1")


def test_a_revoke_whose_time_was_read_from_the_row_is_known_by_its_event():
    """The row's time has moved, and a later revoke counts: the earlier one, delivered again, does not take its place."""
    ledger = books(*PURCHASES, ("time: time,", "time: row.at,"), credits=10, refunded=4, at="2026-01-05T10:00:00Z")
    bought, first, second = (
        event(f"credits.{what}", {"jobId": "j-1", "userId": "u-1", "order": "o-1"})
        for what in ("bought", "refunded", "refunded")
    )
    for told, row in ((bought, {}), (first, {"at": "2026-01-05T11:00:00Z"})):
        ledger.store.jobs["j-1"] |= row
        ledger.deliver(told)

    ledger.store.jobs["j-1"] |= {"at": "2026-01-05T12:00:00Z", "refunded": 9}

    assert [Outcome.DUPLICATE] == ledger.deliver(first)
    assert [Outcome.REVOKED] == ledger.deliver(second)
    assert Decimal(1) == ledger.net("grant#o-1")


ONCE = ("action: debit\n", "action: debit\n    repeats: ignore\n")


@pytest.mark.parametrize("moved", ["2026-01-05T08:00:00Z", "2026-08-01T00:00:00Z"])
def test_an_ignored_repeat_whose_time_was_read_from_the_row_is_known_by_its_event(moved: str) -> None:
    """Earlier or later: the price of its first instant stays, also where the row's time now lies in another row of prices."""
    ledger = books(FINISHED, ONCE, finishedAt="2026-01-05T10:00:00Z")
    told = rendered()
    ledger.deliver(told)

    ledger.store.jobs["j-1"]["finishedAt"] = moved

    assert [Outcome.DUPLICATE] == ledger.deliver(told)
    assert [("debit", "-0.8000")] == ledger.lines("j-1")


@pytest.mark.parametrize("hours", [("10", "12"), ("12", "10")])
def test_an_ignored_repeat_is_worth_what_the_row_said_at_its_first_telling(hours: tuple[str, str]) -> None:
    """A webhook that is sent again, in whatever order; the row has changed in between."""
    ledger = books(USER, SECONDS, ONCE)
    ledger.deliver(done(f"{hours[0]}:00"))

    ledger.store.jobs["j-1"]["seconds"] = 80
    ledger.deliver(done(f"{hours[1]}:00"))

    assert Decimal("-0.8000") == ledger.net("j-1")


def test_the_id_of_an_event_is_nothing_that_it_said():
    """It is kept to know the event again, and told to nobody: a model that explains the entry knows events by other names."""
    ledger = books(FINISHED, finishedAt="2026-01-05T10:00:00Z")
    told = rendered()
    ledger.deliver(told)

    facts = ledger.entries_of("j-1")[0].facts
    assert ("#event", told["id"]) in facts.charges[0].content
    assert (("detail.model", "veo-3"), ("detail.seconds", "8")) == content_of(facts)


def test_another_event_at_another_time_of_the_row_is_another_piece_of_work():
    """Rendered again after a failure: it has an id of its own, and the row another time."""
    ledger = books(FINISHED, finishedAt="2026-01-05T10:00:00Z")
    ledger.deliver(rendered())
    ledger.store.jobs["j-1"]["finishedAt"] = "2026-01-05T11:00:00Z"
    ledger.deliver(failed())

    ledger.store.jobs["j-1"]["finishedAt"] = "2026-01-05T12:00:00Z"
    ledger.deliver(rendered())

    assert Decimal("-0.8000") == ledger.net("j-1")


def test_a_webhook_that_is_sent_again_is_known_by_the_time_of_the_row():
    """Each time it gets onto the bus it has another id; the row still says when the work was done."""
    ledger = books(FINISHED, finishedAt="2026-01-05T10:00:00Z")

    assert [Outcome.DEBITED, Outcome.DUPLICATE] == ledger.deliver(rendered(at="10:00"), rendered(at="10:05"))
    assert [] == ledger.anomalies("j-1")


def test_an_event_with_a_time_of_its_own_keeps_no_id():
    """Its fact is what it was before expressions could read rows."""
    ledger = books(USER, ("time: time", 'time: "time || row.finishedAt"'))

    ledger.deliver(done(seconds=8))

    assert (("detail.model", "veo-3"), ("detail.seconds", "8")) == ledger.entries_of("j-1")[0].facts.charges[0].content


def test_two_pieces_of_work_under_one_job_are_flagged_where_only_the_row_tells_them_apart():
    """The second takes the place of the first, which is then free: a person should look."""
    ledger = books(USER, SECONDS)
    ledger.deliver(done(at="10:00"))

    ledger.store.jobs["j-1"]["seconds"] = 12
    ledger.deliver(done(at="11:00"))

    assert ["replaced-charge"] == ledger.anomalies("j-1")
    assert Decimal("-1.2000") == ledger.net("j-1")


def test_other_work_of_one_instant_that_asks_nothing_of_the_row_is_other_work():
    """An event of another rule is no repetition of one that was priced by the row."""
    flat = ("  - name: refund-failed", "  - {name: fee, match: {detail-type: [video.archived]}, action: debit,"
            " charge: {amount: 3}}\n  - name: refund-failed")  # fmt: skip
    ledger = books(USER, SECONDS, flat)

    ledger.deliver(done(), event("video.archived", {"jobId": "j-1"}))

    assert ["conflicting-charge"] == ledger.anomalies("j-1")


def test_the_same_work_told_at_another_instant_is_not_flagged():
    """As for an event that says it itself: the row still says what it said."""
    ledger = books(USER, SECONDS)

    ledger.deliver(done(at="10:00"), done(at="11:00"))

    assert [] == ledger.anomalies("j-1")
    assert Decimal("-0.8000") == ledger.net("j-1")


def test_the_user_of_a_job_stays_who_it_was():
    """A row that names another user now is for a person to look at."""
    ledger = books(USER)
    ledger.deliver(done(seconds=8))

    ledger.store.jobs["j-1"]["userId"] = "u-2"

    with pytest.raises(EventError, match="is 'u-2'; the job's first entry names 'u-1'"):
        ledger.deliver(done(seconds=8))


POLICIES = [
    example(USER, SECONDS),
    example(USER, SECONDS, ('"0.10"', '"0.30"')),
    example(USER, SECONDS, PLAN, RATES),
    example(USER, ("quantity: detail.seconds", 'quantity: "row.frames || row.seconds"')),
]
RATE = [lambda _plan: "0.10", lambda _plan: "0.30", lambda plan: "0.05" if plan == "pro" else "0.10", lambda _plan: "0.10"]
HOURS = ("08", "10", "12", "14")
"""At these the job is rendered, at eleven it fails."""

STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([*HOURS, "11"]), st.sampled_from([Source.EVENT, Source.QUEUE])),
        st.tuples(st.just("row"), st.tuples(st.integers(1, 20), st.sampled_from(["pro", "free"]))),
        st.tuples(st.just("policy"), st.integers(0, 3)),
    ),
    max_size=14,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_whatever_changes_between_tellings_each_event_counts_as_it_was_first_told(steps: list[Any]) -> None:
    """Rows and policies change, events come again, by whatever door: what counts is the first telling of the latest render."""
    ledger, policy, row = books(), 0, {"seconds": 8, "plan": "pro"}
    first: dict[str, Decimal] = {}
    for what, how in [("policy", 0), *steps]:
        if what == "row":
            row = {"seconds": how[0], "plan": how[1]}
            ledger.store.jobs["j-1"] |= row
        elif what == "policy":
            policy = how
            ledger.policy = POLICIES[policy]
        else:
            _tell(ledger, what, how)
            told = Decimal(row["seconds"]) * Decimal(RATE[policy](row["plan"]))
            first.setdefault(what, told)

    latest = max((hour for hour in first if hour in HOURS), default=None)
    is_refunded = latest is not None and "11" in first and latest < "11"
    assert (Decimal(0) if latest is None or is_refunded else -first[latest]) == ledger.net("j-1")


def _tell(ledger: Books, hour: str, door: Source) -> None:
    told = {**(failed(at=f"{hour}:00") if hour == "11" else done(f"{hour}:00")), "id": f"e-{hour}"}
    if door is Source.EVENT:
        ledger.deliver(told)
    else:
        ledger.run.reconciler.many([Envelope(told, door)], ledger.run.deadline)


# --- rows of the catch-up ---------------------------------------------------------------------------------------------


def caught_up(policy: Policy, started: str = "2026-01-06T00:00:00Z", **row: Any) -> Envelope:
    """Return the event of a row that a scan has found."""
    envelope = row_event(policy, {**ROW, **row}, started)
    assert envelope is not None
    return envelope


def test_in_a_catch_up_the_row_is_the_row_itself():
    """Nothing is read beside it."""
    ledger, reads = watched(USER, SECONDS, PLAN, RATES)

    assert Outcome.DEBITED is ledger.reconcile(caught_up(ledger.policy))

    assert [] == reads
    assert [("debit", "-0.4000")] == ledger.lines("j-1")


def test_the_scan_reads_what_expressions_ask_of_the_row():
    """Its projection has these attributes, too."""
    policy = example(USER, SECONDS, PLAN, RATES, ("time: time", 'time: "time || row.endedAt"'))

    assert policy.row_attributes is not None
    assert {"userId", "seconds", "plan", "endedAt"} <= policy.row_attributes
    assert {"userId", "seconds", "plan", "endedAt"} == policy.own_row


def test_a_scan_finds_what_the_event_has_told():
    """Event and row are of one instant; the row has changed since."""
    ledger = books(USER, SECONDS)
    ledger.deliver(done(at="10:00"))

    assert Outcome.DUPLICATE is ledger.reconcile(caught_up(ledger.policy, seconds=12))


def test_a_row_without_a_time_says_at_each_scan_what_it_says_then():
    """As ever for what a scan alone knows: the later word of the row counts."""
    ledger = books(USER, SECONDS)
    first, again, later = (
        caught_up(ledger.policy, f"2026-01-0{day}T00:00:00Z", updatedAt=None, seconds=seconds)
        for day, seconds in ((6, 8), (7, 8), (8, 12))
    )

    outcomes = [ledger.reconcile(envelope) for envelope in (first, again, later)]

    assert [Outcome.DEBITED, Outcome.DUPLICATE, Outcome.DEBITED] == outcomes
    assert Decimal("-1.2000") == ledger.net("j-1")
