"""What is usual: the median of each group's samples, and how far from it they lie. Outliers are measured by it.

Source: C. Leys et al., "Detecting outliers: Do not use standard deviation around the mean, use absolute deviation around the
median", Journal of Experimental Social Psychology 49(4), 2013. Where more than half of the samples are equal the median of
the deviations is 0; then their mean counts, scaled to it: B. Iglewicz and D. Hoaglin, "How to Detect and Handle Outliers",
1993 (both scales estimate one standard deviation: 1.4826 x MAD, 1.2533 x mean absolute deviation).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Context, Decimal

from attrs import frozen

from engine.domain.anomaly import Sample

STALE_AFTER = timedelta(days=1)
"""Four scheduled runs: a baseline that is older was not renewed, and nothing is measured by it."""

MEAN_TO_MEDIAN = Decimal("0.8453")
"""1.2533 / 1.4826."""

KEPT = Context(prec=12)
"""The digits of a baseline: it is an estimate."""

GROUPS_MAX = 1000
"""How many groups are kept, those of the most samples first: all baselines together are one item of a table (400 KB)."""


INFINITE = Decimal("Infinity")


@frozen
class Baseline:
    """One group: the median of its samples, their spread (median absolute deviation), and how many they are.

    ``log_spread`` is the spread of their logarithms; None where it cannot be told (the median is 0, or an earlier version of
    this program has stored the baseline).
    """

    median: Decimal
    spread: Decimal
    samples: int
    log_spread: Decimal | None = None

    def mads(self, value: Decimal) -> Decimal:
        """Return how many spreads lie between ``value`` and the median; infinitely many where all samples are equal."""
        return _spreads(abs(value - self.median), self.spread)

    def log_mads(self, value: Decimal) -> Decimal:
        """Return the same of the logarithms; of what has none (0 and below) infinitely many, and 0 where it cannot be told."""
        if self.log_spread is None:
            return Decimal(0)
        return _spreads(_log_distance(value, self.median), self.log_spread) if value > 0 else INFINITE


def _spreads(distance: Decimal, spread: Decimal) -> Decimal:
    if not distance:
        return Decimal(0)
    return KEPT.divide(distance, spread) if spread else INFINITE


def _log_distance(value: Decimal, median: Decimal) -> Decimal:
    return abs(KEPT.ln(KEPT.divide(value, median)))


@frozen
class Baselines:
    """What is known of each value by group. ``problem`` says why nothing is: ``missing``, ``stale`` or ``unreadable``."""

    groups: Mapping[str, Mapping[str, Baseline]] = {}
    computed_at: datetime | None = None
    problem: str | None = None

    def find(self, sample: Sample) -> Baseline | None:
        """Return the baseline of the sample's own group."""
        return self.groups.get(sample.of, {}).get(sample.group)

    def as_of(self, now: datetime) -> Baselines:
        """Return the baselines if they still hold ``now``, else none and why."""
        if self.computed_at is None:
            return NO_BASELINES if self.problem is None else Baselines(problem=self.problem)
        is_stale = now - self.computed_at > STALE_AFTER
        return Baselines(computed_at=self.computed_at, problem=STALE) if is_stale else self


MISSING, STALE, UNREADABLE = "missing", "stale", "unreadable"

NO_BASELINES = Baselines(problem=MISSING)


def compute_baselines(samples: Iterable[Sample], now: datetime) -> Baselines:
    """Return what is usual by ``samples``."""
    values: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
    for sample in samples:
        values[sample.of, sample.group].append(sample.value)
    largest = sorted(values, key=lambda group: (-len(values[group]), group))[:GROUPS_MAX]
    groups: dict[str, dict[str, Baseline]] = defaultdict(dict)
    for of, group in largest:
        groups[of][group] = baseline_of(values[of, group])
    return Baselines(dict(groups), computed_at=now)


def baseline_of(values: list[Decimal]) -> Baseline:
    """Return the baseline of at least one value."""
    from statistics import median  # noqa: PLC0415  the scheduled run alone pays for its import

    def spread_of(deviations: list[Decimal]) -> Decimal:
        return KEPT.plus(median(deviations) or MEAN_TO_MEDIAN * sum(deviations) / len(deviations))

    middle = median(values)
    distances = {value: _log_distance(value, middle) for value in set(values) if value > 0} if middle > 0 else {}
    of_logs = [distances[value] for value in values if value in distances]  # each logarithm once: most values are not alone
    return Baseline(
        median=KEPT.plus(middle),
        spread=spread_of([abs(value - middle) for value in values]),
        samples=len(values),
        log_spread=spread_of(of_logs) if of_logs else None,
    )
