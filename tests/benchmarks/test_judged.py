"""A run judges unless it is asked to be tiny: a switch left off would let every gate pass, and nobody would see it."""

from __future__ import annotations

import pytest

from benchmarks import budgets, gates


def test_a_run_judges_by_itself() -> None:
    """Beyond a bound, in either direction, a benchmark fails and says by what."""
    with pytest.raises(AssertionError, match="0.61 is more than 0.6"):
        gates.at_most(0.61, 0.6)
    with pytest.raises(AssertionError, match="3.4 is less than 3.5"):
        gates.at_least(3.4, 3.5)


def test_a_figure_at_its_bound_passes() -> None:
    """The bound itself is allowed."""
    gates.at_most(0.6, 0.6)
    gates.at_least(3.5, 3.5)


def test_a_tiny_run_judges_nothing_and_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its counts are the small ones; each of them is a count that ``budgets`` has."""
    monkeypatch.setattr(gates, "judged", gates.judged)  # what the test changes is put back
    before = {name: getattr(budgets, name) for name in gates.TINY}
    for name, count in before.items():
        monkeypatch.setattr(budgets, name, count)

    gates.make_tiny()
    gates.at_most(1.0, 0.6)
    gates.at_least(1.0, 3.5)

    assert gates.TINY == {name: getattr(budgets, name) for name in gates.TINY}
    assert all(gates.TINY[name] < count for name, count in before.items())
