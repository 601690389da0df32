"""What was flagged in a day, on one page: counts, the dearest, and a paragraph. Told once a day by the scheduled run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from attrs import frozen

from engine.anomalies.findings import Finding, findings
from engine.domain.instants import instant_text, posting_text
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Deadline

DAY = timedelta(days=1)
DEAREST_MAX = 10
COUNTED_MAX = 20
"""How many of a kind are named, those with most entries first; a log line has an end."""


@frozen
class Digest:
    """The flagged entries between two instants (the second not included)."""

    since: datetime
    until: datetime
    found: tuple[Finding, ...]

    def by_anomaly(self) -> Counter[str]:
        """Return how often each anomaly was found; an entry may have several."""
        return Counter(name for finding in self.found for name in finding.names)

    def by_model(self) -> Counter[str]:
        """Return how many entries of each model were flagged."""
        return Counter(finding.model for finding in self.found)

    def by_user(self) -> Counter[str]:
        """Return how many entries of each user were flagged."""
        return Counter(finding.entry.user for finding in self.found)

    def by_cause(self) -> Counter[str]:
        """Return how many entries were explained by each cause."""
        return Counter(finding.explanation["likely_cause"] for finding in self.found if finding.explanation)

    def dearest(self) -> list[Finding]:
        """Return those that moved most credits, or would cost most."""
        return sorted(self.found, key=lambda finding: (-worth(finding), finding.entry.reference))[:DEAREST_MAX]

    def paragraph(self) -> str:
        """Return all of it in a few sentences."""
        period = f"From {instant_text(self.since)} to {instant_text(self.until)}"
        if not self.found:
            return f"{period} nothing was flagged."
        (anomaly, times), *_ = most_of(self.by_anomaly())
        dearest = self.dearest()[0]
        causes = [f"{cause} ({count})" for cause, count in most_of(self.by_cause())[:3]]
        silent = sum(finding.explanation is None for finding in self.found)
        open_ones = sum(finding.resolved is None for finding in self.found)
        counted = (
            _counted(len(self.found), "entry", "entries"),
            _counted(len(self.by_user()), "user", "users"),
            _counted(len(self.by_model()), "model", "models"),
        )
        sentences = (
            f"{period} {counted[0]} of {counted[1]} and {counted[2]} were flagged, most often {anomaly} ({times}).",
            f"The dearest is {dearest.entry.reference} with {worth(dearest):f} credits.",
            f"Likely causes: {', '.join(causes)}." if causes else "None is explained yet.",
            f"{open_ones} are open, {silent} without an explanation.",
        )
        return " ".join(sentences)

    def answer(self) -> dict[str, Any]:
        """Return it as JSON-like values."""
        return {
            "since": instant_text(self.since),
            "until": instant_text(self.until),
            "entries": len(self.found),
            "anomalies": dict(most_of(self.by_anomaly())),
            "models": dict(most_of(self.by_model())),
            "users": dict(most_of(self.by_user())),
            "causes": dict(most_of(self.by_cause())),
            "dearest": [_line(finding) for finding in self.dearest()],
            "paragraph": self.paragraph(),
        }


def worth(finding: Finding) -> Decimal:
    """Return how many credits an entry moved, or, where it moved none, what the job should cost."""
    return abs(finding.entry.amount) or abs(finding.entry.cost)


def most_of(counts: Counter[str]) -> list[tuple[str, int]]:
    """Return the largest counts, the largest first, equal ones by name."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:COUNTED_MAX]


def digest_of(found: Iterable[Finding], since: datetime, until: datetime) -> Digest:
    """Return the digest of what was posted from ``since`` until before ``until``."""
    first, end = posting_text(since), posting_text(until)
    return Digest(since, until, tuple(finding for finding in found if first <= finding.posted_at < end))


def tell_daily(reconciler: Reconciler, at: datetime, deadline: Deadline) -> dict[str, Any]:
    """Tell in the log what was flagged in the day before the run at ``at``, if it is the first of its day. Never fails.

    What it says stands in the log alone; the run's answer has no part for it.
    """
    try:
        if not reconciler.ledger.is_first_of_the_day(at.date().isoformat(), deadline):
            return {}
        found = findings(reconciler.ledger.flagged(at - DAY, deadline))
        reconciler.telemetry.noted("digest", digest_of(found, at - DAY, at).answer())
    except Exception as error:  # noqa: BLE001  whatever it is, what the run has done stays told
        reconciler.telemetry.noted("digest", {"problem": f"{type(error).__name__}: {error}"}, is_wrong=True)
    return {}


def _line(finding: Finding) -> dict[str, Any]:
    said = finding.explanation or {}
    return {
        "reference": finding.entry.reference,
        "sequence": finding.entry.sequence,
        "user": finding.entry.user,
        "model": finding.model,
        "credits": format(worth(finding), "f"),
        "anomalies": list(finding.names),
        "likely_cause": said.get("likely_cause"),
        "severity": said.get("severity"),
    }


def _counted(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
