"""The whole story of one job: what was told of it and by which door, each entry counted again, and what counts now. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from engine.audit.recount import Recount, recount
from engine.domain.entry import Entry
from engine.domain.entry_types import EntryType
from engine.domain.envelope import Source
from engine.domain.errors import quoted
from engine.domain.fact import TOLD_BY, Adjustment, Charge, Expiry, Grant, Hold, Refund, Revoke
from engine.domain.fact_kinds import FACT_KINDS, Kind
from engine.domain.facts import NOTHING_KNOWN, Facts
from engine.domain.instants import instant_text
from engine.domain.job_row import status_and_attempt
from engine.domain.log import JobLog, log_of
from engine.domain.money import ZERO, canonical
from engine.domain.texts import plainly
from engine.ledger.shapes import read_entry
from engine.ledger.store import StoredEntry
from engine.rating.cost import cost_steps

DOORS: Mapping[Source, str] = {
    Source.EVENT: "an event, handed to the function",
    Source.QUEUE: "an event, through the queue",
    Source.SCAN: "a scan of Jobs",
    Source.REPLAY: "a replay of events",
    Source.REPAIR: "a person, who repaired the ledger",
    Source.COMMAND: "a person, by the command",
}
LOOKED_BACK = "the scheduled run, which looked back at many entries"

NOTHING_NEW = "nothing new of the job"

MARK = ("reconciled", "reconciledStatus", "reconciledSequence")
SHOWN_ALWAYS = ("userId", "status", "updatedAt")
"""What is shown of a row, whatever the policy reads: all else is the application's, and may be private."""


@frozen
class Chapter:
    """An entry as it is stored, what it brought in, and its count; ``problem`` says why it is no entry of this system."""

    stored: StoredEntry
    entry: Entry | None = None
    told: tuple[str, ...] = ()
    count: Recount | None = None
    problem: str = ""

    @property
    def failed(self) -> bool:
        """Whether the entry cannot be read, or does not follow from itself and those before it."""
        return self.count is None or self.count.failed

    @property
    def door(self) -> str:
        """Who told it."""
        entry = self.entry
        if entry is None:
            return ""
        by_name = entry.type is EntryType.FLAG and entry.rule in {anomaly.name for anomaly in entry.anomalies}
        return LOOKED_BACK if by_name and entry.source is Source.SCAN else DOORS[entry.source]

    def answer(self) -> dict[str, Any]:
        """Return it as JSON-like values: what is stored, and what was made of it."""
        stored = self.stored
        kept = {name: stored[name] for name in KEPT if name in stored}
        counted = self.count.answer() if self.count is not None else {"agrees": False, "problems": [self.problem]}
        held = {"held": self.entry.held} if self.entry is not None and self.entry.held else {}
        return {**kept, **held, "door": self.door, "told": list(self.told), **counted}


KEPT = (
    *("reference", "sequence", "type", "amount"),
    *("userId", "occurredAt", "postedAt", "source", "eventId", "rule", "policy"),
    *("anomalies", "explanation", "resolution", "correction"),
)


@frozen
class Story:
    """What is known of a job: its entries in order, and its row in Jobs (None: there is none)."""

    job: str
    chapters: tuple[Chapter, ...]
    row: Mapping[str, Any] | None

    @property
    def is_known(self) -> bool:
        """Whether the ledger or Jobs knows the job."""
        return bool(self.chapters) or self.row is not None

    @property
    def failed(self) -> bool:
        """Whether an entry does not agree."""
        return any(chapter.failed for chapter in self.chapters)

    @property
    def entries(self) -> list[Entry]:
        """The entries that can be read."""
        return [chapter.entry for chapter in self.chapters if chapter.entry is not None]

    @property
    def log(self) -> JobLog:
        """All of them, summed up."""
        return log_of(self.entries)

    def now(self) -> tuple[str, ...]:
        """Return what counts now, and how it comes to what the job should cost."""
        if not self.entries:
            return ("nothing is known: the ledger has no entry of it",)
        return tuple(cost_steps(self.log.facts, self.log.cost, self.entries[-1].money))

    def mark(self) -> str:
        """Return what the row's mark says, in words."""
        return mark_text(self.row) if self.row is not None else ""

    def shown_of_row(self, attributes: frozenset[str] | None) -> dict[str, Any]:
        """Return what may be shown of the row: what a policy reads (None: all), and what every application has."""
        row = self.row or {}
        shown = [name for name in (*SHOWN_ALWAYS, *sorted(attributes or ())) if name in row and name not in (*MARK, "jobId")]
        return {name: _shown(row[name]) for name in dict.fromkeys(shown)}


def _shown(value: Any) -> Any:
    """Of an object or a list only what it is: what stands in it nobody asked for."""
    return quoted(value) if isinstance(value, Mapping | list) else value


def story_of(job: str, stored: Sequence[StoredEntry], row: Mapping[str, Any] | None) -> Story:
    """Return the story of a job by its entries (in order of their sequence) and its row."""
    read = [read_entry(each) for each in stored]
    entries = [entry for entry in read if isinstance(entry, Entry)]
    counts = iter(recount(entries))
    known, chapters = NOTHING_KNOWN, []
    for each, entry in zip(stored, read, strict=True):
        if isinstance(entry, Entry):
            chapters.append(Chapter(each, entry, tuple(_told(entry, known)), next(counts)))
            known = entry.facts
        else:
            chapters.append(Chapter(each, problem=entry))
    return Story(job, tuple(chapters), row)


def _told(entry: Entry, known: Facts) -> Iterator[str]:
    """Yield what an entry brought in that those before did not know."""
    told = [text for kind in FACT_KINDS.values() for text in _news(kind.name, entry.facts, known)]
    told += [_refused(event_id) for event_id in entry.facts.refused if event_id not in known.refused]
    if entry.resolution is not None:
        entries = ", ".join(str(sequence) for sequence in entry.resolution.entries)
        told.append(f"the anomalies of entry {entries} are resolved: {entry.resolution.note}")
    yield from told or (NOTHING_NEW,)


def _news(kind: Kind, facts: Facts, known: Facts) -> Iterator[str]:
    if kind is Kind.REVISION:  # it stands among the charges
        return
    before = FACT_KINDS[kind].told_in(known)
    for fact in FACT_KINDS[kind].told_in(facts):
        if fact not in before:
            yield _text(fact)


def _text(fact: Any) -> str:
    """Return a fact in words, with what the event said."""
    return _text_of_hold(fact) if isinstance(fact, Hold | Expiry) else _text_of_others(fact)


def _text_of_hold(fact: Hold | Expiry) -> str:
    at = instant_text(fact.at)
    if isinstance(fact, Expiry):
        return f"the hold of attempt {fact.attempt} had expired by {at}"
    return f"a hold of {fact.amount:f} at {at} until {instant_text(fact.expires_at)}{_said(fact.content)}"


def _text_of_others(fact: Any) -> str:
    match fact:
        case Charge(revision=revision) if revision:
            return f"its price: the charge of {instant_text(fact.at)} is {fact.amount:f} by policy {fact.policy}"
        case Charge() | Grant():
            return f"a {type(fact).__name__.lower()} of {fact.amount:f} at {instant_text(fact.at)}{_said(fact.content)}"
        case Refund() | Revoke():
            share = f"{canonical(fact.percent or ZERO)} %" if fact.amount is None else f"{canonical(fact.amount)} credits"
            back = "back" if isinstance(fact, Refund) else "taken back"
            return f"{share} {back} at {instant_text(fact.at)}{_said(fact.content)}"
        case Adjustment(reverses=reversed_id) if reversed_id:
            return f"adjustment {reversed_id} is taken back by adjustment {fact.id}"
        case Adjustment():
            return f"{fact.amount:f} credits are conceded by adjustment {fact.id}"
        case _:
            name, at = fact
            return f"the flag {name} at {instant_text(at)}"


def _refused(event_id: str) -> str:
    return f"a request to hold, event {plainly(event_id)}: refused, and so it stays, however often it comes"


def _said(content: Sequence[tuple[str, str]]) -> str:
    said = ", ".join(f"{expression} {text}" for expression, text in content if expression != TOLD_BY)
    return f": {said}" if said else ""


def mark_text(row: Mapping[str, Any]) -> str:
    """Return what a row's mark says."""
    is_settled, status, sequence = (row.get(name) for name in MARK)
    if is_settled is None:
        return "not marked"
    by = f" by entry {sequence}" if sequence is not None else ""
    if is_settled is not True:
        return f"still due{by}"
    settled, at = _marked_at(status, row.get("status"))
    later = "" if settled == row.get("status") else "; its status has changed since"
    return f"settled at {at}{by}{later}"


def _marked_at(marked: Any, status: Any) -> tuple[Any, str]:
    """Return the status of a mark, and the mark in words: where the policy numbers attempts it names one."""
    settled, attempt = (marked, None) if marked == status or not isinstance(marked, str) else status_and_attempt(marked)
    return settled, f"{settled}" if attempt is None else f"{settled}, attempt {attempt},"
