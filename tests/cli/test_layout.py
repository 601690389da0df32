"""What a screen of 80 columns shows: rows whole, figures under each other, and no identifier broken over two lines."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from decimal import Decimal

import pytest
from rich.cells import cell_len

from engine.cli.output import complain, print_counts, print_table, say

USER, OTHER = "3f2c8a51-9d1e-4c0a-8f37-5b0a6a1d2e4f", "b7d9e0c2-1a3b-4d5e-9f60-718293a4b5c6"
LONG_JOB = "render-0123456789abcdef0123456789abcdef0123456789abcdef-01234567"
"""A job of 64 characters."""

Screen = Callable[..., list[str]]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Screen:
    """Return a function that prints on a screen of so many columns (None: no terminal), and returns its lines."""

    def shown(columns: int | None, printing: Callable[[], None]) -> list[str]:
        if columns is not None:
            monkeypatch.setenv("COLUMNS", str(columns))
        printing()
        return capsys.readouterr().out.splitlines()

    return shown


def a_statement() -> None:
    """Print two lines of a statement, one of a job with a UUID and one of the longest sort."""
    columns = ("occurredAt", "job", "type", "amount", "balance", "rule", "anomalies")
    flagged = "costs-over-50, longer-than-5-minutes, no-result"
    lines = (
        ("2026-01-05T10:00:00Z", OTHER, "debit", Decimal("-0.8000"), Decimal("999.2"), "debit-rendered", flagged),
        ("2026-01-05T11:00:00.123456Z", LONG_JOB, "refund", Decimal("0.8000"), Decimal(1000), "refund-failed", ""),
    )
    print_table(f"Statement of {USER}", columns, lines, prose={"anomalies"})


def flagged_entries() -> None:
    """Print a flagged entry with all that is said of it."""
    columns = ("reference", "entry", "user", "amount", "anomalies", "likely cause", "severity", "by", "resolved")
    note = "looked at it: the customer asked for this very long render, all is fine"
    row = (f"job#{LONG_JOB}", 2, USER, Decimal(-90), "costs-over-50", "pricing-change", "high", "rules", note)
    print_table("1 flagged entries", columns, [row], prose={"anomalies", "likely cause", "resolved"})


def a_plan() -> None:
    """Print the differences of a plan."""
    row = (f"job#{OTHER}", USER, "0.8000", "0.9000", "+0.1000")
    print_table("", ("reference", "user", "now", "then", "by"), [row])


def test_a_statement_on_80_columns_keeps_its_figures_in_a_table_and_shows_jobs_below(screen: Screen) -> None:
    """The amounts stand under each other; what is too wide for a column has a line of its own."""
    assert [
        f"Statement of {USER}",
        "occurredAt                   type     amount  balance  rule",
        "2026-01-05T10:00:00Z         debit   -0.8000    999.2  debit-rendered",
        f"    job        {OTHER}",
        "    anomalies  costs-over-50, longer-than-5-minutes, no-result",
        "2026-01-05T11:00:00.123456Z  refund   0.8000     1000  refund-failed",
        f"    job        {LONG_JOB}",
    ] == screen(80, a_statement)


def test_a_statement_on_60_columns_gives_a_long_job_a_line_to_itself(screen: Screen) -> None:
    """64 characters do not fit; they are not broken."""
    assert [
        f"Statement of {USER}",
        "occurredAt                   type     amount  balance",
        "2026-01-05T10:00:00Z         debit   -0.8000    999.2",
        f"    job        {OTHER}",
        "    rule       debit-rendered",
        "    anomalies  costs-over-50, longer-than-5-minutes,",
        "               no-result",
        "2026-01-05T11:00:00.123456Z  refund   0.8000     1000",
        "    job",
        LONG_JOB,
        "    rule       refund-failed",
    ] == screen(60, a_statement)


def test_a_statement_on_200_columns_is_one_table(screen: Screen) -> None:
    """As it is where there is no terminal."""
    wide = screen(200, a_statement)

    assert 4 == len(wide)
    assert (OTHER in wide[2], LONG_JOB in wide[3]) == (True, True)
    assert wide[2].endswith("debit-rendered  costs-over-50, longer-than-5-minutes, no-result")


def test_a_flagged_entry_with_a_long_job_is_a_list_on_80_columns(screen: Screen) -> None:
    """Beside such a reference nothing else has a place; prose is folded between its words."""
    assert [
        "1 flagged entries",
        "reference",
        f"job#{LONG_JOB}",
        "    entry         2",
        f"    user          {USER}",
        "    amount        -90",
        "    anomalies     costs-over-50",
        "    likely cause  pricing-change",
        "    severity      high",
        "    by            rules",
        "    resolved      looked at it: the customer asked for this very long render,",
        "                  all is fine",
    ] == screen(80, flagged_entries)


def test_a_plan_on_80_columns_keeps_reference_and_credits_in_one_line(screen: Screen) -> None:
    """The user stands below."""
    assert [
        "reference                                 now     then    by",
        f"job#{OTHER}  0.8000  0.9000  +0.1000",
        f"    user  {USER}",
    ] == screen(80, a_plan)


def test_prose_is_folded_before_a_column_leaves_the_table(screen: Screen) -> None:
    """Between its words, never narrower than its longest one."""
    why = f"the row of job {OTHER} in Jobs names another user than the event does"
    lines = screen(80, lambda: print_table("", ("id", "reason", "now"), [("m-1", why, "ready")], prose={"reason"}))

    assert [
        "id   reason                                                                now",
        f"m-1  the row of job {OTHER} in Jobs names     ready",
        "     another user than the event does",
    ] == lines


@pytest.mark.parametrize("printing", [a_statement, flagged_entries, a_plan])
def test_where_there_is_no_terminal_a_row_is_one_line_and_nothing_is_folded(
    screen: Screen, printing: Callable[[], None]
) -> None:
    """So that ``grep`` and ``awk`` find each row whole."""
    lines = [line for line in screen(None, printing) if not line.startswith(("Statement", "1 flagged"))]

    assert {a_statement: 3, flagged_entries: 2, a_plan: 2}[printing] == len(lines)


def test_no_line_is_longer_than_the_screen_but_for_an_identifier(screen: Screen) -> None:
    """For every width that a terminal may have."""
    whole = [f"job#{LONG_JOB}", LONG_JOB, USER, f"    {USER}", f"Statement of {USER}"]
    for columns in range(20, 121):
        for printing in (a_statement, flagged_entries):
            lines = screen(columns, printing)

            assert [] == [line for line in lines if cell_len(line) > columns and len(line.split()) > 1], columns
            assert any(USER in line for line in lines)
            assert any(whole_one in line for line in lines for whole_one in whole[:2])


def test_single_values_stand_behind_their_names(screen: Screen) -> None:
    """Numbers under each other, a text folded behind its name, an identifier whole even where it has a blank."""
    reference = f"job#{OTHER} again and again until it is long"
    counts = {"entries": 12, "net": Decimal("-7.5"), "summary": "what was found out " * 5, "reference": reference}

    assert [
        "Audit",
        "entries      12",
        "net        -7.5",
        "summary    what was found out what was found out what was found out what was",
        "           found out what was found out",
        "reference",
        f"    {reference}",
    ] == screen(80, lambda: print_counts("Audit", counts))


def test_a_message_is_folded_between_words_in_a_terminal_alone(screen: Screen) -> None:
    """Further lines of it stand a little to the right."""
    message = f"drift: {USER}: entries add up to -12.5000, Credits says -11.0000"

    assert [message] == screen(None, lambda: say(message))
    assert [f"drift: {USER}: entries add up to -12.5000, Credits", "    says -11.0000"] == screen(80, lambda: say(message))


def test_what_a_terminal_would_obey_is_shown_and_not_sent(screen: Screen) -> None:
    """Colours, a bell, half a surrogate, a text from right to left; and neither markup nor names of emojis are read."""
    row = ("j\x1b[31m\x07", "\ud800", "\u202eabc", "[red]:smile:[/red]", "größer 渲染")

    assert [
        "a              b       c          d                   e",
        r"j\x1b[31m\x07  \ud800  \u202eabc  [red]:smile:[/red]  größer 渲染",
    ] == screen(None, lambda: print_table("", "abcde", [row]))
    assert [r"a \x1b[31m :smile: [b]"] == screen(None, lambda: say("a \x1b[31m :smile: [b]"))


def test_characters_that_take_two_columns_are_counted_as_two(screen: Screen) -> None:
    """So that the next column begins under its name."""
    assert ["job     user", "渲染一  u-1", "j-1     u-2"] == screen(
        None, lambda: print_table("", ("job", "user"), [("渲染一", "u-1"), ("j-1", "u-2")])
    )


def test_a_table_that_is_just_as_wide_as_the_screen_is_a_table(screen: Screen) -> None:
    """Three columns of ten characters, two blanks apart, take 34. On a column less they are a list."""

    def three() -> None:
        print_table("", ("one", "two", "three"), [("job#000001", "job#000002", "job#000003")])

    assert ["job#000001  job#000002  job#000003"] == screen(34, three)[-1:]
    assert ["one", "job#000001", "    two    job#000002", "    three  job#000003"] == screen(33, three)


def test_a_table_without_rows_has_its_names(screen: Screen) -> None:
    """Nothing was found, and that is said."""
    assert ["0 dead letters", "id  now"] == screen(80, lambda: print_table("0 dead letters", ("id", "now"), []))


def test_a_problem_goes_to_standard_error(screen: Screen, capsys: pytest.CaptureFixture[str]) -> None:
    """Folded like everything else."""
    assert [] == screen(40, lambda: None)
    complain("no such letter: " + ", ".join(["m-1"] * 8))

    assert "no such letter: m-1, m-1, m-1, m-1, m-1,\n    m-1, m-1, m-1\n" == capsys.readouterr().err


IN_A_TERMINAL = """
from engine.cli.output import say, print_table
print_table("", ("reference", "user"), [("job#" + "a" * 50, "u" * 40)])
say("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen")
"""


def test_the_width_is_that_of_the_terminal_the_output_goes_to() -> None:
    """Asked of a real one."""
    assert [
        "reference",
        f"job#{'a' * 50}",
        f"    user  {'u' * 40}",
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen",
        "    fifteen",
    ] == in_a_terminal(80)
    assert ["reference" + " " * 47 + "user", f"job#{'a' * 50}  {'u' * 40}"] == in_a_terminal(120)[:2]


def in_a_terminal(columns: int) -> list[str]:
    """Run it in a terminal of so many columns, and return the lines of its screen."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen([sys.executable, "-c", IN_A_TERMINAL], stdin=its, stdout=its, env=environment) as process:
        os.close(its)
        shown = b""
        while part := _read(ours):
            shown += part
        assert 0 == process.wait()
    os.close(ours)
    return [_unstyled(line) for line in shown.decode().replace("\r\n", "\n").splitlines()]


def _read(terminal: int) -> bytes:
    """Return what is shown next; a terminal that nobody writes to any more is an error to Linux."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def _unstyled(line: str) -> str:
    return line.replace("\x1b[1m", "").replace("\x1b[0m", "")
