"""The customer's page of a statement: the customer's words, nothing else, nothing from elsewhere, and fit for everybody."""

from __future__ import annotations

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
from engine.cli.statement_page import statement_page
from tests.support.events import rendered
from tests.support.four_days import REASON, give_of_goodwill
from tests.support.world import World

pytestmark = pytest.mark.local_aws

FINE = 0


@pytest.fixture
def world(four_days: World) -> World:
    """Return the four days."""
    return four_days


def reconciler(*arguments: Any) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


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
    give_of_goodwill(world, 5)
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
    assert {"title", "caption", "main", "header"} <= {tag for tag, _ in page.tags}
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
