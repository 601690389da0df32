"""What the command tells of holds: a job's story, a statement, the reasons for a request, and policy tests."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.audit.statement import statement_of
from engine.cli.app import app
from engine.cli.statement_page import description, statement_page
from engine.ledger.store import Tables
from engine.policy import parse_policy
from engine.rating.expire import expiry_of
from engine.reconcile.settle import EventProposal, settle
from tests.cli.test_statement_page import read_page
from tests.support.clock import ManualClock
from tests.support.events import event
from tests.support.world import World
from tools.local_aws import tables_environment

FINE, FAILED = 0, 1

POLICY = """\
version: 1
name: holds
event: {job: detail.jobId, user: detail.userId, time: time, attempt: "detail.attempt || `1`"}
prices:
  second: [{effective: 2026-01-01T00:00:00Z, rates: {default: "0.1"}}]
rules:
  - name: hold-submitted
    match: {detail-type: [video.submitted]}
    action: hold
    hold: {price: second, quantity: detail.seconds, expires: 2h}
  - name: debit-rendered
    match: {detail-type: [video.rendered]}
    action: debit
    charge: {price: second, quantity: detail.seconds}
  - name: refund-failed
    match: {detail-type: [video.failed]}
    action: refund
    refund: {percent: 100}
"""


def told(kind: str, job: str, at: str, **detail: Any) -> dict[str, Any]:
    """Return an event of a job of u-1, whose id says what it is."""
    return event(f"video.{kind}", {"jobId": job, "userId": "u-1", **detail}, at, id=f"{kind}-{job}")


@pytest.fixture
def world(dynamodb: Any, tables: Tables, local_aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return tables on which u-1 had 3 credits: j-1 held 0.8 and cost 0.6, j-2 holds 2, and 1 more for j-3 was refused."""
    file = tmp_path / "holds.yaml"
    file.write_text(POLICY)
    for name, value in {**tables_environment(tables), "AWS_ENDPOINT_URL": local_aws, "POLICY_FILE": str(file)}.items():
        monkeypatch.setenv(name, value)
    world = World(dynamodb, tables, parse_policy(POLICY, "holds.yaml"), ManualClock().clock()).user("u-1", "3")
    world.deliver(told("submitted", "j-1", "10:00", seconds=8), told("rendered", "j-1", "10:05", seconds=6))
    world.deliver(told("submitted", "j-2", "10:10", seconds=20), told("submitted", "j-3", "10:20", seconds=10))
    return world


def reconciler(*arguments: Any, columns: int = 80) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": str(columns)})


def answer(*arguments: Any) -> Any:
    """Return what the command tells machines."""
    result = reconciler(*arguments, "--json")
    assert FINE == result.exit_code, result.output
    return json.loads(result.stdout)


def expire(world: World, job: str) -> None:
    """Let the scheduled run find the hold of a job due."""
    ledger = world.reconciler().ledger
    log = ledger.read(f"job#{job}", world.deadline())
    assert log.facts.hold is not None
    expiry = expiry_of(log.facts.hold, job, "u-1", log.facts.hold.expires_at)
    settle(EventProposal(expiry, world.policy, ledger, log), ledger, world.deadline())


# --- a job ------------------------------------------------------------------------------------------------------------

HELD = """\
told      a hold of 2 at 2026-01-05T10:10:00Z until 2026-01-05T12:10:00Z:
          detail.attempt || `1` 1, detail.seconds 20
"""


@pytest.mark.local_aws
def test_the_story_of_a_job_tells_what_was_held_settled_and_expired(world: World) -> None:
    """8 seconds were held and 6 rendered: 0.2 go back. The hold of j-2 expires, and all of it goes back."""
    settled = answer("job", "j-1")
    holding = reconciler("job", "j-2")
    expire(world, "j-2")
    released = answer("job", "j-2")

    assert [("hold", "-0.8", "0.8"), ("settle", "0.2", "-0.8")] == [
        (entry["type"], entry["amount"], entry["held"]) for entry in settled["entries"]
    ]
    now = [Decimal(settled["now"][name]) for name in ("cost", "held", "posted", "due")]
    assert [Decimal("0.6"), 0, Decimal("-0.6"), 0] == now
    assert HELD in holding.stdout
    assert "held     2\n" in holding.stdout
    assert ["the hold of attempt 1 had expired by 2026-01-05T12:10:00Z"] == released["entries"][1]["told"]
    last = released["entries"][1]
    assert ("release", "expiry", "2", "-2") == tuple(last[name] for name in ("type", "rule", "amount", "held"))
    assert all(len(line) <= 80 for line in holding.stdout.splitlines())


@pytest.mark.local_aws
def test_the_story_of_a_job_tells_of_a_refused_request(world: World) -> None:
    """1 credit was asked for and 0.4 were left: it names the event, and moves nothing."""
    (entry,) = answer("job", "j-3")["entries"]

    assert ("flag", "0", None) == (entry["type"], entry["amount"], entry.get("held"))
    assert ["a request to hold, event submitted-j-3: refused, and so it stays, however often it comes"] == entry["told"]
    assert ["overdraft"] == [anomaly["name"] for anomaly in entry["anomalies"]]


@pytest.mark.local_aws
def test_each_entry_of_a_hold_is_counted_again(world: World) -> None:
    """What was held before, and is held after it, stands in its arithmetic."""
    result = reconciler("explain", "--entry", "job#j-1")

    assert FINE == result.exit_code
    assert "held before 0; 0.8 are held after it" in result.stdout
    assert "held before 0.8; 0.0 are held after it" in result.stdout


# --- a statement ------------------------------------------------------------------------------------------------------


@pytest.mark.local_aws
def test_a_statement_tells_what_is_left_what_is_held_and_what_is_owned(world: World) -> None:
    """3 - 0.6 are owned; 2 of them are held. What is held is no charge."""
    found = answer("statement", "u-1")

    figures = {name: Decimal(found[name]) for name in ("granted", "charged", "posted", "remaining", "held", "owned")}
    assert {
        "granted": Decimal(3),
        "charged": Decimal("-0.6"),
        "posted": Decimal("-2.6"),
        "remaining": Decimal("0.4"),
        "held": Decimal(2),
        "owned": Decimal("2.4"),
    } == figures
    all_at_once = [("flag", "0"), ("hold", "0.8"), ("hold", "2"), ("settle", "-0.8")]
    assert all_at_once == sorted((line["type"], line["held"]) for line in found["entries"])


@pytest.mark.local_aws
def test_the_screen_shows_what_is_held_where_something_is(world: World) -> None:
    """A column of its own, and two more sums; a user who never held anything has neither."""
    world.user("u-2", "5").deliver(event("video.rendered", {"jobId": "j-9", "userId": "u-2", "seconds": 1}, "10:00"))

    screen, of_another = reconciler("statement", "u-1", columns=200).stdout, reconciler("statement", "u-2").stdout
    rows = list(csv.DictReader(io.StringIO(reconciler("statement", "u-1", "--csv").stdout)))

    assert "balance  held  rule" in screen
    assert screen.endswith("remaining              0.4\nheld                     2\nowned                  2.4\n")
    assert not [word for word in ("held", "owned") if word in of_another]
    assert ["-0.8", "0", "0.8", "2"] == sorted(row["held"] for row in rows)


@pytest.mark.local_aws
def test_a_row_whose_held_is_not_what_the_entries_hold_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has moved it by hand."""
    monkeypatch.setattr("engine.cli.statement.SECONDS_BETWEEN_LOOKS", 0)
    more = {"UpdateExpression": "ADD held :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
    world.client.update_item(TableName=world.tables.credits, Key={"userId": {"S": "u-1"}}, **more)

    result = reconciler("statement", "u-1")

    assert "u-1: the entries hold 2.0, and `held` is 3; reconciler audit says more" in " ".join(result.stderr.split())
    assert "lead to" not in result.stderr


def entry(kind: str, amount: str, held: str, job: str = "j-1") -> dict[str, Any]:
    """Return an entry as it is stored."""
    told = {"reference": f"job#{job}", "type": kind, "amount": Decimal(amount), "held": Decimal(held)}
    return {**told, "postedAt": "2026-01-05T10:00:00Z"}


def test_the_customers_page_calls_it_reserved() -> None:
    """5 credits: j-1 used 0.6 of the 0.8 that were reserved, j-2 all of its 1, and 2 are reserved for j-3."""
    entries = [
        *(entry("hold", "-0.8", "0.8"), entry("settle", "0.2", "-0.8")),
        *(entry("hold", "-1", "1", "j-2"), entry("settle", "0", "-1", "j-2"), entry("hold", "-2", "2", "j-3")),
    ]
    row = {"remaining": Decimal("1.4"), "posted": Decimal("-3.6"), "held": Decimal(2)}

    page = read_page(statement_page(statement_of("u-1", row, entries), datetime(2026, 1, 9, tzinfo=UTC)))

    assert [
        "Reserved for job j-1",
        "Job j-1, less than was reserved",
        "Reserved for job j-2",
        "Job j-2, paid by what was reserved",
        "Reserved for job j-3",
    ] == [cell for cell in page.cells if "reserved" in cell.lower() and "job j-" in cell.lower()]
    sums = dict(zip(page.texts, page.texts[1:], strict=False))
    assert ("-1.60", "-2.00", "1.40") == tuple(
        sums[name].replace("\N{MINUS SIGN}", "-") for name in ("Used by jobs", "Reserved for jobs", "Closing balance")
    )


@pytest.mark.parametrize(
    ("kind", "amount", "held", "text"),
    [
        ("hold", "0.3", "-0.3", "Less reserved for job j-1"),
        ("settle", "-0.4", "-0.8", "Job j-1, beyond what was reserved"),
        ("release", "0.8", "-0.8", "Reservation for job j-1 ended"),
        ("void", "0", "0.3", "Correction"),
    ],
)
def test_each_entry_of_a_hold_has_the_customers_words(kind: str, amount: str, held: str, text: str) -> None:
    """What is reserved less, and what ends it, by whichever sign."""
    (line,) = statement_of("u-1", None, [entry(kind, amount, held)]).lines

    assert text == description(line)


# --- a request --------------------------------------------------------------------------------------------------------


def test_a_request_is_explained_with_its_price_and_its_end(tmp_path: Path) -> None:
    """8 seconds at 0.1: what is held, until when, and what becomes of it without the balance."""
    policy, file = tmp_path / "policy.yaml", tmp_path / "event.json"
    policy.write_text(POLICY)
    file.write_text(json.dumps(told("submitted", "j-1", "10:00", seconds=8)))

    found = answer("explain", file, "--policy", policy)

    lines = reconciler("explain", file, "--policy", policy, columns=200).stdout.splitlines()
    assert "u-1 has 0.8000 credits held: hold of -0.8000 on job#j-1, by hold-submitted" == lines[0]
    assert ("hold", "-0.8000", "0.8000") == tuple(found["entry"][name] for name in ("type", "amount", "held"))
    assert [
        "8 x 0.1 = 0.8",
        "rounded half-even to 4 places: 0.8000",
        "held until 2026-01-05T12:00:00Z at the latest",
        "refused where the balance does not cover it: `overdraft` is refuse",
    ] == found["steps"][-4:]


def test_a_request_without_an_id_is_explained_as_what_it_lacks(tmp_path: Path) -> None:
    """A request that was refused is known by it."""
    policy, file = tmp_path / "policy.yaml", tmp_path / "event.json"
    policy.write_text(POLICY.replace("expires: 2h", "expires: 2h, overdraft: allow"))
    document = told("submitted", "j-1", "10:00", seconds=8)
    file.write_text(json.dumps({name: value for name, value in document.items() if name != "id"}))

    result = reconciler("explain", file, "--policy", policy, columns=200)
    file.write_text(json.dumps(document))

    assert FAILED == result.exit_code
    assert "field id: is missing; a hold needs the id of its event" in result.stdout
    assert "whether the balance covers it or not: `overdraft` is allow" in answer("explain", file, "--policy", policy)["steps"]


# --- policy tests -----------------------------------------------------------------------------------------------------

TESTS = """\
policy: policy.yaml
tests:
  - name: a hold that nobody settles goes back
    users: {u-1: 2}
    given:
      - {detail-type: video.submitted, time: 2026-01-05T10:00:00Z, detail: {jobId: j-1, userId: u-1, seconds: 8}}
      - {detail-type: video.submitted, time: 2026-01-05T10:00:00Z, detail: {jobId: j-2, userId: u-1, seconds: 5}}
      - {detail-type: video.submitted, time: 2026-01-05T10:00:00Z, detail: {jobId: j-3, userId: u-1, seconds: 9}}
      - expire: j-1
      - expire: j-3
    expect:
      - {job: j-1, type: hold, amount: "-0.8"}
      - {job: j-1, type: release, amount: "0.8", rule: expiry}
      - {job: j-2, type: hold, amount: "-0.5"}
      - {job: j-3, type: flag, amount: 0, anomalies: [overdraft]}
    balances: {u-1: "1.5"}
    held: {u-1: "0.5"}
"""


def tried(folder: Path, tests: str) -> Result:
    """Run policy tests of the policy."""
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "tests.yaml").write_text(tests)
    return reconciler("test", folder / "tests.yaml")


def test_a_policy_test_says_what_is_held_and_when_a_hold_expires(tmp_path: Path) -> None:
    """Its events need no ids: EventBridge gives each one. Nothing is held for j-3, so nothing expires."""
    assert "1 passed, 0 failed" in " ".join(tried(tmp_path, TESTS).stdout.split())


def test_a_policy_test_shows_what_is_held_otherwise(tmp_path: Path) -> None:
    """0.5 are held, not 0.8; and nothing of u-2, who does not exist."""
    result = tried(tmp_path, TESTS.replace('held: {u-1: "0.5"}', 'held: {u-1: "0.8", u-2: "1"}'))

    assert FAILED == result.exit_code
    assert ["- held of u-1: 0.8", "+ held of u-1: 0.5000", "- held of u-2: 1", "+ held of u-2: 0"] == [
        line.strip() for line in result.stdout.splitlines() if "held of" in line
    ]


def test_a_policy_test_that_expects_an_error_holds_nothing(tmp_path: Path) -> None:
    """Nothing is compared behind an error."""
    only = TESTS[: TESTS.index("    expect:")] + '    held: {u-1: "0.5"}\n    error: x\n'

    assert "expects no entries and no balances" in str(tried(tmp_path, only).exception)
