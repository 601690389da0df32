"""One batch of entries: told apart, the flagged ones asked about together, explained each, stored, told. It raises nothing.

Whatever happens to the model, each entry gets an explanation. Whatever a record is, the stream goes on: what is no entry is
told and passed by; only what the table did not take comes back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from attrs import Factory, define, field, frozen

from engine.anomalies.bus import Bus
from engine.anomalies.corrections import tell_corrections
from engine.anomalies.explain.answer import Explanation, Judgement
from engine.anomalies.explain.background import Background
from engine.anomalies.explain.brief import Names, brief
from engine.anomalies.explain.fallback import check_of, explained_by_rules, summary_of
from engine.anomalies.explain.model import BUDGET, FAILED, ModelFailure
from engine.anomalies.low_balances import BalanceWatch
from engine.anomalies.notices import notices_of
from engine.anomalies.notifier import Notifier
from engine.domain.entry import Entry
from engine.domain.errors import LedgerError
from engine.domain.instants import posting_text
from engine.ledger.explanations import ExplanationStore, Likeness
from engine.ledger.store import Store
from engine.policy.model import Policy
from engine.runtime.clock import Clock, Deadline
from engine.runtime.telemetry import Telemetry

TOGETHER_MAX = 10
"""As many entries are asked about at once, and told at once."""

STORE_SECONDS = 10.0
"""What is kept back of the time, so that every entry gets its explanation, whatever the model did."""

AGAIN = timedelta(minutes=10)
"""So old a record may be that comes again because its words could not be stored. The stream waits behind it meanwhile.

What is older goes without: it counts as ``Unexplained`` in the next audit, and a person has it explained.
"""

BY_MODEL, BY_RULES = "model", "rules"
OFF = "off"
"""The policy asks no model (``max_per_hour: 0``): nothing is missing."""

NOT_SAID = "schema"
"""The model answered, and not of this entry, or not as it must."""

EXPLAINED, FALLBACKS, ALIKE, SPENT = "Explained", "ExplanationFallbacks", "ExplanationsAlike", "ExplanationsBudgetSpent"
SKIPPED, UNSTORED, UNTOLD = "ExplanationsSkipped", "ExplanationsUnstored", "ExplanationsUntold"
METRICS = (EXPLAINED, FALLBACKS, ALIKE, SPENT, SKIPPED, UNSTORED, UNTOLD)
"""What is counted."""

Alike = tuple[str, ...]


class Model(Protocol):
    """What is asked: ``engine.anomalies.explain.model.ModelEndpoint``."""

    calls: int

    @property
    def model(self) -> str: ...
    def ask(self, data: str, labels: Iterable[str], deadline: Deadline) -> Mapping[str, Judgement]: ...
    def close(self) -> None: ...


@frozen
class Record:
    """An entry to explain. ``sequence_number`` is its record's in the stream, by which it comes back."""

    entry: Entry
    sequence_number: str = ""
    at: datetime | None = None
    """When it was written, where it says so."""


@define
class BatchResult:
    """What became of the records of one batch: those to come back, and what is to be told."""

    failures: list[str] = Factory(list)
    details: list[dict[str, Any]] = Factory(list)


@frozen
class Explainer:
    """A policy's settings, a model, and the ledger whose entries it explains. ``bus`` is None where nobody is told."""

    policy: Policy
    ledger: Store
    model: Model
    telemetry: Telemetry
    clock: Clock
    bus: Bus | None = None
    background: Background = field(init=False)
    explanations: ExplanationStore = field(init=False)
    notifier: Notifier | None = field(init=False)

    @background.default
    def _background(self) -> Background:
        return Background(self.ledger)

    @explanations.default
    def _explanations(self) -> ExplanationStore:
        return self.background.explanations

    @notifier.default
    def _notifier(self) -> Notifier | None:
        if self.bus is None:
            return None
        bounds = self.policy.low_balance
        return Notifier(self.bus, self.telemetry, BalanceWatch(self.ledger.low_balances(), bounds) if bounds else None)

    def batch(self, records: Sequence[Any], deadline: Deadline) -> list[str]:
        """Explain a batch of the Ledger's stream, and return the sequence numbers of the records that must come again.

        What moved a user's credits is told before the model is asked: nobody waits for words. What people have corrected is
        counted.
        """
        readable = [record for raw in records if (record := self._read(raw)) is not None]
        batch = BatchResult(self._notify(readable, deadline))
        flagged = (record for record in readable if record.entry.anomalies)
        open_ones = [record for record in flagged if self._is_open(record, batch, deadline)]
        for start in range(0, len(open_ones), TOGETHER_MAX):
            part = open_ones[start : start + TOGETHER_MAX]
            explanations = self.explain([record.entry for record in part], deadline)
            for record, explanation in zip(part, explanations, strict=True):
                self._store(record, explanation, batch, deadline)
            self._tell(batch)
        tell_corrections(settled_of(readable, batch.failures), self.telemetry)
        return batch.failures

    def explain(self, entries: Sequence[Entry], deadline: Deadline) -> list[Explanation]:
        """Return an explanation for each entry: by the model as far as it helps, else by the rules alone. Raises nothing."""
        known = self._known(entries, deadline)
        fresh = first_of_each(entry for entry in entries if alike(entry) not in known)
        labels = {f"e{number}": entry for number, entry in enumerate(fresh.values(), start=1)}
        said, why = self._ask(labels, deadline) if labels else ({}, None)
        explained = {label: self._explained(entry, said.get(label), why) for label, entry in labels.items()}
        by_entry = {place(labels[label]): explanation for label, explanation in explained.items()}
        for label, entry in labels.items():
            if label in said:
                known[alike(entry)] = Likeness(place(entry), said[label].likely_cause, said[label].severity)
                self.background.remember(alike(entry), known[alike(entry)], deadline)
        return [by_entry.get(place(entry)) or self._like(entry, known.get(alike(entry)), why) for entry in entries]

    def _notify(self, records: Sequence[Record], deadline: Deadline) -> list[str]:
        if self.notifier is None:
            return []
        return self.notifier.batch([(record.entry, record.sequence_number) for record in records], deadline)

    # --- reading ---

    def _read(self, raw: Any) -> Record | None:
        """Return the entry that a record has put into the Ledger, or None for anything else."""
        try:
            inserted = self.explanations.inserted(raw)
            if inserted is None:
                return None
            record = Record(*inserted, at=written_at(raw))
            explained_by_rules(record.entry)  # what cannot be put into words is no entry, however much it looks like one
            tuple(notices_of(record.entry))  # and what cannot be told
        except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError, RecursionError) as error:
            fields = {"problem": f"a record of the stream is no entry: {type(error).__name__}"}
            self.telemetry.noted("unexplained", fields, {SKIPPED: 1}, is_wrong=True)
            return None
        return record

    def _is_open(self, record: Record, batch: BatchResult, deadline: Deadline) -> bool:
        """Say whether the entry still waits for words: a record that comes again asks nobody again."""
        try:
            return self.explanations.is_open(record.entry, deadline.sooner(STORE_SECONDS))
        except LedgerError as error:
            self._comes_again(record, error, batch)
            return False

    # --- asking ---

    def _known(self, entries: Sequence[Entry], deadline: Deadline) -> dict[Alike, Likeness]:
        """Return what was said within the hour of entries that these are like."""
        if self.policy.explain.max_per_hour == 0:
            return {}
        found = {each: self.background.likeness(each, deadline.sooner(1.0)) for each in dict.fromkeys(map(alike, entries))}
        return {each: likeness for each, likeness in found.items() if likeness is not None}

    def _ask(self, labels: Mapping[str, Entry], deadline: Deadline) -> tuple[Mapping[str, Judgement], str | None]:
        """Return what the model says, and, where it says nothing, why."""
        if self.policy.explain.max_per_hour == 0:
            return {}, OFF
        try:
            data = self._brief(labels, deadline)
            return self.model.ask(data, labels, deadline.sooner(deadline.left() - STORE_SECONDS)), None
        except ModelFailure as failure:
            return {}, failure.why
        except Exception:  # noqa: BLE001  whatever it is: an explanation is never missing, and the stream never stands
            return {}, FAILED

    def _brief(self, labels: Mapping[str, Entry], deadline: Deadline) -> str:
        """Return the question: the entries, what is usual for their models, and what their users' last entries were."""
        soon = deadline.sooner(2.0)
        users = dict.fromkeys(entry.user for entry in labels.values())
        recent = {user: self.background.recent(user, labels.values(), soon) for user in users}
        baselines = self.background.baselines(self.policy.name, soon)
        return brief(labels, baselines, recent, Names(is_on=self.policy.explain.pseudonyms))

    # --- saying ---

    def _explained(self, entry: Entry, said: Judgement | None, why: str | None) -> Explanation:
        at = posting_text(self.clock.now())
        if said is not None:
            return Explanation(said, BY_MODEL, at, model=self.model.model)
        return Explanation(explained_by_rules(entry), BY_RULES, at, why=why or NOT_SAID)

    def _like(self, entry: Entry, likeness: Likeness | None, why: str | None) -> Explanation:
        """Return what was said of an entry that this one is like: its cause, with this entry's own figures."""
        if likeness is None:
            return self._explained(entry, None, why)
        judgement = Judgement(summary_of(entry), likeness.likely_cause, likeness.severity, check_of(likeness.likely_cause))
        at = posting_text(self.clock.now())
        return Explanation(judgement, BY_MODEL, at, model=self.model.model, like=likeness.like)

    # --- storing and telling ---

    def _store(self, record: Record, explanation: Explanation, batch: BatchResult, deadline: Deadline) -> None:
        try:
            is_stored = self.explanations.store(record.entry, explanation.attributes(), deadline)
        except LedgerError as error:
            self._comes_again(record, error, batch)
            return
        if not is_stored:  # another container was faster: its words stand, and it has told them
            return
        entry = record.entry
        fields = {
            "reference": entry.reference,
            "sequence": entry.sequence,
            "rule": entry.rule,
            "anomalies": [anomaly.name for anomaly in entry.anomalies],
            "likely_cause": explanation.judgement.likely_cause,
            "severity": explanation.judgement.severity,
            "by": explanation.by,
            "why": explanation.why,
            "like": explanation.like,
        }
        self.telemetry.noted("explained", fields, metrics_of(explanation))
        batch.details.append(detail_of(entry, explanation))

    def _comes_again(self, record: Record, error: LedgerError, batch: BatchResult) -> None:
        is_late = record.at is not None and self.clock.now() - record.at > AGAIN
        if not is_late and record.sequence_number not in batch.failures:
            batch.failures.append(record.sequence_number)
        fields = {"reference": record.entry.reference, "sequence": record.entry.sequence, "problem": str(error)}
        self.telemetry.noted("unexplained", fields, {UNSTORED: 1}, is_wrong=True)

    def _tell(self, batch: BatchResult) -> None:
        details, batch.details = batch.details, []
        untold, problem = self.bus.tell(details) if self.bus is not None else (0, "")
        if untold:
            fields = {"problem": f"stored, but the event bus did not take them: {problem}", "untold": untold}
            self.telemetry.noted("untold", fields, {UNTOLD: untold}, is_wrong=True)


def written_at(raw: Mapping[str, Any]) -> datetime | None:
    """Return when a record of the stream was written, where it says so. Raises ValueError or its kin for no instant."""
    seconds = raw["dynamodb"].get("ApproximateCreationDateTime")
    return None if seconds is None else datetime.fromtimestamp(float(seconds), UTC)


def settled_of(records: Sequence[Record], failures: Collection[str]) -> Iterator[Entry]:
    """Yield the entries that do not come again: the stream goes on at the first one that does, with all behind it."""
    for record in records:
        if record.sequence_number in failures:
            return
        yield record.entry


def alike(entry: Entry) -> Alike:
    """Return what entries have in common that one explanation serves: the rule, the anomalies and the groups measured."""
    groups = sorted({sample.group for sample in entry.samples})
    return (entry.rule, *sorted({anomaly.name for anomaly in entry.anomalies}), "", *groups)


def first_of_each(entries: Iterable[Entry]) -> dict[Alike, Entry]:
    """Return the first entry of each likeness: the others follow it."""
    found: dict[Alike, Entry] = {}
    for entry in entries:
        found.setdefault(alike(entry), entry)
    return found


def place(entry: Entry) -> str:
    """Return where an entry stands in the ledger, as text."""
    return f"{entry.reference}/{entry.sequence}"


def metrics_of(explanation: Explanation) -> dict[str, float]:
    """Return what an explanation counts as. Fallbacks are told as 0 as well: an alarm would not end by silence."""
    counts = {
        EXPLAINED: True,
        ALIKE: explanation.like is not None,
        FALLBACKS: explanation.by == BY_RULES and explanation.why != OFF,
        SPENT: explanation.why == BUDGET,
    }
    return {name: int(counted) for name, counted in counts.items() if counted or name == FALLBACKS}


def detail_of(entry: Entry, explanation: Explanation) -> dict[str, Any]:
    """Return what the bus is told of an explained entry."""
    return {
        "reference": entry.reference,
        "sequence": entry.sequence,
        "jobId": entry.job,
        "userId": entry.user,
        "type": entry.type.value,
        "amount": format(entry.amount, "f"),
        "rule": entry.rule,
        "anomalies": [anomaly.name for anomaly in entry.anomalies],
        "explanation": explanation.attributes(),
    }
