"""What no single event shows: jobs that come too often, and charges that fall. Pure; a look back at many entries.

An entry that completes such a pattern is flagged, and the count begins anew with it: a burst that goes on is flagged again
after as many jobs, a result that is charged again with each job after the first. What an earlier look has flagged is taken as
flagged, so that the next one, which begins at another entry, comes to the same.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import assert_never

from attrs import Factory, define, frozen

from engine.domain.anomaly import Anomaly, Seen
from engine.domain.assessment import Assessment
from engine.domain.envelope import Source
from engine.domain.facts import Facts
from engine.domain.instants import instant_text
from engine.domain.money import EXACT, canonical
from engine.policy.detectors import Detector, Falling, Frequency, Outlier
from engine.policy.model import Policy
from engine.rating.baselines import Baseline, Baselines


@frozen
class Trend:
    """An anomaly, and the entry that completes it."""

    seen: Seen
    anomaly: Anomaly


def flagged(trend: Trend) -> Assessment:
    """Return the fact that an entry's reference is flagged, at the entry's own time."""
    seen, name = trend.seen, trend.anomaly.name
    return Assessment(
        reference=seen.reference,
        job=seen.job,
        user=seen.user,
        at=seen.at,
        rule=name,
        fact=Facts(flags=((name, seen.at),)),
        source=Source.SCAN,
        anomalies=(trend.anomaly,),
    )


Figures = tuple[tuple[str, str], ...]


@define
class LookBack:
    """Entries by what they have in common. They may come in any order."""

    policy: Policy
    baselines: Baselines
    counted: dict[str, dict[str, list[Seen]]] = Factory(lambda: defaultdict(lambda: defaultdict(list)))
    measured: dict[str, dict[str, list[tuple[Seen, Decimal]]]] = Factory(lambda: defaultdict(lambda: defaultdict(list)))
    flagged: dict[str, set[str]] = Factory(lambda: defaultdict(set))

    def add(self, entries: Iterable[Seen]) -> None:
        """Look at entries."""
        measured = {detector.of for detector in self.policy.looking_back}
        for seen in entries:
            kept = Seen(seen.reference, seen.job, seen.user, seen.at)  # there may be very many
            for sign in seen.signs:
                self.counted[sign.name][sign.key].append(kept)
            for sample in seen.samples:
                if sample.of in measured:
                    self.measured[sample.of][sample.group].append((kept, sample.value))
            if seen.flagged is not None:
                self.flagged[seen.flagged].add(seen.reference)

    def trends(self) -> Iterator[Trend]:
        """Yield what is new of the policy's anomalies, in the policy's order."""
        for rule in self.policy.anomalies:
            found = self._found(rule.name, rule.detector)
            yield from (Trend(seen, Anomaly(rule.name, rule.reason, figures)) for seen, figures in found)

    def _found(self, name: str, detector: Detector | None) -> Iterator[tuple[Seen, Figures]]:
        match detector:
            case Frequency():
                yield from self._frequent(name, detector)
            case Falling():
                yield from self._fallen(name, detector)
            case Outlier() | None:  # each event has been judged by itself
                return
            case _:
                assert_never(detector)

    def _frequent(self, name: str, frequency: Frequency) -> Iterator[tuple[Seen, Figures]]:
        for entries in self.counted[name].values():
            yield from _too_many(sorted(entries, key=_order), frequency, self.flagged[name])

    def _fallen(self, name: str, falling: Falling) -> Iterator[tuple[Seen, Figures]]:
        for group, values in self.measured[falling.of].items():
            baseline = self.baselines.groups.get(falling.of, {}).get(group)
            if baseline is not None and baseline.samples >= falling.samples:
                in_order = sorted(values, key=lambda value: _order(value[0]))
                for seen, figures in _low(in_order, falling, baseline, self.flagged[name]):
                    yield seen, (*figures, ("of", falling.of), ("group", group))


def _order(seen: Seen) -> tuple[datetime, str]:
    return seen.at, seen.reference


def _too_many(entries: list[Seen], frequency: Frequency, flagged_before: set[str]) -> Iterator[tuple[Seen, Figures]]:
    """Yield each entry whose job is one too many. A job counts once, however many entries it has."""
    jobs: dict[str, Seen] = {}
    for seen in entries:
        while jobs and seen.at - _first(jobs).at > frequency.within:
            del jobs[_first(jobs).reference]
        jobs.setdefault(seen.reference, seen)
        if seen.reference in flagged_before:
            jobs = {seen.reference: seen}
        elif len(jobs) > frequency.more_than:
            first = _first(jobs)
            yield seen, (("jobs", str(len(jobs))), ("first", first.reference), ("since", instant_text(first.at)))
            jobs = {seen.reference: seen}


def _first(jobs: dict[str, Seen]) -> Seen:
    return next(iter(jobs.values()))


def _low(
    values: list[tuple[Seen, Decimal]], falling: Falling, baseline: Baseline, flagged_before: set[str]
) -> Iterator[tuple[Seen, Figures]]:
    """Yield each entry with which the median of the last values lies too low."""
    from statistics import median  # noqa: PLC0415  as in engine.rating.baselines

    bound = EXACT.multiply(baseline.median, falling.below)
    last: deque[tuple[Seen, Decimal]] = deque(maxlen=falling.last)
    for seen, value in values:
        last.append((seen, value))
        if seen.reference in flagged_before:
            last.clear()
        elif len(last) == falling.last and seen.at - last[0][0].at <= falling.within:
            middle = median(one for _, one in last)
            if middle < bound:
                yield seen, _low_figures(middle, baseline, last)
                last.clear()


def _low_figures(middle: Decimal, baseline: Baseline, last: deque[tuple[Seen, Decimal]]) -> Figures:
    first = last[0][0]
    return (
        ("median", canonical(middle)),
        ("usual", canonical(baseline.median)),
        ("last", str(len(last))),
        ("first", first.reference),
        ("since", instant_text(first.at)),
    )
