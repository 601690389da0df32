"""What one event may cost at most, whatever it says and whatever door it comes in by."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from engine.anomalies.bus import EXPLAINED
from engine.domain.decision import Standing
from engine.domain.envelope import OWN_SOURCE, Envelope, Source
from engine.domain.errors import EventError
from engine.domain.log import JobLog
from engine.ledger.dynamodb.postings import item_of
from engine.policy import Policy, load_policy
from engine.rating.assess import assess
from engine.rating.decide import decide
from tests.support.clock import ManualClock
from tests.support.events import event, failed, rendered
from tests.support.policies import example
from tests.wallet.meter import Bill, Meter
from tools.environments import ROOT

MEGABYTE = 1024 * 1024
SHIPPED = load_policy(ROOT / "policies" / "video.yaml")

LINE_BYTES_MAX = 40_000
"""What the line of one event takes at most: two hundredths of a thousandth of a dollar, at half a dollar for a gigabyte."""

WIDEST = "\U0001f600"
"""A character that takes four bytes in a table, and twelve in a line of the log."""

FAT = "x" * (MEGABYTE - 1000)

WORST: dict[str, Callable[[], str]] = {
    "an ordinary one": lambda: json.dumps(rendered()),
    "a member that nobody reads": lambda: json.dumps(rendered(prompt=FAT)),
    "a user of a megabyte": lambda: json.dumps(rendered(userId=FAT)),
    "a job of a megabyte": lambda: json.dumps(rendered(jobId=FAT)),
    "a model of a megabyte": lambda: json.dumps(rendered(model=FAT)),
    "an id of a megabyte": lambda: json.dumps({**rendered(), "id": FAT}),
    "an id of a megabyte that no rule matches": lambda: json.dumps({**event("other", {}), "id": FAT}),
    "a detail-type of a megabyte": lambda: json.dumps(event(FAT, {})),
    "a time of a megabyte": lambda: json.dumps({**rendered(), "time": f"2026-01-05T10:00:00.{'1' * 1_000_000}Z"}),
    "a number of a megabyte": lambda: json.dumps(rendered(seconds="1" * 1_000_000)),
    "a fraction of a megabyte": lambda: json.dumps(rendered()).replace('"seconds": 8', f'"seconds": 8.{"3" * 1_000_000}'),
    "a whole number of a megabyte": lambda: json.dumps(rendered()).replace('"seconds": 8', f'"seconds": {"3" * 1_000_000}'),
    "a number with a huge exponent": lambda: json.dumps(rendered()).replace('"seconds": 8', '"seconds": 1e999999999'),
    "names of the widest characters": lambda: json.dumps(
        {**rendered(WIDEST * 500, user=WIDEST * 500, model=WIDEST * 1024), "id": WIDEST * 1024}
    ),
    "names that nobody can print": lambda: json.dumps(
        {**rendered("\u2028" * 680, user="\ue000" * 680, model="\ue000" * 1024), "id": "\ue000" * 1024}
    ),
    "arrays in arrays": lambda: json.dumps(rendered()).replace('"j-1"', "[" * 900 + ",".join(["[1]"] * 200_000) + "]" * 900),
    "nested to the end": lambda: json.dumps(rendered()).replace('"j-1"', "[" * 1400 + "]" * 1400),
    "nested beyond reading": lambda: json.dumps(rendered()).replace('"j-1"', "[" * 400_000),
    "no JSON": lambda: FAT,
    "no event": lambda: json.dumps({"detail": FAT, FAT[:1000]: 1}),
    "many members": lambda: json.dumps(rendered(**{f"m-{n}": n for n in range(70_000)})),
}


POSTED = {
    "an ordinary one", "a member that nobody reads", "a time of a megabyte", "a fraction of a megabyte",
    "names of the widest characters", "names that nobody can print", "many members",
}  # fmt: skip
"""What makes sense, however large it is."""


@pytest.fixture(params=[False, True], ids=["queue", "direct"])
def deliver(request: pytest.FixtureRequest) -> Callable[[Meter, str], Bill | None]:
    """Return what delivers a body by one of both doors; None where it is no JSON, which only the queue can hold."""

    def delivered(meter: Meter, body: str) -> Bill | None:
        if not request.param:
            return meter.batch(body)
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return None
        return meter.event(document) if isinstance(document, dict) and "source" in document else None

    return delivered


@pytest.mark.parametrize("name", WORST)
def test_an_event_costs_a_few_requests_a_few_units_and_one_line(name: str, deliver: Any) -> None:
    """A render is one transaction of seven units. The widest names take an entry of 24 kilobytes, and are refused nowhere."""
    meter = Meter(SHIPPED)
    meter.world.job()
    for job, user in ((WIDEST * 500, WIDEST * 500), ("\u2028" * 680, "\ue000" * 680)):
        meter.world.user(user).job(job, userId=user)

    bill = deliver(meter, WORST[name]())

    if bill is None:
        return
    assert sum(bill.requests.values()) <= 4, bill.requests
    assert bill.read_units <= 2
    assert bill.write_units <= 120
    assert (bill.told[0]["outcome"] == "debited") is (name in POSTED)
    assert 1 == len(bill.lines)
    assert bill.log_bytes <= LINE_BYTES_MAX


def test_the_metrics_of_all_events_are_as_many_as_there_are_words_for_them() -> None:
    """CloudWatch takes thirty cents a month for each: a metric that a producer names would be a way to spend our money."""
    found = set()
    for body in WORST.values():
        meter = Meter(SHIPPED)
        found |= meter.batch(body()).metrics

    assert {("Reconciler", frozenset({("FunctionName", "f")}))} == {(space, dimensions) for space, _, dimensions in found}
    assert {name for _, name, _ in found} <= {
        *("CreditsMoved", "Debits", "Duplicates", "Errors", "Flags", "Ignored", "NothingTaken", "Unjudged", "Voids")
    }


def test_a_batch_of_the_worst_costs_what_each_costs_and_holds_up_no_other() -> None:
    """The good event among them is posted, and only those that make no sense come back."""
    meter = Meter(SHIPPED)
    meter.world.job()
    senseless = [WORST[name]() for name in ("arrays in arrays", "nested to the end", "no JSON", "a user of a megabyte")]

    bill = meter.batch(*senseless, json.dumps(rendered("j-1")))

    assert [("debit", Decimal("-0.8"))] == meter.world.amounts("j-1")
    assert ["error"] * 4 + ["debited"] == sorted((line["outcome"] for line in bill.told), reverse=True)
    assert sum(bill.requests.values()) <= 4
    assert bill.log_bytes <= 5 * LINE_BYTES_MAX


# --- a log that is told again and again ---

WINDOW = example(("refund: {percent: 100}", "refund: {percent: 100, within: 30d}"))


def at(number: int) -> str:
    """Return an instant so many seconds after ten o'clock."""
    return f"2026-01-05T{10 + number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"


def logged(log: JobLog, document: dict[str, Any], policy: Policy = WINDOW) -> JobLog:
    """Return a log with one event more. Raises EventError."""
    assessment = assess(Envelope(document, Source.EVENT), policy)
    assert assessment is not None
    entry = decide(assessment, log, Standing.ASSUMED_COVERED, policy).entry
    return log if entry is None else log.then(entry)


def full() -> JobLog:
    """Return the log of a job that was charged once and has failed 99 times."""
    log = logged(JobLog(), rendered(at=at(0)))
    for number in range(1, 100):
        log = logged(log, failed(at=at(number)))
    return log


def test_a_job_has_a_hundred_entries_of_a_hundred_refunds_and_no_more() -> None:
    """Each refund with a window may still count, so each entry tells all of them: their bytes grew with the square."""
    log = full()

    assert (100, 100) == (log.sequence, log.facts.kept)
    with pytest.raises(EventError, match="field detail.jobId: has a log of 100 entries; no more are kept"):
        logged(log, failed(at=at(200)))


def test_what_a_full_log_knows_is_known() -> None:
    """Only what would be one entry more makes no sense."""
    log = full()

    assert log == logged(logged(log, rendered(at=at(0))), failed(at=at(50)))


def test_a_job_that_is_charged_anew_has_ten_thousand_entries_and_no_more() -> None:
    """Of charges only the latest is kept. The log of a grant is told by what names the grant."""
    first = logged(JobLog(), rendered(at=at(0)))

    assert 10_001 == logged(evolve(first, sequence=10_000), rendered(seconds=9, at=at(5))).sequence
    with pytest.raises(EventError, match="field detail.jobId: has a log of 10001 entries"):
        logged(evolve(first, sequence=10_001), rendered(seconds=9, at=at(5)))
    bought = event("credits.purchased", {"purchaseId": "p", "userId": "u-1", "credits": 5})
    more = event("credits.purchased", {"purchaseId": "p", "userId": "u-1", "credits": 6})
    grant = logged(JobLog(), bought, SHIPPED)
    with pytest.raises(EventError, match="field detail.purchaseId: has a log of 10001 entries"):
        logged(evolve(grant, sequence=10_001), more, SHIPPED)


@pytest.mark.parametrize("entries", [300, pytest.param(9_999, marks=pytest.mark.proof)])
def test_an_event_of_a_long_log_reads_it_once(entries: int) -> None:
    """Four kilobytes are a unit, and a megabyte is a request: ten thousand entries are some ten requests."""
    meter = Meter(example(), time=ManualClock(elapsed=12 * 3600))
    meter.world.job()
    for number in range(entries):
        meter.world.client.put_item(TableName=meter.tables.ledger, Item=_entry(number))

    bill = meter.event(rendered(seconds=3, at=at(entries)))

    megabytes = entries * 900 / MEGABYTE
    assert bill.requests["query"] <= 1 + megabytes
    assert bill.read_units <= 256 * megabytes + 2
    assert 2 == bill.requests["transact_write_items"]
    assert "refunded" == bill.told[0]["outcome"]  # one charge of 3 seconds counts, of so many


def _entry(number: int) -> dict[str, Any]:
    """Return one entry of a job that is charged anew each second, as the product writes it."""
    assessment = assess(Envelope(rendered(at=at(number)), Source.EVENT), example())
    assert assessment is not None
    entry = decide(assessment, JobLog(), Standing.ASSUMED_COVERED, example()).entry
    assert entry is not None
    return {**item_of(entry, entry.occurred_at), "sequence": {"N": str(number + 1)}}


# --- loops and floods ---


EVERYTHING = example(('match: {detail: {jobId: [{prefix: "test-"}]}}', 'match: {source: [{prefix: ""}]}'))
"""A policy with a rule that flags whatever comes."""


def test_an_event_of_our_own_makes_no_entry_whatever_a_policy_says() -> None:
    """An explanation of an entry is an event about its job. A rule that flags it would have made an entry again."""
    meter = Meter(EVERYTHING)
    meter.world.job()
    detail = {"jobId": "j-1", "userId": "u-1", "reference": "job#j-1", "sequence": 1}
    theirs, own = event("video.anything", detail), {**event(EXPLAINED, detail), "source": OWN_SOURCE}

    assert "flagged" == meter.event(theirs).told[0]["outcome"]
    for again in (meter.event(own), meter.batch(json.dumps(own))):
        assert ["ignored"] == [line["outcome"] for line in again.told]
        assert {} == again.requests
    assert 1 == len(meter.world.entries())
