"""Whether each adjustment's id is claimed, and each claim has its adjustment: else a word could be told twice, or is gone.

The log ``adjust#<id>`` claims an id. What a person tells of a job, or takes back, stands on another log; its claim is an entry
of 0 there, written in the same transaction. What a repair has said of either counts.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import Factory, define

from engine.audit.logs import Fault
from engine.domain.entry_types import EntryType
from engine.domain.references import ADJUST, JOB
from engine.ledger.audits import AuditedEntry, AuditStore
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Deadline


@define
class Claims:
    """Takes every entry of a ledger, in any order, and tells then which claims and which words are without the other."""

    taken: set[str] = Factory(set)
    """Logs of ids that have entries."""
    repaired: set[str] = Factory(set)
    """Those of which a repair has said that their adjustment is gone."""
    words: dict[str, EntryKey] = Factory(dict)
    """What was told on another log: where, by the log of its id."""
    claims: dict[str, str] = Factory(dict)
    """Logs that do nothing but claim an id, and the log that it was told on."""

    def take(self, entry: AuditedEntry) -> None:
        """Take one entry."""
        line, name = entry.line, entry.correction_id
        if line.reference.startswith(ADJUST):
            self.taken.add(line.reference)
            if line.is_correction:
                self.repaired.add(line.reference)
        if not name:
            return
        own = f"{ADJUST}{name}"
        if line.reference != own:
            self.words[own] = line.key
        elif line.type == EntryType.VOID and (target := told_on(entry)):
            self.claims[own] = target

    def faults(self, store: AuditStore, deadline: Deadline) -> Iterator[Fault]:
        """Yield what is missing. Both are written at once, so what was read apart from the other is looked at again."""
        for own in sorted(self.words.keys() - self.taken):
            reference, sequence = self.words[own]
            if not store.log(own, deadline):
                problem = f"its id is not claimed: {own} has no entry, and it could be told again"
                yield Fault(reference, int(sequence), problem, claim=own)
        for own in sorted(self.claims.keys() - self.words.keys() - self.repaired):
            if not is_told(store, own, target := self.claims[own], deadline):
                yield Fault(own, 1, f"it claims the id of an adjustment that {target} does not have", claim=own)


def told_on(entry: AuditedEntry) -> str:
    """Return the log on which the adjustment was told whose id an entry claims; nothing where it does not say."""
    facts = entry.facts
    for told in facts.adjustments if facts is not None else ():
        if told.id == entry.correction_id:
            return f"{JOB}{told.job}" if told.job else f"{ADJUST}{told.reverses}" if told.reverses else ""
    return ""


def is_told(store: AuditStore, own: str, target: str, deadline: Deadline) -> bool:
    """Say whether a log has the entry of an adjustment, by the log of its id, or what a repair has put in its place."""
    name = own.removeprefix(ADJUST)
    return any(entry.correction_id == name or entry.line.is_correction for entry in store.log(target, deadline))
