"""Whether each adjustment's id is claimed, and each claim has its adjustment: else a word could be told twice, or is gone.

The log ``adjust#<id>`` claims an id. What a person tells of a job, or takes back, stands on another log; its claim is an entry
of 0 there, written in the same transaction. What a repair has said of either counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

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


# --- with an archive: entry by entry ---

type LogOf = Callable[[str], Sequence[AuditedEntry]]
"""The entries of a log in their order, as they were posted."""


def id_problem(entry: AuditedEntry, log_of: LogOf, believes: Callable[[AuditedEntry], bool]) -> str:
    """Return what speaks against the id that an entry tells or claims; empty where nothing does.

    Word and claim are posted together, once, and the claim names the log of its word: so an id that is told on two logs is
    told by right on the one that its claim names. A correction that is believed settles what stands before it.
    """
    name, log = entry.correction_id, entry.line.reference
    if not name or entry.line.is_correction:
        return ""
    here = log_of(log)
    if _is_settled(entry, here, believes):
        return ""
    first = next(each for each in [*here, entry] if each.correction_id == name and not each.line.is_correction)
    if first.line.sequence < entry.line.sequence:
        return f"it tells the id {name}, as entry {first.line.sequence} of its log does: an id is told once"
    own = f"{ADJUST}{name}"
    return _claim_problem(entry, log_of, believes) if log == own else _word_problem(log, name, log_of(own), believes)


def _is_settled(entry: AuditedEntry, log: Sequence[AuditedEntry], believes: Callable[[AuditedEntry], bool]) -> bool:
    later = (each for each in log if each.line.sequence > entry.line.sequence)
    return any(each.line.is_correction and believes(each) for each in later)


def _word_problem(log: str, name: str, claimed: Sequence[AuditedEntry], believes: Callable[[AuditedEntry], bool]) -> str:
    own = f"{ADJUST}{name}"
    if any(each.line.is_correction and believes(each) for each in claimed):
        return ""
    claim = next((each for each in claimed if each.correction_id == name), None)
    if claim is None:
        stands = "tells another" if claimed else "has no entry"
        return f"its id is not claimed: {own} {stands}, and it could be told again"
    if claim.line.type != EntryType.VOID:
        return f"its id was told on {own}, and belongs to what was told there"
    target = told_on(claim)
    return f"its id was told on {target}: {own} claims it for that log" if target not in {"", log} else ""


def _claim_problem(entry: AuditedEntry, log_of: LogOf, believes: Callable[[AuditedEntry], bool]) -> str:
    target = told_on(entry) if entry.line.type == EntryType.VOID else ""
    if not target:
        return ""
    there = (each for each in log_of(target) if each.line.key != entry.line.key)
    if any(each.correction_id == entry.correction_id or (each.line.is_correction and believes(each)) for each in there):
        return ""
    return f"it claims the id of an adjustment that {target} does not have"
