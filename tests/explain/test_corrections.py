"""What people correct is counted from the Ledger's stream: once, by whoever posted it, and beside the explanations."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from engine.domain.anomaly import Anomaly
from engine.domain.entry import Correction, Entry, EntryType
from engine.domain.envelope import Source
from engine.domain.facts import Facts
from engine.domain.money import Money
from engine.ledger.dynamodb.postings import item_of
from engine.ledger.dynamodb.wire import ServiceError
from engine.runtime.clock import Clock
from tests.explain.conftest import SECONDS, Desk, record
from tests.support.world import DisturbedClient

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
LINE_BYTES_MAX = 100_000
WIDEST = "\N{GRINNING FACE}"
"""In a line of JSON it takes twelve bytes, three times as many as in a key."""

ANN, BOB = "arn:aws:sts::111122223333:assumed-role/support/ann", "arn:aws:sts::111122223333:assumed-role/support/bob"


def corrected(amount: str, by: str = ANN, **changes: Any) -> Entry:
    """Return the entry of an adjustment of a user; ``changes`` make another one of it."""
    whole = Entry(
        reference="adjust#a-1", job=None, sequence=1, user="u-1", type=EntryType.ADJUST, amount=Decimal(amount),
        occurred_at=AT, rule="adjust", policy="video@0123456789ab", facts=Facts(), cost=Decimal(amount).copy_negate(),
        money=Money(), source=Source.COMMAND, correction=Correction("the wallet said: sorry, Eve Adams", by, "a-1"),
    )  # fmt: skip
    return evolve(whole, **changes)


def records(*entries: Entry) -> list[dict[str, Any]]:
    """Return the stream's records of some entries."""
    return [record(item_of(entry, AT), number) for number, entry in enumerate(entries, start=1)]


def told(desk: Desk, *entries: Entry) -> list[dict[str, Any]]:
    """Hand entries over, and return the lines that tell of corrections."""
    assert [] == desk.explainer().batch(records(*entries), Clock().deadline(SECONDS))
    return [line for line in desk.lines if line["message"] == "corrected"]


def test_an_adjustment_is_counted_with_its_credits(desk: Desk) -> None:
    """Given or taken, each counts as what it moves; the line tells the person, and not the reason, which is free text."""
    (line,) = told(desk, corrected("2.5"), corrected("-4", reference="adjust#a-2"))

    assert ("adjust", ANN, 2, "-1.5", ["adjust#a-1", "adjust#a-2"]) == tuple(
        line[name] for name in ("type", "by", "entries", "credits", "references")
    )
    assert (2, 6.5) == (line["ManualAdjustments"], line["CreditsAdjusted"])
    assert {"FunctionName": "explain"} == {name: line[name] for name in line["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0]}
    assert "Eve" not in json.dumps(desk.lines)


def test_ten_corrections_cost_a_line_of_log_and_no_request(desk: Desk) -> None:
    """However long their names are: a plan may correct a hundred thousand jobs."""
    longest = Correction("because", WIDEST * 1024, approved_by=WIDEST * 1024, plan="0" * 64)
    entries = [
        corrected("1", type=EntryType.REPRICE, reference=f"job#{number}{WIDEST * 510}", correction=longest)
        for number in range(10)
    ]
    client = DisturbedClient(desk.world.client, lambda _operation, request, send: send(**request))

    assert [] == desk.explainer(client).batch(records(*entries), Clock().deadline(SECONDS))

    (line,) = desk.lines
    assert ([], 10) == (client.calls, line["entries"])
    assert len(json.dumps(line)) < LINE_BYTES_MAX


def test_what_was_priced_anew_is_counted_by_itself(desk: Desk) -> None:
    """By its plan; jobs that a person corrects by one plan are one line."""
    by_plan = Correction("ten times too much", BOB, plan="0123456789abcdef")
    job = corrected("7.2", type=EntryType.REPRICE, reference="job#j-1", job="j-1", correction=by_plan)
    (line,) = told(desk, job, evolve(job, reference="job#j-2", job="j-2", amount=Decimal("-0.7")))

    assert (2, 7.9, "6.5", "0123456789abcdef") == (
        line["Repricings"], line["CreditsRepriced"], line["credits"], line["plan"]
    )  # fmt: skip
    assert "CreditsAdjusted" not in line


def test_each_person_has_a_line(desk: Desk) -> None:
    """And each pair of persons, where a second one was needed."""
    approved = evolve(corrected("50", reference="adjust#a-3"), correction=Correction("sorry", ANN, "a-3", approved_by=BOB))
    lines = told(desk, corrected("1"), corrected("2", BOB, reference="adjust#a-2"), approved)

    assert [(ANN, None, "1"), (BOB, None, "2"), (ANN, BOB, "50")] == [
        (line["by"], line["approvedBy"], line["credits"]) for line in lines
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"source": Source.REPAIR},
        {"source": Source.EVENT, "type": EntryType.DEBIT},
        {"type": EntryType.VOID, "amount": Decimal(0)},
        {"correction": None},
        {"correction": Correction("forged", by={"M": "not a text"})},  # type: ignore[arg-type]
        {"correction": Correction("forged", ANN, plan=["not", "a", "text"])},  # type: ignore[arg-type]
        {"amount": Decimal("NaN")},
        {"amount": Decimal("1E+125")},
    ],
)
def test_what_is_no_correction_of_a_person_is_not_counted(desk: Desk, changes: dict[str, Any]) -> None:
    """A repair follows from what was found; a claim of an id moves nothing; what is forged harms nobody's count."""
    entry = evolve(corrected("2.5"), **changes)
    desk.explainer().batch(records(entry), Clock().deadline(SECONDS))

    assert [] == [line for line in desk.lines if line["message"] == "corrected"]


def test_a_correction_that_is_flagged_is_counted_and_explained(desk: Desk) -> None:
    """It has taken more than there was."""
    desk.world.client.put_item(
        TableName=desk.world.tables.ledger, Item=item_of(flagged := corrected("-5000", anomalies=(Anomaly("overdraft"),)), AT)
    )
    (line,) = told(desk, flagged)

    assert 5000.0 == line["CreditsAdjusted"]
    assert 1 == sum(each["message"] == "explained" for each in desk.lines)


def test_what_comes_again_is_counted_when_it_comes_again(desk: Desk) -> None:
    """The stream goes on at the first record that comes again, so all behind it comes again too: each is counted once."""
    first, behind = corrected("1"), corrected("4", reference="adjust#a-3")
    between = corrected("2", reference="adjust#a-2", anomalies=(Anomaly("overdraft"),))
    stream = records(first, between, behind)
    for entry in (first, between, behind):
        desk.world.client.put_item(TableName=desk.world.tables.ledger, Item=item_of(entry, AT))

    def refused(operation: str, request: dict[str, Any], send: Any) -> Any:
        if operation == "update_item" and request["TableName"] == desk.world.tables.ledger:
            raise ServiceError("AccessDeniedException", "not authorized", 400, [])
        return send(**request)

    disturbed = desk.explainer(DisturbedClient(desk.world.client, refused))
    assert ["2"] == disturbed.batch(stream, Clock().deadline(SECONDS))
    assert [] == desk.explainer().batch(stream[1:], Clock().deadline(SECONDS))

    assert [1.0, 6.0] == [line["CreditsAdjusted"] for line in desk.lines if line["message"] == "corrected"]
