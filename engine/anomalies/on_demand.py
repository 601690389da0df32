"""The look back when a person asks for it: what many entries show, of all users or of one, and what was flagged of it before.

Nothing is written unless that is asked for. Of one user only the user's own entries are read, by the index: what it costs
follows the user and not the ledger, and what counts jobs of several users together sees this user's alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import define, evolve, field, frozen

from engine.anomalies.explain.fallback import explained_by_rules
from engine.anomalies.findings import findings
from engine.domain.anomaly import Anomaly, Excerpt
from engine.domain.decision import Outcome
from engine.domain.entry import Entry
from engine.domain.entry_types import EntryType
from engine.domain.errors import LedgerRefused
from engine.domain.instants import instant_text, read_instant
from engine.ledger.store import StoredEntry
from engine.ledger.stored import NO_ENTRY, excerpt_of
from engine.policy.model import Policy
from engine.rating.baselines import NO_BASELINES, Baselines
from engine.rating.decide import mark_only
from engine.rating.trends import LookBack, Trend, flagged
from engine.reconcile.flags import flag
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Deadline

ENTRIES_MAX = 1_000_000
"""So many entries are held at once: some 800 MB."""

NEW, FLAGGED_NOW, FLAGGED = "new", "flagged now", "flagged"


@frozen
class Sighting:
    """What many entries show with one of them: the flag of it, as it stands in the ledger or as it would be posted."""

    entry: Entry
    state: str = NEW
    resolved: str | None = None
    """The note by which a person has resolved it."""

    @property
    def anomaly(self) -> Anomaly:
        return self.entry.anomalies[0]

    def answer(self) -> dict[str, Any]:
        """Return it as JSON-like values; credits are exact strings."""
        entry, said = self.entry, explained_by_rules(self.entry)
        return {
            "anomaly": self.anomaly.name,
            "reference": entry.reference,
            "user": entry.user,
            "at": instant_text(entry.occurred_at),
            "cost": format(entry.cost, "f"),
            "figures": dict(self.anomaly.figures),
            "reason": self.anomaly.reason,
            "state": self.state,
            "resolved": self.resolved,
            "explanation": {
                "summary": said.summary,
                "likely_cause": said.likely_cause,
                "severity": said.severity,
                "suggested_check": said.suggested_check,
            },
        }


@define
class OnDemand:
    """One look back. ``user`` is whose entries are looked at (None: everybody's), ``since`` from when on they were posted."""

    reconciler: Reconciler
    user: str | None
    since: datetime | None
    deadline: Deadline
    entries: int = 0
    is_unread: bool = False
    """Whether there was more than can be held at once."""
    looking: LookBack = field(init=False)
    rows: Iterable[StoredEntry] = ()
    """Where the flags of earlier look backs are found."""

    @looking.default
    def _looking(self) -> LookBack:
        return LookBack(self.policy, self._baselines())

    @property
    def policy(self) -> Policy:
        return self.reconciler.policy

    def _baselines(self) -> Baselines:
        """Return what is usual. It is usual for a model, whoever uses it: one user's entries are not measured by it."""
        return self.reconciler.baselines.latest(self.deadline) if self._is_measured else NO_BASELINES

    @property
    def _is_measured(self) -> bool:
        return self.user is None and any(detector.of is not None for detector in self.policy.looking_back)

    @property
    def unjudged(self) -> str | None:
        """Why what falls could not be measured: what is usual is not known. None where it could, or nobody asks for it."""
        return self.looking.baselines.problem if self._is_measured else None

    def look(self) -> None:
        """Read the entries."""
        for page in self._pages():
            self.looking.add(page)
            self.entries += len(page)
            if self.entries >= ENTRIES_MAX:
                self.is_unread = True
                return

    def _pages(self) -> Iterator[Sequence[Excerpt]]:
        ledger = self.reconciler.ledger
        if self.user is None:
            since = self.since or datetime.min.replace(tzinfo=self.reconciler.clock.now().tzinfo)
            self.rows = ledger.flagged(since, self.deadline)  # read when it is asked for
            yield from _readable(ledger.recent(since, self.deadline))
            return
        self.rows = [row for row in ledger.entries_of_user(self.user, self.deadline) if _is_since(row, self.since)]
        yield [excerpt for row in self.rows if (excerpt := _excerpt(row)) is not None]

    def found(self) -> list[Sighting]:
        """Return what is new, and what earlier look backs have flagged, by the time of the entries."""
        new = (Sighting(entry) for trend in self.looking.trends() if (entry := self._flag(trend)) is not None)
        return sorted([*self._before(), *new], key=lambda each: (each.entry.occurred_at, each.entry.reference))

    def post(self, found: Iterable[Sighting]) -> list[Sighting]:
        """Flag what is new, as the scheduled run would, and return all with what became of it."""
        trends = {(trend.anomaly.name, trend.entry.reference, trend.entry.at): trend for trend in self.looking.trends()}
        return [self._posted(each, trends) for each in found]

    def _posted(self, each: Sighting, trends: Mapping[tuple[str, str, datetime], Trend]) -> Sighting:
        if each.state != NEW:
            return each
        trend = trends[each.anomaly.name, each.entry.reference, each.entry.occurred_at]
        outcome = flag(trend, self.policy, self.reconciler.ledger, self.deadline)
        return Sighting(each.entry, FLAGGED_NOW if outcome is Outcome.FLAGGED else FLAGGED)

    def _flag(self, trend: Trend) -> Entry | None:
        """Return the entry that would flag it; None where it is flagged already."""
        log = self.reconciler.ledger.read(trend.entry.reference, self.deadline)
        return mark_only(flagged(trend), log, self.policy).entry

    def _before(self) -> Iterator[Sighting]:
        names = {rule.name for rule in self.policy.anomalies if rule.detector is not None and rule.detector.within is not None}
        for finding in findings(self.rows):
            if finding.entry.type is EntryType.FLAG and finding.entry.rule in names:
                cost = self.reconciler.ledger.read(finding.entry.reference, self.deadline).cost  # by what came since
                yield Sighting(evolve(finding.entry, cost=cost), FLAGGED, finding.resolved)


def _readable(pages: Iterator[list[Excerpt]]) -> Iterator[list[Excerpt]]:
    """Yield pages. Raises LedgerRefused where one holds what is no entry of this system."""
    try:
        yield from pages
    except NO_ENTRY as error:
        problem = f"an entry is none of this system ({type(error).__name__}: {error})"
        raise LedgerRefused(f"{problem}; reconciler audit names it, and --user looks at one user's entries") from error


def _is_since(row: StoredEntry, since: datetime | None) -> bool:
    posted = read_instant(row.get("postedAt"))
    return since is None or (posted is not None and posted >= since)


def _excerpt(row: StoredEntry) -> Excerpt | None:
    """Return what a look back sees of an entry, None for what is no entry of this system."""
    try:
        return excerpt_of(row)
    except NO_ENTRY:
        return None
