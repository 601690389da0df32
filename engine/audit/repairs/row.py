"""The last step of a repair: a user's row of Credits, where it disagrees with entries that are all in order.

Nothing in the tables or the archive tells which of the two is right: a person says it. Where only events grant, the balance
alone can be off as well: then a person says whether that is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from engine.audit.balances import BalanceDrift
from engine.audit.books import Drift
from engine.audit.repairer import Wrong
from engine.audit.repairs.draft import CORRECTED, RULE
from engine.audit.repairs.steps import Correcting, content_of
from engine.domain.anomaly import Anomaly
from engine.domain.digits import as_text
from engine.domain.entry import Entry, EntryType
from engine.domain.envelope import Source
from engine.domain.fact_kinds import moving_type
from engine.domain.facts import NOTHING_KNOWN
from engine.domain.money import EXACT, ZERO, Money
from engine.domain.references import REPAIR
from engine.ledger.audits import AuditedEntry, AuditStore, Credit
from engine.ledger.moved import NOTHING, Moved, more_held, sum_of
from engine.ledger.stored import NO_ENTRY, entry_of
from engine.reconcile.plan_file import PlanFileError


@frozen
class RowStep:
    """What is done to a user's row: what was posted and is held is what it ``says`` then, where the row was as ``seen``."""

    user: str
    because: tuple[str, ...]
    seen: str
    says: Moved
    correction: Correcting

    @property
    def reference(self) -> str:
        """The log that keeps it."""
        return f"{REPAIR}{self.user}"

    def answer(self) -> dict[str, Any]:
        """Return the step as JSON-like values, for the plan's file."""
        correction = self.correction.answer(self.correction.entry.occurred_at)
        told = {"row": self.user, "because": list(self.because), "seen": self.seen}
        return {**told, **self.says.answer("says"), "corrections": [correction]}

    def lines(self) -> list[str]:
        """Return the step as a person reads it."""
        entry, says = self.correction.entry, self.says
        becomes = f"`posted` becomes {says.amount:f}" + (f", `held` {says.held:f}" if self.is_about_holds else "")
        what = f"{entry.amount:f}{more_held(entry.held)} for {self.user}, {becomes}{self.correction.moves.in_words}"
        added = f"add: entry {entry.sequence}, {what}"
        return [*(f"{self.user}: {problem}" for problem in self.because), f"{self.reference}: {added}"]

    @property
    def is_about_holds(self) -> bool:
        """Whether the user has ever held anything."""
        return bool(self.says.held or self.correction.entry.held) or HELD in self.seen

    def is_before(self, log: Sequence[AuditedEntry], row: Credit) -> bool:
        """Say whether the row and its log are as they were found."""
        sequence = int(log[-1].line.sequence) + 1 if log else 1
        return sequence == self.correction.entry.sequence and self.seen in {_as_text(row), _with_balance(row)}

    def is_after(self, log: Sequence[AuditedEntry]) -> bool:
        """Say whether the entry of this step stands there."""
        there = {entry.line.sequence: entry for entry in log}
        own = there.get(self.correction.entry.sequence)
        return own is not None and content_of(own) == self.correction.content


HELD = '"held"'
"""Stands in what a row has where it has ever held anything."""


def _as_text(row: Credit) -> str:
    """Return what a row has as ``posted`` and ``held``, whatever it is."""
    return json.dumps([row.is_there, row.stored, *_held(row)], sort_keys=True, default=str)


def _with_balance(row: Credit) -> str:
    """Return the same with the balance: what takes back a change of that is done only where nobody has done it already."""
    return json.dumps([row.is_there, row.stored, as_text(row.remaining), *_held(row)], sort_keys=True, default=str)


def _held(row: Credit) -> list[object]:
    return [{"held": row.stored_held}] if row.stored_held is not None else []


@frozen
class RowDraft:
    """A row, what its user's entries come to, and the log that keeps what was done to the row."""

    row: Credit
    ledger: Moved
    log: Sequence[AuditedEntry]

    def step(self, store: AuditStore, wrong: Wrong, at: datetime, reason: str) -> RowStep:
        """Return the step that lets both say the same, as a person has said what is wrong."""
        row, ledger = self.row, self.ledger
        gap = Moved(row.posted or ZERO, row.held or ZERO) - ledger
        added = gap if wrong is Wrong.ENTRIES else NOTHING
        moves = Moved(EXACT.minus(gap.amount)) if wrong is Wrong.BALANCE else NOTHING
        problem = Drift.of(ledger, row).problem
        entry = _entry(row.user, added, at, f"{reason} ({problem})", self.log)
        correction = Correcting(entry, content_of(store.audited(entry)), moves)
        return RowStep(row.user, (problem,), _as_text(row), ledger + added, correction)


@frozen
class BalanceDraft:
    """A row whose balance is off although entries and ``posted`` agree, and the log that keeps what was done to the row."""

    row: Credit
    drift: BalanceDrift
    log: Sequence[AuditedEntry]

    def step(self, store: AuditStore, at: datetime, reason: str) -> RowStep:
        """Return the step that moves the balance to what follows from the ledger. An entry of 0 keeps by how much."""
        row, drift = self.row, self.drift
        entry = _entry(row.user, NOTHING, at, f"{reason} ({drift.problem})", self.log)
        correction = Correcting(entry, content_of(store.audited(entry)), Moved(EXACT.minus(drift.by or ZERO)))
        says = Moved(row.posted or ZERO, row.held or ZERO)
        return RowStep(row.user, (drift.problem,), _with_balance(row), says, correction)


def _entry(user: str, added: Moved, at: datetime, said: str, log: Sequence[AuditedEntry]) -> Entry:
    posted, amount = sum_of((entry.line.moves for entry in log), added).amount, added.amount
    reference = f"{REPAIR}{user}"
    return Entry(
        reference=reference,
        job=None,
        sequence=int(log[-1].line.sequence) + 1 if log else 1,
        user=user,
        type=moving_type(reference, amount) if amount else EntryType.FLAG,
        amount=amount,
        held=added.held,
        occurred_at=at,
        rule=RULE,
        policy=RULE,
        facts=NOTHING_KNOWN,
        cost=EXACT.minus(posted),
        money=Money(),
        source=Source.REPAIR,
        anomalies=(Anomaly(CORRECTED, said, ()),),
    )


def row_step_in(line: Mapping[str, Any], name: str) -> RowStep:
    """Return the step of a plan's line. Raises PlanFileError for what is none."""
    try:
        (said,) = line["corrections"]
        correction = Correcting(entry_of(said["entry"]), said["content"], Moved.read(said, "moves"))
        return RowStep(line["row"], tuple(line["because"]), line["seen"], Moved.read(line, "says"), correction)
    except NO_ENTRY as error:
        raise PlanFileError(f"{name}: the line of {line.get('row')} is none of a plan") from error
