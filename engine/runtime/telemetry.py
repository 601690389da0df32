"""One JSON log line for each outcome, with its CloudWatch metrics in it (embedded metric format, EMF).

Source of the format: "Specification: Embedded metric format", Amazon CloudWatch User Guide.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from attrs import Factory, define, field, frozen

from engine.domain.assessment import Assessment
from engine.domain.decision import Decision
from engine.domain.digits import as_text
from engine.domain.entry import Entry
from engine.domain.entry_types import METRICS, Outcome
from engine.domain.envelope import Envelope, Source
from engine.domain.texts import cut, plainly
from engine.runtime.clock import Clock

if TYPE_CHECKING:
    from engine.domain.log import JobLog
    from engine.domain.shadowed import Shadowed

NAMESPACE = "Reconciler"
LINE = json.JSONEncoder(default=as_text)


RETURNED = "ReturnedSeconds"
ARCHIVE_LAG = "ArchiveLagSeconds"
SINCE_WHOLE = "SecondsSinceWhole"
HOLDS_LATE = "HoldsLateSeconds"

UNITS: Mapping[str, str] = {
    **dict.fromkeys(("CreditsMoved", "ShadowDifference"), "None"),
    **dict.fromkeys((RETURNED, ARCHIVE_LAG, SINCE_WHOLE, HOLDS_LATE), "Seconds"),
}
"""The unit of each metric that counts nothing."""

WHOLE_WITHIN = timedelta(days=14)
"""So long after the last comparison of all of the ledger with all of the archive the next one should have ended."""


@frozen(eq=False, repr=False)
class Report:
    """How one event ended: the outcome and, where a rule matched, what was made of it and what was posted."""

    envelope: Envelope | None
    outcome: Outcome
    assessment: Assessment | None = None
    entry: Entry | None = None
    marked: bool = False
    attempts: int = 0
    milliseconds: float = 0.0
    is_unclear: bool = False
    """A row of Jobs without a time of its own contradicts what is known."""
    was_unanswered: bool = False
    """A try before had no answer: what is known already may be what that has posted."""
    before: JobLog | None = None
    """What was posted on: the log without the entry. None: nothing was known of it."""
    afforded: Mapping[str, Any] = {}
    """What a request to hold credits is answered beside its outcome."""

    @classmethod
    def of_posting(cls, decision: Decision, assessment: Assessment, attempts: int, before: JobLog | None = None) -> Report:
        """Return the report on a decision that was posted."""
        unclear = decision.is_unclear
        return cls(None, decision.outcome, assessment, decision.entry, attempts=attempts, is_unclear=unclear, before=before)

    def told(self, envelope: Envelope, milliseconds: float) -> Report:
        """Return the report on ``envelope``, which took ``milliseconds``."""
        known = self.outcome, self.assessment, self.entry, self.marked, self.attempts
        return Report(envelope, *known, milliseconds, self.is_unclear, self.was_unanswered, self.before)

    def answer(self) -> dict[str, Any]:
        """Return the report as JSON-like values."""
        assessment, entry = self.assessment, self.entry
        return {
            "outcome": self.outcome.value,
            "event": cut(self.envelope.id) if self.envelope and self.envelope.id else None,
            "reference": assessment.reference if assessment else None,
            "job": assessment.job if assessment else None,
            "user": assessment.user if assessment else None,
            "rule": assessment.rule if assessment else None,
            "amount": format(entry.amount, "f") if entry else None,
            "sequence": entry.sequence if entry else None,
            "anomalies": [anomaly.name for anomaly in entry.anomalies] if entry else [],
            "source": self.envelope.source.value if self.envelope else None,
            **({"unclear": True} if self.is_unclear else {}),
            **({"baselines": assessment.unjudged} if assessment and assessment.unjudged else {}),
            "attempts": self.attempts,
            "milliseconds": self.milliseconds,
            **self.afforded,
        }


@frozen(eq=False, repr=False)
class Failure:
    """An event that must come back, and why."""

    envelope: Envelope
    error: Exception
    milliseconds: float


REJECTED_MAX = 10
"""So many different events may a container reject without having taken one, before it says that it takes nothing."""


@define(eq=False, repr=False)
class Tally:
    """What became of events in this container. A version that rejects whatever comes is told from a producer's mistakes by it.

    Those come among events that are taken, and one of them that comes again and again is one event.
    """

    has_taken: bool = False
    rejected: set[str] = Factory(set)

    def take(self, outcome: Outcome) -> None:
        """Note an event that was settled; one that no rule matches says nothing."""
        self.has_taken = self.has_taken or outcome is not Outcome.IGNORED

    def reject(self, event: str) -> bool:
        """Note an event that failed, and say whether nothing but that has come of many."""
        if not self.has_taken and len(self.rejected) <= REJECTED_MAX:
            self.rejected.add(event)
        return not self.has_taken and len(self.rejected) > REJECTED_MAX


@frozen(eq=False, repr=False)
class Telemetry:
    """Writes one line for each outcome through ``write``; ``dimensions`` name the source of its metrics."""

    write: Callable[[str], None]
    clock: Clock
    dimensions: Mapping[str, str] = {}
    level: int = logging.INFO
    trace: str | None = None
    """The id of the X-Ray trace of a sampled invocation; its lines name it."""
    grace: timedelta = timedelta(0)
    """How long an event may be under way: what a scan posts of a job that is younger was not lost."""
    tally: Tally = field(factory=Tally, eq=False, repr=False)

    def settled(self, report: Report, shadowed: Shadowed | None = None) -> None:
        """Report an event that has its place in the ledger (or needs none), and how a second policy would have ended it."""
        self.tally.take(report.outcome)
        fields, metrics = report.answer(), settled_metrics(report, self._lost_before(report))
        if shadowed is not None:
            fields["shadow"] = shadowed.answer()
            metrics |= shadowed.metrics()
        self._line(logging.INFO, "reconciled", fields, metrics)

    def _lost_before(self, report: Report) -> datetime | None:
        is_found = report.entry is not None and report.entry.source is Source.SCAN
        return self.clock.now() - self.grace if is_found else None

    def failed(self, failure: Failure) -> None:
        """Report an event that must come back."""
        error, event, message = failure.error, failure.envelope.id, failure.envelope.message
        fields = {
            "outcome": "error",
            "event": plainly(event) if event else getattr(error, "event", None),
            **({"sqsMessage": message} if message else {}),
            "job": getattr(error, "job", None),
            "user": getattr(error, "user", None),
            "rule": getattr(error, "rule", None),
            "field": getattr(error, "field", None),
            "error": type(error).__name__,
            "problem": str(error),
            "source": failure.envelope.source.value,
            "milliseconds": failure.milliseconds,
        }
        takes_nothing = self.tally.reject(str(fields["event"] or message))
        self._line(logging.ERROR, "failed", fields, {"Errors": 1, "NothingTaken": int(takes_nothing)})

    def returned(self, fields: Mapping[str, Any], seconds: float) -> None:
        """Report the oldest event that comes back to the queue again, and for how many seconds it has waited."""
        self._line(logging.WARNING, "comes back", fields, {RETURNED: seconds})

    def scanned(self, fields: Mapping[str, Any], *, is_capped: bool = False) -> None:
        """Report a run of the scan; one that found more to post than it may is for a person to look at.

        A metric is 0 where nothing is to be told: an alarm looks back for the last number, and would not end by silence.
        """
        unmapped = sum(fields.get("unmapped", {}).values())
        metrics = {"ScansCapped": int(is_capped), "Adjustments": 0, "Errors": 0, "UnmappedRows": unmapped}
        self._line(logging.ERROR if is_capped else logging.INFO, "scanned", fields, metrics)

    def renewed(self, fields: Mapping[str, Any]) -> None:
        """Report the baselines that a run has computed; ``problem`` says why it could not. No fields: nothing needs them."""
        failed = "problem" in fields
        self._line(logging.ERROR if failed else logging.DEBUG, "baselines", fields, {"BaselinesFailed": int(failed)})

    def looked_back(self, fields: Mapping[str, Any], flags: int = 0, *, is_finished: bool = True) -> None:
        """Report a look back and how many entries it has flagged. Two in a row that did not finish alarm.

        What one could not see, the next one sees. No fields: the policy looks for nothing of the kind.
        """
        metrics = {"LookBacksUnfinished": int(not is_finished), **({"Flags": flags} if flags else {})}
        level = logging.INFO if fields else logging.DEBUG
        self._line(level if is_finished else logging.ERROR, "looked back", fields, metrics)

    def audited(self, fields: Mapping[str, Any], damages: int, *, unexplained: int = 0, is_whole: bool = True) -> None:
        """Report an audit, and how many users and entries are not as they should be. One that cannot seal is not finished.

        ``unexplained`` are flagged entries without an explanation. An audit that does not finish tells neither: nobody knows.
        """
        metrics = {"Drift": damages, "Unexplained": unexplained, "AuditsUnfinished": int(not is_whole)}
        self._line(logging.ERROR if damages else logging.INFO, "audited", fields, metrics)

    def compared(
        self,
        fields: Mapping[str, Any],
        counts: Mapping[str, int] | None,
        *,
        new: int = 0,
        unexplained: int = 0,
        is_out_of_time: bool,
        is_whole: bool = True,
        since_whole: float | None = None,
    ) -> None:
        """Report an audit against the archive, and how much it has found of each kind; None: it could not be made.

        ``new`` is how much of it the audit before did not find, ``since_whole`` how many seconds ago all of both was compared.
        One that ``is_whole`` has looked at balances too, where it should.
        """
        is_late = since_whole is not None and since_whole > WHOLE_WITHIN.total_seconds()
        metrics: dict[str, float] = {"ComparisonsUnfinished": int(counts is None or is_out_of_time or is_late or not is_whole)}
        if since_whole is not None:
            metrics[SINCE_WHOLE] = since_whole
        found = sum(counts.values()) if counts is not None else 0
        if counts is not None and (found or not is_out_of_time):  # else nobody knows
            metrics |= {
                "Differences": found,
                "NewDifferences": new,
                **{found_metric(kind): count for kind, count in counts.items()},
            }
        if counts is not None and not is_out_of_time:  # an explanation may stand in what was not read
            metrics["Unexplained"] = unexplained
        level = logging.INFO if counts is not None else logging.WARNING if is_out_of_time else logging.ERROR
        self._line(logging.ERROR if found else level, "compared", fields, metrics)

    def audit_unfinished(self, fields: Mapping[str, Any], *, is_out_of_time: bool) -> None:
        """Report an audit that did not come to its end. Time that was too short is no error yet; four in a row alarm."""
        self._line(logging.WARNING if is_out_of_time else logging.ERROR, "audited", fields, {"AuditsUnfinished": 1})

    def noted(
        self, message: str, fields: Mapping[str, Any], metrics: Mapping[str, float] | None = None, *, is_wrong: bool = False
    ) -> None:
        """Report what is no event: an explanation, a digest."""
        self._line(logging.ERROR if is_wrong else logging.INFO, message, fields, metrics or {})

    def _line(self, level: int, message: str, fields: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
        """Write one line. Metrics are never lost to the log level: below it the line carries nothing else."""
        now = self.clock.now()
        trace = {"trace": self.trace} if self.trace else {}
        shown = {"level": logging.getLevelName(level), "message": message, **fields, **trace} if level >= self.level else {}
        if shown or metrics:
            self.write(LINE.encode({**shown, **embedded(metrics, self.dimensions, now)}))


def found_metric(kind: str) -> str:
    """Return the metric of a kind of finding: ``unknown-correction`` is ``FoundUnknownCorrection``."""
    return "Found" + "".join(word.capitalize() for word in kind.split("-"))


def settled_metrics(report: Report, lost_before: datetime | None = None) -> dict[str, float]:
    """Return the metrics of one settled event. What a scan finds is an adjustment where it occurred ``lost_before``.

    Of a row without a time of its own nobody can say how old it is: it counts.
    """
    metrics: dict[str, float] = {METRICS[report.outcome]: 1}
    entry = report.entry
    if entry is None:
        return metrics
    if report.assessment and (report.assessment.unjudged or entry.samples):
        metrics["Unjudged"] = int(bool(report.assessment.unjudged))
    if entry.anomalies:
        metrics["Flags"] = 1
    if entry.amount:
        metrics["CreditsMoved"] = float(abs(entry.amount))
    if _was_lost(report, entry, lost_before):
        metrics["Adjustments"] = 1
    return metrics


def _was_lost(report: Report, entry: Entry, lost_before: datetime | None) -> bool:
    """Say whether an event was lost that should have posted an entry. Of an expiry nobody sends one."""
    is_expiry = report.assessment is not None and bool(report.assessment.fact.expiries)
    is_old = entry.time_is_assumed or lost_before is None or entry.occurred_at <= lost_before
    return entry.source is Source.SCAN and is_old and not is_expiry


@functools.cache
def _definitions(names: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"Name": name, "Unit": UNITS.get(name, "Count")} for name in names]


def embedded(metrics: Mapping[str, float], dimensions: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """Return the members that make a log line carry ``metrics``; none for no metrics."""
    if not metrics:
        return {}
    definition = {"Namespace": NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": _definitions(tuple(metrics))}
    directive = {"Timestamp": int(now.timestamp() * 1000), "CloudWatchMetrics": [definition]}
    return {"_aws": directive, **dimensions, **metrics}
