"""``reconciler statement``: periods, orders and sums of a story that was worked out by hand; and CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.cli.app import app
from engine.cli.files import UnwritableFileError
from engine.cli.spreadsheet import csv_text
from engine.cli.statement import SPREADSHEET
from tests.support.four_days import REASON, give_of_goodwill
from tests.support.world import World

pytestmark = pytest.mark.local_aws

FINE, FAILED, MISUSED = 0, 1, 2


@pytest.fixture
def world(four_days: World) -> World:
    """Return the four days."""
    return four_days


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

    assert ("99.2", "121.7") == (found["openingBalance"], found["closingBalance"])
    assert [("grant#p-1", "124.2"), ("job#j-2", "121.7")] == balances(found)
    assert "122.5" == found["remaining"], "what the user has now is told whatever the period"


def test_by_occurrence_a_late_event_stands_where_its_work_was_done(world: World) -> None:
    """j-2 was rendered before the credits were bought, and posted after them."""
    found = told("--order", "occurrence", "--since", "2026-01-06T08:30:00Z")

    assert ("96.7", "122.5") == (found["openingBalance"], found["closingBalance"])
    assert [("grant#p-1", "121.7"), ("job#j-1", "122.5"), ("job#j-9", "122.5")] == balances(found)


def test_a_period_in_which_nothing_happened_keeps_the_balance(world: World) -> None:
    """Also one that lies before everything: then the application's own credits are all there is."""
    later, before = told("--since", "2026-02-01"), told("--until", "2026-01-01")

    assert ([], "122.5", "122.5") == (later["entries"], later["openingBalance"], later["closingBalance"])
    assert ([], Decimal(100), Decimal(100)) == (
        before["entries"],
        Decimal(before["openingBalance"]),
        Decimal(before["closingBalance"]),
    )


def test_the_screen_shows_the_balances_at_both_ends_of_a_period(world: World) -> None:
    """Or a reader would take the first line for the first of all."""
    screen = reconciler("statement", "u-1", "--since", "2026-01-06", "--until", "2026-01-08").stdout

    assert re.search(r"opening balance +99\.2\b", screen)
    assert re.search(r"closing balance +121\.7\b", screen)


def test_a_correction_says_its_reason_to_colleagues(world: World) -> None:
    """5 credits of goodwill: adjusted, not granted, and the reason stands in the line."""
    give_of_goodwill(world, 5)

    found = told()

    assert ("5", Decimal(125), Decimal("127.5")) == (found["adjusted"], Decimal(found["granted"]), Decimal(found["remaining"]))
    assert ("adjust", "5", REASON) == tuple(found["entries"][-1][name] for name in ("type", "amount", "reason"))
    assert REASON in " ".join(reconciler("statement", "u-1").stdout.split())
    assert "reason" not in reconciler("statement", "u-1", "--until", "2026-01-09").stdout


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


NAMELESS = (
    *(("statement", ""), ("job", ""), ("look-back", "--user", ""), ("anomalies", "list", "--user", "")),
    *(("anomalies", "show", ""), ("anomalies", "explain", ""), ("explain", "--entry", "")),
    *(("statement", "x" * 2045), ("job", "x" * 2045), ("job", "\udc80"), ("look-back", "--user", "\udc80")),
    *(("explain", "--entry", "job#\udc80"), ("anomalies", "show", "job#\udc80")),
)


@pytest.mark.parametrize("words", NAMELESS, ids=lambda words: f"{' '.join(words[:-1])} {words[-1][:5]!a}")
def test_a_name_that_no_table_can_hold_is_wrong_usage(world: World, words: tuple[str, ...]) -> None:
    """No table is asked: of half a character the database would say nothing for a minute."""
    result = reconciler(*words)

    assert MISUSED == result.exit_code
    assert re.search("a (name|reference) has 1 to 20[0-9]+ bytes of UTF-8", " ".join(result.stderr.split()))


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
