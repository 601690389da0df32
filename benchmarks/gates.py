"""What the benchmarks judge by. A tiny run (``pytest benchmarks --tiny``) shows that they still run, and judges nothing."""

from __future__ import annotations

from benchmarks import budgets

TINY = {"COLD_ROUNDS": 2, "COMMAND_ROUNDS": 2, "BLOCKS": 2, "CALLS": 3, "PLANTED_ROUNDS": 2}
"""The counts of ``budgets`` in a tiny run."""

judged = True


def make_tiny() -> None:
    """Make every benchmark that is imported from now on tiny."""
    global judged  # noqa: PLW0603  the one switch of a run, set before anything is imported
    judged = False
    for name, count in TINY.items():
        setattr(budgets, name, count)


def at_most(seen: float, bound: float) -> None:
    """Fail where something has become too slow, or takes too much."""
    assert not judged or seen <= bound, f"{seen:.3g} is more than {bound:g}"


def at_least(seen: float, bound: float) -> None:
    """Fail where something has become too slow."""
    assert not judged or seen >= bound, f"{seen:.3g} is less than {bound:g}"
