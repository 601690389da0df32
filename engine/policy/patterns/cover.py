"""Whether one pattern takes every event that another takes."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from engine.policy.patterns.model import Branch, Exists, Pattern, Test

Fields = Mapping[str, frozenset[Test]]
"""The tests of each field of a branch."""


@frozen(eq=False, repr=False)
class Extent:
    """What a pattern takes, ready to be compared with many others."""

    pattern: Pattern
    branches: tuple[Fields, ...] = field(init=False)

    @branches.default
    def _branches(self) -> tuple[Fields, ...]:
        return tuple(_fields(branch) for branch in self.pattern.branches)

    def covers(self, narrow: Extent) -> bool:
        """Say whether every event that ``narrow`` takes is surely taken by this one.

        False where it cannot be told: it compares tests, it does not reason about them (``prefix: a`` and ``prefix: ab``).
        """
        return self.pattern == narrow.pattern or all(
            any(_branch_covers(wider, branch) for wider in self.branches) for branch in narrow.branches
        )

    def effort(self, narrow: Extent) -> int:
        """Return how many pairs of branches such a comparison looks at."""
        return len(self.branches) * len(narrow.branches)


def covers(wide: Pattern, narrow: Pattern) -> bool:
    """Say whether every event that ``narrow`` matches is surely matched by ``wide``."""
    return Extent(wide).covers(Extent(narrow))


def _fields(branch: Branch) -> Fields:
    return {field.name: frozenset(field.tests) for field in branch.fields}


def _branch_covers(wide: Fields, narrow: Fields) -> bool:
    if any(_asks_for_absence(tests) for tests in wide.values()):
        return wide == narrow  # what is absent is looked for where other fields lead
    return all(name in narrow and narrow[name] <= tests for name, tests in wide.items())


def _asks_for_absence(tests: frozenset[Test]) -> bool:
    return Exists(present=False) in tests
