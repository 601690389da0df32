"""Whether one pattern takes every event that another takes."""

from __future__ import annotations

from engine.patterns.model import Branch, Exists, Field, Pattern


def covers(wide: Pattern, narrow: Pattern) -> bool:
    """Say whether every event that ``narrow`` matches is surely matched by ``wide``.

    False where it cannot be told: it compares tests, it does not reason about them (``prefix: a`` and ``prefix: ab``).
    """
    return all(any(_branch_covers(wider, branch) for wider in wide.branches) for branch in narrow.branches)


def _branch_covers(wide: Branch, narrow: Branch) -> bool:
    if _asks_for_absence(wide):
        return set(wide.fields) == set(narrow.fields)  # what is absent is looked for where other fields lead
    return all(any(_field_covers(field, other) for other in narrow.fields) for field in wide.fields)


def _field_covers(wide: Field, narrow: Field) -> bool:
    return wide.name == narrow.name and set(narrow.tests) <= set(wide.tests)


def _asks_for_absence(branch: Branch) -> bool:
    return any(isinstance(test, Exists) and not test.present for field in branch.fields for test in field.tests)
