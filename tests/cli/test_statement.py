"""``reconciler statement``: periods, orders and sums of a story that was worked out by hand; CSV; the customer's page."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from attrs import Factory, define
from typer.testing import CliRunner, Result

from engine.audit.statement import Order, statement_of
from engine.cli.app import app
from engine.cli.files import UnwritableFileError
from engine.cli.spreadsheet import csv_text
from engine.cli.statement import SPREADSHEET
from engine.cli.statement_page import statement_page
from engine.domain.decision import Standing
from engine.domain.entry import Correction
from engine.domain.fact import Adjustment
from engine.domain.facts import Facts
from engine.ledger.store import Tables
from engine.policy import load_policy
from engine.rating.correct import Word, correct
from tests.support.clock import ManualClock
from tests.support.events import event, failed, rendered
from tests.support.world import World
from tools.environments import ROOT
from tools.local_aws import tables_environment

pytestmark = pytest.mark.local_aws

FINE, FAILED, MISUSED = 0, 1, 2
DAY_SECONDS = 24 * 60 * 60
VIDEO = ROOT / "policies" / "video.yaml"
REASON = "was shouting on the phone"


def purchased(purchase: str, count: int, at: str) -> dict[str, Any]:
    """Return the event of a purchase of u-1."""
    return event("credits.purchased", {"purchaseId": purchase, "userId": "u-1", "credits": count}, at)


@pytest.fixture
def world(dynamodb: Any, tables: Tables, local_aws: str, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return four days of u-1, to whom the application gave 100 credits.

    Posted on the 5th j-1 of the 5th (8 s at 0.10), on the 6th 25 bought credits, on the 7th j-2, late, of the 6th (10 s at
    0.25), on the 8th the failure of j-1 and of j-9, which was never rendered. 100 - 0.80 + 25 - 2.50 + 0.80 are 122.50.
    """
    for name, value in {**tables_environment(tables), "AWS_ENDPOINT_URL": local_aws}.items():
        monkeypatch.setenv(name, value)
    time = ManualClock()
    world = World(dynamodb, tables, load_policy(VIDEO), time.clock()).user("u-1", "100")
    days = (
        (rendered("j-1", at="2026-01-05T10:00:00Z"),),
        (purchased("p-1", 25, "2026-01-06T09:00:00Z"),),
        (rendered("j-2", seconds=10, model="premium", at="2026-01-06T08:00:00Z"),),
        (failed("j-1", at="2026-01-08T11:00:00Z"), failed("j-9", at="2026-01-08T11:30:00Z")),
    )
    for events in days:
        world.deliver(*events)
        time.wait(DAY_SECONDS)
    return world


def reconciler(*arguments: Any) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def told(*arguments: Any) -> dict[str, Any]:
    """Return what the command prints for machines."""
    result = reconciler("statement", "u-1", "--json", *arguments)
    assert FINE == result.exit_code, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def balances(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return each line's reference and the balance after it."""
    return [(line["reference"], format(Decimal(line["balance"]).normalize(), "f")) for line in found["entries"]]


def correct_by(world: World, reference: str, facts: Facts, user: str = "u-1") -> None:
    """Post what a person says of a log."""
    at = world.clock.now()
    word = Word(reference, None, user, at, "adjust", facts, Correction(REASON, "arn:aws:iam::1:user/ada", "a-1"))
    ledger = world.reconciler().ledger
    log = ledger.read(reference, world.deadline())
    decision = correct(word, log, Standing.ASSUMED_COVERED, world.policy)
    assert decision.entry is not None
    ledger.post(decision.entry, decision.guard, None, world.deadline())


# --- figures ----------------------------------------------------------------------------------------------------------


def test_credits_that_came_as_events_count_among_what_was_granted(world: World) -> None:
    """100 by the application and 25 by an event; what was granted and what was charged lead to the balance."""
    found = told()

    figures = {name: Decimal(found[name]) for name in ("granted", "grantedByApplication", "grantedByEvents", "charged")}
    assert {
        "granted": Decimal(125),
        "grantedByApplication": Decimal(100),
        "grantedByEvents": Decimal(25),
        "charged": Decimal("-2.5"),
    } == figures
    assert Decimal("122.5") == Decimal(found["remaining"]) == figures["granted"] + figures["charged"]
    assert [("job#j-1", "99.2"), ("grant#p-1", "124.2"), ("job#j-2", "121.7"), ("job#j-1", "122.5"), ("job#j-9", "122.5")] == (
        balances(found)
    )


def test_a_line_names_model_and_quantity(world: World) -> None:
    """The model that the event named, not the row of rates that counted; a refund has that of its charge."""
    lines = told()["entries"]

    assert [("veo-3", "8"), ("", "25"), ("premium", "10"), ("veo-3", ""), ("", "")] == [
        (line["model"], line["quantity"]) for line in lines
    ]


def test_a_period_has_the_balance_before_it_and_at_its_end(world: World) -> None:
    """By when entries were posted: the 6th and the 7th. The end of the period is not in it."""
    found = told("--since", "2026-01-06", "--until", "2026-01-08")

    assert ("99.2", "121.7") == (found["opening"], found["closing"])
    assert [("grant#p-1", "124.2"), ("job#j-2", "121.7")] == balances(found)
    assert "122.5" == found["remaining"], "what the user has now is told whatever the period"


def test_by_occurrence_a_late_event_stands_where_its_work_was_done(world: World) -> None:
    """j-2 was rendered before the credits were bought, and posted after them."""
    found = told("--order", "occurrence", "--since", "2026-01-06T08:30:00Z")

    assert ("96.7", "122.5") == (found["opening"], found["closing"])
    assert [("grant#p-1", "121.7"), ("job#j-1", "122.5"), ("job#j-9", "122.5")] == balances(found)


def test_a_period_in_which_nothing_happened_keeps_the_balance(world: World) -> None:
    """Also one that lies before everything: then the application's own credits are all there is."""
    later, before = told("--since", "2026-02-01"), told("--until", "2026-01-01")

    assert ([], "122.5", "122.5") == (later["entries"], later["opening"], later["closing"])
    assert ([], Decimal(100), Decimal(100)) == (before["entries"], Decimal(before["opening"]), Decimal(before["closing"]))


def test_the_screen_shows_the_balances_at_both_ends_of_a_period(world: World) -> None:
    """Or a reader would take the first line for the first of all."""
    screen = reconciler("statement", "u-1", "--since", "2026-01-06", "--until", "2026-01-08").stdout

    assert re.search(r"opening +99\.2\b", screen)
    assert re.search(r"closing +121\.7\b", screen)


def test_a_correction_says_its_reason_to_colleagues(world: World) -> None:
    """5 credits of goodwill: adjusted, not granted, and the reason stands in the line."""
    correct_by(world, "adjust#a-1", Facts(adjustments=(Adjustment("a-1", Decimal(5), world.clock.now()),)))

    found = told()

    assert ("5", Decimal(125), Decimal("127.5")) == (found["adjusted"], Decimal(found["granted"]), Decimal(found["remaining"]))
    assert ("adjust", "5", REASON) == tuple(found["entries"][-1][name] for name in ("type", "amount", "reason"))


def test_books_that_do_not_agree_are_told_and_no_customer_gets_a_page(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has moved `posted`: what the application granted can no longer be told from it."""
    monkeypatch.setattr("engine.cli.statement.SECONDS_BETWEEN_LOOKS", 0)
    key = {"userId": {"S": "u-1"}}
    more = {"UpdateExpression": "ADD posted :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
    world.client.update_item(TableName=world.tables.credits, Key=key, **more)

    result = reconciler("statement", "u-1", "--html", tmp_path / "page.html")

    assert FAILED == result.exit_code
    assert "the entries lead to 121.5, and the balance is 122.5; reconciler audit says more" in result.stderr
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    "arguments",
    [("--csv", "--json"), ("--since", "2026-01-06", "--until", "2026-01-06"), ("--since", "yesterday"), ("--order", "size")],
)
def test_what_makes_no_sense_is_wrong_usage(world: World, arguments: tuple[str, ...]) -> None:
    """Before a table is asked."""
    assert MISUSED == reconciler("statement", "u-1", *arguments).exit_code


def test_a_page_that_cannot_be_written_is_named(world: World) -> None:
    """There is no such folder."""
    result = reconciler("statement", "u-1", "--html", "no-folder/page.html")

    assert isinstance(result.exception, UnwritableFileError)
    assert "no-folder/page.html: cannot be written: No such file or directory" == str(result.exception)


# --- CSV --------------------------------------------------------------------------------------------------------------


def test_csv_has_every_figure_and_ends_its_lines_as_the_standard_says(world: World) -> None:
    """RFC 4180: a header, CRLF, quotes where a text needs them. Credits are exact."""
    text = reconciler("statement", "u-1", "--csv").stdout_bytes.decode()

    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert [*SPREADSHEET] == header
    assert 6 == text.count("\r\n") == text.count("\n")
    found = [dict(zip(header, row, strict=True)) for row in rows]
    assert ["-0.8", "25", "-2.5", "0.8", "0"] == [row["amount"] for row in found]
    assert ("2026-01-06T08:00:00Z", "2026-01-07T12:00:00.000000Z", "premium") == tuple(
        found[2][name] for name in ("occurredAt", "postedAt", "model")
    )


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\N{FULLWIDTH EQUALS SIGN}1"])
def test_a_text_is_no_formula_in_a_spreadsheet(text: str) -> None:
    """A job's name comes from whoever sends events. A number keeps its sign."""
    rows = csv.reader(io.StringIO(csv_text(("job", "amount"), [{"job": text, "amount": Decimal("-0.80")}]), newline=""))

    assert [["job", "amount"], [f"'{text}", "-0.80"]] == [*rows]


def test_a_text_with_quotes_commas_and_lines_is_one_cell() -> None:
    """Whatever reads it gets back what was written."""
    text = 'a "b", c\r\nd'

    assert [["job"], [text]] == [*csv.reader(io.StringIO(csv_text(("job",), [{"job": text}]), newline=""))]


# --- the customer's page ----------------------------------------------------------------------------------------------


@define
class Page(HTMLParser):
    """A page as a browser would read it: its tags, and its texts outside of the style."""

    tags: list[tuple[str, dict[str, str | None]]] = Factory(list)
    cells: list[str] = Factory(list)
    texts: list[str] = Factory(list)
    is_open: str = ""

    def __attrs_pre_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.tags.append((tag, dict(attrs)))
        self.is_open = tag
        if tag in {"td", "th"}:
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        """A text behind it is of nobody's cell."""
        self.is_open = tag if tag == "time" else ""

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        if self.is_open in {"td", "th", "time"}:
            self.cells[-1] += data.strip()
        if self.is_open != "style" and data.strip():
            self.texts.append(data.strip())


def read_page(text: str) -> Page:
    """Return a page as it is read."""
    page = Page()
    page.feed(text)
    return page


def test_the_page_is_the_statement_in_the_customers_words(world: World, tmp_path: Path) -> None:
    """All figures with as many places as the longest needs; what moves nothing is left out."""
    result = reconciler("statement", "u-1", "--html", tmp_path / "page.html")

    assert (FINE, "") == (result.exit_code, result.stdout)
    cells = read_page((tmp_path / "page.html").read_text()).cells
    rows = [cells[start : start + 6] for start in range(0, len(cells), 6)]
    assert [
        ["Booked", "Description", "Model", "Quantity", "Credits", "Balance"],
        ["", "Opening balance", "", "", "", "100.00"],
        ["5 Jan 2026, 12:00", "Job j-1", "veo-3", "8", "-0.80", "99.20"],
        ["6 Jan 2026, 12:00", "Credits added (p-1)", "", "", "+25.00", "124.20"],
        ["7 Jan 2026, 12:00", "Job j-2", "premium", "10", "-2.50", "121.70"],
        ["8 Jan 2026, 12:00", "Refund for job j-1", "veo-3", "", "+0.80", "122.50"],
        ["", "Closing balance", "", "", "", "122.50"],
    ] == [[cell.replace("\N{MINUS SIGN}", "-") for cell in row] for row in rows]


def test_the_page_tells_nothing_of_how_it_is_worked_out(world: World, tmp_path: Path) -> None:
    """No rule, policy, anomaly or event; a correction without the reason that a colleague wrote for colleagues."""
    world.deliver(rendered("j-3", seconds=4000, at="2026-01-08T12:00:00Z"))
    correct_by(world, "adjust#a-1", Facts(adjustments=(Adjustment("a-1", Decimal(5), world.clock.now()),)))
    secrets = {value for entry in map(world.entries, ("j-1", "j-2", "j-3")) for each in entry for value in internals(each)}

    reconciler("statement", "u-1", "--html", tmp_path / "page.html")

    page = (tmp_path / "page.html").read_text()
    assert {"debit-rendered", "costs-over-50", world.policy.identity} <= secrets
    assert [] == [secret for secret in (*secrets, REASON, "arn:aws", "unknown-job") if secret in page]
    assert "Credit from our support team" in page


def internals(entry: dict[str, Any]) -> list[str]:
    """Return what an entry keeps that is none of the customer's business."""
    return [entry["rule"], entry["policy"], entry["eventId"], *(anomaly["name"] for anomaly in entry["anomalies"])]


def test_the_page_needs_nothing_from_elsewhere(world: World, tmp_path: Path) -> None:
    """No address, no script; and a policy of the page's own that forbids both."""
    reconciler("statement", "u-1", "--html", tmp_path / "page.html")

    text = (tmp_path / "page.html").read_text()
    page = read_page(text)
    addresses = [value for _, given in page.tags for name, value in given.items() if name in {"src", "href", "action"}]
    assert (["data:,"], []) == (addresses, re.findall(r"url\(|@import|https?:|<script", text))
    rules = next(given for tag, given in page.tags if tag == "meta" and "http-equiv" in given)
    assert str(rules["content"]).startswith("default-src 'none'")


def test_the_page_can_be_read_by_those_who_do_not_see_it(world: World, tmp_path: Path) -> None:
    """A language, a title, one heading, a table with a caption whose heads say what they are heads of."""
    reconciler("statement", "u-1", "--html", tmp_path / "page.html")

    page = read_page((tmp_path / "page.html").read_text())
    assert ("html", {"lang": "en"}) in page.tags
    assert {"title", "caption", "main", "header", "footer"} <= {tag for tag, _ in page.tags}
    assert 1 == sum(tag == "h1" for tag, _ in page.tags)
    heads = [given.get("scope") for tag, given in page.tags if tag == "th"]
    assert (["col"] * 6, {"row"}) == (heads[:6], {*heads[6:]})
    instants = [given["datetime"] for tag, given in page.tags if tag == "time"]
    assert ["2026-01-05T12:00:00Z", "2026-01-06T12:00:00Z"] == instants[:2]


NASTY = '"><img src=x onerror=alert(1)>{{ user }}\N{RIGHT-TO-LEFT OVERRIDE}'


def test_whatever_a_job_or_a_user_is_called_it_is_text() -> None:
    """Names come from whoever sends events: no markup, no template, nothing that turns a line around."""
    stored = {"reference": f"job#{NASTY}", "type": "debit", "amount": Decimal(-1), "postedAt": "2026-01-05T10:00:00Z"}
    row = {"remaining": Decimal(9), "posted": Decimal(-1)}

    page = read_page(statement_page(statement_of(NASTY, row, [stored]), datetime(2026, 1, 9, tzinfo=UTC)))

    assert [] == [tag for tag, _ in page.tags if tag == "img"]
    assert any('Job "><img src=x onerror=alert(1)>{{ user }}\\u202e' in text for text in page.texts)


@pytest.mark.parametrize(
    ("since", "until", "period"),
    [
        (None, None, "All entries"),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC), "1 January 2026 to 31 January 2026"),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), "1 January 2026"),
        (datetime(2026, 1, 1, tzinfo=UTC), None, "From 1 January 2026"),
        (None, datetime(2026, 1, 1, 9, 30, tzinfo=UTC), "Until 1 Jan 2026, 09:30"),
    ],
)
def test_a_period_is_told_as_people_say_it(since: datetime | None, until: datetime | None, period: str) -> None:
    """A month ends with its last day, though the end of the period is the first of the next."""
    found = statement_of("u-1", {"remaining": Decimal(1)}, [], period=(since, until))

    assert period in read_page(statement_page(found, datetime(2026, 3, 1, tzinfo=UTC))).texts


WORDS = [
    ("adjust#a-1", "adjust", 5, "Credit from our support team"),
    ("adjust#a-1", "adjust", -5, "Correction by our support team"),
    ("job#j-1", "adjust", 5, "Credit from our support team for job j-1"),
    ("job#j-1", "adjust", -5, "Credit for job j-1 taken back"),
    ("job#j-1", "reprice", 5, "Price correction for job j-1"),
    ("job#j-1", "reprice", -5, "Price correction for job j-1"),
    ("grant#p-1", "revoke", -5, "Credits taken back (p-1)"),
    ("grant#p-1", "revoke", 5, "Credits given back (p-1)"),
    ("grant#p-1", "grant", -5, "Correction of credits added (p-1)"),
    ("job#j-1", "something-new", -5, "Correction"),
]


@pytest.mark.parametrize(("reference", "kind", "amount", "text"), WORDS, ids=[f"{row[0]} {row[1]} {row[2]}" for row in WORDS])
def test_each_kind_of_entry_has_the_customers_words(reference: str, kind: str, amount: int, text: str) -> None:
    """What comes in and what goes out are told apart."""
    stored = {"reference": reference, "type": kind, "amount": Decimal(amount), "occurredAt": "2026-01-05T10:00:00Z"}
    row = {"remaining": Decimal(10), "posted": Decimal(amount)}

    found = statement_of("u-1", row, [stored], Order.OCCURRENCE)

    assert text in read_page(statement_page(found, datetime(2026, 1, 9, tzinfo=UTC))).cells


def test_no_digit_of_a_credit_is_lost() -> None:
    """38 digits are what the ledger holds; Python's own numbers would keep 28 of them."""
    amount = Decimal("-1234567890123456789012345678.0123456789")
    stored = {"reference": "job#j-1", "type": "debit", "amount": amount, "postedAt": "2026-01-05T10:00:00Z"}

    found = statement_of("u-1", {"remaining": amount, "posted": amount}, [stored])

    cells = read_page(statement_page(found, datetime(2026, 1, 9, tzinfo=UTC))).cells
    assert "\N{MINUS SIGN}1,234,567,890,123,456,789,012,345,678.0123456789" in cells
