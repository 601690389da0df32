"""What a plan comes to: by model, by day, and for the users whom it concerns most. Exact, and small whatever its size."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from attrs import Factory, define

from engine.domain.money import EXACT, ZERO

GROUPS_MAX = 500
"""So many models, days or reasons are told by their names, all others together."""

OTHERS = "(others)"

USERS_SHOWN = 20


@define
class Sum:
    """Jobs, what they cost before and after (credits, >= 0), and what is posted: signed from the users' side."""

    jobs: int = 0
    before: Decimal = ZERO
    after: Decimal = ZERO
    difference: Decimal = ZERO

    def add(self, before: Decimal, after: Decimal, difference: Decimal) -> None:
        """Count a job."""
        self.jobs += 1
        self.before, self.after = EXACT.add(self.before, before), EXACT.add(self.after, after)
        self.difference = EXACT.add(self.difference, difference)

    def answer(self) -> dict[str, Any]:
        """Return it as JSON-like values."""
        return {"jobs": self.jobs, "before": self.before, "after": self.after, "difference": self.difference}


@define
class Groups:
    """Sums by a name."""

    sums: dict[str, Sum] = Factory(dict)

    def of(self, name: str) -> Sum:
        """Return the sum of a name."""
        if name not in self.sums and len(self.sums) >= GROUPS_MAX:
            name = OTHERS
        return self.sums.setdefault(name, Sum())

    def answer(self) -> list[dict[str, Any]]:
        """Return the sums, in order of their names."""
        return [{"key": name, **self.sums[name].answer()} for name in sorted(self.sums)]


@define
class Reasons:
    """Why jobs are left out, and how many for each reason."""

    counts: dict[str, int] = Factory(dict)
    examples: dict[str, str] = Factory(dict)
    """The first job of each."""

    def add(self, reason: str, job: str) -> None:
        """Count a job."""
        if reason not in self.counts and len(self.counts) >= GROUPS_MAX:
            reason = OTHERS
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self.examples.setdefault(reason, job)

    def answer(self) -> list[dict[str, Any]]:
        """Return the reasons, the most frequent first."""
        by_count = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return [{"why": reason, "jobs": count, "first": self.examples[reason]} for reason, count in by_count]


@define
class Users:
    """How many users a plan concerns, and those whom it concerns most."""

    count: int = 0
    most: list[tuple[Decimal, str, int]] = Factory(list)
    """A heap by the size of what they get or give."""
    below_zero: list[dict[str, Any]] = Factory(list)
    below_zero_count: int = 0

    def add(self, user: str, differences: Iterable[Decimal]) -> Decimal:
        """Count a user, and return what the jobs come to together."""
        total, jobs = ZERO, 0
        for difference in differences:
            total, jobs = EXACT.add(total, difference), jobs + 1
        self.count += 1
        heapq.heappush(self.most, (total.copy_abs(), user, jobs if total >= 0 else -jobs))
        if len(self.most) > USERS_SHOWN:
            heapq.heappop(self.most)
        return total

    def goes_below_zero(self, user: str, balance: Decimal | None, total: Decimal) -> None:
        """Count a user whose balance does not cover what the plan takes."""
        self.below_zero_count += 1
        if len(self.below_zero) < USERS_SHOWN:
            self.below_zero.append({"user": user, "remaining": balance, "difference": total})

    def answer(self) -> Mapping[str, Any]:
        """Return it as JSON-like values."""
        most = sorted(self.most, reverse=True)
        shown = [{"user": user, "jobs": abs(jobs), "difference": size if jobs >= 0 else -size} for size, user, jobs in most]
        below = {"users": self.below_zero_count, "first": self.below_zero}
        return {"users": self.count, "mostConcerned": shown, "belowZero": below}
