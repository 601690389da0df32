"""What a scheduled run costs, and that docs/scale.md says the same."""

from __future__ import annotations

from benchmarks.catch_up import HISTORY_EVENTS_MAX, Run, rows
from tools.environments import ROOT


def test_the_page_has_the_figures() -> None:
    """Each row of the table, as it is worked out."""
    page = (ROOT / "docs" / "scale.md").read_text().splitlines()

    assert all(row in page for row in rows())


def test_read_units_are_counted_as_documented() -> None:
    """Half a unit for each 4 KB that is read: a million rows of 4 KB take half a million."""
    assert 500_000 == Run(1_000_000, row_bytes=4096).read_units
    assert 0.5 == Run(1, row_bytes=10).read_units


def test_no_segment_outgrows_the_history_of_an_execution() -> None:
    """Not even where rows are large and the number of segments is at its bound."""
    assert Run(400_000_000, row_bytes=1000).history_events < HISTORY_EVENTS_MAX
