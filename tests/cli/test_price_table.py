"""What `validate` shows of the rows of price books: for people at 80 columns, for machines, and not in a pull request."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli.app import app
from engine.cli.validate import validate

POLICY = """\
version: 1
name: video
event: {job: detail.jobId, user: detail.userId, time: time}
prices:
  render-second:
PRICES
rules:
  - name: debit-rendered
    match: {detail-type: [video.rendered]}
    action: debit
    charge: {price: render-second, quantity: detail.seconds}
"""

JANUARY = '    - {effective: 2026-01-01T00:00:00Z, by: detail.model, rates: {default: "0.10", sora-2: "0.30"}}'


@pytest.fixture
def validated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what writes a policy with rows below JANUARY, and returns what validate prints of it."""
    monkeypatch.chdir(tmp_path)

    def validate(*rows: str, options: tuple[str, ...] = ()) -> list[str]:
        text = POLICY.replace("PRICES", "\n".join((JANUARY, *(f"    - {{{row}}}" for row in rows))))
        Path("policy.yaml").write_text(text)
        result = CliRunner().invoke(app, ["validate", "policy.yaml", "--all-rows", *options], env={"COLUMNS": "80"})
        assert result.exit_code == 0
        return result.stdout.splitlines()

    return validate


def columns(line: str) -> int:
    """Return how many columns of a screen a line takes."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in line)


def test_a_book_of_one_row_shows_nothing(validated: Any) -> None:
    """It changes nothing."""
    (line,) = validated()

    assert line.startswith("policy.yaml: fine (video@")


def test_each_row_shows_what_it_changes(validated: Any) -> None:
    """What was paid, what is, from when on, until when, and by how many percent: 0.36 is 20 % above 0.30."""
    _, *table = validated(
        "effective: 2026-07-01T00:00:00Z, changes: {sora-2: 0.36, veo-3: 0.40}",
        "effective: 2026-11-27T00:00:00+01:00, until: 2026-12-01T00:00:00+01:00, changes: {default: 0.09999, veo-3: null}",
    )

    assert [
        "render-second from 2026-07-01T00:00:00Z on:",
        "    rate    before          now",
        "    sora-2  0.30            0.36  20 % more",
        "    veo-3   0.10 (default)  0.40  300 % more",
        "    1 other rate costs as much as before",
        "render-second from 2026-11-26T23:00:00Z until 2026-11-30T23:00:00Z:",
        "    compared with the row from 2026-07-01T00:00:00Z, which has no end",
        "    rate     before  now",
        "    default  0.10    0.09999            under 0.1 %",
        "    veo-3    0.40    0.09999 (default)  75 % less",
        "    1 other rate costs as much as before",
    ] == table


def test_one_rate_in_place_of_several_that_were_alike_is_told_as_one(validated: Any) -> None:
    """Its name has the rate now: no brackets. Where they differed each is told, with the rate that counts."""
    _, *table = validated(
        "effective: 2026-07-01T00:00:00Z, by: [detail.model, detail.size],"
        " rates: {default: 0.10, sora-2: {default: 0.30, 720p: 0.30}, veo-3: {default: 0.40, 4k: 0.60}}",
        "effective: 2026-08-01T00:00:00Z, changes: {sora-2: 0.36, veo-3: 0.50}",
    )

    assert [
        "    rate           before  now",
        "    sora-2         0.30    0.36          20 % more",
        "    veo-3/default  0.40    0.50 (veo-3)  25 % more",
        "    veo-3/4k       0.60    0.50 (veo-3)  16.7 % less",
        "    1 other rate costs as much as before",
    ] == table[-5:]


def test_what_is_too_wide_for_a_column_stands_below_its_name(validated: Any) -> None:
    """Long names and many tiers; no line is wider than the screen but for a name."""
    long, wide, tiers = (
        "m" * 70,
        "映像" * 9,
        ", ".join(f"{{up_to: {10**digit}, rate: 0.0{9 - digit // 2}}}" for digit in range(1, 8)),
    )
    _, *table = validated(
        f"effective: 2026-07-01T00:00:00Z, by: [detail.model, detail.a_very_long_name_of_a_member],"
        f" rates: {{{long}: 0.2, {wide}: 0.2, default: [{tiers}, {{rate: 0.02}}], sora-2: {{default: 0.30}}}}"
    )

    assert [
        "    selected by detail.model, detail.a_very_long_name_of_a_member; before by",
        "        detail.model",
        "    rate                                  before          now",
        f"    {long}",
        "        before  0.10 (default)",
        "        now     0.2: 100 % more",
        f"    {wide}  0.10 (default)  0.2  100 % more",
        "    default",
        "        before  0.10",
        "        now     0.09 up to 10, 0.08 up to 100, 0.08 up to 1000, 0.07 up to",
        "                10000, 0.07 up to 100000, 0.06 up to 1000000, 0.06 up to",
        "                10000000, 0.02 above",
        "    1 other rate costs as much as before",
    ] == table[1:]
    assert max(map(columns, table)) <= 80


def test_a_terminal_obeys_nothing_in_a_name(validated: Any) -> None:
    """A control sequence and a sign that turns the line round stand as they are escaped."""
    _, *table = validated(r'effective: 2026-07-01T00:00:00Z, changes: {"\e[31mred": 0.2, "\u202eleft": 0.2}')

    assert [r"    \x1b[31mred  0.10 (default)  0.2  100 % more", r"    \u202eleft   0.10 (default)  0.2  100 % more"] == table[
        2:4
    ]


def test_machines_get_exact_figures(validated: Any) -> None:
    """Rates are strings; who has no rate of its own pays that of another name."""
    rows = (
        "effective: 2026-07-01T00:00:00Z, changes: {sora-2: [{up_to: 60, rate: 0.30}, {rate: 0.20}]}",
        "effective: 2026-08-01T00:00:00Z, changes: {default: 0.15, sora-2: null}",
    )
    (result,) = json.loads("\n".join(validated(*rows, options=("--json",))))
    first, second = result["prices"]

    tiers = {"unit": "sora-2", "tiers": [{"up_to": "60", "rate": "0.30"}, {"rate": "0.20"}], "model": "graduated"}
    before = {"unit": "sora-2", "rate": "0.30"}
    assert {
        "book": "render-second",
        "effective": "2026-07-01T00:00:00Z",
        "until": "2026-08-01T00:00:00Z",
        "follows": "2026-01-01T00:00:00Z",
        "by": ["detail.model"],
        "rates": [{"unit": "sora-2", "change": "changed", "before": before, "after": tiers, "percent": None}],
        "kept": 1,
    } == first
    default = {"unit": "default", "rate": "0.15"}
    assert [
        {
            "unit": "default",
            "change": "changed",
            "before": {"unit": "default", "rate": "0.10"},
            "after": default,
            "percent": "50.0",
        },
        {"unit": "sora-2", "change": "went", "before": tiers, "after": default, "percent": None},
    ] == second["rates"]
    assert (None, 0) == (second["until"], second["kept"])


DAY = datetime(2026, 11, 29, 15, 30, tzinfo=UTC)
LATER_ROWS = (
    "effective: 2026-11-28T23:59:59Z, changes: {sora-2: 0.36}",
    "effective: 2026-11-29T00:00:00Z, changes: {sora-2: 0.45}",
    "effective: 2027-01-01T00:00:00Z, changes: {sora-2: 0.54}",
)


@pytest.mark.parametrize(
    ("now", "begins", "left_out"),
    [
        (DAY - timedelta(days=1), ["2026-11-28T23:59:59Z", "2026-11-29T00:00:00Z", "2027-01-01T00:00:00Z"], None),
        (DAY, ["2026-11-29T00:00:00Z", "2027-01-01T00:00:00Z"], "1 row"),
        (DAY + timedelta(days=1), ["2027-01-01T00:00:00Z"], "2 rows"),
        (DAY + timedelta(days=100), [], "3 rows"),
    ],
    ids=["the day before", "the same day", "the day after", "when all have begun"],
)
def test_people_are_told_what_begins_today_or_later(
    validated: Any, capsys: pytest.CaptureFixture[str], now: datetime, begins: list[str], left_out: str | None
) -> None:
    """Whoever adds a row sees what it changes, and not the history of the book; one line says how to see that."""
    validated(*LATER_ROWS)
    validate(["policy.yaml"], now=now)
    _, *told = capsys.readouterr().out.splitlines()

    assert begins == [line.split()[2] for line in told if line.startswith("render-second from ")]
    last = f"prices that began before today: {left_out}; --all-rows shows what changed"
    assert [last] * (left_out is not None) == [line for line in told if "--all-rows" in line]


def test_machines_are_told_of_every_row(validated: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """They can compare instants themselves."""
    validated(*LATER_ROWS)
    validate(["policy.yaml"], as_json=True, now=DAY + timedelta(days=100))

    (result,) = json.loads(capsys.readouterr().out)
    assert ["2026-11-28T23:59:59Z", "2026-11-29T00:00:00Z", "2027-01-01T00:00:00Z"] == [
        row["effective"] for row in result["prices"]
    ]


def test_a_pull_request_shows_no_table(validated: Any) -> None:
    """Only what is wrong, beside its line."""
    assert [] == validated("effective: 2026-07-01T00:00:00Z, changes: {sora-2: 0.36}", options=("--format", "github"))
