"""The simulation of one user with very many events, and the page that shows it."""

from __future__ import annotations

from benchmarks.hot_user import TRANSACTION_SECONDS, simulate, start_at_once, table, table_at_once
from engine.reconcile.conductor import EVENT_SECONDS_MAX
from tools.environments import ROOT


def test_few_events_never_meet() -> None:
    """One in ten seconds is posted at once, and takes what a transaction takes."""
    seen = simulate(0.1, seconds=1000)

    assert (1.0, 1.0) == (seen.posted, seen.attempts)
    assert abs(seen.seconds_p95 - TRANSACTION_SECONDS) < 1e-9


def test_no_more_is_posted_than_one_row_can_take() -> None:
    """A hundred transactions a second, whatever is offered; nobody waits longer than an event may."""
    seen = simulate(200)

    assert 0.4 < seen.posted < 0.6
    assert seen.seconds_p95 <= EVENT_SECONDS_MAX + TRANSACTION_SECONDS
    assert seen.attempts > simulate(50).attempts


def test_of_jobs_started_at_once_as_many_are_held_as_are_covered() -> None:
    """Nobody waits in vain, and the last answer comes no sooner than the row had a turn for each."""
    alone, many = start_at_once(1), start_at_once(200, covered=50)

    assert (1, 0, 1.0) == (alone.held, alone.refused, alone.attempts)
    assert abs(alone.seconds_max - TRANSACTION_SECONDS) < 1e-9
    assert (50, 150) == (many.held, many.refused)
    assert 200 * TRANSACTION_SECONDS <= many.seconds_max <= EVENT_SECONDS_MAX


def test_the_page_shows_what_the_simulation_says() -> None:
    """To the last figure: it is the same every time."""
    page = (ROOT / "docs" / "scale.md").read_text().splitlines()

    assert [] == [line for line in (*table(), *table_at_once()) if line not in page]
