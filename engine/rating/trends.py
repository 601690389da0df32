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

from engine.domain.anomaly import Anomaly, Excerpt
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

    entry: Excerpt
    anomaly: Anomaly


def flagged(trend: Trend) -> Assessment:
    """Return the fact that an entry's reference is flagged, at the entry's own time."""
    entry, name = trend.entry, trend.anomaly.name
    return Assessment(
        reference=entry.reference,
        job=entry.job,
        user=entry.user,
        at=entry.at,
        rule=name,
        fact=Facts(flags=((name, entry.at),)),
        source=Source.SCAN,
        anomalies=(trend.anomaly,),
    )


Figures = tuple[tuple[str, str], ...]

type Moment = tuple[str, datetime]
"""The reference and the instant of an entry: a flag names both."""


@define
class LookBack:
    """Entries by what they have in common. They may come in any order."""

    policy: Policy
    baselines: Baselines
    counted: dict[str, dict[str, list[Excerpt]]] = Factory(lambda: defaultdict(lambda: defaultdict(list)))
    measured: dict[str, dict[str, list[tuple[Excerpt, Decimal]]]] = Factory(lambda: defaultdict(lambda: defaultdict(list)))
    flagged: dict[str, set[Moment]] = Factory(lambda: defaultdict(set))
    """By anomaly the very entries that earlier look backs have flagged: there each of them began to count anew."""

    def add(self, entries: Iterable[Excerpt]) -> None:
        """Look at entries."""
        measured = {detector.of for detector in self.policy.looking_back}
        for entry in entries:
            kept = Excerpt(entry.reference, entry.job, entry.user, entry.at)  # there may be very many
            for sign in entry.signs:
                self.counted[sign.name][sign.key].append(kept)
            for sample in entry.samples:
                if sample.of in measured:
                    self.measured[sample.of][sample.group].append((kept, sample.value))
            if entry.flagged is not None:
                self.flagged[entry.flagged].add((entry.reference, entry.at))

    def trends(self) -> Iterator[Trend]:
        """Yield what is new of the policy's anomalies, in the policy's order."""
        for rule in self.policy.anomalies:
            found = self._found(rule.name, rule.detector)
            yield from (Trend(entry, Anomaly(rule.name, rule.reason, figures)) for entry, figures in found)

    def _found(self, name: str, detector: Detector | None) -> Iterator[tuple[Excerpt, Figures]]:
        match detector:
            case Frequency():
                yield from self._frequent(name, detector)
            case Falling():
                yield from self._fallen(name, detector)
            case Outlier() | None:  # each event has been judged by itself
                return
            case _:
                assert_never(detector)

    def _frequent(self, name: str, frequency: Frequency) -> Iterator[tuple[Excerpt, Figures]]:
        for entries in self.counted[name].values():
            yield from too_many(sorted(entries, key=_order), frequency, self.flagged[name])

    def _fallen(self, name: str, falling: Falling) -> Iterator[tuple[Excerpt, Figures]]:
        for group, values in self.measured[falling.of].items():
            baseline = self.baselines.groups.get(falling.of, {}).get(group)
            if baseline is not None and baseline.samples >= falling.samples:
                in_order = sorted(values, key=lambda value: _order(value[0]))
                for entry, figures in _low(in_order, falling, baseline, self.flagged[name]):
                    yield entry, (*figures, ("of", falling.of), ("group", group))


def _order(entry: Excerpt) -> tuple[datetime, str]:
    return entry.at, entry.reference


def too_many(entries: list[Excerpt], frequency: Frequency, flagged: set[Moment]) -> Iterator[tuple[Excerpt, Figures]]:
    """Yield each entry whose job is one too many. A job counts once, however many entries it has."""
    jobs: dict[str, Excerpt] = {}
    flagged_before = set(flagged)
    for entry in entries:
        while jobs and entry.at - _first(jobs).at > frequency.within:
            del jobs[_first(jobs).reference]
        jobs.setdefault(entry.reference, entry)
        if _is_taken_from(flagged_before, entry):
            jobs = {entry.reference: entry}
        elif len(jobs) > frequency.more_than:
            first = _first(jobs)
            yield entry, (("jobs", str(len(jobs))), ("first", first.reference), ("since", instant_text(first.at)))
            jobs = {entry.reference: entry}


def _is_taken_from(flagged: set[Moment], entry: Excerpt) -> bool:
    """Say whether the entry is one of those that are flagged, and take it from them: of one moment the first was."""
    moment = entry.reference, entry.at
    if moment not in flagged:
        return False
    flagged.remove(moment)
    return True


def _first(jobs: dict[str, Excerpt]) -> Excerpt:
    return next(iter(jobs.values()))


def _low(
    values: list[tuple[Excerpt, Decimal]], falling: Falling, baseline: Baseline, flagged: set[Moment]
) -> Iterator[tuple[Excerpt, Figures]]:
    """Yield each entry with which the median of the last values lies too low."""
    from statistics import median  # noqa: PLC0415  as in engine.rating.baselines

    bound = EXACT.multiply(baseline.median, falling.below)
    last: deque[tuple[Excerpt, Decimal]] = deque(maxlen=falling.last)
    flagged_before = set(flagged)
    for entry, value in values:
        last.append((entry, value))
        if _is_taken_from(flagged_before, entry):
            last.clear()
        elif len(last) == falling.last and entry.at - last[0][0].at <= falling.within:
            middle = median(one for _, one in last)
            if middle < bound:
                yield entry, _low_figures(middle, baseline, last)
                last.clear()


def _low_figures(middle: Decimal, baseline: Baseline, last: deque[tuple[Excerpt, Decimal]]) -> Figures:
    first = last[0][0]
    return (
        ("median", canonical(middle)),
        ("usual", canonical(baseline.median)),
        ("last", str(len(last))),
        ("first", first.reference),
        ("since", instant_text(first.at)),
    )
