"""A price that is fixed at another time than the event's own: at submission, say."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audit.recount import recount
from engine.domain.decision import Outcome
from engine.domain.errors import EventError
from engine.domain.instants import instant_text
from engine.policy import Policy, parse_policy
from tests.support.books import Books
from tests.support.events import event, failed, rendered
from tests.support.price_rows import HEAD, START, begin_alike, policy, refused
from tests.support.steps import Steps

PRICES = """\
prices:
  seconds:
    - {effective: 2026-01-01T00:00:00Z, by: detail.model, rates: {default: "0.10", premium: "0.25"}}
    - {effective: 2026-07-01T00:00:00Z, changes: {default: "0.12"}}
    - {effective: 2026-11-27T00:00:00Z, until: 2026-12-01T00:00:00Z, changes: {default: "0.05"}}
"""
RULES = """\
rules:
  - name: debit-rendered
    match: {detail-type: [video.rendered]}
    action: debit
    charge: {price: seconds, quantity: detail.seconds, priced_at: PRICED_AT}
  - name: refund-failed
    match: {detail-type: [video.failed]}
    action: refund
    refund: {percent: 100}
catch_up:
  - {when: {status: [completed]}, event: {source: video.generation, detail-type: video.rendered, time: updatedAt}}
"""


def at_submission(priced_at: str = "detail.submittedAt", prices: str = PRICES) -> Policy:
    """Return a policy whose price is fixed by what the event says there."""
    return policy(prices, RULES.replace("PRICED_AT", f'"{priced_at}"'))


def books(found: Policy | None = None) -> Books:
    """Return the books of a user with plenty of credits."""
    return Books(found or at_submission(), {"u-1": Decimal(1000)})


def submitted(at: str | None, **more: Any) -> dict[str, Any]:
    """Return the event of ten seconds, rendered on the 5th of January 2027, that were submitted at an instant."""
    detail = {"at": "2027-01-05T10:00:00Z", "seconds": 10, **more}
    return rendered("j-1", **detail) if at is None else rendered("j-1", **detail, submittedAt=at)


# --- which row counts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "amount", "effective"),
    [
        ("2026-01-01T00:00:00Z", "-1", "2026-01-01"),
        ("2026-06-30T23:59:59.999999Z", "-1", "2026-01-01"),
        ("2026-07-01T00:00:00Z", "-1.2", "2026-07-01"),
        ("2026-07-01T01:59:59+02:00", "-1", "2026-01-01"),
        ("2026-07-01T02:00:00+02:00", "-1.2", "2026-07-01"),
        ("20260701T000000Z", "-1.2", "2026-07-01"),
        ("2026-11-30T23:59:59Z", "-0.5", "2026-11-27"),
        ("2026-12-01T00:00:00Z", "-1.2", "2026-07-01"),
        ("2030-01-01T00:00:00Z", "-1.2", "2026-07-01"),
    ],
)
def test_the_row_in_force_at_that_time_counts(at: str, amount: str, effective: str) -> None:
    """Ten seconds at 0.10, 0.12 or 0.05. The entry names the row, and has the time of the event itself."""
    ledger = books()

    ledger.deliver(submitted(at))

    (entry,) = ledger.entries_of("j-1")
    assert (Decimal(amount), effective) == (entry.amount, f"{entry.price.effective:%Y-%m-%d}")
    assert "2027-01-05T10:00:00Z" == instant_text(entry.occurred_at)
    assert ("detail.submittedAt", at) in entry.facts.charges[0].content


def test_only_the_row_is_selected_by_that_time() -> None:
    """What is later is told by the events' own times: a failure after the submission and before the end pays nothing back."""
    ledger = books()

    ledger.deliver(submitted("2026-06-30T12:00:00Z"), failed("j-1", at="2027-01-05T09:00:00Z"))

    assert Decimal(-1) == ledger.net("j-1")
    ledger.deliver(failed("j-1", at="2027-01-05T11:00:00Z"))
    assert Decimal(0) == ledger.net("j-1")


@given(
    st.lists(st.tuples(st.integers(1, 9), st.none() | st.integers(1, 30), st.integers(1, 9)), min_size=1), st.integers(0, 99)
)
def test_a_time_of_its_own_costs_what_an_event_of_that_time_would(rows: list[tuple[int, int | None, int]], days: int) -> None:
    """Whatever the book: priced at a time, and happened at that time, are one price (or none)."""
    begins, text = 0, "prices:\n  seconds:\n"
    for gap, length, rate in rows:
        begins += gap
        effective, ends = START + timedelta(days=begins), START + timedelta(days=begins + (length or 0))
        until = f", until: {instant_text(ends)}" if length else ""
        text += f"    - {{effective: {instant_text(effective)}{until}, rates: {{default: {rate}}}}}\n"
    at = instant_text(START + timedelta(days=days))

    happened = _amount(at_submission("time", text), rendered("j-1", seconds=10, at=at))
    assert happened == _amount(at_submission(prices=text), submitted(at))


def _amount(found: Policy, document: dict[str, Any]) -> Decimal | None:
    """Return what an event posts, or None where there is no price."""
    ledger = books(found)
    try:
        ledger.deliver(document)
    except EventError:
        return None
    return ledger.net("j-1")


@pytest.mark.parametrize(
    ("priced_at", "said", "amount"),
    [
        ("from_seconds(detail.created)", {"created": 1782863999}, "-1"),  # 2026-06-30T23:59:59Z
        ("from_seconds(detail.created)", {"created": "1782864000"}, "-1.2"),  # 2026-07-01T00:00:00Z
        ("in_zone(detail.created, '+08:00')", {"created": "2026-07-01T07:59:59"}, "-1"),
        ("in_zone(detail.created, '+08:00')", {"created": "2026-07-01T08:00:00"}, "-1.2"),
    ],
)
def test_a_time_may_be_a_number_or_have_no_zone(priced_at: str, said: dict[str, Any], amount: str) -> None:
    """As providers send it. Told again, it is known; also under a policy that asks it no more."""
    ledger = books(at_submission(priced_at))

    assert [Outcome.DEBITED, Outcome.DUPLICATE] == ledger.deliver(*2 * [submitted(None, **said)])
    ledger.policy = at_submission("time")
    assert [Outcome.DUPLICATE] == ledger.deliver(submitted(None, **said))
    assert Decimal(amount) == ledger.net("j-1")


# --- what makes no sense ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "problem"),
    [
        (None, "is missing; an ISO 8601 instant with a zone is needed"),
        (1767225600, "is 1767225600; an ISO 8601 instant with a zone is needed"),
        (True, "is True; an ISO 8601 instant with a zone is needed"),
        ("", "is ''; an ISO 8601 instant with a zone is needed"),
        ("2026-07-01", "is '2026-07-01'; an ISO 8601 instant with a zone is needed"),
        ("2026-07-01T00:00:00", "is '2026-07-01T00:00:00'; an ISO 8601 instant with a zone is needed"),
        ("2026-02-30T00:00:00Z", "is '2026-02-30T00:00:00Z'; an ISO 8601 instant with a zone is needed"),
        (f"2026-07-01T00:00:00.{1005 * '0'}Z", "has 1026 characters; at most 1024 are kept"),
        ("2025-12-31T23:59:59Z", "is before the first price of seconds (2026-01-01)"),
    ],
)
def test_without_an_instant_there_is_no_price(at: Any, problem: str) -> None:
    """The error names the expression, not the event's own time; nothing is posted."""
    ledger = books()

    with pytest.raises(EventError) as error:
        ledger.deliver(rendered("j-1", submittedAt=at) if at is not None else rendered("j-1"))

    assert f"rule debit-rendered, field detail.submittedAt: {problem}" in str(error.value)
    assert [] == ledger.lines("j-1")


@pytest.mark.parametrize(
    ("expression", "created", "problem"),
    [
        ("from_milliseconds(detail.created)", 1782864000, "is 1970-01-21T15:14:24Z, which is before the first price of"),
        ("in_zone(detail.created, 'Z')", "2025-12-31 23:00:00", "is 2025-12-31T23:00:00Z, which is before the first price of"),
        ("detail.created", "2025-12-31T23:00:00Z", "is before the first price of seconds (2026-01-01)"),
    ],
)
@pytest.mark.parametrize(("own_time", "priced_at"), [("time", ", priced_at: ASKED"), ("ASKED", "")])
def test_an_instant_that_was_worked_out_is_told(
    own_time: str, priced_at: str, expression: str, created: Any, problem: str
) -> None:
    """Whoever takes seconds for milliseconds sees the year 1970."""
    text = HEAD.replace("time: time", f"time: {own_time}") + PRICES + RULES.replace(", priced_at: PRICED_AT", priced_at)
    ledger = Books(parse_policy(text.replace("ASKED", f'"{expression}"'), "p.yaml"))

    with pytest.raises(EventError) as error:
        ledger.deliver(rendered("j-1", created=created, seconds=10, model="veo-3"))

    assert f"rule debit-rendered, field {expression}: {problem}" in str(error.value)


def test_a_time_in_a_gap_of_the_book_is_no_price() -> None:
    """The message says since when no row counts."""
    gap = PRICES.replace("2026-01-01T00:00:00Z, by", "2026-01-01T00:00:00Z, until: 2026-02-01T00:00:00Z, by").replace(
        'changes: {default: "0.12"}', "rates: {default: 1}"
    )

    with pytest.raises(EventError) as error:
        books(at_submission(prices=gap)).deliver(submitted("2026-03-01T00:00:00Z"))

    said = "is 2026-03-01T00:00:00Z, and no row of seconds counts then: the last one ended 2026-02-01T00:00:00Z"
    assert f"field detail.submittedAt: {said}" in str(error.value)


def test_an_expression_that_cannot_be_worked_out_is_named() -> None:
    """A text is looked for in a number, say."""
    with pytest.raises(EventError) as error:
        books(at_submission("join('', detail.seconds)")).deliver(submitted(None))

    assert "field join('', detail.seconds): cannot be worked out: join() takes a list of strings, not 10" in str(error.value)


@pytest.mark.parametrize(
    ("terms", "mistakes"),
    [
        ("charge: {amount: 1, priced_at: detail.at}", ["10:36: `priced_at` has no meaning beside `amount`"]),
        ("charge: {price: seconds, quantity: detail.n, priced_at: detail..at}", ["10:61: 'detail..at' is no JMESPath"]),
        ("charge: {price: seconds, quantity: detail.n, priced_at: }", ["10:61: is empty; write a JMESPath expression"]),
        (
            "charge: {quantity: detail.n, priced_at: detail.at}",
            [
                "10:13: a charge is either `amount`, or `price` with `quantity`",
                "10:45: `priced_at` has no meaning without `price`",
            ],
        ),
    ],
)
def test_wrong_terms_are_refused(terms: str, mistakes: list[str]) -> None:
    """Without a price book there is no row to select."""
    book = "prices:\n  seconds: [{effective: 2026-01-01T00:00:00Z, rates: {default: 1}}]\n"
    found = refused(book, f"rules:\n  - name: debit\n    match: {{a: [b]}}\n    action: debit\n    {terms}\n")

    assert begin_alike(mistakes, [message for message in found if "no rule uses" not in message]), found


def test_a_grant_without_a_price_has_no_time_of_one() -> None:
    """Its quantity is the credits themselves."""
    book = "prices:\n  seconds: [{effective: 2026-01-01T00:00:00Z, rates: {default: 1}}]\n"
    grant = (
        "rules:\n  - name: g\n    match: {a: [b]}\n    action: grant\n    grant: {quantity: detail.n, priced_at: detail.at}\n"
    )

    assert "10:44: `priced_at` has no meaning without `price`, the book whose row it selects" in refused(book, grant)


# --- told again -------------------------------------------------------------------------------------------------------

LATER = {
    "another time": at_submission("detail.startedAt"),
    "the event's own time": at_submission("time"),
    "other rates": at_submission(prices=PRICES.replace("0.10", "0.99").replace("0.12", "0.98")),
    "another row in between": at_submission(
        prices=PRICES.replace(
            "    - {effective: 2026-07",
            "    - {effective: 2026-06-01T00:00:00Z, changes: {default: 7}}\n    - {effective: 2026-07",
        )
    ),
}


NOTATIONS = ["2026-06-30T12:00:00Z", "2026-06-30T14:00:00+02:00", "20260630T12Z", "2026-06-30T12:00:00.000Z"]


@pytest.mark.parametrize("edit", [None, *LATER])
@pytest.mark.parametrize(("first", "again"), list(product(NOTATIONS, NOTATIONS)))
def test_the_same_event_is_known_under_any_policy_and_in_any_notation(edit: str | None, first: str, again: str) -> None:
    """What it said of its time is kept with the charge, and asked again. It keeps the price of its first telling."""
    ledger = books()
    ledger.deliver(submitted(first))
    ledger.policy = LATER[edit] if edit else ledger.policy

    assert [Outcome.DUPLICATE] == ledger.deliver(submitted(again, startedAt="2026-08-01T00:00:00Z"))
    assert Decimal(-1) == ledger.net("j-1")


@pytest.mark.parametrize(
    ("first", "second", "net"),
    [
        ("2026-06-30T12:00:00Z", "2026-06-30T12:00:01Z", "-1"),
        ("2026-06-30T12:00:00Z", "2026-07-30T12:00:00Z", "-1"),
        ("2026-07-30T12:00:00Z", "2026-06-30T12:00:00Z", "-1"),
        ("2026-07-30T12:00:00Z", "2026-11-30T12:00:00Z", "-0.5"),
    ],
)
def test_another_time_is_another_event(first: str, second: str, net: str) -> None:
    """Of one instant, so they contradict each other: the smaller counts, and the entry is flagged."""
    ledger = books()

    ledger.deliver(submitted(first), submitted(second))

    assert Decimal(net) == ledger.net("j-1")
    assert ["conflicting-charge"] == [anomaly.name for anomaly in ledger.entries_of("j-1")[1].anomalies]
    assert [Outcome.DUPLICATE] * 2 == ledger.deliver(submitted(second), submitted(first))


@pytest.mark.parametrize("edit", LATER)
def test_an_entry_is_counted_again_from_what_it_keeps(edit: str) -> None:
    """The row that counted stands in its price, so that no policy is needed; nor does a later one change what goes back."""
    ledger = books()
    ledger.deliver(submitted("2026-11-28T12:00:00Z"))
    ledger.policy = LATER[edit]
    ledger.deliver(failed("j-1", at="2027-01-05T11:00:00Z"))

    assert [Decimal("-0.5"), Decimal("0.5")] == [entry.amount for entry in ledger.entries_of("j-1")]
    assert [True, True] == [not each.failed for each in recount(ledger.entries_of("j-1"))]


# --- rows of Jobs, and grants -----------------------------------------------------------------------------------------


def test_a_row_of_jobs_is_priced_as_its_event_would_have_been() -> None:
    """The scan reads the attribute too. Its event, when it comes after all, is known."""
    steps = Steps(at_submission())
    steps.ledger.rows["j-1"] = {
        "jobId": "j-1",
        "userId": "u-1",
        "status": "completed",
        "seconds": 10,
        "model": "veo-3",
        "updatedAt": "2026-01-05T10:00:00Z",
        "submittedAt": "2026-11-28T00:00:00Z",
    }

    steps.scan()
    steps.deliver(rendered("j-1", seconds=10, at="2026-01-05T10:00:00Z", submittedAt="2026-11-28T01:00:00+01:00"))

    assert "submittedAt" in (at_submission().row_attributes or ())
    assert [("debit", Decimal("-0.5"))] == [(entry.type.value, entry.amount) for entry in steps.ledger.lines("j-1")]


def test_a_row_without_a_time_tells_one_charge_however_often_it_is_scanned() -> None:
    """The start of the scan stands in for its time, for its price too; the next scan begins later and tells nothing new."""
    found = at_submission("detail.submittedAt || time", PRICES.replace("2026-07-01", "2026-01-02"))
    steps = Steps(found)
    row = {"jobId": "j-1", "userId": "u-1", "status": "completed", "seconds": 10, "model": "veo-3"}

    for _scan in range(3):
        steps.ledger.rows["j-1"] = dict(row)  # the application put the whole item, without our marks
        steps.scan()
        steps.time.wait(3600)

    assert [("debit", Decimal("-1.2"))] == [(entry.type.value, entry.amount) for entry in steps.ledger.lines("j-1")]


def test_a_purchase_without_a_time_is_granted_once_however_often_it_is_scanned() -> None:
    """Nor does its price, which is taken at the start of the scan, make another purchase of it."""
    prices = "prices:\n  pack: [{effective: 2026-01-01T00:00:00Z, rates: {default: 80}}]\n"
    rules = (
        "rules:\n  - name: grant-pack\n    match: {detail-type: [pack.purchased]}\n    action: grant\n"
        '    grant: {price: pack, quantity: detail.packs, priced_at: "detail.orderedAt || time"}\n'
        "catch_up:\n  - {when: {status: [bought]}, event: {source: shop, detail-type: pack.purchased, time: boughtAt}}\n"
    )
    steps = Steps(policy(prices, rules))

    for _scan in range(3):
        steps.ledger.rows["j-1"] = {"jobId": "j-1", "userId": "u-1", "status": "bought", "packs": 2, "purchaseId": "p-1"}
        steps.scan()
        steps.time.wait(3600)

    (entries,) = steps.ledger.entries.values()
    assert [("grant", Decimal(160), 1)] == [(entry.type.value, entry.amount, len(entry.facts.grants)) for entry in entries]


def test_a_grant_may_have_the_price_of_its_order() -> None:
    """Two packs of 100, ordered when a pack still was 80."""
    prices = "prices:\n  pack:\n    - {effective: 2026-01-01T00:00:00Z, rates: {default: 80}}\n"
    later = "    - {effective: 2026-07-01T00:00:00Z, changes: {default: 100}}\n"
    rules = (
        "rules:\n  - name: grant-pack\n    match: {detail-type: [pack.purchased]}\n    action: grant\n"
        "    grant: {price: pack, quantity: detail.packs, priced_at: detail.orderedAt}\n"
    )
    ledger = books(policy(prices + later, rules))

    bought = event("pack.purchased", {"purchaseId": "p-1", "userId": "u-1", "packs": 2, "orderedAt": "2026-06-30T00:00:00Z"})
    ledger.deliver({**bought, "time": "2026-07-02T00:00:00Z"})

    assert [Decimal(160)] == [entry.amount for entry in ledger.entries_of("grant#p-1")]


def test_the_time_may_be_the_one_of_the_jobs_own_row() -> None:
    """The webhook says only which job is done. Told again when the row says another time, the event is known."""
    ledger = books(at_submission("row.submittedAt"))
    ledger.store.jobs["j-1"] = {"jobId": "j-1", "userId": "u-1", "submittedAt": "2026-11-28T00:00:00Z"}
    ledger.deliver(submitted(None))

    ledger.store.jobs["j-1"] = {"jobId": "j-1", "userId": "u-1", "submittedAt": "2026-01-28T00:00:00Z"}

    assert [Outcome.DUPLICATE] == ledger.deliver(submitted(None))
    assert [("debit", "-0.5000")] == ledger.lines("j-1")
    assert ("row.submittedAt", "2026-11-28T00:00:00Z") in ledger.entries_of("j-1")[0].facts.charges[0].content


def test_a_row_that_is_not_there_has_no_price() -> None:
    """The error names the job; a row without the attribute names the expression."""
    ledger = books(at_submission("row.submittedAt"))
    with pytest.raises(EventError, match="there is no row of job 'j-1' in Jobs, which `row.submittedAt` needs"):
        ledger.deliver(submitted(None))

    ledger.store.jobs["j-1"] = {"jobId": "j-1", "userId": "u-1"}
    with pytest.raises(EventError, match="field row.submittedAt: is missing; an ISO 8601 instant with a zone is needed"):
        ledger.deliver(submitted(None))
