"""What an audit against the archive takes, on a small ledger: the benchmark runs, and a checkpoint spares most of it."""

from __future__ import annotations

from typing import Any

from benchmarks.auditing import measure, measure_with, report
from engine.ledger.store import Tables


def test_what_is_new_takes_a_fraction_of_the_whole() -> None:
    """Of a thousand entries and ten more: no processor time is compared, since others are at work; reads and objects are."""
    whole, since = figures = measure(1_000)

    assert (1_000, 10) == (whole.seen.records, since.seen.records)
    assert (1_000, 1_010) == (whole.seen.entries, since.seen.entries)
    assert sum(whole.units.values()) > 50 * sum(since.units.values())
    assert any(line.startswith("| a hundredth more | 10 | ") for line in report(figures))


def test_what_the_tables_of_a_database_answer_is_counted_alike(dynamodb: Any, tables: Tables) -> None:
    """Of the same entries, in memory and behind a client: each read of Ledger and Credits, by DynamoDB's rules."""
    for there, here in zip(measure_with(dynamodb, tables, 300, writer=dynamodb), measure(300), strict=True):
        assert sorted(here.units.values()) == sorted(there.units.values())
        assert (here.seen.records, here.seen.users, here.seen.damages) == (there.seen.records, there.seen.users, 0)
