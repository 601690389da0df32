"""What sealing takes, measured on a small ledger: the benchmark runs, and its figures are of the right order."""

from __future__ import annotations

from benchmarks.sealing import entries, measure


def test_a_line_takes_a_fraction_of_a_write_unit() -> None:
    """An entry is posted for seven; sealing it must not be what costs."""
    figures = measure(count=50, rounds=1)

    assert 100 < figures.line_bytes < 300
    assert 0.1 < figures.write_units < 0.3
    assert {"reading", "auditing", "sealing"} == set(figures.microseconds)
    assert any(line.startswith("| sealing | ") for line in figures.lines())


def test_the_entries_are_what_the_shipped_policy_makes() -> None:
    """Each its own job."""
    assert 20 == len({item["reference"]["S"] for item in entries(20)})
